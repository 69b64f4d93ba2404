import { failpoint } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/types.ts';
import type { ObjectName, RegionStore } from '#src/objects/index.ts';
import type { BackedUpDatabase, BackupManifest } from '../types.ts';
import { createDataFolder, type FolderOwner } from './data-folder.ts';
import { baseBackupErrors } from './errors.ts';
import { contentSha256, createFileSets, type FileFacts, type FileGroup, type FileSets, groupOf } from './file-sets.ts';
import { writerOf } from './names.ts';
import { createPostgresManifestReader, postgresManifestPath } from './postgres-manifest.ts';
import { type UnpackOptions, unpackObject } from './unpack.ts';

export interface RestoreFilesOptions {
  readonly region: RegionStore;
  readonly manifest: BackupManifest;
  readonly keys: Pick<BackupKeys, 'openKey'>;
  /** The data folder to be: absent or empty, in a folder that this process may write. It appears when it is whole; until then `<into>.restoring`. */
  readonly into: string;
  /**
   * Databases whose files are wanted, by oid; one whose key was destroyed is an error. `all`: those of deleted tenants, whose keys were destroyed, are
   * left empty and reported. The folders of all others exist and are empty, which replay tolerates (with page checksums
   * and full_page_writes). Name those of no tenant as well if they are to be used: `postgres`, the templates, control's own.
   */
  readonly databases: 'all' | readonly number[];
  /** Who owns the files; only root can give them away. Default: this process. */
  readonly owner?: FolderOwner;
  /** Default true: everything is on the disk when this resolves. A scratch server can do without. */
  readonly durable?: boolean;
  readonly signal?: AbortSignal;
  onProgress?(progress: { readonly restoredBytes: number; readonly expectedBytes: number }): void;
}

export interface RestoredFiles {
  readonly files: number;
  readonly restoredBytes: number;
  /** Bytes read from the region. */
  readonly readBytes: number;
  /** Of deleted tenants: their folders are empty, and replay comes to where they were dropped or leaves them unusable. */
  readonly unreadable: readonly BackedUpDatabase[];
}

/** Databases at once. */
const width = 3;

/**
 * Writes a data folder back: everything shared and the wanted databases. It holds `backup_label` and no WAL: the WAL from `startLsn` on must be given
 * before it can start. Every file is compared with PostgreSQL's own manifest of the backup.
 * Errors: FH_BACKUP_OBJECT_MISSING and FH_BACKUP_OBJECT_DAMAGED (they name the region and the object: another region may have it whole),
 * FH_BACKUP_UNKNOWN_DATABASE, FH_RESTORE_FOLDER_IN_USE, FH_KEY_DESTROYED, FH_STORAGE_FULL, those of the region.
 */
export async function restoreFiles(options: RestoreFilesOptions): Promise<RestoredFiles> {
  const { manifest, signal } = options;
  const { clusterId, backupId, shared } = manifest;
  const wanted = chooseDatabases(manifest, options.databases);
  const expectedBytes = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, shared.sizeBytes);
  const restored = { files: 0, restoredBytes: 0, readBytes: 0 };
  const unreadable: BackedUpDatabase[] = [];
  const folder = await createDataFolder(options.into, options.owner);
  try {
    const sent = await restoreShared();
    await failpoint('backups.base.restored_shared');
    await inTurn(wanted, async (database) => {
      await restoreDatabase(database, sent).catch((error) => {
        const isDeleted = options.databases === 'all' && database.tenantId && error?.code === 'FH_KEY_DESTROYED';
        if (!isDeleted) throw error;
        unreadable.push(database);
      });
    });
    await failpoint('backups.base.restored_databases');
    await folder.publish(options.durable ?? true);
    await failpoint('backups.base.restored');
    return { ...restored, unreadable };
  } catch (error) {
    await folder.remove();
    throw error;
  }

  /** @returns what PostgreSQL's manifest says of every database */
  async function restoreShared(): Promise<FileSets> {
    const sent = createFileSets();
    const postgresManifest = createPostgresManifestReader(sent.add);
    const came = await unpack({
      object: shared.object,
      expect: { kind: 'shared', keyId: shared.keyId, clusterId, backupId },
      // The folders of databases are in it, their files are not.
      allows: (entry) => groupOf(entry.path) === 'shared' || entry.kind === 'folder',
      onContent: (path, bytes) => {
        if (path === postgresManifestPath) postgresManifest.write(bytes);
      },
    });
    postgresManifest.end();
    compare('shared', shared.object, sent, came);
    return sent;
  }

  async function restoreDatabase({ oid, object, keyId, ...database }: BackedUpDatabase, sent: FileSets): Promise<void> {
    const came = await unpack({
      object,
      expect: { kind: 'database', keyId, clusterId, backupId: writerOf(object), oid },
      // Its folder is there already.
      allows: (entry) => groupOf(entry.path) === oid,
    });
    compare(oid, object, sent, came);
    if (contentSha256(came) !== database.contentSha256)
      throw damaged(object, 'its content is not that of the manifest');
  }

  async function unpack(
    what: Pick<UnpackOptions, 'object' | 'expect' | 'allows' | 'onContent'>,
  ): Promise<readonly FileFacts[]> {
    const came: FileFacts[] = [];
    await unpackObject({
      ...what,
      region: options.region,
      keys: options.keys,
      folder,
      signal,
      onFile(file) {
        came.push(file);
        restored.files++;
        restored.restoredBytes += file.sizeBytes;
        options.onProgress?.({ restoredBytes: restored.restoredBytes, expectedBytes });
      },
      onRead(bytes) {
        restored.readBytes += bytes;
      },
    });
    return came;
  }

  function compare(group: FileGroup, object: ObjectName, sent: FileSets, files: readonly FileFacts[]): void {
    const came = createFileSets();
    for (const file of files) if (file.path !== postgresManifestPath) came.add(file);
    if (sent.of(group) !== came.of(group)) throw damaged(object, "its files are not those of PostgreSQL's manifest");
  }

  function damaged(object: ObjectName, why: string) {
    return baseBackupErrors.FH_BACKUP_OBJECT_DAMAGED({ detail: `${options.region.region}: ${object}: ${why}` });
  }

  /** A few at once; the first error ends it after those that have begun. */
  async function inTurn<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    const queue = [...items];
    const results = await Promise.allSettled(
      Array.from({ length: width }, async () => {
        for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
          signal?.throwIfAborted();
          await work(item).catch((error) => {
            queue.length = 0;
            throw error;
          });
        }
      }),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}

function chooseDatabases(manifest: BackupManifest, wanted: 'all' | readonly number[]): readonly BackedUpDatabase[] {
  if (wanted === 'all') return manifest.databases;
  return [...new Set(wanted)].map((oid) => {
    const found = manifest.databases.find((database) => database.oid === oid);
    if (!found) throw baseBackupErrors.FH_BACKUP_UNKNOWN_DATABASE({ detail: `${manifest.backupId}: ${oid}` });
    return found;
  });
}
