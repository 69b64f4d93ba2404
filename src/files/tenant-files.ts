import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { TenantDatabases, TenantDb } from '#src/databases/types.ts';
import { type Clock, type FileId, failpoint, isId, newId, type TenantId } from '#src/kernel/index.ts';
import { openSealedStream, sealStream } from '#src/keys/index.ts';
import { createDiskStore, type ObjectName, type StagedObject, toStorageError } from '#src/objects/index.ts';
import { measure, verify } from './content.ts';
import { filesErrors } from './errors.ts';
import { cleanFileName, cleanMediaType, objectNameOf } from './names.ts';
import { deleteFile, insertFile, lockForPut, selectFile, waitsForRegions } from './sql.ts';
import type { StoredFile, TenantFiles } from './types.ts';

export interface FilesDeps {
  /** Absolute folder of all tenants' content; must exist. */
  readonly root: string;
  readonly databases: Pick<TenantDatabases, 'platform'>;
  /** 32 bytes: the tenant's key for purpose `files`. Throws when the tenant may not be reached now. */
  readonly filesKeyOf: (tenantId: TenantId) => Promise<Uint8Array>;
  readonly clock: Clock;
  /** Brings content that the vault has just got to every region; rejects when one may lack it, at the latest after 20 s. Undefined: there are no regions. */
  readonly keepInRegions?: ((tenantId: TenantId, name: ObjectName) => Promise<void>) | undefined;
}

/** So long an upload waits for the regions where it need not: a region that is slow is owed the file. */
const waitForRegionsMs = 1_000;

/** What a request needs of files. Control, which moves whole tenants, uses `createFileVault`. */
export async function createTenantFiles({
  root,
  databases,
  filesKeyOf,
  clock,
  keepInRegions,
}: FilesDeps): Promise<TenantFiles> {
  const store = await createDiskStore(root);

  async function find(tenantId: TenantId, fileId: FileId): Promise<StoredFile | undefined> {
    if (!isId('fil', fileId)) return undefined;
    return databases.platform.read(checkedTenant(tenantId), (db) => selectFile(db, fileId));
  }

  return {
    async put(tenantId, content, { name, mediaType, maxBytes, createdBy }) {
      const key = await filesKeyOf(checkedTenant(tenantId));
      const measured = measure(content, maxBytes);
      const staged = await store.stage(sealStream(key, sealContextOf(tenantId))(measured.content));
      try {
        const file: StoredFile = {
          fileId: newId('fil'),
          name: cleanFileName(name),
          mediaType: cleanMediaType(mediaType),
          ...measured.result(),
          createdAt: new Date(clock.now()),
        };
        await keep(tenantId, staged, file, objectNameOf(tenantId, key, file.sha256), createdBy);
        return file;
      } finally {
        await staged.discard();
      }
    },

    find,

    async open(tenantId, fileId) {
      const file = await find(tenantId, fileId);
      if (!file) return undefined;
      const key = await filesKeyOf(tenantId);
      const sealed = await store.open(objectNameOf(tenantId, key, file.sha256));
      if (!sealed) throw filesErrors.FH_FILE_DAMAGED();
      const content = Readable.from(verify(openSealedStream(key, sealContextOf(tenantId))(sealed), file.sha256), {
        objectMode: false,
      });
      content.once('close', () => sealed.destroy());
      return { file, content };
    },

    async remove(tenantId, fileId) {
      if (!isId('fil', fileId)) return;
      await databases.platform.transact(checkedTenant(tenantId), (db) => deleteFile(db, fileId));
    },
  };

  /** Before the row, so that no moment can be restored at which a row names a file that no region has. */
  async function toRegions(db: TenantDb, tenantId: TenantId, objectName: string): Promise<void> {
    if (!keepInRegions) return;
    const kept = keepInRegions(tenantId, objectName);
    // It may fail before anybody waits for it, and after.
    kept.catch(() => {});
    if (await waitsForRegions(db)) {
      await kept.catch((cause) => {
        throw filesErrors.FH_FILE_NOT_IN_REGIONS({ cause });
      });
    } else await Promise.race([kept, delay(waitForRegionsMs, undefined, { ref: false })]).catch(() => {});
  }

  /**
   * The object gets its name while the lock keeps the sweep away, and its row in the same transaction: a row always has
   * its object. A kill in between leaves an object without a row, which the sweep removes.
   */
  async function keep(
    tenantId: TenantId,
    staged: StagedObject,
    file: StoredFile,
    objectName: string,
    createdBy: string,
  ): Promise<void> {
    try {
      await databases.platform.transact(tenantId, async (db) => {
        await lockForPut(db);
        await staged.publish(objectName);
        await failpoint('files.published');
        await toRegions(db, tenantId, objectName);
        await failpoint('files.in_regions');
        await insertFile(db, file, createdBy);
        await failpoint('files.inserted');
      });
    } catch (error) {
      throw toStorageError(error);
    }
    await failpoint('files.committed');
  }
}

/** Authenticated with the content, so that sealed bytes moved between tenants' folders do not open. */
export function sealContextOf(tenantId: TenantId): string {
  return `files:${tenantId}`;
}

/** A tenant id becomes a folder's name: checked here again, whatever the type says. */
export function checkedTenant(tenantId: TenantId): TenantId {
  if (!isId('ten', tenantId)) throw new TypeError('not a tenant id');
  return tenantId;
}
