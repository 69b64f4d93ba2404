/** The database's superuser, as only its own operating-system user can be: psql over the socket. */
import { execFileSync } from 'node:child_process';
import { findBinaries } from '#src/clusters/index.ts';
import { foldersOf } from '#src/main/folders.ts';
import { findOsUsers } from '#src/main/os-users.ts';
import type { Installation } from './operator.ts';

/** @returns one line per row, columns separated by tabs */
export async function askAsSuperuser(
  { dataDir }: Installation,
  statement: string,
  database = 'postgres',
): Promise<string[]> {
  const { binDir } = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
  const user = findOsUsers()?.postgres;
  const output = execFileSync(
    `${binDir}/psql`,
    ['-XAtq', '-F', '\t', '-h', foldersOf(dataDir).clusterSocket, '-U', 'postgres', '-d', database, '-c', statement],
    { cwd: '/', encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...(user && { uid: user.uid, gid: user.gid }) },
  );
  return output.split('\n').filter(Boolean);
}
