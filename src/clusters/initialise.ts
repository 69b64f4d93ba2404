import { constants } from 'node:fs';
import { chown, mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { failpoint, type Log, randomName } from '#src/kernel/index.ts';
import type { Binaries } from './binaries.ts';
import { clusterErrors } from './errors.ts';
import { canCloneFiles, openOwnFile, replaceFile, syncFolder } from './files.ts';
import type { OsUser } from './os-user.ts';
import { runProgram } from './run.ts';
import { hbaRules, identMap, serverSettings } from './settings.ts';
import type { Upstream } from './standby/upstream.ts';

export interface InitialiseOptions {
  readonly dataDir: string;
  readonly binaries: Binaries;
  readonly osUser?: OsUser;
  /** False: thrown away soon, so it is not brought to the disk. Default true. */
  readonly durable?: boolean;
  readonly log: Log;
}

const marker = '.initialising-';

/**
 * Makes the data folder when there is none. It is made under another name and renamed when it is complete and on disk:
 * a data folder is either whole or not there. What an earlier, killed attempt left is removed.
 */
export async function initialiseDataDir({
  dataDir,
  binaries,
  osUser,
  durable = true,
  log,
}: InitialiseOptions): Promise<void> {
  const parent = path.dirname(dataDir);
  const prefix = path.basename(dataDir) + marker;
  for (const entry of await readdir(parent)) {
    if (entry.startsWith(prefix)) await rm(path.join(parent, entry), { recursive: true, force: true, maxRetries: 5 });
  }
  const existing = await findMajorVersion(dataDir);
  if (existing !== undefined) {
    if (existing !== binaries.major) {
      throw clusterErrors.FH_CLUSTER_VERSION_MISMATCH({
        detail: `the data folder is of PostgreSQL ${existing}, the programs are ${binaries.version}`,
      });
    }
    return;
  }

  log.info('initialising the PostgreSQL data folder', { version: binaries.version });
  const temporary = path.join(parent, prefix + randomName(10));
  await mkdir(temporary, { mode: 0o700 });
  if (osUser) await chown(temporary, osUser.uid, osUser.gid);
  await failpoint('clusters.initialise.folder_made');
  const args = initdbArguments(temporary, binaries.major);
  if (!durable) args.push('--no-sync');
  const result = await runProgram(path.join(binaries.binDir, 'initdb'), args, { osUser, cwd: temporary });
  if (result.exitCode !== 0) {
    await rm(temporary, { recursive: true, force: true });
    throw clusterErrors.FH_CLUSTER_INITIALISE_FAILED({
      detail: result.stderr.trim().split('\n').at(-1),
      cause: result.stderr,
    });
  }
  await failpoint('clusters.initialise.made');
  // An empty folder that the installation prepared; anything in it is somebody's and stops us here.
  await rmdir(dataDir).catch((error) => {
    if (error.code !== 'ENOENT')
      throw clusterErrors.FH_CLUSTER_INITIALISE_FAILED({ detail: `${dataDir} is not empty`, cause: error });
  });
  await rename(temporary, dataDir);
  await syncFolder(parent);
  await failpoint('clusters.initialise.renamed');
}

export interface ConfigureOptions {
  readonly dataDir: string;
  readonly socketDir: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly memoryBytes?: number | undefined;
  readonly ownerUserName: string;
  readonly major: number;
  readonly upstream?: Upstream;
  readonly osUser?: OsUser;
}

/** Writes our settings and access rules; run before each start, so that a new release brings its own. */
export async function configureDataDir(options: ConfigureOptions): Promise<void> {
  const { dataDir, osUser } = options;
  const settings = serverSettings({
    socketDir: options.socketDir,
    port: options.port,
    maxConnections: options.maxConnections,
    memoryBytes: options.memoryBytes,
    major: options.major,
    upstream: options.upstream,
    canCloneFiles: options.major >= 18 && (await canCloneFiles(dataDir)),
  });
  await replaceFile(path.join(dataDir, 'freehold.conf'), settings, osUser);
  await replaceFile(path.join(dataDir, 'pg_hba.conf'), hbaRules(), osUser);
  await replaceFile(path.join(dataDir, 'pg_ident.conf'), identMap(options.ownerUserName), osUser);
  const include = "include 'freehold.conf'";
  const file = path.join(dataDir, 'postgresql.conf');
  const handle = await openOwnFile(file, constants.O_RDONLY, osUser);
  const text = await handle.readFile('utf8').finally(() => handle.close());
  if (!text.split('\n').includes(include)) await replaceFile(file, `${text.trimEnd()}\n\n${include}\n`, osUser);
}

function initdbArguments(dataDir: string, major: number): string[] {
  const args = ['-D', dataDir, '-U', 'postgres', '--encoding=UTF8', '--data-checksums', '--lc-messages=C'];
  // Nobody gets in until our own rules are written.
  args.push('--auth=reject');
  // Sorts by code point: the same on every system and after every upgrade of its C library, so indexes cannot go wrong silently.
  if (major >= 17) args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C');
  else if (process.platform === 'darwin') args.push('--lc-collate=C', '--lc-ctype=en_US.UTF-8', '--locale=C');
  else args.push('--locale=C.UTF-8');
  return args;
}

async function findMajorVersion(dataDir: string): Promise<number | undefined> {
  try {
    return Number.parseInt(await readFile(path.join(dataDir, 'PG_VERSION'), 'utf8'), 10);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
