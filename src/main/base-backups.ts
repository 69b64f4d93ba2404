import { recordAudit } from '#src/audit/index.ts';
import {
  type BackupManifest,
  type DatabaseOwner,
  damagedOf,
  findManifest,
  holdBaseBackup,
  listBackups,
  type RetentionHolds,
  readClusterFacts,
  readDatabases,
  runBaseBackup,
} from '#src/backups/index.ts';
import type { Binaries } from '#src/clusters/index.ts';
import type { BackupDeps, BackupList, BackupRun, BackupView } from '#src/console-api/index.ts';
import { type Clock, type Log, newId, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import type { ConnectionTarget, Pool } from '#src/postgres/index.ts';
import type { BackupServices } from './backup-services.ts';
import type { Canaries } from './canaries.ts';
import type { Jobs } from './jobs.ts';
import type { Shutdown } from './shutdown.ts';

/** Base backups are taken daily. */
export const everyMs = 24 * 60 * 60_000;
/** The first of an installation; later enough that a start is not slowed down by it. */
const firstAfterMs = 60_000;
const retryAfterMs = 10 * 60_000;
/** Never more than seven days apart is the promise; a day late is early enough to mend what is wrong. */
const overdueAfterMs = 2 * everyMs;

export interface BaseBackups extends BackupDeps {
  /** Begins the schedule: daily, and soon when there is none. */
  schedule(): void;
  /** One that begins after this moment, also when one goes on now. */
  startAfresh(): void;
  /** One now, unless there is a fresh one. Rejects when it fails. */
  runWhenDue(): Promise<void>;
  /** Ends what runs. */
  stop(): Promise<void>;
}

/** Base backups of the cluster: one at a time, by command and daily. They run in control, which holds the keys; see decision 0012. */
export function createBaseBackups({
  backups,
  binaries,
  target,
  pool,
  server = pool,
  cluster,
  keys,
  canaries,
  holds,
  jobs,
  clock,
  log,
  shutdown,
}: {
  readonly backups: Pick<BackupServices, 'clusterId' | 'regions' | 'whenGap'>;
  readonly binaries: Binaries;
  /** Role freehold_replication. */
  readonly target: () => ConnectionTarget;
  /** Control's own database. */
  readonly pool: Pool;
  /** A database on the server that is backed up. Default: control's own. */
  readonly server?: Pool;
  /** Its name. Default: the main one. */
  readonly cluster?: string;
  readonly keys: BackupKeys;
  readonly canaries: Pick<Canaries, 'fly'>;
  readonly holds: RetentionHolds;
  readonly jobs: Pick<Jobs, 'add'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Pick<Shutdown, 'add'>;
}): BaseBackups {
  const { clusterId, regions } = backups;
  const stopping = new AbortController();
  const { signal } = stopping;
  let latest: BackupRun | undefined;
  let running: Promise<void> | undefined;
  /** Of the latest, when it failed. */
  let failure: unknown;

  async function readManifests(): Promise<{ manifests: Map<string, Held>; away: string[] }> {
    const manifests = new Map<string, Held>();
    const away: string[] = [];
    for (const store of regions) {
      try {
        for await (const backupId of listBackups(store, clusterId)) {
          const held = manifests.get(backupId);
          const manifest =
            held?.manifest ?? (await findManifest(store, { clusterId, backupId }, (keyId) => keys.openKey(keyId)));
          if (manifest) manifests.set(backupId, { manifest, regions: [...(held?.regions ?? []), store.region] });
        }
      } catch (error) {
        log.warn('the backups of a region could not be listed', { region: store.region, error });
        away.push(store.region);
      }
    }
    return { manifests, away };
  }

  async function list(): Promise<BackupList> {
    const { manifests, away } = await readManifests();
    return { backups: [...manifests.values()].map(toView).sort(newestFirst), away };
  }

  /** What the next one is compared with: the newest that every region holds, or else an older one. */
  async function findPrevious(): Promise<readonly BackupManifest[]> {
    const { manifests } = await readManifests();
    return [...manifests.values()]
      .filter((held) => held.regions.length === regions.length && !held.manifest.suspect)
      .map(({ manifest }) => manifest)
      .sort((one, other) => other.finishedAt.localeCompare(one.finishedAt));
  }

  async function run(begun: BackupRun): Promise<void> {
    let release = () => {};
    try {
      const backupId = newId('bak');
      const held = await holdBaseBackup({ clusterId, backupId, findPrevious, holds, db: pool });
      const { previous } = held;
      release = held.release;
      await canaries.fly();
      const result = await runBaseBackup({
        clusterId,
        cluster,
        backupId,
        facts: await readClusterFacts(server),
        binaries,
        target: target(),
        regions,
        keys,
        listDatabases: () => readOwners(pool, server),
        ...(previous && { previous }),
        checkpoint: 'fast',
        log,
        clock,
        signal,
        onProgress: (progress) => {
          latest = { ...begun, ...progress };
        },
      });
      const { manifest } = result;
      const complete = result.regions.filter((region) => region.complete).map(({ region }) => region);
      const backup = toView({ manifest, regions: complete });
      const { storedDatabases, unchangedDatabases, writtenBytes } = result;
      latest = {
        ...begun,
        state: 'succeeded',
        readBytes: backup.sizeBytes,
        backup,
        storedDatabases,
        unchangedDatabases,
        writtenBytes,
      };
      const damaged = damagedOf(manifest).map(({ name, tenantId }) => tenantId ?? name);
      await recordAudit(pool, {
        name: manifest.suspect ? 'backup.suspect' : 'backup.completed',
        actor: 'system',
        subject: manifest.backupId,
        details: {
          ...(cluster !== undefined && { server: cluster }),
          regions: complete.join(' '),
          databases: backup.databases,
          ...(damaged.length > 0 && { damaged: damaged.join(' ') }),
        },
      });
    } catch (error) {
      const { code, message } = toFreeholdError(error);
      latest = { ...begun, state: 'failed', error: { code, text: message } };
      failure = error;
      if (signal.aborted) return;
      log.error('a base backup failed', { error });
      await recordAudit(pool, {
        name: 'backup.failed',
        actor: 'system',
        subject: clusterId,
        details: { ...(cluster !== undefined && { server: cluster }), code },
      }).catch((auditError) => log.error('the failure was not recorded', { error: auditError }));
    } finally {
      release();
    }
  }

  function start(): BackupRun {
    if (latest?.state === 'running') return latest;
    const begun: BackupRun = { state: 'running', startedAt: new Date(clock.now()).toISOString(), readBytes: 0 };
    latest = begun;
    running = run(begun);
    return begun;
  }

  /** Skipped when there is a fresh one, also of an earlier life of this installation: what lies in regions is the truth. */
  async function runWhenDue(): Promise<void> {
    const [newest] = (await list()).backups;
    if (newest && Date.parse(newest.finishedAt) + everyMs / 2 > clock.now()) return;
    start();
    await running;
    if (latest?.state === 'failed') throw failure;
  }

  function startAfresh(): void {
    // Who runs never rejects: it says in `latest` how it ended.
    void (running ?? Promise.resolve()).then(() => {
      if (!signal.aborted) start();
    });
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await running;
  }

  return {
    list,
    start,
    startAfresh,
    runWhenDue,
    stop,
    latest: () => latest,
    schedule() {
      backups.whenGap(start);
      shutdown.add('base backups', 10_000, stop);
      jobs.add({ name: 'base backup', everyMs, firstAfterMs, retryAfterMs, overdueAfterMs, run: runWhenDue });
    },
  };
}

interface Held {
  readonly manifest: BackupManifest;
  readonly regions: readonly string[];
}

function toView({ manifest, regions }: Held): BackupView {
  const parts = [manifest.shared, ...manifest.databases];
  const { backupId, startedAt, finishedAt, timeline, stopLsn, suspect } = manifest;
  return {
    backupId,
    startedAt,
    finishedAt,
    databases: manifest.databases.length,
    sizeBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0),
    storedBytes: parts.reduce((sum, part) => sum + part.storedBytes, 0),
    timeline,
    stopLsn,
    suspect,
    regions,
  };
}

function newestFirst(one: BackupView, other: BackupView): number {
  return other.finishedAt.localeCompare(one.finishedAt);
}

/** Whose every database is: of a tenant that is not deleted, or of nobody (control's own, templates, prepared ones). */
async function readOwners(pool: Pool, server: Pool): Promise<DatabaseOwner[]> {
  const databases = await readDatabases(server);
  const tenants = await pool.query<{ name: string; tenantId: TenantId }>(
    `SELECT database_name AS name, tenant_id AS "tenantId" FROM tenants WHERE database_name IS NOT NULL AND state <> 'deleted'
     UNION ALL SELECT database_name, tenant_id FROM tenant_snapshots`,
  );
  const owners = new Map(tenants.map(({ name, tenantId }) => [name, tenantId]));
  return databases.map(({ oid, name }) => {
    const tenantId = owners.get(name);
    return { oid, name, ...(tenantId && { tenantId }) };
  });
}
