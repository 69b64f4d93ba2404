import { useElementSize } from '@mantine/hooks';
import { type KeyboardEvent, type PointerEvent, useState } from 'react';
import { durationScale, timeTicks } from './chart-scale.ts';
import { formatDuration, formatExact } from './format.ts';
import classes from './TimeChart.module.css';

export interface ChartPoint {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** A duration in milliseconds; null: not known. */
  readonly value: number | null;
  /** Said at this point besides its figure, for example why it is not known. */
  readonly note?: string;
}

export interface TimeChartProps {
  /** What is shown, for a heading and for screen readers: `Lag of region a`. */
  readonly label: string;
  /** Beside the label: the answer in words. */
  readonly summary: string;
  readonly points: readonly ChartPoint[];
  readonly from: number;
  readonly to: number;
  /** Drawn as a line; what lies above it is late. */
  readonly goal?: number;
  /** `area`: a figure for every stretch of time. `dots`: single events. */
  readonly kind: 'area' | 'dots';
  /** The ground of the scale. Default 1 ms. */
  readonly lowest?: number;
  /** Has a place on the scale too, so that charts below each other have the same. */
  readonly highest?: number;
  /** Pixels of the drawing. Default 84. */
  readonly height?: number;
}

const left = 46;
const right = 12;
const top = 8;
const axis = 18;

/** A duration over time, on a logarithmic scale with its goal. One series per chart; several stand below each other. ← and → read it point by point. */
export function TimeChart(props: TimeChartProps) {
  const { label, summary, points, from, to, goal, kind, lowest = 1, highest = 0, height = 84 } = props;
  const { ref, width } = useElementSize();
  const [chosen, setChosen] = useState<number>();
  const known = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const scale = durationScale([highest, ...known], { lowest, ...(goal !== undefined && { goal }) });
  const inner = Math.max(0, width - left - right);
  const x = (at: number) => left + ((at - from) / Math.max(1, to - from)) * inner;
  const y = (ms: number) => top + (1 - scale.place(ms)) * height;
  const ground = top + height;
  const chosenPoint = chosen === undefined ? undefined : points[chosen];

  const move = (event: KeyboardEvent) => {
    const last = points.length - 1;
    const next = {
      ArrowLeft: chosen === undefined ? last : Math.max(0, chosen - 1),
      ArrowRight: chosen === undefined ? last : Math.min(last, chosen + 1),
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    setChosen(next);
  };
  const point = (event: PointerEvent<HTMLElement>) => {
    const px = event.clientX - event.currentTarget.getBoundingClientRect().left;
    const at = from + ((px - left) / Math.max(1, inner)) * (to - from);
    let nearest: number | undefined;
    for (const [index, each] of points.entries())
      if (nearest === undefined || Math.abs(each.at - at) < Math.abs(points[nearest]!.at - at)) nearest = index;
    setChosen(nearest);
  };

  return (
    <figure className={classes.figure}>
      <figcaption className={classes.caption}>
        <span className={classes.label}>{label}</span>
        <span className={classes.summary} aria-live={chosenPoint ? 'polite' : 'off'}>
          {chosenPoint ? <Reading point={chosenPoint} /> : summary}
        </span>
      </figcaption>
      {/* biome-ignore-start lint/a11y/noNoninteractiveTabindex: with the keyboard the figures are read one by one */}
      {/* biome-ignore-start lint/a11y/useSemanticElements: a group of figures, not of fields */}
      <div
        ref={ref}
        className={classes.plot}
        style={{ height: top + height + axis }}
        role="group"
        aria-label={`${label}: ${summary}. Left and right arrow read the figures.`}
        tabIndex={0}
        onKeyDown={move}
        onBlur={() => setChosen(undefined)}
        onPointerMove={point}
        onPointerLeave={() => setChosen(undefined)}
      >
        {width > 0 && (
          <svg width={width} height={top + height + axis} aria-hidden="true" focusable="false">
            {scale.ticks.map((tick) => (
              <g key={tick.value}>
                <line className={classes.grid} x1={left} x2={width - right} y1={y(tick.value)} y2={y(tick.value)} />
                <text className={classes.tick} x={left - 6} y={y(tick.value)} textAnchor="end" dy="0.32em">
                  {tick.label}
                </text>
              </g>
            ))}
            {timeTicks(from, to, Math.floor(inner / 84)).map((tick) => (
              <g key={tick.value}>
                <line className={classes.mark} x1={x(tick.value)} x2={x(tick.value)} y1={ground} y2={ground + 4} />
                <text className={classes.tick} x={x(tick.value)} y={ground + 15} textAnchor="middle">
                  {tick.label}
                </text>
              </g>
            ))}
            {kind === 'area' ? (
              <Area points={points} x={x} y={y} ground={ground} goal={goal} />
            ) : (
              <Dots points={points} x={x} y={y} goal={goal} ground={ground} />
            )}
            {goal !== undefined && (
              <g>
                <line className={classes.goal} x1={left} x2={width - right} y1={y(goal)} y2={y(goal)} />
                <text className={classes.goalText} x={width - right} y={y(goal) - 4} textAnchor="end">
                  goal {formatDuration(goal).replace('.0', '')}
                </text>
              </g>
            )}
            <line className={classes.base} x1={left} x2={width - right} y1={ground} y2={ground} />
            {chosenPoint && (
              <line className={classes.cursor} x1={x(chosenPoint.at)} x2={x(chosenPoint.at)} y1={top} y2={ground} />
            )}
          </svg>
        )}
      </div>
      {/* biome-ignore-end lint/a11y/useSemanticElements: see above */}
      {/* biome-ignore-end lint/a11y/noNoninteractiveTabindex: see above */}
    </figure>
  );
}

function Reading({ point: { at, value, note } }: { point: ChartPoint }) {
  const figure = value === null ? (note ?? 'not known') : `${formatDuration(value)}${note ? `, ${note}` : ''}`;
  return (
    <>
      <b>{figure}</b> at {formatExact(new Date(at))}
    </>
  );
}

interface Drawn {
  readonly points: readonly ChartPoint[];
  readonly x: (at: number) => number;
  readonly y: (ms: number) => number;
  readonly ground: number;
  readonly goal: number | undefined;
}

/** Steps from figure to figure; where one is not known, nothing is drawn. What lies above the goal is drawn again in another colour. */
function Area({ points, x, y, ground, goal }: Drawn) {
  const width = points.length > 1 ? x(points[1]!.at) - x(points[0]!.at) : 2;
  const runs: { from: number; heights: number[] }[] = [];
  for (const { at, value } of points) {
    const last = runs.at(-1);
    if (value === null) {
      if (last && last.heights.length > 0) runs.push({ from: 0, heights: [] });
    } else if (last && last.heights.length > 0) last.heights.push(y(value));
    else runs.push({ from: x(at), heights: [y(value)] });
  }
  const drawn = runs.filter(({ heights }) => heights.length > 0);
  const edge = ({ from, heights }: (typeof drawn)[number]) =>
    heights.map((each, index) => `${index === 0 ? 'M' : 'L'}${from + index * width} ${each}h${width}`).join('');
  const late = goal === undefined ? [] : points.filter(({ value }) => value !== null && value > goal);
  return (
    <>
      {drawn.map((run) => (
        <g key={run.from}>
          <path className={classes.area} d={`${edge(run)}V${ground}H${run.from}Z`} />
          <path className={classes.edge} d={edge(run)} />
        </g>
      ))}
      {late.map(({ at, value }) => (
        <rect
          key={at}
          className={classes.late}
          x={x(at)}
          y={y(value!)}
          width={Math.max(2, width)}
          height={Math.max(2, y(goal!) - y(value!))}
        />
      ))}
    </>
  );
}

/** A disc for each that is known, a cross on the ground for each that is not; a line leads the eye from one to the next. */
function Dots({ points, x, y, ground, goal }: Drawn) {
  const known = points.filter((each): each is ChartPoint & { value: number } => each.value !== null);
  return (
    <>
      <polyline className={classes.thread} points={known.map(({ at, value }) => `${x(at)},${y(value)}`).join(' ')} />
      {known.map(({ at, value }) => (
        <circle
          key={at}
          className={goal !== undefined && value > goal ? classes.dotLate : classes.dot}
          cx={x(at)}
          cy={y(value)}
          r="4"
        />
      ))}
      {points
        .filter(({ value }) => value === null)
        .map(({ at }) => (
          <path key={at} className={classes.cross} d={`M${x(at) - 4} ${ground - 12}l8 8m0 -8l-8 8`} />
        ))}
    </>
  );
}
