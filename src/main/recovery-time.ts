import { type Drill, selectDrills } from '#src/backups/index.ts';
import type { HealthWarning, RecoveryTimeHealth } from '#src/console-api/index.ts';
import type { Queryable } from '#src/postgres/index.ts';

const dayMs = 24 * 60 * 60_000;
/** Drills of a region that the line is drawn through, at most. */
const drillsMax = 12;
/** Fewer, or closer together, say nothing about growth. */
const drillsMin = 3;
const shortestSpanMs = 14 * dayMs;
/** Time enough for another machine, or for fewer tenants on this one. */
const warnAheadMs = 60 * dayMs;

type Measured = Pick<Drill, 'finishedAt'> & { readonly recoveryTimeMs: number };

/** How the time that a rebuilding from this region takes stands to its limit; undefined: no drill has measured it. */
export async function readRecoveryTime(
  db: Queryable,
  region: string,
  limitMs: number,
): Promise<RecoveryTimeHealth | undefined> {
  const drills = await selectDrills(db, { limit: drillsMax, cluster: 'main', region });
  const measured = drills.flatMap(({ finishedAt, recoveryTimeMs }) =>
    recoveryTimeMs === undefined ? [] : [{ finishedAt, recoveryTimeMs }],
  );
  const [last] = measured;
  if (!last) return undefined;
  const passesLimitAt = findPassing(measured, limitMs);
  return {
    limitMs,
    lastMs: last.recoveryTimeMs,
    lastAt: last.finishedAt.toISOString(),
    ...(passesLimitAt !== undefined && { passesLimitAt: new Date(passesLimitAt).toISOString() }),
  };
}

/**
 * When the line through the drills, newest first, comes to the limit: by least squares, because one slow drill is no growth. No earlier than the newest
 * drill; undefined: there are too few, or they do not become slower.
 */
function findPassing(drills: readonly Measured[], limitMs: number): number | undefined {
  const newest = drills[0]!.finishedAt.getTime();
  const oldest = drills.at(-1)!.finishedAt.getTime();
  if (drills.length < drillsMin || newest - oldest < shortestSpanMs) return undefined;
  const points = drills.map(({ finishedAt, recoveryTimeMs }) => ({
    x: finishedAt.getTime() - newest,
    y: recoveryTimeMs,
  }));
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  const covariance = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  const slope = covariance / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  if (slope <= 0) return undefined;
  const at = newest + Math.max(0, meanX + (limitMs - meanY) / slope);
  // Beyond what a date can say: never.
  return at - newest > 36_500 * dayMs ? undefined : at;
}

export function findRecoveryTimeWarnings(
  { region, recoveryTime }: { readonly region: string; readonly recoveryTime?: RecoveryTimeHealth },
  now: number,
): HealthWarning[] {
  if (!recoveryTime) return [];
  const { limitMs, lastMs, lastAt, passesLimitAt } = recoveryTime;
  const minutes = (ms: number) => `${Math.round(ms / 6_000) / 10} minutes`;
  const hint =
    'A faster machine or store, or fewer tenants on this one; or another limit: FREEHOLD_RECOVERY_TIME_LIMIT.';
  if (lastMs > limitMs)
    return [
      {
        severity: 'problem',
        text: `Rebuilding the installation from region ${region} took ${minutes(lastMs)} in the drill of ${lastAt}; the limit is ${minutes(limitMs)}.`,
        hint,
      },
    ];
  if (passesLimitAt === undefined || Date.parse(passesLimitAt) - now > warnAheadMs) return [];
  return [
    {
      severity: 'risk',
      text: `Rebuilding the installation from region ${region} takes longer from drill to drill, ${minutes(lastMs)} in the last one; at this pace it passes the limit of ${minutes(limitMs)} about ${passesLimitAt.slice(0, 10)}.`,
      hint,
    },
  ];
}
