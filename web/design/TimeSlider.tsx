import { useElementSize } from '@mantine/hooks';
import { type CSSProperties, type KeyboardEvent, type PointerEvent, useId, useState } from 'react';
import { timeTicks } from './chart-scale.ts';
import { formatExact } from './format.ts';
import { isWithin, type Stretch, windowAround } from './moments.ts';
import classes from './TimeSlider.module.css';

export interface TimeSliderProps {
  /** Name of the slider, for screen readers. */
  readonly label: string;
  /** Milliseconds since 1970, as all moments here. */
  readonly value: number;
  readonly onChange: (value: number) => void;
  readonly whole: Stretch;
  /** How much of it is shown at once; the rest comes into sight as the handle goes there. */
  readonly spanMs: number;
  /** What can be chosen, line by line; a moment is good when one of them has it. */
  readonly lanes: readonly { readonly label: string; readonly stretches: readonly Stretch[] }[];
  /** Moments at which something happened. */
  readonly marks: readonly { readonly at: number; readonly label: string }[];
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/**
 * A moment on a line of time, to the second. Keyboard: ← → a second, with Shift a minute; Page Up and Page Down an hour, with Shift a day; Home and End.
 * Gaps are hatched, so that they are told without colour.
 */
export function TimeSlider({ label, value, onChange, whole, spanMs, lanes, marks }: TimeSliderProps) {
  const { ref, width } = useElementSize();
  const helpId = useId();
  const [place, setPlace] = useState<{ spanMs: number; shown: Stretch }>();
  // It stands still under the pointer, and follows the moment out of sight; another span is put around the moment.
  const inside = Math.min(Math.max(value, whole.from), whole.to);
  const isWhole = spanMs >= whole.to - whole.from;
  const fits =
    place?.spanMs === spanMs &&
    inside >= place.shown.from &&
    inside <= place.shown.to &&
    place.shown.from >= whole.from;
  const shown = isWhole ? whole : fits ? place.shown : windowAround(whole, spanMs, inside);
  if (!isWhole && !fits) setPlace({ spanMs, shown });

  const length = Math.max(1, shown.to - shown.from);
  const share = (at: number) => Math.min(1, Math.max(0, (at - shown.from) / length));
  const choose = (at: number) =>
    onChange(Math.min(Math.max(Math.round(at / second) * second, roundUp(whole.from)), whole.to));

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const small = event.shiftKey ? minute : second;
    const large = event.shiftKey ? day : hour;
    const next = {
      ArrowLeft: value - small,
      ArrowDown: value - small,
      ArrowRight: value + small,
      ArrowUp: value + small,
      PageDown: value - large,
      PageUp: value + large,
      Home: whole.from,
      End: whole.to,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(next);
  };
  const onPointer = (event: PointerEvent<HTMLElement>) => {
    if (event.type === 'pointerdown') event.currentTarget.setPointerCapture(event.pointerId);
    else if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const box = event.currentTarget.getBoundingClientRect();
    choose(shown.from + ((event.clientX - box.left) / box.width) * length);
  };

  const isGood = lanes.some(({ stretches }) => isWithin(stretches, value));
  return (
    <div className={classes.root}>
      <div
        ref={ref}
        className={classes.track}
        role="slider"
        tabIndex={0}
        aria-label={label}
        aria-describedby={helpId}
        aria-valuemin={Math.floor(whole.from / second)}
        aria-valuemax={Math.floor(whole.to / second)}
        aria-valuenow={Math.floor(value / second)}
        aria-valuetext={`${formatExact(new Date(value))}${isGood ? '' : ', in a gap'}`}
        onKeyDown={onKeyDown}
        onPointerDown={onPointer}
        onPointerMove={onPointer}
      >
        <div className={classes.marks} aria-hidden="true">
          {marks
            .filter(({ at }) => at >= shown.from && at <= shown.to)
            .map(({ at, label: text }) => (
              <span key={`${at} ${text}`} className={classes.mark} style={leftAt(share(at))} title={text} />
            ))}
        </div>
        {lanes.map((lane) => (
          <div key={lane.label} className={classes.lane} aria-hidden="true">
            <span className={classes.laneLabel}>{lane.label}</span>
            <div className={classes.gap}>
              {lane.stretches
                .filter(({ from, to }) => to > shown.from && from < shown.to)
                .map(({ from, to }) => (
                  <span
                    key={from}
                    className={classes.stretch}
                    style={{ ...leftAt(share(from)), width: `${(share(to) - share(from)) * 100}%` }}
                  />
                ))}
            </div>
          </div>
        ))}
        <span className={classes.handle} data-good={isGood || undefined} style={leftAt(share(value))} />
      </div>
      <div className={classes.axis} aria-hidden="true">
        {timeTicks(shown.from, shown.to, Math.floor(width / 84)).map((tick) => (
          <span key={tick.value} className={classes.tick} style={leftAt(share(tick.value))}>
            {tick.label}
          </span>
        ))}
      </div>
      <p id={helpId} className={classes.help}>
        Arrow keys move it by a second, with Shift by a minute; Page Up and Page Down by an hour, with Shift by a day.
      </p>
    </div>
  );
}

function leftAt(share: number): CSSProperties {
  return { left: `${share * 100}%` };
}

function roundUp(at: number): number {
  return Math.ceil(at / second) * second;
}
