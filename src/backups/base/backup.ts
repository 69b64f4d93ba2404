import { setTimeout as delay } from 'node:timers/promises';
import { type Binaries, startTool } from '#src/clusters/index.ts';
import {
  type BackupId,
  type Clock,
  type ClusterId,
  FreeholdError,
  failpoint,
  type Log,
  newId,
  systemClock,
  type TenantId,
} from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { ConnectionTarget } from '#src/postgres/index.ts';
import type { BackedUpDatabase, BackupManifest } from '../types.ts';
import { createDamageReader } from './damage.ts';
import { createDatabaseStore } from './databases.ts';
import { baseBackupErrors } from './errors.ts';
import { createLiveRegions, type RegionResult } from './live-regions.ts';
import { sealManifest } from './manifest.ts';
import { manifestName, sharedName } from './names.ts';
import { createObjectWriter } from './object-writer.ts';
import { type Arrived, splitArchive } from './split.ts';
import type { ClusterFacts } from './sql.ts';

export interface DatabaseOwner {
  readonly oid: number;
  readonly name: string;
  /** undefined: of no tenant. */
  readonly tenantId?: TenantId;
}

export interface BaseBackupOptions {
  readonly clusterId: ClusterId;
  /** What the installation calls it. Default: the main one. */
  readonly cluster?: string | undefined;
  /** Default: a new one. Given by whoever must name the backup before it is there. */
  readonly backupId?: BackupId;
  readonly facts: ClusterFacts;
  readonly binaries: Binaries;
  /** Role freehold_replication; the database is not used. */
  readonly target: ConnectionTarget;
  readonly regions: readonly RegionStore[];
  readonly keys: Pick<BackupKeys, 'currentKey'>;
  /** Every database of the server and whose it is. Asked at the start, and again when the backup meets one that was made since. */
  listDatabases(): Promise<readonly DatabaseOwner[]>;
  /** A complete backup of the same cluster: databases that have not changed since are not stored again. */
  readonly previous?: BackupManifest;
  /** `fast`: at once, with a burst of writes. `spread` (default): paced, may take minutes. */
  readonly checkpoint?: 'fast' | 'spread';
  /** 1 to 19; default 3. */
  readonly compressionLevel?: number;
  /** Compressed bytes of one database that are kept in memory until it is known whether it has changed; a larger one is streamed. Default 16 MiB; four at once. */
  readonly holdBytes?: number;
  /** A region that takes no byte for so long is left out. Default 60,000. */
  readonly stallMs?: number;
  readonly log: Log;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  onProgress?(progress: { readonly readBytes: number; readonly expectedBytes?: number }): void;
}

export interface BaseBackupResult {
  /** `suspect`: a page failed its checksum; the caller raises the alarm and names `damagedFiles`. */
  readonly manifest: BackupManifest;
  readonly regions: readonly RegionResult[];
  /** Databases that were stored again, and those that `previous` had already. */
  readonly storedDatabases: number;
  readonly unchangedDatabases: number;
  /** Bytes written to each region that is complete. */
  readonly writtenBytes: number;
}

/** From the end of the archive to the end of the tool. */
const toolEndsWithinMs = 10_000;

/**
 * One base backup of a running server into all regions at once, nothing of it on local disk. The manifest is written last: killed or failed
 * at any point before, there is no backup, and what was written is told by its name (`base/<clusterId>/<backupId>/…` without a manifest,
 * `data/<owner>/<backupId>_<oid>` that no manifest names). A region that fails is left out of the rest; the result says so.
 * Errors: FH_BASE_BACKUP_FAILED, FH_BASE_BACKUP_MISMATCH, FH_BASE_BACKUP_NO_REGION, FH_BASE_BACKUP_NAME_TAKEN, those of `keys`.
 */
export async function runBaseBackup(options: BaseBackupOptions): Promise<BaseBackupResult> {
  const { clusterId, log, clock = systemClock, previous } = options;
  if (previous && previous.clusterId !== clusterId) throw new TypeError('the previous backup is of another cluster');
  const backupId: BackupId = options.backupId ?? newId('bak');
  const startedAt = new Date(clock.now()).toISOString();
  const cancel = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, cancel.signal]) : cancel.signal;
  const regions = createLiveRegions({ stores: options.regions, log, signal, stallMs: options.stallMs });
  const storing = {
    regions,
    compressionLevel: options.compressionLevel ?? 3,
    holdBytes: options.holdBytes ?? 16 * 1024 * 1024,
  };
  const clusterKey = await options.keys.currentKey(clusterId);
  const shared = createObjectWriter({
    ...storing,
    name: sharedName(clusterId, backupId),
    key: clusterKey,
    header: { kind: 'shared', keyId: clusterKey.keyId, clusterId, backupId },
  });
  const databases = await createDatabaseStore({ ...options, ...storing, backupId });
  const damage = createDamageReader();
  const tool = await startTool(options.binaries, 'pg_basebackup', toolArguments(options, backupId), options.target, {
    signal,
    onMessage: damage.read,
  });
  try {
    tool.stdin.end();
    await failpoint('backups.base.started');
    let readBytes = 0;
    const expectedBytes = previous && totalBytes(previous);
    const arrived = await splitArchive({
      archive: tool.stdout,
      shared,
      openDatabase: databases.open,
      onBytes(count) {
        readBytes += count;
        options.onProgress?.({ readBytes, ...(expectedBytes !== undefined && { expectedBytes }) });
      },
    });
    await tool.done.catch((error) => {
      // With a damaged page the tool fails after it has written everything, which splitArchive has seen.
      if (!damage.isDamaged()) throw error;
    });
    checkOrigin(options, arrived);
    const stored = await databases.finish();
    await failpoint('backups.base.databases_stored');
    const sharedObject = (await shared.finish())!;
    await failpoint('backups.base.shared_stored');

    const manifest: BackupManifest = {
      format: 1,
      backupId,
      clusterId,
      ...(options.cluster !== undefined && { cluster: options.cluster }),
      ...options.facts,
      timeline: arrived.timeline,
      startLsn: arrived.startLsn,
      stopLsn: arrived.walRanges.at(-1)!.endLsn,
      startedAt,
      finishedAt: new Date(clock.now()).toISOString(),
      shared: {
        object: shared.name,
        keyId: clusterKey.keyId,
        sizeBytes: arrived.sharedBytes,
        ...sharedObject,
        ...damagedFiles(damage.filesOf('shared')),
      },
      databases: stored.databases.map((database) => ({ ...database, ...damagedFiles(damage.filesOf(database.oid)) })),
      suspect: damage.isDamaged(),
    };
    const sealed = await sealManifest(manifest, clusterKey);
    await regions.put(manifestName(clusterId, backupId), sealed);
    await failpoint('backups.base.manifest_stored');
    if (manifest.suspect) {
      log.error('pages failed their checksum in a base backup', { clusterId, backupId, damaged: damagedOf(manifest) });
    }
    return {
      manifest,
      regions: regions.results(new Set(regions.live().map((store) => store.region))),
      storedDatabases: stored.storedCount,
      unchangedDatabases: stored.databases.length - stored.storedCount,
      writtenBytes: stored.writtenBytes + sharedObject.storedBytes + sealed.length,
    };
  } catch (error) {
    // The archive breaks off because the tool ends; why, it says on another way, which may be the slower one.
    if (tool.stdout.readableEnded)
      await Promise.race([tool.done, delay(toolEndsWithinMs, undefined, { signal })]).catch(() => {});
    cancel.abort();
    await shared.abort(error as Error);
    await databases.abort(error as Error);
    await tool.done.catch(() => {});
    options.signal?.throwIfAborted();
    throw toBackupError(error, damage.lastError());
  }
}

/** Names of the databases, or `shared`, with their damaged files: for an alarm that says whose data is in danger. */
export function damagedOf(manifest: BackupManifest): { name: string; tenantId?: TenantId; files: readonly string[] }[] {
  return [{ name: 'shared', ...manifest.shared }, ...manifest.databases].flatMap(
    (part: Pick<BackedUpDatabase, 'name' | 'tenantId' | 'damagedFiles'>) =>
      part.damagedFiles
        ? [{ name: part.name, ...(part.tenantId && { tenantId: part.tenantId }), files: part.damagedFiles }]
        : [],
  );
}

function toolArguments({ checkpoint = 'spread' }: BaseBackupOptions, backupId: BackupId): string[] {
  return [
    '--format=tar',
    '--pgdata=-',
    // WAL is shipped on its own way, and must be there up to stopLsn before this backup can be restored.
    '--wal-method=none',
    `--checkpoint=${checkpoint}`,
    '--manifest-checksums=SHA256',
    `--label=freehold ${backupId}`,
    '--no-password',
  ];
}

function checkOrigin({ facts }: BaseBackupOptions, arrived: Arrived): void {
  if (arrived.systemIdentifier !== facts.systemIdentifier) {
    throw baseBackupErrors.FH_BASE_BACKUP_MISMATCH({ detail: 'it is of another server' });
  }
  if (arrived.walRanges[0]!.timeline !== arrived.timeline) {
    throw baseBackupErrors.FH_BASE_BACKUP_MISMATCH({
      detail: 'backup_label and the manifest name different timelines',
    });
  }
}

function damagedFiles(files: readonly string[] | undefined) {
  return files && { damagedFiles: files };
}

function totalBytes(manifest: BackupManifest): number {
  return manifest.databases.reduce((sum, { sizeBytes }) => sum + sizeBytes, manifest.shared.sizeBytes);
}

/** What the tool says about its end tells more than what we miss. */
function toBackupError(error: unknown, toolError: string): unknown {
  const isOurs = error instanceof FreeholdError && error.code !== 'FH_CLUSTER_TOOL_FAILED';
  if (isOurs && !(toolError && error.code === 'FH_BASE_BACKUP_MISMATCH')) return error;
  return baseBackupErrors.FH_BASE_BACKUP_FAILED({ ...(toolError && { detail: toolError }), cause: error });
}
