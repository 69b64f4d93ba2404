import { execFile } from 'node:child_process';
import { access, constants, readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { clusterErrors } from './errors.ts';

/** The programs of one PostgreSQL version. */
export interface Binaries {
  /** Absolute folder that holds `postgres`, `initdb`, `psql` … */
  readonly binDir: string;
  /** Major version, for example 15. */
  readonly major: number;
  /** Full version, for example `15.13`. */
  readonly version: string;
}

const oldestMajor = 15;
const newestMajor = 18;

/** Folders under which each entry is one version's, and the `bin` inside it. Debian and PGDG; PGDG for Red Hat; Homebrew on ARM and Intel; Postgres.app. */
const versionedRoots: readonly (readonly [root: string, entry: RegExp, bin: string])[] = [
  ['/usr/lib/postgresql', /^\d+$/, 'bin'],
  ['/usr', /^pgsql-\d+$/, 'bin'],
  ['/opt/homebrew/opt', /^postgresql@\d+$/, 'bin'],
  ['/usr/local/opt', /^postgresql@\d+$/, 'bin'],
  ['/Applications/Postgres.app/Contents/Versions', /^\d+$/, 'bin'],
];

/** Finds the newest supported server; `binDir` (FREEHOLD_PG_BIN) names one folder and rules out all others. Throws FH_CLUSTER_NO_BINARIES. */
export async function findBinaries({ binDir }: { binDir?: string } = {}): Promise<Binaries> {
  const tried: string[] = [];
  const found: Binaries[] = [];
  for (const folder of binDir ? [path.resolve(binDir)] : await candidateFolders()) {
    const binaries = await inspectFolder(folder);
    if (typeof binaries === 'string') tried.push(`${folder}: ${binaries}`);
    else found.push(binaries);
  }
  const newest = found.sort((a, b) => a.major - b.major).at(-1);
  if (!newest)
    throw clusterErrors.FH_CLUSTER_NO_BINARIES({ detail: tried.join('; ') || 'nothing in the usual folders' });
  return newest;
}

async function candidateFolders(): Promise<string[]> {
  const folders: string[] = [];
  for (const [root, pattern, bin] of versionedRoots) {
    const entries = await readdir(root).catch(() => []);
    for (const entry of entries) if (pattern.test(entry)) folders.push(path.join(root, entry, bin));
  }
  return folders;
}

/** @returns the reason in words when the folder is of no use */
async function inspectFolder(binDir: string): Promise<Binaries | string> {
  for (const program of ['postgres', 'initdb']) {
    const usable = await access(path.join(binDir, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!usable) return `no ${program}`;
  }
  const { stdout } = await promisify(execFile)(path.join(binDir, 'postgres'), ['--version']);
  const version = /\) (\d+(?:\.\d+)*)/.exec(stdout)?.[1];
  const major = Number.parseInt(version ?? '', 10);
  if (!version || major < oldestMajor || major > newestMajor) {
    return `version ${stdout.trim()} is not supported (${oldestMajor} to ${newestMajor})`;
  }
  return { binDir, major, version };
}
