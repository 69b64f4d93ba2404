import { type FileHandle, link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failpoint, randomName } from '#src/kernel/index.ts';
import { keyErrors } from './errors.ts';

/** Ending of a file that is being written; whatever still has it after a crash was never used. */
export const temporaryEnding = '.tmp';

/**
 * Writes a secret so that a crash leaves either nothing or all of it: temporary file (created exclusively, 0600) → fsync → name → fsync of the folder.
 * `onlyOnce` never replaces: link(2) fails when the name is taken, so that of two writers one wins and the other reads the winner's.
 * @returns false when `onlyOnce` found the name taken.
 */
export async function writeDurably(
  path: string,
  bytes: Uint8Array,
  { onlyOnce = false, mode = 0o600 } = {},
): Promise<boolean> {
  const temporary = `${path}.${randomName(10)}${temporaryEnding}`;
  try {
    await withFile(temporary, 'wx', mode, async (file) => {
      await file.writeFile(bytes);
      await file.sync();
    });
    await failpoint('keys.file.written');
    if (onlyOnce) {
      await link(temporary, path);
      await unlink(temporary);
    } else {
      await rename(temporary, path);
    }
    await failpoint('keys.file.named');
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    await removeIfThere(temporary);
    if (onlyOnce && hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await assertPrivate(path);
}

/** Throws FH_KEY_STORE_UNSAFE when anyone but the owner may read or change what lies at `path`. */
export async function assertPrivate(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0)
    throw keyErrors.FH_KEY_STORE_UNSAFE({ detail: `${path} has mode ${(mode & 0o777).toString(8)}` });
}

/** The bytes of a private file, or undefined when there is none. */
export async function findPrivateFile(path: string): Promise<Buffer | undefined> {
  try {
    await assertPrivate(path);
    return await readFile(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Makes the names in a folder durable: without it a crash may forget a rename or bring a removed file back. */
export async function syncFolder(path: string): Promise<void> {
  await withFile(path, 'r', undefined, (folder) => folder.sync());
}

/** Replaces the bytes of a file where they lie, and waits for the disk. */
export async function overwrite(path: string, bytes: Uint8Array): Promise<void> {
  await withFile(path, 'r+', undefined, async (file) => {
    await file.write(bytes, 0, bytes.byteLength, 0);
    await file.sync();
  });
}

export async function removeIfThere(path: string): Promise<void> {
  await unlink(path).catch((error) => {
    if (!hasCode(error, 'ENOENT')) throw error;
  });
}

export function hasCode(error: unknown, code: string): boolean {
  return (error as { code?: unknown } | null)?.code === code;
}

async function withFile<T>(
  path: string,
  flags: string,
  mode: number | undefined,
  use: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags, mode);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
