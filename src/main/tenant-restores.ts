import {
  buildCatalogue,
  type Catalogue,
  createCatalogueReader,
  type FileReplicator,
  loadTenantLedger,
  planRestore,
  type RestoreDatabaseOptions,
  type RestoredDatabase,
  type RestorePlan,
  type RestoreProgress,
  type RestoreTarget,
  restoreDatabase,
  type TenantLedger,
  toRefusal,
} from '#src/backups/index.ts';
import { type Binaries, removeScratchFolders } from '#src/clusters/index.ts';
import { createDatabaseAdmin, type MigrationFolders, rolesOf } from '#src/databases/index.ts';
import {
  type Clock,
  type ClusterId,
  FreeholdError,
  type Log,
  type Lsn,
  parseLsn,
  type TenantId,
  waitFor,
} from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { FileVaultPort, Portability } from '#src/portability/index.ts';
import { createPool, newPassword, type Pool, readFlushedPlace } from '#src/postgres/index.ts';
import type { OnProgress, RestoreMoment, RestorePort } from '#src/tenants/index.ts';
import type { BackupServices } from './backup-services.ts';
import type { Canaries } from './canaries.ts';
import { findRestoreSource } from './restore-source.ts';

export interface TenantRestoresOptions {
  readonly backups: Pick<BackupServices, 'clusterId' | 'regions'>;
  readonly binaries: Binaries;
  /** The books on the server that the tenants are on; for the main server control's own database. */
  readonly pool: Pool;
  /** Where operations are recorded. Default: `pool`. */
  readonly registry?: Pool;
  /** Name of control's role and of its database, as the cluster's backups have them. */
  readonly control: { readonly user: string; readonly database: string };
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly portability: Pick<Portability, 'writeRestored' | 'removeRestored'>;
  readonly vault: Pick<FileVaultPort, 'readAll'>;
  /** Undefined: files are in no region. */
  readonly replicator?: Pick<FileReplicator, 'replicate'> | undefined;
  readonly migrationsOf: (app: string) => MigrationFolders;
  /** Folder for scratch servers; nothing else lies in it. */
  readonly scratchFolder: string;
  /** The user that scratch servers run as; needed when we are root. */
  readonly osUser?: RestoreDatabaseOptions['osUser'];
  readonly clock: Clock;
  readonly log: Log;
  /** Flown before the plan, looked for on the scratch server. Default: none. */
  readonly canaries?: Canaries;
  /** For the newest WAL to come to a region. Default 60,000. */
  readonly shippingDeadlineMs?: number;
}

export interface TenantRestores extends RestorePort {
  /** Ends and removes what a process that was killed left; call at the start. */
  sweep(): Promise<void>;
}

/** Errors of one region that another may not have: it is away, lets us not in, or something in it is missing or damaged. */
const regional = /^FH_(REGION_|WAL_GAP|BACKUP_|RECOVERY_|KEY_UNSEAL)/;

/**
 * A tenant as it was, as an archive: plan, scratch server, newest migrations, export. Regions are tried in the order of the configuration, each one alone, so
 * that one that is away or damaged costs time and nothing else. Runs in control, which holds the keys; see decision 0012.
 */
export function createTenantRestores(options: TenantRestoresOptions): TenantRestores {
  const { backups, pool, registry = pool, keys, log, clock } = options;
  const catalogues = new Map<string, Catalogue>();

  async function plan(
    region: RegionStore,
    tenantId: TenantId,
    ledger: TenantLedger,
    target: RestoreTarget,
    behind: Lsn,
    signal: AbortSignal,
  ): Promise<RestorePlan> {
    const reader = createCatalogueReader(region, keys);
    let refusal: FreeholdError | undefined;
    let likely: RestorePlan | undefined;
    const attempt = async () => {
      signal.throwIfAborted();
      const previous = catalogues.get(region.region);
      const catalogue = await buildCatalogue({ region, reader, signal, ...(previous && { previous }) });
      catalogues.set(region.region, catalogue);
      const { clusterId } = backups;
      // The ledger knows which database was the tenant's then; it may have none any more.
      const wanted = { kind: 'tenant', tenantId } as const;
      const result = planRestore({ catalogue, clusterId, target, wanted, ledger, now: new Date(clock.now()) });
      if (result.outcome === 'plan') {
        // Unless something says that the WAL reaches the moment, the record of this very operation does, which is later.
        if (result.plan.reach === 'known' || endOf(catalogue, clusterId) >= behind) return result.plan;
        likely = result.plan;
        return undefined;
      }
      refusal = toRefusal(result);
      // The record of this very operation was committed after the moment, and is on its way.
      if (result.outcome === 'after_newest') return undefined;
      throw refusal;
    };
    const deadlineMs = options.shippingDeadlineMs ?? 60_000;
    return waitFor('the WAL to come to the region', attempt, { deadlineMs, everyMs: 500 }).catch((error) => {
      // The region is behind; a moment that lies further back may be there all the same.
      if (likely && !signal.aborted && !(error instanceof FreeholdError)) return likely;
      throw error instanceof FreeholdError || signal.aborted ? error : (refusal ?? error);
    });
  }

  async function inSomeRegion<T>(work: (region: RegionStore) => Promise<T>): Promise<T> {
    let first: unknown;
    for (const region of backups.regions) {
      try {
        return await work(region);
      } catch (error) {
        if (!(error instanceof FreeholdError && regional.test(error.code))) throw error;
        log.warn('a restore from this region failed', { region: region.region, error });
        first ??= error;
      }
    }
    throw first;
  }

  /** Opens the tenant's roles, which may have been closed then, and brings the database to the newest migrations, as an import wants it. */
  async function bringForward({ name, server }: RestoredDatabase, app: string): Promise<void> {
    const target = server.connectionTarget(options.control.database, options.control.user);
    const scratchPool = createPool(target, { max: 2, applicationName: 'freehold restore' });
    try {
      const admin = createDatabaseAdmin({ pool: scratchPool, target, log });
      await admin.openDatabase(name, { appPassword: newPassword(), platformPassword: newPassword() });
      await admin.migrateDatabase(name, options.migrationsOf(app));
    } finally {
      await scratchPool.stop();
    }
  }

  return {
    sweep: async () => void (await removeScratchFolders(options.scratchFolder, log)),

    findSource: (idOrName, moment) => findRestoreSource(registry, idOrName, moment, clock.now()),

    async recoverArchive({ tenant, moment, operationId }, onProgress, signal) {
      const ledger = await loadTenantLedger(pool, tenant.tenantId);
      const target = toTarget(moment);
      onProgress({ fraction: undefined, text: 'waiting for the newest changes to reach a region' });
      await options.canaries?.fly();
      const { lsn: behind } = await readFlushedPlace(pool);
      return inSomeRegion(async (region) => {
        onProgress({ fraction: undefined, text: `looking for the moment in ${region.region}` });
        const planned = await plan(region, tenant.tenantId, ledger, target, behind, signal);
        const restore = (also: readonly number[]) =>
          restoreDatabase(
            {
              plan: planned,
              region,
              keys,
              binaries: options.binaries,
              ...(options.osUser && { osUser: options.osUser }),
              log,
              scratchParent: options.scratchFolder,
              signal,
              check: async (server) => options.canaries?.check(server, timeOf(moment)),
              also,
              onProgress: (progress) => onProgress(toOperationProgress(progress, region.region)),
            },
            async (restored) => {
              await bringForward(restored, tenant.app);
              const from = {
                target: restored.connectionTarget(rolesOf(restored.name).platform),
                vault: options.vault,
              };
              const archivePath = await options.portability.writeRestored(tenant, operationId, from, (progress) =>
                onProgress({ ...progress, fraction: progress.fraction && 0.7 + 0.3 * progress.fraction }),
              );
              return { archivePath, lastCommitAt: restored.server.lastCommitAt };
            },
          );
        // A clone that the backup has not may have been made by copying files, which no WAL holds.
        const source = planned.database?.isMadeByWal && (await findSourceOfClone(registry, tenant.tenantId, planned));
        if (!source) return restore([]);
        return restore([source]).catch((error) => {
          // The source is deleted for good; a small clone does without it.
          if (error?.code === 'FH_KEY_DESTROYED') return restore([]);
          throw error;
        });
      });
    },

    async keepFiles(tenantId) {
      const results = await options.replicator?.replicate([tenantId]);
      const [first, ...others] = results ?? [];
      // One is enough: a restore asks all of them.
      if (first?.owed && others.every(({ owed }) => owed)) throw first.owed;
    },

    removeArchive: (operationId) => options.portability.removeRestored(operationId),
  };
}

/** Of the newest timeline in the region. */
function endOf({ clusters }: Catalogue, clusterId: ClusterId): Lsn {
  const pieces = clusters.get(clusterId)?.pieces ?? new Map();
  return pieces.get(Math.max(...pieces.keys()))?.at(-1)?.end ?? 0n;
}

function toOperationProgress({ phase, fraction }: RestoreProgress, region: string): Parameters<OnProgress>[0] {
  if (phase === 'files') return { fraction: 0.4 * fraction, text: `reading the base backup from ${region}` };
  if (phase === 'wal') return { fraction: 0.4 + 0.3 * fraction, text: `replaying WAL from ${region}` };
  return { fraction: 0.7, text: 'writing the archive' };
}

/** Another database of the tenant, which this one may be a snapshot of; or what a clone was copied from, or that one, and so on: the first that the backup has. */
async function findSourceOfClone(pool: Pool, tenantId: TenantId, { backup }: RestorePlan): Promise<number | undefined> {
  const sources = await pool.query<{ source: TenantId }>(
    `WITH RECURSIVE copied (source, depth) AS (
       SELECT source_tenant_id, 1 FROM operations WHERE tenant_id = $1 AND kind = 'clone' AND state = 'succeeded'
       UNION ALL
       SELECT o.source_tenant_id, depth + 1 FROM copied JOIN operations o ON o.tenant_id = copied.source
       WHERE o.kind = 'clone' AND o.state = 'succeeded')
     SELECT source FROM copied ORDER BY depth`,
    [tenantId],
  );
  const held = [tenantId, ...sources.map(({ source }) => source)].map((source) =>
    backup.manifest.databases.find(({ tenantId: owner }) => owner === source),
  );
  return held.find((database) => database !== undefined)?.oid;
}

/** By which the canaries are counted; undefined: not known. */
function timeOf(moment: RestoreMoment): Date | undefined {
  if (moment.kind === 'time') return new Date(moment.time);
  return moment.kind === 'before' ? new Date(moment.at) : undefined;
}

function toTarget(moment: RestoreMoment): RestoreTarget {
  switch (moment.kind) {
    case 'time':
      return { kind: 'time', time: new Date(moment.time) };
    case 'name':
      return { kind: 'name', name: moment.name, after: new Date(moment.after) };
    case 'xid':
      return { kind: 'xid', xid: moment.xid, after: new Date(moment.after) };
    case 'lsn':
      return { kind: 'lsn', lsn: parseLsn(moment.lsn) };
    case 'before': {
      const { at, lsn, timeline } = moment;
      if (lsn === undefined) return { kind: 'time', time: new Date(at) };
      return { kind: 'lsn', lsn: parseLsn(lsn), ...(timeline !== undefined && { timeline }) };
    }
  }
}
