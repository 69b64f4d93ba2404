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
  toFinding,
  unreadSources,
  unsafeSettings,
  withDatabase,
} from './check.ts';
import { verificationErrors } from './errors.ts';
import { findPassedOver } from './passed-over.ts';
import { findMissing, findUnchanged, type Running, readRunning } from './running.ts';
import { countCanaries, countFileContents, insertCanary } from './sql.ts';
import { traceRegion } from './traced-region.ts';
import type { Checked, Finding, LedgerSource, OnCheckProgress, RowLedger } from './types.ts';

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
  /** Of the ledger's sample; their rows are read once more right after the loss. */
  readonly sources: readonly LedgerSource[];
  /** Everybody who was open just before the ledger: whoever still is after the loss, must be there again. */
  readonly expected: readonly { readonly tenantId: TenantId; readonly name: string }[];
  /** Who is open on the running installation; asked right after the loss. */
  listOpen(): Promise<ReadonlySet<TenantId>>;
  readonly names: TenantNames;
  /**
   * Lets control and every tenant in, by their own roles and passwords, on the rebuilt server, and says who was not.
   * @returns findings, and every tenant that is open on it
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
    const loss = await loseEverything();
    checked = { ...checked, target: formatLsn(loss.end) };
    onProgress?.({ fraction: 0.01, text: 'looking at who wrote until the loss' });
    const running = await readRunning(options);
    // What was done until here no real loss would ask for.
    const lost: Loss = { ...loss, startedMs: clock.monotonicMs() };
    onProgress?.({ fraction: 0.02, text: `looking at what region ${region.region} holds` });
    const { plan, catalogue } = await planEverything(lost);
    checked = { ...checked, backupId: plan.backup.backupId };
    const { destroyedOwners: destroyed } = options;
    findings.push(...findPassedOver(catalogue, ledger.clusterId, plan.backup.backupId, { destroyed, names }));
    if (plan.unreadable.length > 0) checked = { ...checked, destroyedTenants: plan.unreadable.length };
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
    await withServer(folder, (context, target) => lookAround(context, target, { lost, running, catalogue }));
  } catch (error) {
    signal?.throwIfAborted();
    findings.push(causeOf(error, { region: region.region, lastRead: region.lastRead(), names }));
  } finally {
    await folder?.remove();
  }
  return { findings, checked, ...measured };

  /** Canaries until the region holds the ledger's place; then nothing more counts. */
  async function loseEverything(): Promise<Omit<Loss, 'startedMs'>> {
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
    const at = new Date(clock.now());
    const end = (await archive.end())!;
    // PostgreSQL stops at the first record behind the end; this one is behind everything.
    await insertCanary(options.running);
    return { at, end: end.lsn, timeline: end.timeline };
  }

  async function planEverything(lost: {
    end: Lsn;
    timeline: number;
  }): Promise<{ plan: RestorePlan; catalogue: Catalogue }> {
    const reader = createCatalogueReader(region, options.keys);
    const { clusterId } = ledger;
    const { destroyedOwners: destroyed } = options;
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
      const wanted = { kind: 'cluster' } as const;
      const result = planRestore({ catalogue, clusterId, target, wanted, now, destroyedKeys: destroyed });
      if (result.outcome === 'plan') return { plan: result.plan, catalogue };
      refusal = toRefusal(result);
      if (result.outcome === 'after_newest') return undefined;
      findings.push(...findPassedOver(catalogue, clusterId, undefined, { destroyed, names }));
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
    { lost, running, catalogue }: { lost: Loss; running: Running; catalogue: Catalogue },
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
    findings.push(
      ...findMissing(options.expected, running, tenants),
      ...unreadSources(ledger, running.open),
      ...unsafeSettings(ledger),
    );
    findings.push(...(await checkControlDatabase(context)));
    await compareRows(context, running);
    findings.push(...(await checkFiles(context, tenants, catalogue, lost.at)));
    checked = { ...checked, canaries: canaries.upTo + canaries.later, ofTenants: tenants.length };
    if (ledger.tenants.length + ledger.busy.length > 0 && checked.tables === 0 && findings.length === 0)
      findings.push(toFinding(verificationErrors.FH_VERIFY_NOTHING_COMPARED()));
  }

  async function compareRows(context: CheckOptions, { open, tables: running }: Running): Promise<void> {
    const stayed = ledger.tenants.filter(({ tenantId }) => open.has(tenantId));
    let [tenants, tables, rows] = [0, 0, 0];
    for (const [index, tenant] of stayed.entries()) {
      signal?.throwIfAborted();
      onProgress?.({ fraction: 0.8 + (0.2 * index) / stayed.length, text: `comparing ${tenant.name}` });
      const held = findUnchanged(tenant, running.get(tenant.tenantId));
      const written = tenant.tables.filter((table) => !held.includes(table)).map(({ name }) => name);
      findings.push(...(await checkTenant(context, tenant, written)));
      if (written.length === 0) tenants++;
      tables += held.length;
      rows += held.reduce((sum, table) => sum + table.rows, 0);
    }
    const sampled = ledger.tenants.length + ledger.busy.length;
    checked = { ...checked, tenants, tables, rows, busyTenants: sampled - tenants };
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
      const wanted = await withDatabase(
        server.connectionTarget(database, 'postgres'),
        (db) => countFileContents(db, before),
        options.rows.settings,
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

/** The moment after which nothing counts, and where the region's WAL ended then. */
interface Loss {
  readonly at: Date;
  /** When the rebuilding began, by the monotonic clock. */
  readonly startedMs: number;
  readonly end: Lsn;
  readonly timeline: number;
}

function sizeOf({ backup, databases }: RestorePlan): number {
  return databases.reduce((sum, { sizeBytes }) => sum + sizeBytes, backup.manifest.shared.sizeBytes);
}
