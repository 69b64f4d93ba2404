import { Stack } from '@mantine/core';
import { type ChartPoint, formatDuration, Panel, TimeChart } from '../../design/index.ts';
import type { Drill } from '../backups/api.ts';

/** At most a second of work is lost, promised to tenants. */
const pointGoalMs = 1_000;
const day = 86_400_000;

/** Recovery point and recovery time of every drill: two charts over the same time. */
export function DrillChart({ drills }: { drills: readonly Drill[] }) {
  const oldestFirst = drills.toReversed();
  const times = oldestFirst.map(({ finishedAt }) => Date.parse(finishedAt));
  const first = times[0]!;
  const last = times.at(-1)!;
  // A single drill stands in the middle of a day; several have some air on both sides.
  const air = Math.max((last - first) * 0.04, first === last ? day / 2 : 0);
  const frame = { from: first - air, to: last + air, kind: 'dots', height: 96 } as const;
  const pointsOf = (figure: 'recoveryPointMs' | 'recoveryTimeMs'): ChartPoint[] =>
    oldestFirst.map((drill, index) => ({
      at: times[index]!,
      value: drill[figure] ?? null,
      note: `region ${drill.region}${drill.passed ? '' : ', failed'}`,
    }));
  return (
    <Panel
      title="Recovery point and recovery time"
      description="One dot per drill; a cross is a drill that did not get so far."
    >
      <Stack gap="md">
        <TimeChart
          {...frame}
          label="Recovery point: work that would have been lost"
          summary={summarise(drills, 'recoveryPointMs')}
          points={pointsOf('recoveryPointMs')}
          goal={pointGoalMs}
        />
        <TimeChart
          {...frame}
          label="Recovery time: until every tenant answered"
          summary={summarise(drills, 'recoveryTimeMs')}
          points={pointsOf('recoveryTimeMs')}
          lowest={1_000}
        />
      </Stack>
    </Panel>
  );
}

function summarise(drills: readonly Drill[], figure: 'recoveryPointMs' | 'recoveryTimeMs'): string {
  const known = drills.flatMap((drill) => drill[figure] ?? []);
  if (known.length === 0) return 'not measured yet';
  return `last ${formatDuration(known[0]!)} · worst ${formatDuration(Math.max(...known))}`;
}
