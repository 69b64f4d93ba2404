import { createScratchFolder, type OsUser, type RecoveredServer } from '#src/clusters/index.ts';
import {
  type BackupId,
  type Clock,
  type ClusterId,
  FreeholdError,
  failpoint,
  type Log,
  parseLsn,
  type TenantId,
  waitFor,
} from '#src/kernel/index.ts';
import type { BackupKeys, KeyOwner } from '#src/keys/types.ts';
import { type RegionStore, requireRoom } from '#src/objects/index.ts';
import { isAlwaysRead, ownerOf, readableBackups } from '../catalogue/bases.ts';
import {
  buildCatalogue,
  type Catalogue,
  createCatalogueReader,
  planRestore,
  type RestorePlan,
  toRefusal,
} from '../catalogue/index.ts';
import { recoverPlan } from '../restore/recover.ts';
import type { BackupManifest } from '../types.ts';
import { causeOf, missingObject, type TenantNames } from './cause.ts';
import {
  type CheckOptions,
  checkCanaries,
  checkControlDatabase,
  checkTenant,
  toFinding,
  unreadSources,
  unsafeSettings,
} from './check.ts';
import { verificationErrors } from './errors.ts';
import { unreadableBackup } from './passed-over.ts';
import { traceRegion } from './traced-region.ts';
import type { Checked, Finding, LedgerTenant, OnCheckProgress, RowLedger } from './types.ts';

export interface VerifyBackupOptions extends Pick<CheckOptions, 'control' | 'rows' | 'binaries'> {
  /** Nothing is read from any other. */
  readonly region: RegionStore;
  /** Of that region alone: `keysIn`. */
  readonly keys: Pick<BackupKeys, 'openKey'>;
  /** Whose keys are destroyed now: what the backup holds of them is left out. Asked at the beginning and when something cannot be read. */
  destroyedOwners(): Promise<readonly KeyOwner[]>;
  readonly backupId: BackupId;
  /** Taken behind the end of the backup; its place is the target. */
  readonly ledger: RowLedger;
  readonly names: TenantNames;
  /** Parent of the scratch server's folder. */
  readonly scratchParent: string;
  readonly osUser?: OsUser;
  /** What was read of the region earlier. */
  readonly previous?: Catalogue;
  /** For the WAL up to the ledger to come to the region. Default 60,000. */
  readonly shippingDeadlineMs?: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal?: AbortSignal;
  onProgress?: OnCheckProgress;
}

export interface BackupVerdict {
  /** Empty: it is what it should be. */
  readonly findings: readonly Finding[];
  readonly checked: Checked;
  /** Whose rows were compared and are right. */
  readonly verified: readonly TenantId[];
  readonly catalogue: Catalogue | undefined;
}

/** A tenant whose object is damaged is named and left out; then the others are still looked at. More damage than this is enough to know. */
const longestTries = 4;
/** WAL and what the check writes, beside the files. */
const besidesBytes = 1024 ** 3;

/** Restores one base backup to the ledger's place on a scratch server and compares. Rejects only when it was aborted or could not even be tried. */
export async function verifyBackup(options: VerifyBackupOptions): Promise<BackupVerdict> {
  const { ledger, names, signal, onProgress, backupId } = options;
  const region = traceRegion(options.region);
  const findings: Finding[] = [];
  let checked: Checked = { backupId, target: ledger.lsn, busyTenants: ledger.busy.length };
  let catalogue: Catalogue | undefined;
  let destroyed: ReadonlySet<string> = new Set();
  const verified: TenantId[] = [];
  const fail = (error: unknown) => {
    signal?.throwIfAborted();
    const finding = causeOf(error, { region: region.region, lastRead: region.lastRead(), names });
    findings.push(finding);
    return finding.tenantId;
  };
  const verdict = () => ({ findings, checked, verified, catalogue });

  let found: Found;
  try {
    onProgress?.({ fraction: 0, text: `looking at what region ${region.region} holds` });
    found = await findPlan();
  } catch (error) {
    fail(error);
    return verdict();
  }
  if (found.state === 'unreadable') {
    findings.push(unreadableBackup(region.region, backupId));
    return verdict();
  }
  const { plan, comparable } = found;
  let { tenants } = found;
  findings.push(...unreadSources(ledger, comparable), ...unsafeSettings(ledger));

  for (let attempt = 1; ; attempt++) {
    try {
      await restoreAndCheck(plan, tenants);
      if (checked.tenants === 0 && comparable.size > 0 && findings.length === 0)
        findings.push(toFinding(verificationErrors.FH_VERIFY_NOTHING_COMPARED()));
      return verdict();
    } catch (error) {
      // A tenant that was deleted for good meanwhile is no fault of the backup.
      destroyed = new Set(await options.destroyedOwners());
      const left = tenants.filter((tenant) => !destroyed.has(tenant.tenantId));
      if (left.length === tenants.length) {
        const tenantId = fail(error);
        const rest = tenants.filter((tenant) => tenant.tenantId !== tenantId);
        if (rest.length === tenants.length || attempt >= longestTries) return verdict();
        tenants = rest;
      } else {
        signal?.throwIfAborted();
        for (const { tenantId } of tenants) if (destroyed.has(tenantId)) comparable.delete(tenantId);
        checked = { ...checked, destroyedTenants: (checked.destroyedTenants ?? 0) + tenants.length - left.length };
        tenants = left;
      }
    }
  }

  async function findPlan(): Promise<Found> {
    const reader = createCatalogueReader(region, options.keys);
    const { clusterId } = ledger;
    let refusal: FreeholdError | undefined;
    destroyed = new Set(await options.destroyedOwners());
    const attempt = async (): Promise<Found | undefined> => {
      signal?.throwIfAborted();
      const previous = catalogue ?? (options.previous && without(options.previous, clusterId, backupId));
      catalogue = await buildCatalogue({ region, reader, ...(previous && { previous }), ...(signal && { signal }) });
      const only = onlyBackup(catalogue, clusterId, backupId);
      if (!only) {
        const state = catalogue.clusters.get(clusterId)?.backups.find((backup) => backup.backupId === backupId)?.state;
        if (state === 'unreadable') return { state };
        const detail = `region ${region.region}, ${backupId}${state ? `: its manifest is ${state}` : ''}`;
        throw verificationErrors.FH_VERIFICATION_UNKNOWN_BACKUP({ detail });
      }
      const { manifest } = only;
      const databases = manifest.databases.filter((database) => !destroyed.has(ownerOf(database)));
      const tenants = ledger.tenants.filter(({ oid }) =>
        databases.some((database) => database.oid === oid && !only.missing.includes(database.object)),
      );
      // 0 is nobody's: then only what is always read.
      const wanted = { kind: 'database', oid: tenants[0]?.oid ?? 0 } as const;
      const target = { kind: 'lsn', lsn: parseLsn(ledger.lsn), timeline: ledger.timeline } as const;
      const now = new Date(options.clock.now());
      const result = planRestore({ catalogue: only.catalogue, clusterId, target, wanted, now });
      if (result.outcome === 'plan') {
        for (const { object } of [manifest.shared, ...databases])
          if (only.missing.includes(object))
            findings.push(missingObject(region.region, ownerOfObject(manifest, object), object, names));
        const gone = manifest.databases.length - databases.length;
        if (gone > 0) checked = { ...checked, destroyedTenants: gone };
        return { state: 'planned', plan: result.plan, tenants, comparable: comparableIn(ledger, databases) };
      }
      refusal = toRefusal(result);
      // What was committed a moment ago is on its way.
      if (result.outcome === 'after_newest') return undefined;
      throw refusal;
    };
    const deadlineMs = options.shippingDeadlineMs ?? 60_000;
    return waitFor('the WAL to come to the region', attempt, { deadlineMs, everyMs: 500 }).catch((error) => {
      throw error instanceof FreeholdError || signal?.aborted ? error : (refusal ?? error);
    });
  }

  async function restoreAndCheck(plan: RestorePlan, tenants: readonly LedgerTenant[]): Promise<void> {
    const wanted = plan.backup.manifest.databases.filter(
      (database) => isAlwaysRead(database) || tenants.some(({ oid }) => oid === database.oid),
    );
    const bytes = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, plan.backup.manifest.shared.sizeBytes);
    await requireRoom(options.scratchParent, bytes + besidesBytes);
    const folder = await createScratchFolder(options.scratchParent, options.osUser);
    try {
      const server = await recoverPlan(
        {
          ...options,
          plan,
          region,
          onProgress: ({ phase, fraction }) => {
            if (phase === 'files')
              onProgress?.({ fraction: 0.05 + 0.35 * fraction, text: `reading the base backup from ${region.region}` });
            else if (phase === 'wal')
              onProgress?.({ fraction: 0.4 + 0.3 * fraction, text: `replaying WAL from ${region.region}` });
          },
        },
        { folder, databases: wanted.map(({ oid }) => oid), durable: false },
      );
      try {
        await failpoint('backups.verification.restored');
        await check(server, tenants);
      } finally {
        await server.stop();
      }
    } finally {
      await folder.remove();
    }
  }

  async function check(server: RecoveredServer, tenants: readonly LedgerTenant[]): Promise<void> {
    const context = { ...options, server };
    const canary = await checkCanaries(context, ledger);
    findings.push(...canary.findings, ...(await checkControlDatabase(context)));
    let [tables, rows] = [0, 0];
    for (const [index, tenant] of tenants.entries()) {
      signal?.throwIfAborted();
      onProgress?.({ fraction: 0.7 + (0.3 * index) / tenants.length, text: `comparing ${tenant.name}` });
      const wrong = await checkTenant(context, tenant);
      findings.push(...wrong);
      if (wrong.length === 0) verified.push(tenant.tenantId);
      tables += tenant.tables.length;
      rows += tenant.tables.reduce((sum, table) => sum + table.rows, 0);
    }
    checked = { ...checked, canaries: canary.canaries, tenants: tenants.length, tables, rows };
  }
}

type Found =
  | { readonly state: 'unreadable' }
  | {
      readonly state: 'planned';
      readonly plan: RestorePlan;
      readonly tenants: readonly LedgerTenant[];
      /** Of the sample, and in the backup: some of them must be compared. */
      readonly comparable: Set<TenantId>;
    };

function comparableIn(
  { tenants, busy, unread = [] }: RowLedger,
  databases: BackupManifest['databases'],
): Set<TenantId> {
  const held = new Set(databases.map(({ tenantId }) => tenantId));
  return new Set([
    ...tenants.filter(({ oid }) => databases.some((database) => database.oid === oid)).map(({ tenantId }) => tenantId),
    ...[...busy, ...unread.map(({ tenantId }) => tenantId)].filter((tenantId) => held.has(tenantId)),
  ]);
}

/** What was read earlier says nothing about the manifest as it lies there today. */
function without(previous: Catalogue, clusterId: ClusterId, backupId: BackupId): Catalogue {
  const cluster = previous.clusters.get(clusterId);
  if (!cluster) return previous;
  const backups = cluster.backups.filter((backup) => backup.backupId !== backupId);
  return { ...previous, clusters: new Map(previous.clusters).set(clusterId, { ...cluster, backups }) };
}

/** The catalogue as if this were the only backup; undefined: it is not readable here. */
function onlyBackup(catalogue: Catalogue, clusterId: RowLedger['clusterId'], backupId: BackupId) {
  const cluster = catalogue.clusters.get(clusterId);
  const backup = cluster && readableBackups(cluster).find((each) => each.backupId === backupId);
  if (!backup) return undefined;
  const clusters = new Map(catalogue.clusters).set(clusterId, { ...cluster, backups: [backup] });
  return { catalogue: { ...catalogue, clusters }, manifest: backup.manifest, missing: backup.missing };
}

function ownerOfObject({ databases }: BackupManifest, name: string) {
  return databases.find(({ object }) => object === name);
}
