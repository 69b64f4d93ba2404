import { judgeDump } from './choose.ts';
import type { DumpRun } from './sql.ts';
import type { DumpVerification, KnownDump } from './types.ts';

/**
 * How a tenant stands with its dumps, worst first. `unsound`: a copy of the newest did not restore · `failed`: the last attempt did · `late`: nobody has
 * made sure for longer than a night may take · `incomplete`: a region lacks the newest · `none`: there is none yet · `unverified`: the newest was not
 * restored yet · `sound`.
 */
export const dumpStandings = ['unsound', 'failed', 'late', 'incomplete', 'none', 'unverified', 'sound'] as const;
export type DumpStanding = (typeof dumpStandings)[number];

/** A person must look. */
export const troubledStandings: ReadonlySet<DumpStanding> = new Set(['unsound', 'failed', 'late', 'incomplete']);

/** One night, and what a night may be late. */
const lateAfterMs = 30 * 60 * 60_000;

export interface DumpHistory {
  readonly tenantCreatedAt: Date;
  /** undefined: there is none. */
  readonly newest: Pick<KnownDump, 'madeAt' | 'regions'> | undefined;
  /** Of the newest. */
  readonly verifications: readonly DumpVerification[];
  /** The last attempt, however it ended; undefined: none. */
  readonly lastRun: Pick<DumpRun, 'endedAt' | 'outcome'> | undefined;
}

/** @param regions those that there are; what lies in another one counts for nothing */
export function judgeTenant(
  { tenantCreatedAt, newest, verifications, lastRun }: DumpHistory,
  regions: readonly string[],
  now: number,
): DumpStanding {
  const held = regions.filter((region) => newest?.regions.includes(region));
  const verification = judgeDump({ regions: held }, verifications);
  if (verification && !verification.passed) return 'unsound';
  if (lastRun?.outcome === 'failed') return 'failed';
  const sureAt = Math.max(tenantCreatedAt.getTime(), newest?.madeAt.getTime() ?? 0, lastRun?.endedAt.getTime() ?? 0);
  if (now - sureAt > lateAfterMs) return 'late';
  if (!newest || held.length === 0) return 'none';
  if (held.length < regions.length) return 'incomplete';
  return verification ? 'sound' : 'unverified';
}
