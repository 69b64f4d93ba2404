import type { BackupId } from '#src/kernel/index.ts';
import { FreeholdError, failpoint, retry } from '#src/kernel/index.ts';
import type { BackupKey } from '#src/keys/types.ts';
import type { BackedUpDatabase } from '../types.ts';
import type { BaseBackupOptions, DatabaseOwner } from './backup.ts';
import { contentSha256, type FileFacts } from './file-sets.ts';
import type { LiveRegions } from './live-regions.ts';
import { databaseName } from './names.ts';
import { createObjectWriter, type ObjectWriter } from './object-writer.ts';
import type { DatabaseSink } from './split.ts';

export interface DatabaseStoreOptions
  extends Pick<BaseBackupOptions, 'clusterId' | 'keys' | 'listDatabases' | 'previous' | 'log'> {
  readonly backupId: BackupId;
  readonly regions: LiveRegions;
  readonly compressionLevel: number;
  readonly holdBytes: number;
}

/** Objects that are being written beside the one that is read. */
const beside = 3;

/** Stores databases one after another as they come, each sealed under its owner's key, unless the previous backup holds the same content. */
export async function createDatabaseStore(options: DatabaseStoreOptions) {
  const { clusterId, backupId, regions, keys, previous, log } = options;
  const earlier = new Map(previous?.databases.map((database) => [database.oid, database]));
  let owners = await readOwners();
  let reading: ObjectWriter | undefined;
  const pending = new Set<Promise<void>>();
  const databases: BackedUpDatabase[] = [];
  let storedCount = 0;
  let writtenBytes = 0;

  async function readOwners(): Promise<Map<number, DatabaseOwner>> {
    return new Map((await options.listDatabases()).map((owner) => [owner.oid, owner]));
  }

  async function findOwner(oid: number): Promise<DatabaseOwner> {
    if (!owners.has(oid)) {
      owners = new Map([...owners, ...(await readOwners())]);
      // Not committed yet, or gone again: nobody's but the cluster's. Replay brings whatever becomes of it.
      if (!owners.has(oid)) owners.set(oid, { oid, name: '' });
    }
    return owners.get(oid)!;
  }

  async function open(oid: number): Promise<DatabaseSink> {
    const owner = await findOwner(oid);
    const key = await findKey(owner);
    if (!key) return { writer: undefined, close: async () => {} };
    const name = databaseName(owner.tenantId ?? clusterId, backupId, oid);
    const header = { kind: 'database', keyId: key.keyId, clusterId, backupId, oid } as const;
    const writer = createObjectWriter({ ...options, name, key, header });
    reading = writer;
    return {
      writer,
      async close(files) {
        reading = undefined;
        const work = finishDatabase(owner, key, writer, files);
        pending.add(work);
        work.then(
          () => pending.delete(work),
          () => {},
        );
        while (pending.size > beside) await Promise.race(pending);
      },
    };
  }

  /** undefined: the key was destroyed while the backup ran, so the tenant is deleted and its data must not be readable anywhere. */
  async function findKey({ oid, tenantId }: DatabaseOwner): Promise<BackupKey | undefined> {
    try {
      return await keys.currentKey(tenantId ?? clusterId);
    } catch (error) {
      if (!tenantId || !(error instanceof FreeholdError) || error.code !== 'FH_KEY_DESTROYED') throw error;
      log.info('a database of a deleted tenant is left out of the base backup', { oid, tenantId });
      return undefined;
    }
  }

  async function finishDatabase(
    owner: DatabaseOwner,
    key: BackupKey,
    writer: ObjectWriter,
    files: readonly FileFacts[],
  ): Promise<void> {
    const content = contentSha256(files);
    const before = earlier.get(owner.oid);
    // Under another key version it is stored again, so that after a rotation the next backup owes nothing to the old key.
    const same = before?.contentSha256 === content && before.keyId === key.keyId ? before : undefined;
    const stored = await writer.finish(async () => !same || !(await isEverywhere(same)));
    await failpoint('backups.base.object_stored');
    if (stored) {
      storedCount++;
      writtenBytes += stored.storedBytes;
    }
    databases.push({
      oid: owner.oid,
      name: owner.name,
      ...(owner.tenantId && { tenantId: owner.tenantId }),
      object: stored ? writer.name : same!.object,
      keyId: key.keyId,
      contentSha256: content,
      sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
      storedBytes: stored?.storedBytes ?? same!.storedBytes,
      storedSha256: stored?.storedSha256 ?? same!.storedSha256,
    });
  }

  /** The object of the previous backup lies whole in every region that is still with us. */
  async function isEverywhere({ object, storedBytes }: BackedUpDatabase): Promise<boolean> {
    const isRetryable = (error: unknown) => error instanceof FreeholdError && error.code === 'FH_REGION_UNAVAILABLE';
    const found = await regions.everywhere((store) =>
      retry({ attempts: 3, firstDelayMs: 500, maxDelayMs: 5_000, isRetryable }, () => store.stat(object)),
    );
    return found.every((info) => info?.sizeBytes === storedBytes);
  }

  return {
    open,
    async finish() {
      await Promise.all(pending);
      databases.sort((a, b) => a.oid - b.oid);
      return { databases, storedCount, writtenBytes };
    },
    /** Ends what is under way; nothing is published after this resolves. */
    async abort(error: Error): Promise<void> {
      await reading?.abort(error);
      await Promise.allSettled(pending);
    },
  };
}
