/** The database's superuser, as only its own operating-system user can be: psql over the socket. */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { findBinaries } from '#src/clusters/index.ts';
import { foldersOf } from '#src/main/folders.ts';
import type { Installation } from './operator.ts';

/** @returns one line per row, columns separated by tabs */
export async function askAsSuperuser(
  { dataDir }: Installation,
  statement: string,
  database = 'postgres',
  cluster?: string,
): Promise<string[]> {
  const { binDir } = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
  const folders = foldersOf(dataDir, cluster);
  const { uid } = statSync(folders.cluster);
  const isRoot = process.getuid?.() === 0;
  const output = execFileSync(
    `${binDir}/psql`,
    ['-XAtq', '-F', '\t', '-h', folders.clusterSocket, '-U', 'postgres', '-d', database, '-c', statement],
    { cwd: '/', encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...(isRoot && { uid }) },
  );
  return output.split('\n').filter(Boolean);
}
