import { constants } from 'node:fs';
import { copyFile, type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { randomName } from '#src/kernel/index.ts';
import { clusterErrors } from './errors.ts';
import type { OsUser } from './os-user.ts';

/**
 * Replaces a file as a whole: temporary file, fsync, rename. The temporary file is created exclusively, so a symbolic link
 * planted in a folder of the server's user cannot lead a supervisor that runs as root elsewhere.
 */
export async function replaceFile(
  file: string,
  content: string | Uint8Array,
  owner: OsUser | undefined,
): Promise<void> {
  const temporary = `${file}.${randomName(8)}.tmp`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    if (owner) await handle.chown(owner.uid, owner.gid);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

/**
 * Opens a file in a folder of the server's user, without following a symbolic link or taking another user's file for its own: a
 * supervisor that runs as root would otherwise read or give away any file of the machine.
 */
export async function openOwnFile(file: string, flags: number, owner: OsUser | undefined): Promise<FileHandle> {
  const handle = await open(file, flags | constants.O_NOFOLLOW, 0o600);
  try {
    const { uid, size, nlink } = await handle.stat();
    const isNew = (flags & constants.O_CREAT) !== 0 && size === 0 && nlink === 1;
    if (owner && uid !== owner.uid && !isNew)
      throw clusterErrors.FH_CLUSTER_START_FAILED({ detail: `${file} does not belong to ${owner.name}` });
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** True when the file system under `folder` can copy a file by sharing its blocks (XFS with reflink, Btrfs, ZFS, APFS). */
export async function canCloneFiles(folder: string): Promise<boolean> {
  const source = path.join(folder, `clone-probe-${randomName(8)}`);
  try {
    const handle = await open(source, 'wx', 0o600);
    await handle.writeFile(Buffer.alloc(8192));
    await handle.close();
    await copyFile(source, `${source}-copy`, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch {
    return false;
  } finally {
    await rm(source, { force: true });
    await rm(`${source}-copy`, { force: true });
  }
}
