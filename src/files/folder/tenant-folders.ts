import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { failpoint, type TenantId } from '#src/kernel/index.ts';
import { openSealedStream } from '#src/keys/index.ts';
import { createDiskStore, type ObjectName, toStorageError } from '#src/objects/index.ts';
import { verify } from '../content.ts';
import { filesErrors } from '../errors.ts';
import { objectNameOf } from '../names.ts';
import { lockForPut, waitsForRegions } from '../sql.ts';
import { checkedTenant, type FilesDeps, sealContextOf } from '../tenant-files.ts';
import { createContentWriter } from './content-writer.ts';
import { readFolderTar } from './read-tar.ts';
import { deletePaths, lockFolder, selectFolder, upsertEntries } from './sql.ts';
import type { FolderEntry, TenantFolders } from './types.ts';
import { writeFolderTar } from './write-tar.ts';

export interface TenantFoldersDeps extends FilesDeps {
  /** Where content may be that is not here any more, sealed as it was here. */
  readonly openElsewhere?: (name: ObjectName) => Promise<Readable | undefined>;
}

/** Rows of a hundred thousand files. */
const rowsWithinMs = 600_000;
/** So long the regions are waited for where they need not be: they are owed the rest. */
const waitForRegionsMs = 1_000;
const broughtAtOnce = 4;

export async function createTenantFolders(deps: TenantFoldersDeps): Promise<TenantFolders> {
  const { root, databases, filesKeyOf, keepInRegions, openElsewhere } = deps;
  const store = await createDiskStore(root);

  /** Before the rows, so that no moment can be restored at which a row names what no region has. */
  async function toRegions(tenantId: TenantId, names: readonly ObjectName[], mustWait: boolean): Promise<void> {
    if (!keepInRegions || names.length === 0) return;
    const queue = [...names];
    let isOver = false;
    const bringing = Promise.all(
      Array.from({ length: broughtAtOnce }, async () => {
        for (let name = queue.shift(); name !== undefined && !isOver; name = queue.shift())
          await keepInRegions(tenantId, name);
      }),
    );
    bringing.catch(() => {});
    if (mustWait)
      await bringing.catch((cause) => {
        isOver = true;
        throw filesErrors.FH_FILE_NOT_IN_REGIONS({ cause });
      });
    else await Promise.race([bringing, delay(waitForRegionsMs, undefined, { ref: false })]).catch(() => {});
    isOver = true;
  }

  return {
    async keepFolder(tenantId, tar, limits) {
      const key = await filesKeyOf(checkedTenant(tenantId));
      const { known, mustWait } = await databases.platform.read(tenantId, async (db) => ({
        known: contentsOf(await selectFolder(db)),
        mustWait: await waitsForRegions(db),
      }));
      const writer = createContentWriter({ store, tenantId, key, isKnown: (sha256) => known.has(sha256) });
      const entries = await readFolderTar(tar, limits, writer.put).finally(() => writer.settled());
      await failpoint('files.folder.contents');
      await toRegions(tenantId, writer.published(), mustWait);
      let changed = false;
      await databases.platform
        .transact(
          tenantId,
          async (db) => {
            await lockForPut(db);
            await lockFolder(db);
            const before = new Map((await selectFolder(db)).map((entry) => [entry.path, entry]));
            const stays = contentsOf(before.values());
            // What no row referred to until now may have been swept since we saw it; from here on nothing is.
            for (const sha256 of contentsOf(entries))
              if (!stays.has(sha256) && !(await store.has(objectNameOf(tenantId, key, sha256))))
                throw filesErrors.FH_FOLDER_MOVED();
            const written = entries.filter((entry) => !isDeepStrictEqual(entry, before.get(entry.path)));
            for (const { path } of entries) before.delete(path);
            changed = written.length > 0 || before.size > 0;
            await deletePaths(db, [...before.keys()]);
            await upsertEntries(db, written);
            await failpoint('files.folder.rows');
          },
          { timeoutMs: rowsWithinMs },
        )
        .catch((error) => {
          throw toStorageError(error);
        });
      await failpoint('files.folder.committed');
      const files = entries.filter((entry) => entry.kind === 'file');
      return { files: files.length, bytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), changed };
    },

    async *layOutFolder(tenantId) {
      const key = await filesKeyOf(checkedTenant(tenantId));
      const entries = await databases.platform.read(tenantId, selectFolder);
      yield* writeFolderTar(entries, async function* (sha256) {
        const name = objectNameOf(tenantId, key, sha256);
        const sealed = (await store.open(name)) ?? (await openElsewhere?.(name));
        if (!sealed) throw filesErrors.FH_FILE_DAMAGED({ detail: `content ${sha256} is missing` });
        try {
          yield* verify(openSealedStream(key, sealContextOf(tenantId))(sealed), sha256);
        } finally {
          sealed.destroy();
        }
      });
    },
  };
}

function contentsOf(entries: Iterable<FolderEntry>): Set<string> {
  const contents = new Set<string>();
  for (const entry of entries) if (entry.kind === 'file') contents.add(entry.sha256);
  return contents;
}
