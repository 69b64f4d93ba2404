import { constants } from 'node:fs';
import { access, rm } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile, syncFolder } from '../files.ts';
import type { OsUser } from '../os-user.ts';

/** PostgreSQL's own mark: with this file a server only ever follows another one, whoever starts it. */
const standbySignal = 'standby.signal';

export function isFenced(dataDir: string): Promise<boolean> {
  return access(path.join(dataDir, standbySignal), constants.F_OK).then(
    () => true,
    () => false,
  );
}

/** From now on this data folder cannot be started as a primary. On disk when this resolves. */
export async function fence(dataDir: string, osUser: OsUser | undefined): Promise<void> {
  await replaceFile(path.join(dataDir, standbySignal), '', osUser);
  await syncFolder(dataDir);
}

/** Only for a failover that is taken back before anything was promoted. */
export async function unfence(dataDir: string): Promise<void> {
  await rm(path.join(dataDir, standbySignal), { force: true });
  await syncFolder(dataDir);
}
