import { chmod, chown, type FileHandle, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { baseBackupErrors } from './errors.ts';

export interface FolderOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * A data folder while it is written: under another name beside it, so that what has the name is whole. What a killed attempt left
 * under that other name is removed by the next.
 */
export async function createDataFolder(into: string, owner: FolderOwner | undefined) {
  const temporary = `${path.resolve(into)}.restoring`;
  await requireEmpty(into);
  await rm(temporary, { recursive: true, force: true, maxRetries: 3 });
  await makeFolder(temporary);

  async function makeFolder(folder: string): Promise<void> {
    await mkdir(folder);
    // Apart from mkdir, because umask cuts its mode. PostgreSQL refuses a data folder that others may enter.
    await chmod(folder, 0o700);
    if (owner) await chown(folder, owner.uid, owner.gid);
  }

  return {
    /** May be there: the folder of a database is in two objects. */
    async makeFolder(name: string): Promise<void> {
      await makeFolder(path.join(temporary, name)).catch((error) => {
        if (error.code !== 'EEXIST') throw error;
      });
    },
    /** Exclusive: two entries of one name are an error, and no link is followed. */
    async createFile(name: string): Promise<FileHandle> {
      const handle = await open(path.join(temporary, name), 'wx', 0o600);
      if (owner) await handle.chown(owner.uid, owner.gid);
      return handle;
    },
    /** Gives the folder its name; with `durable` everything in it is on the disk before. */
    async publish(durable: boolean): Promise<void> {
      if (durable) await syncTree(temporary);
      await rmdir(into).catch(ignoreMissing);
      await rename(temporary, into);
      if (durable) await syncPath(path.dirname(path.resolve(into)));
    },
    remove: () => rm(temporary, { recursive: true, force: true, maxRetries: 3 }),
  };
}

async function requireEmpty(folder: string): Promise<void> {
  const entries = (await readdir(folder).catch(ignoreMissing)) ?? [];
  if (entries.length > 0) throw baseBackupErrors.FH_RESTORE_FOLDER_IN_USE({ detail: folder });
}

/** Files at once: a file system commits many at the price of few. */
const syncWidth = 16;

async function syncTree(top: string): Promise<void> {
  const entries = await readdir(top, { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => path.join(entry.parentPath, entry.name));
  paths.push(top);
  let next = 0;
  await Promise.all(
    Array.from({ length: syncWidth }, async () => {
      while (next < paths.length) await syncPath(paths[next++]!);
    }),
  );
}

async function syncPath(name: string): Promise<void> {
  const handle = await open(name, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
