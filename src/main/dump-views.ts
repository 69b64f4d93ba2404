import {
  type DumpStanding,
  type DumpVerification,
  dumpStandings,
  judgeDump,
  judgeTenant,
  type KnownDump,
  type NewestDump,
  selectDumps,
  selectDumpVerifications,
  selectNewestDumps,
  selectRuns,
  troubledStandings,
} from '#src/backups/index.ts';
import type { DumpDeps, DumpView, TenantDumps } from '#src/console-api/index.ts';
import { type Clock, isId } from '#src/kernel/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import { listCandidates } from './dumping.ts';

/** What the console and the command line are told of dumps; read from the control database, no region is asked. */
export function createDumpViews({
  pool,
  regions,
  clock,
}: {
  readonly pool: Pool;
  /** Those that there are. */
  readonly regions: readonly string[];
  readonly clock: Clock;
}): Pick<DumpDeps, 'list' | 'overview'> {
  function toView(
    dump: Pick<KnownDump, keyof NewestDump & keyof KnownDump>,
    tenantName: string,
    verifications: readonly DumpVerification[] | undefined,
  ): DumpView {
    const held = dump.regions.filter((region) => regions.includes(region));
    const verification = judgeDump({ regions: held }, verifications);
    return {
      dumpId: dump.dumpId,
      tenantId: dump.tenantId,
      tenantName,
      madeAt: dump.madeAt.toISOString(),
      sizeBytes: dump.sizeBytes,
      regions: dump.regions,
      verification: verification
        ? {
            finishedAt: verification.finishedAt.toISOString(),
            region: verification.region,
            passed: verification.passed,
            findings: verification.findings,
          }
        : null,
    };
  }

  return {
    async list(tenant) {
      const names = new Map((await listCandidates(pool)).map(({ tenantId, tenantName }) => [tenantId, tenantName]));
      const [named] = [...names].find(([tenantId, name]) => tenantId === tenant || name === tenant) ?? [];
      // Of a deleted one they are known by its id as long as its key is kept.
      const tenantId = named ?? (isId('ten', tenant) ? tenant : undefined);
      if (tenant !== undefined && tenantId === undefined) return [];
      const verifications = Map.groupBy(await selectDumpVerifications(pool, tenantId), ({ dumpId }) => dumpId);
      const dumps = await selectDumps(pool, tenantId);
      return dumps.map((dump) => toView(dump, names.get(dump.tenantId) ?? '', verifications.get(dump.dumpId)));
    },

    async overview({ search, standing, limit, offset }) {
      const [candidates, newest, runs] = await Promise.all([
        listCandidates(pool),
        selectNewestDumps(pool),
        selectRuns(pool),
      ]);
      const dumpIds = newest.map(({ dumpId }) => dumpId);
      const verifications = Map.groupBy(
        await selectDumpVerifications(pool, undefined, dumpIds),
        ({ dumpId }) => dumpId,
      );
      const newestOf = new Map(newest.map((dump) => [dump.tenantId, dump]));
      const runOf = new Map(runs.map((run) => [run.tenantId, run]));
      const counts = Object.fromEntries(dumpStandings.map((each) => [each, 0])) as Record<DumpStanding, number>;
      const tenants = candidates.map(({ tenantId, tenantName, state, createdAt }): TenantDumps => {
        const dump = newestOf.get(tenantId);
        const ofDump = (dump && verifications.get(dump.dumpId)) ?? [];
        const run = runOf.get(tenantId);
        const history = { tenantCreatedAt: createdAt, newest: dump, verifications: ofDump, lastRun: run };
        const stands = judgeTenant(history, regions, clock.now());
        counts[stands]++;
        return {
          tenantId,
          tenantName,
          tenantState: state,
          standing: stands,
          newest: dump ? toView(dump, tenantName, ofDump) : null,
          kept: dump?.kept ?? 0,
          unloggedTables: dump?.unlogged ?? [],
          lastRun: run ? { endedAt: run.endedAt.toISOString(), outcome: run.outcome, error: run.error } : null,
        };
      });
      const part = search?.toLowerCase();
      const found = tenants
        .filter(({ tenantId, tenantName }) => !part || tenantName.includes(part) || tenantId === part)
        .filter(({ standing: stands }) =>
          standing === 'trouble' ? troubledStandings.has(stands) : !standing || stands === standing,
        )
        // By name already.
        .toSorted((one, other) => dumpStandings.indexOf(one.standing) - dumpStandings.indexOf(other.standing));
      return { tenants: found.slice(offset, offset + limit), total: found.length, counts, regions };
    },
  };
}
