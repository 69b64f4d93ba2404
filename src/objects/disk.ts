import type { FileHandle } from 'node:fs/promises';
import { chmod, link, mkdir, open, readdir, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failpoint, randomName } from '#src/kernel/index.ts';
import { toStorageError } from './errors.ts';
import { requireObjectName } from './names.ts';
import { requireRoom } from './room.ts';
import type { ObjectInfo, ObjectStore, StagedObject } from './types.ts';

/** Holds what is staged; no object's name can begin with it, because `.` is not a character of names. */
export const stagingFolder = '.staging';
/** Between two looks at how much room there is. */
const lookEveryBytes = 8 * 1024 * 1024;

/**
 * An object store in the folder `root`, which must exist. New folders and files get the permissions of `root`
 * (folders its mode with the set-group bit, files its read and write bits), so that whoever made the folder decides
 * who shares it.
 */
export async function createDiskStore(root: string): Promise<ObjectStore> {
  const rootMode = (await stat(root)).mode;
  const folderMode = rootMode & 0o2777;
  const fileMode = rootMode & 0o666;
  const staging = join(root, stagingFolder);

  /** Makes a folder below the root and all above it durable; the mode is set apart because umask may have cut it. */
  async function ensureFolder(folder: string): Promise<void> {
    if (folder === root) return;
    try {
      await mkdir(folder);
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return;
      if (codeOf(error) !== 'ENOENT') throw error;
      await ensureFolder(dirname(folder));
      return ensureFolder(folder);
    }
    await chmod(folder, folderMode);
    await syncFolder(dirname(folder));
  }

  function pathOf(name: string): string {
    return join(root, requireObjectName(name));
  }

  async function* walk(folder: string): AsyncIterable<ObjectInfo> {
    for (const entry of await readFolder(pathOf(folder))) {
      const name = `${folder}/${entry.name}`;
      if (entry.isDirectory()) yield* walk(name);
      else {
        const facts = await stat(join(root, name)).catch(ignoreMissing);
        if (facts) yield { name, sizeBytes: facts.size, createdAt: facts.mtime };
      }
    }
  }

  return {
    async stage(content) {
      await requireRoom(root);
      await ensureFolder(staging).catch(throwStorageError);
      const path = join(staging, randomName(26));
      const handle = await open(path, 'wx', fileMode).catch(throwStorageError);
      try {
        await handle.chmod(fileMode);
        const sizeBytes = await writeAll(handle, content, () => requireRoom(root));
        await handle.sync();
        await handle.close();
        await failpoint('objects.staged');
        return staged(path, sizeBytes);
      } catch (error) {
        await handle.close().catch(() => undefined);
        await rm(path, { force: true });
        throw toStorageError(error);
      }
    },
    async open(name) {
      const handle = await open(pathOf(name), 'r').catch(ignoreMissing);
      return handle?.createReadStream();
    },
    has: async (name) => (await stat(pathOf(name)).catch(ignoreMissing)) !== undefined,
    list: walk,
    async remove(name) {
      await unlink(pathOf(name)).catch(ignoreMissing);
      await syncFolder(dirname(pathOf(name))).catch(ignoreMissing);
    },
    async removeAll(folder) {
      await rm(pathOf(folder), { recursive: true, force: true });
      await syncFolder(dirname(pathOf(folder)));
    },
    async removeStaged(before) {
      let removed = 0;
      for (const entry of await readFolder(staging)) {
        const path = join(staging, entry.name);
        const facts = await stat(path).catch(ignoreMissing);
        if (!facts || facts.mtime >= before) continue;
        await rm(path, { force: true });
        removed++;
      }
      return removed;
    },
  };

  function staged(path: string, sizeBytes: number): StagedObject {
    return {
      sizeBytes,
      open: async () => (await open(path, 'r')).createReadStream(),
      async publish(name) {
        const target = pathOf(name);
        try {
          await ensureFolder(dirname(target));
          // link(2) rather than rename(2): it refuses to replace, so an object never changes under its name.
          await link(path, target);
        } catch (error) {
          if (codeOf(error) !== 'EEXIST') throw toStorageError(error);
          // Whoever made it may have died before making the name durable.
          await syncFolder(dirname(target));
          return 'exists';
        }
        await failpoint('objects.linked');
        await syncFolder(dirname(target));
        await failpoint('objects.published');
        return 'created';
      },
      discard: () => rm(path, { force: true }),
    };
  }
}

async function writeAll(
  handle: FileHandle,
  content: AsyncIterable<Uint8Array>,
  lookForRoom: () => Promise<void>,
): Promise<number> {
  let sizeBytes = 0;
  let nextLookBytes = lookEveryBytes;
  for await (const chunk of content) {
    await failpoint('objects.write');
    // write(2) may take less than it was given, notably just before the disk is full.
    for (let offset = 0; offset < chunk.byteLength; ) {
      offset += (await handle.write(chunk, offset, chunk.byteLength - offset)).bytesWritten;
    }
    sizeBytes += chunk.byteLength;
    if (sizeBytes < nextLookBytes) continue;
    nextLookBytes += lookEveryBytes;
    await lookForRoom();
  }
  return sizeBytes;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readFolder(path: string) {
  return (await readdir(path, { withFileTypes: true }).catch(ignoreMissing)) ?? [];
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function throwStorageError(error: unknown): never {
  throw toStorageError(error);
}
