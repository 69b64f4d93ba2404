import { chown, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Log, randomName } from '#src/kernel/index.ts';
import { stopOrphans } from '../orphans.ts';
import type { OsUser } from '../os-user.ts';

/** Home of one scratch server: whatever recovery writes, other tenants' rows included, lies below it and goes with it. */
export interface ScratchFolder {
  readonly home: string;
  /** Not there yet: whoever restores makes it. */
  readonly dataDir: string;
  /** Of the unix socket; short. */
  readonly socketDir: string;
  readonly osUser: OsUser | undefined;
  /** Idempotent. */
  remove(): Promise<void>;
}

const prefix = 'scratch-';
/** In the home when its own path is too long for a socket: a link to the folder that is not. */
const socketLink = 'socket';
const socketDirLimitBytes = 88;

/** Makes `parent/scratch-…` with a name that says whose it is, so that `removeScratchFolders` can tell a dead process's from a living one's. */
export async function createScratchFolder(parent: string, osUser?: OsUser): Promise<ScratchFolder> {
  const home = path.join(parent, `${prefix}${process.pid}.${await startedAtTicks(process.pid)}-${randomName(8)}`);
  await mkdir(home, { mode: 0o700 });
  let socketDir = path.join(home, 'run');
  if (Buffer.byteLength(socketDir) > socketDirLimitBytes) {
    socketDir = await mkdtemp(path.join(tmpdir(), 'fh-scratch-'));
    await symlink(socketDir, path.join(home, socketLink));
  } else await mkdir(socketDir, { mode: 0o700 });
  // Only this user and who started us come in: that is all the access control that the scratch server has.
  for (const folder of osUser ? [home, socketDir] : []) await chown(folder, osUser!.uid, osUser!.gid);
  return { home, dataDir: path.join(home, 'data'), socketDir, osUser, remove: () => removeHome(home) };
}

/** Ends the servers and removes the folders of processes that are gone. For the start of a process that uses this folder. @returns how many */
export async function removeScratchFolders(parent: string, log: Log): Promise<number> {
  let removed = 0;
  for (const name of await readdir(parent)) {
    const match = /^scratch-(\d+)\.(\d+)-[0-9a-z]{8}$/.exec(name);
    if (!match || (await startedAtTicks(Number(match[1]))) === match[2]) continue;
    const home = path.join(parent, name);
    log.warn('removing what a restore that was killed left behind', { folder: home });
    const dataDir = path.join(home, 'data');
    const socketDir = await readlink(path.join(home, socketLink)).catch(() => path.join(home, 'run'));
    // Nothing in it is worth a clean end.
    if ((await readdir(home)).includes('data')) await stopOrphans({ dataDir, socketDir, port, log, stopTimeoutMs: 1 });
    await removeHome(home);
    removed++;
  }
  return removed;
}

/** Part of the socket's file name; the folder is the server's own. */
export const port = 5432;

async function removeHome(home: string): Promise<void> {
  const socketDir = await readlink(path.join(home, socketLink)).catch(() => undefined);
  if (socketDir?.startsWith(path.join(tmpdir(), 'fh-scratch-'))) await rm(socketDir, { recursive: true, force: true });
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
}

/**
 * When the process was started, in clock ticks since the machine was (proc(5), stat, field 22): together with its id it names one process
 * for ever. `0` where the system does not tell; `gone` when there is no such process.
 */
async function startedAtTicks(processId: number): Promise<string> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${processId}/stat`, 'utf8').catch(() => undefined);
    // The second field is the program's name in parentheses and may hold anything.
    return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'gone';
  }
  try {
    process.kill(processId, 0);
    return '0';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? '0' : 'gone';
  }
}
