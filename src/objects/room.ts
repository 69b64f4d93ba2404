import { statfs } from 'node:fs/promises';
import { objectErrors } from './errors.ts';

/** What uploads, archives and new databases leave alone, so that the database can still write its log: 2 % of the file system, at most 1 GiB. */
const reserveShare = 0.02;
const reserveMaxBytes = 1024 ** 3;

/** Throws FH_STORAGE_FULL unless the file system of `folder` has room for this many bytes beside the reserve. */
export async function requireRoom(folder: string, neededBytes = 0): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(folder);
  const reserveBytes = Math.min(reserveMaxBytes, blocks * bsize * reserveShare);
  if (bavail * bsize - reserveBytes < neededBytes) throw objectErrors.FH_STORAGE_FULL();
}
