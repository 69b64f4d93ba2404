import { userInfo } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { createCluster, createScratchFolder, type OsUser, type ScratchFolder } from '#src/clusters/index.ts';
import {
  type Clock,
  FreeholdError,
  failpoint,
  formatLsn,
  type Log,
  type Lsn,
  parseLsn,
  type TenantId,
  waitFor,
} from '#src/kernel/index.ts';
import type { BackupKeys, KeyOwner } from '#src/keys/types.ts';
import { type RegionStore, requireRoom } from '#src/objects/index.ts';
import type { ConnectionTarget, Queryable } from '#src/postgres/index.ts';
import {
  buildCatalogue,
  type Catalogue,
  createCatalogueReader,
  planRestore,
  type RestorePlan,
  toRefusal,
} from '../catalogue/index.ts';
import { restoreCluster } from '../restore/index.ts';
import { readWal } from '../shipping/index.ts';
import { causeOf, type TenantNames } from './cause.ts';
import {
  type CheckOptions,
  checkControlDatabase,
  checkTenant,
  compareTables,
  toFinding,
  withDatabase,
} from './check.ts';
import { verificationErrors } from './errors.ts';
import { countCanaries, countFileContents, insertCanary } from './sql.ts';
import { traceRegion } from './traced-region.ts';
import type { Checked, Finding, LedgerSource, LedgerTenant, OnCheckProgress, RowLedger } from './types.ts';

export interface DrillOptions extends Pick<CheckOptions, 'control' | 'rows' | 'binaries'> {
  /** The only one that is read. */
  readonly region: RegionStore;
  /** Of that region alone: `keysIn`. */
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly destroyedOwners: ReadonlySet<KeyOwner>;
  /** The running control database: canaries are written there until the simulated loss. */
  readonly running: Queryable;
  /** Taken just before. */
  readonly ledger: RowLedger;
  readonly sources: readonly LedgerSource[];
  readonly names: TenantNames;
  /**
   * Lets control and every tenant in, by their own roles and passwords, on the rebuilt server, and says who was not.
   * @returns findings, and how many tenants answered
   */
  answer(target: (database: string, user: string, password: string) => ConnectionTarget): Promise<{
    readonly findings: readonly Finding[];
    readonly tenants: readonly { readonly tenantId: TenantId; readonly database: string }[];
  }>;
  readonly scratchParent: string;
  readonly osUser?: OsUser;
  /** For the WAL of the ledger's place to come to the region. Default 60,000. */
  readonly shippingDeadlineMs?: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal?: AbortSignal;
  onProgress?: OnCheckProgress;
}

export interface DrillResult {
  readonly findings: readonly Finding[];
  readonly checked: Checked;
  readonly recoveryPointMs?: number;
  readonly recoveryTimeMs?: number;
}

const canaryEveryMs = 100;
/** A file that came later may still be on its way to the regions. */
const filesWithinMs = 3_600_000;
const besidesBytes = 1024 ** 3;
const maxConnections = 30;

/**
 * The whole installation from one region, beside the running one: everything is lost at one moment, and what the region holds at that moment is all that is
 * used. Measures how much would have been lost (by canaries, one every tenth of a second) and how long it takes until control and every tenant answer. The
 * rebuilt servers and folders are gone when this resolves. Rejects only when it was aborted.
 */
export async function runDrill(options: DrillOptions): Promise<DrillResult> {
  const { ledger, names, signal, onProgress, clock } = options;
  const region = traceRegion(options.region);
  const findings: Finding[] = [];
  let checked: Checked = { busyTenants: ledger.busy.length };
  let measured: Pick<DrillResult, 'recoveryPointMs' | 'recoveryTimeMs'> = {};
  let folder: ScratchFolder | undefined;
  try {
    onProgress?.({ fraction: 0, text: 'writing canaries until the simulated loss' });
    const lost = await loseEverything();
    checked = { ...checked, target: formatLsn(lost.end) };
    onProgress?.({ fraction: 0.02, text: `looking at what region ${region.region} holds` });
    const { plan, catalogue } = await planEverything(lost);
    checked = { ...checked, backupId: plan.backup.backupId };
    await requireRoom(options.scratchParent, sizeOf(plan) + besidesBytes);
    folder = await createScratchFolder(options.scratchParent, options.osUser);
    await restoreCluster({
      ...options,
      plan,
      region,
      into: folder.dataDir,
      onProgress: ({ phase, fraction }) =>
        onProgress?.(
          phase === 'files'
            ? { fraction: 0.05 + 0.4 * fraction, text: `reading the base backup from ${region.region}` }
            : { fraction: 0.45 + 0.25 * fraction, text: `replaying WAL from ${region.region}` },
        ),
    });
    await failpoint('backups.drill.restored');
    await withServer(folder, (context, target) => lookAround(context, target, lost, catalogue));
  } catch (error) {
    signal?.throwIfAborted();
    findings.push(causeOf(error, { region: region.region, lastRead: region.lastRead(), names }));
  } finally {
    await folder?.remove();
  }
  return { findings, checked, ...measured };

  /** Canaries until the region holds the ledger's place; then nothing more counts. */
  async function loseEverything(): Promise<{ at: Date; startedMs: number; end: Lsn; timeline: number }> {
    const findKey = async (keyId: Parameters<typeof options.keys.openKey>[0]) =>
      (await options.keys.openKey(keyId)).key;
    const archive = readWal({ store: region, clusterId: ledger.clusterId, findKey });
    let isOver = false;
    const writing = (async () => {
      while (!isOver) {
        await insertCanary(options.running);
        await delay(canaryEveryMs);
      }
    })();
    writing.catch(() => {});
    try {
      const wanted = parseLsn(ledger.lsn);
      const deadlineMs = options.shippingDeadlineMs ?? 60_000;
      await waitFor(
        `region ${region.region} to hold ${ledger.lsn}`,
        async () => {
          signal?.throwIfAborted();
          const held = await archive.end();
          return held !== undefined && held.timeline === ledger.timeline && held.lsn > wanted;
        },
        { deadlineMs, everyMs: 200 },
      ).catch((error) => {
        if (error instanceof FreeholdError || signal?.aborted) throw error;
        throw verificationErrors.FH_DRILL_FAILED({ detail: (error as Error).message, cause: error });
      });
    } finally {
      isOver = true;
      await writing;
    }
    const startedMs = clock.monotonicMs();
    const at = new Date(clock.now());
    const end = (await archive.end())!;
    // PostgreSQL stops at the first record behind the end; this one is behind everything.
    await insertCanary(options.running);
    return { at, startedMs, end: end.lsn, timeline: end.timeline };
  }

  async function planEverything(lost: {
    end: Lsn;
    timeline: number;
  }): Promise<{ plan: RestorePlan; catalogue: Catalogue }> {
    const reader = createCatalogueReader(region, options.keys);
    const { clusterId } = ledger;
    let refusal: FreeholdError | undefined;
    let catalogue: Catalogue | undefined;
    const attempt = async () => {
      signal?.throwIfAborted();
      catalogue = await buildCatalogue({
        region,
        reader,
        ...(catalogue && { previous: catalogue }),
        ...(signal && { signal }),
      });
      const target = { kind: 'lsn', lsn: lost.end, timeline: lost.timeline } as const;
      const now = new Date(clock.now());
      const { destroyedOwners: destroyedKeys } = options;
      const result = planRestore({ catalogue, clusterId, target, wanted: { kind: 'cluster' }, now, destroyedKeys });
      if (result.outcome === 'plan') return { plan: result.plan, catalogue };
      refusal = toRefusal(result);
      if (result.outcome === 'after_newest') return undefined;
      throw refusal;
    };
    return waitFor('the record behind the loss', attempt, { deadlineMs: 60_000, everyMs: 500 }).catch((error) => {
      throw error instanceof FreeholdError || signal?.aborted ? error : (refusal ?? error);
    });
  }

  /** The rebuilt server as the installation starts it: its own settings, access rules and passwords. */
  async function withServer(
    home: ScratchFolder,
    work: (context: CheckOptions, target: Target) => Promise<void>,
  ): Promise<void> {
    const port = 5432;
    const cluster = createCluster({
      dataDir: home.dataDir,
      socketDir: home.socketDir,
      logFile: `${home.home}/server.log`,
      port,
      osUser: options.osUser,
      // Who asks is this process; the server trusts its user as the superuser.
      ownerUserName: userInfo().username,
      maxConnections,
      binaries: options.binaries,
      log: options.log,
    });
    onProgress?.({ fraction: 0.7, text: 'starting the rebuilt server' });
    await cluster.start();
    try {
      const target: Target = (database, user, password) => ({ host: home.socketDir, port, database, user, password });
      const server = { connectionTarget: (database: string, user: string) => target(database, user, '') };
      await work({ ...options, server }, target);
    } finally {
      await cluster.stop({ smartMs: 0 });
    }
  }

  async function lookAround(
    context: CheckOptions,
    target: Target,
    lost: { at: Date; startedMs: number },
    catalogue: Catalogue,
  ): Promise<void> {
    onProgress?.({ fraction: 0.75, text: 'asking control and every tenant' });
    const { findings: silent, tenants } = await options.answer(target);
    findings.push(...silent);
    const recoveryTimeMs = Math.round(clock.monotonicMs() - lost.startedMs);
    const control = context.server.connectionTarget(options.control.database, 'postgres');
    const canaries = await withDatabase(control, (db) => countCanaries(db, ledger.canaryId));
    if (canaries.upTo !== ledger.canaries) {
      const detail = `${canaries.upTo} of ${ledger.canaries} are there`;
      findings.push(toFinding(verificationErrors.FH_VERIFY_CANARY_MISSING({ detail })));
    }
    const newest = canaries.newest?.getTime();
    measured = {
      recoveryTimeMs,
      ...(newest !== undefined && { recoveryPointMs: Math.max(0, lost.at.getTime() - newest) }),
    };
    findings.push(...(await checkControlDatabase(context)));
    let [tables, rows, changed] = [0, 0, 0];
    for (const [index, tenant] of ledger.tenants.entries()) {
      signal?.throwIfAborted();
      onProgress?.({ fraction: 0.8 + (0.2 * index) / ledger.tenants.length, text: `comparing ${tenant.name}` });
      const wrong = await checkTenant(context, tenant);
      // Between the ledger and the loss lie a few tenths of a second, in which a tenant may have written.
      if (wrong.length > 0 && wrong.every(isAboutRows) && (await hasChanged(tenant))) changed++;
      else findings.push(...wrong);
      tables += tenant.tables.length;
      rows += tenant.tables.reduce((sum, table) => sum + table.rows, 0);
    }
    findings.push(...(await checkFiles(context, tenants, catalogue, lost.at)));
    checked = {
      ...checked,
      canaries: canaries.upTo + canaries.later,
      tenants: ledger.tenants.length - changed,
      ofTenants: tenants.length,
      tables,
      rows,
      busyTenants: ledger.busy.length + changed,
    };
  }

  /** The running database no longer holds what the ledger says either. */
  async function hasChanged(tenant: LedgerTenant): Promise<boolean> {
    const source = options.sources.find(({ tenantId }) => tenantId === tenant.tenantId);
    if (!source) return false;
    const connection = await source.open();
    try {
      await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      return compareTables(tenant.tables, (await options.rows.contentOf(connection)).tables).length > 0;
    } finally {
      await connection.close();
    }
  }

  /** As many contents of each tenant lie in the region as its rows refer to. */
  async function checkFiles(
    { server }: CheckOptions,
    tenants: readonly { readonly tenantId: TenantId; readonly database: string }[],
    catalogue: Catalogue,
    lostAt: Date,
  ): Promise<Finding[]> {
    const held = new Map<TenantId, number>();
    for (const { tenantId } of catalogue.files) held.set(tenantId, (held.get(tenantId) ?? 0) + 1);
    const missing: Finding[] = [];
    for (const { tenantId, database } of tenants) {
      const before = new Date(lostAt.getTime() - filesWithinMs);
      const wanted = await withDatabase(server.connectionTarget(database, 'postgres'), (db) =>
        countFileContents(db, before),
      );
      const found = held.get(tenantId) ?? 0;
      if (found >= wanted) continue;
      const detail = `region ${region.region} holds ${found} of ${wanted}`;
      const tenantName = names.get(tenantId);
      const finding = toFinding(verificationErrors.FH_VERIFY_FILES_MISSING({ detail }));
      missing.push({ ...finding, tenantId, ...(tenantName && { tenantName }) });
    }
    return missing;
  }
}

type Target = (database: string, user: string, password: string) => ConnectionTarget;

const isAboutRows = ({ code }: Finding) => code === 'FH_VERIFY_ROWS_DIFFER' || code === 'FH_VERIFY_TABLE_MISSING';

function sizeOf({ backup, databases }: RestorePlan): number {
  return databases.reduce((sum, { sizeBytes }) => sum + sizeBytes, backup.manifest.shared.sizeBytes);
}
