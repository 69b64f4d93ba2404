import { recordAudit } from '#src/audit/index.ts';
import {
  type BackupManifest,
  type Drill,
  type Finding,
  findManifest,
  insertDrill,
  listBackups,
  runDrill,
  selectDrills,
  selectTenantsToVerify,
  selectVerifications,
  verificationErrors,
} from '#src/backups/index.ts';
import type { DrillRun, DrillView } from '#src/console-api/index.ts';
import { toFreeholdError } from '#src/kernel/index.ts';
import type { ColdKeys } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { type ConnectionTarget, createPool, openConnection, type Pool } from '#src/postgres/index.ts';
import { createControlDirectory } from '#src/tenants/index.ts';
import { type CheckRuns, chooseRegion, createCheckRuns, describeFailed, newestFirst, summarise } from './check-runs.ts';
import { rowReader } from './ledger-samples.ts';
import type { CheckDeps, ServerCheckDeps } from './verifications.ts';

const dayMs = 24 * 60 * 60_000;
const everyMs = 7 * dayMs;
/** Weekly. Not in the first hour of an installation, which has better to do. */
export const drillTimes = {
  everyMs,
  firstAfterMs: 60 * 60_000,
  retryAfterMs: 12 * 60 * 60_000,
  overdueAfterMs: 15 * dayMs,
} as const;

export interface DrillsOptions extends ServerCheckDeps {
  readonly domain: string;
  /** Of the drills of all servers. */
  readonly runs: DrillRuns;
}

export interface Drills {
  start(request: { readonly region?: string }): Promise<DrillRun>;
  /** Rejects when the newest from any region is not what it should be. */
  run(): Promise<void>;
  /** The same when it was verified, and the last drill is a week old or failed. */
  runWhenDue(): Promise<void>;
}

export type DrillRuns = CheckRuns<DrillView, DrillRun>;

export function createDrillRuns(deps: Pick<CheckDeps, 'lane' | 'clock' | 'log'>): DrillRuns {
  return createCheckRuns({ ...deps, what: 'a drill', toRun: (run, drill) => ({ ...run, ...(drill && { drill }) }) });
}

/**
 * The whole installation is rebuilt beside the running one from one region alone, with the keys of that region, and removed again. Of a private server the same:
 * its own books say what must be there.
 */
export function createDrills(deps: DrillsOptions): Drills {
  const { backups, cluster, pool, books, keys, samples, clock, log, runs } = deps;

  /** The newest of each region that there is one of. */
  async function lastInRegions(): Promise<Drill[]> {
    const found = backups.regions.map(({ region }) => selectDrills(pool, { limit: 1, cluster, region }));
    return (await Promise.all(found)).flat();
  }

  /**
   * How large the tenants are, for the sample. Which backup is used the plan says, and a drill names those that cannot be read: here they are only passed
   * over. undefined: none can be read. Throws when the region has none at all.
   */
  async function findSizes(region: RegionStore, cold: ColdKeys): Promise<BackupManifest | undefined> {
    const { clusterId } = backups;
    const manifests: BackupManifest[] = [];
    let hasAny = false;
    for await (const backupId of listBackups(region, clusterId)) {
      hasAny = true;
      try {
        const manifest = await findManifest(region, { clusterId, backupId }, cold.openKey);
        if (manifest) manifests.push(manifest);
      } catch (error) {
        log.warn('a base backup cannot be read', { region: region.region, backupId, error });
      }
    }
    if (!hasAny)
      throw verificationErrors.FH_VERIFICATION_UNKNOWN_BACKUP({ detail: `region ${region.region} has none yet` });
    return manifests.sort(newestFirst)[0];
  }

  async function drill(
    region: RegionStore,
    report: (progress: { fraction: number; text: string }) => void,
  ): Promise<DrillView> {
    const startedAt = new Date(clock.now());
    const cold = keys.keysIn(region);
    report({ fraction: 0, text: 'counting rows' });
    const manifest = await findSizes(region, cold);
    const { ledger, sources, open } = await samples.take({ manifest, later: true }, deps.signal, () => {});
    const result = await runDrill({
      region,
      keys: cold,
      destroyedOwners: new Set(await keys.destroyedOwners()),
      running: books,
      ledger,
      sources,
      expected: open,
      listOpen: async () => new Set((await samples.open()).map(({ tenantId }) => tenantId)),
      names: await samples.names(),
      rows: rowReader,
      control: deps.control,
      binaries: deps.binaries,
      answer: (target) => askEverybody(target, cold),
      scratchParent: deps.scratchFolder,
      clock,
      log,
      signal: deps.signal,
      onProgress: ({ fraction, text }) => report({ fraction: 0.05 + 0.95 * fraction, text }),
    });
    const { findings } = result;
    const record = await pool.transaction(async (tx) => {
      await recordAudit(tx, {
        name: findings.length > 0 ? 'backup.drill_failed' : 'backup.drill_passed',
        actor: 'system',
        subject: backups.clusterId,
        details: {
          ...(cluster !== 'main' && { server: cluster }),
          region: region.region,
          ...(result.recoveryPointMs !== undefined && { recoveryPointMs: result.recoveryPointMs }),
          ...(result.recoveryTimeMs !== undefined && { recoveryTimeMs: result.recoveryTimeMs }),
          ...(findings.length > 0 && { findings: findings.length, first: summarise(findings) }),
        },
      });
      const finishedAt = new Date(clock.now());
      return insertDrill(tx, {
        cluster,
        region: region.region,
        startedAt,
        finishedAt,
        passed: findings.length === 0,
        ...result,
      });
    });
    if (findings.length > 0) log.error('a drill found something wrong', { cluster, region: region.region, findings });
    return toView(record);
  }

  /** As control would after a recovery: its own password, and each tenant's two roles with the passwords that its key opens. */
  async function askEverybody(
    targetOf: (database: string, user: string, password: string) => ConnectionTarget,
    cold: ColdKeys,
  ) {
    const { database, user, password } = deps.control;
    const target = targetOf(database, user, password);
    const rebuilt = createPool(target, { max: 2, applicationName: 'freehold drill' });
    try {
      const directory = createControlDirectory({
        // Credentials are in the registry, which the main server's drill rebuilds; a private server has its own tenants' rows only.
        db: cluster === 'main' ? rebuilt : pool,
        keys: { ...keys, deriveTenantKey: cold.deriveTenantKey },
        serverOf: async () => ({ host: target.host, port: target.port, tls: 'off' }),
        domain: deps.domain,
        log,
      });
      const findings: Finding[] = [];
      const tenants = await selectTenantsToVerify(rebuilt);
      for (const { tenantId, name, state } of tenants) {
        deps.signal.throwIfAborted();
        try {
          const access = await directory.forLifecycle.getAccess(tenantId);
          // Closed in the rebuilt installation as it was in the running one; its rows are compared all the same.
          if (state === 'suspended') continue;
          for (const role of [access.app, access.platform])
            await ask(targetOf(access.database.name, role.user, role.password));
        } catch (error) {
          const { code, message } = toFreeholdError(error);
          const why = code === 'FH_INTERNAL' ? (error as Error).message : message;
          const wrong = verificationErrors.FH_VERIFY_NOT_ANSWERING({ detail: why });
          findings.push({ code: wrong.code, text: wrong.message, tenantId, tenantName: name });
        }
      }
      return { findings, tenants };
    } finally {
      await rebuilt.stop();
    }
  }

  async function run(): Promise<void> {
    const region = chooseRegion(backups.regions, undefined, await lastInRegions());
    await runs.startWhenFree(region.region, (report) => drill(region, report));
    // One that passed from another region is no reason to wait for a week: the job goes on until each has.
    const detail = describeFailed(await lastInRegions());
    if (detail) throw verificationErrors.FH_DRILL_FAILED({ detail });
  }

  return {
    run,
    async start({ region: wanted }) {
      const region = chooseRegion(backups.regions, wanted, await lastInRegions());
      return runs.start(region.region, (report) => drill(region, report)).run;
    },
    async runWhenDue() {
      // Before that there may be no base backup yet.
      if ((await selectVerifications(pool, { limit: 1, kind: 'backup', cluster })).length === 0) return;
      const last = await lastInRegions();
      const newestAt = Math.max(0, ...last.map(({ finishedAt }) => finishedAt.getTime()));
      if (newestAt < clock.now() - everyMs || last.some(({ passed }) => !passed)) await run();
    },
  };
}

export async function listDrills(pool: Pool, filter: { limit: number }): Promise<DrillView[]> {
  return (await selectDrills(pool, filter)).map(toView);
}

async function ask(target: ConnectionTarget): Promise<void> {
  const connection = await openConnection(target, { applicationName: 'freehold drill' });
  await connection.query('SELECT 1').finally(() => connection.close());
}

function toView({ startedAt, finishedAt, ...record }: Drill): DrillView {
  return { ...record, startedAt: startedAt.toISOString(), finishedAt: finishedAt.toISOString() };
}
