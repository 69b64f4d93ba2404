import { selectDrills, selectTenantsToVerify, selectVerifications } from '#src/backups/index.ts';
import type { RegionChecks } from '#src/console-api/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { summarise } from './check-runs.ts';
import { readRecoveryTime } from './recovery-time.ts';

/** A tenant whose rows were not compared for so long is a risk. */
const unverifiedAfterMs = 14 * 24 * 60 * 60_000;

/** How the base backups of one server in one region are. @param recoveryTimeLimitMs of a rebuilding; 0: no limit */
export async function readRegionChecks(
  pool: Queryable,
  { cluster, region, recoveryTimeLimitMs = 0 }: { cluster: string; region: string; recoveryTimeLimitMs?: number },
): Promise<RegionChecks> {
  const ofRegion = { limit: 1, kind: 'backup', cluster, region };
  const [[last], [passed], [drill], recoveryTime] = await Promise.all([
    selectVerifications(pool, ofRegion),
    selectVerifications(pool, { ...ofRegion, passed: true }),
    selectDrills(pool, { limit: 1, cluster, region }),
    recoveryTimeLimitMs > 0 ? readRecoveryTime(pool, region, recoveryTimeLimitMs) : undefined,
  ]);
  return {
    region,
    ...(last && {
      lastVerification: {
        at: last.finishedAt.toISOString(),
        passed: last.passed,
        region,
        backupId: last.subject,
        ...(!last.passed && { finding: summarise(last.findings) }),
      },
    }),
    ...(passed && { lastVerifiedAt: passed.finishedAt.toISOString() }),
    ...(drill && {
      lastDrill: {
        at: drill.finishedAt.toISOString(),
        passed: drill.passed,
        region,
        ...(drill.recoveryPointMs !== undefined && { recoveryPointMs: drill.recoveryPointMs }),
        ...(drill.recoveryTimeMs !== undefined && { recoveryTimeMs: drill.recoveryTimeMs }),
        ...(!drill.passed && { finding: summarise(drill.findings) }),
      },
    }),
    ...(recoveryTime && { recoveryTime }),
  };
}

/** Tenants of a server, in its books, who are older than two weeks and were not compared within them. */
export async function countUnverifiedTenants(books: Queryable, now: number): Promise<number> {
  const since = now - unverifiedAfterMs;
  return (await selectTenantsToVerify(books)).filter(
    ({ createdAt, verifiedAt }) => createdAt.getTime() < since && (verifiedAt?.getTime() ?? 0) < since,
  ).length;
}
