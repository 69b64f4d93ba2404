import { readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Log, waitFor } from '#src/kernel/index.ts';
import { clusterErrors } from './errors.ts';
import { runProgram } from './run.ts';
import { longestShutdownMs, type ShutdownPatience, waitForShutdown } from './shutdown.ts';

export interface OrphanOptions {
  readonly dataDir: string;
  readonly socketDir: string;
  readonly port: number;
  readonly log: Log;
  /** Time for a clean stop of an orphaned server that does not get on. Default 60,000. */
  readonly stopTimeoutMs?: number;
  /** The same while its checkpoint gets on. */
  readonly longestStopMs?: number;
  /** Told what is waited for. */
  readonly onWaiting?: (text: string) => void;
}

/**
 * Ends what an earlier supervisor left running on this data folder: a living postmaster is shut down cleanly, backends without a
 * postmaster are ended. Then removes lock files that name a process which is not ours: a process id is reused after a reboot, and
 * PostgreSQL would refuse to start because of it. Never signals a process that does not work in this data folder.
 */
export async function stopOrphans(options: OrphanOptions): Promise<void> {
  const { dataDir, log, stopTimeoutMs = 60_000, longestStopMs = longestShutdownMs } = options;
  await waitForDying(options);
  const postmaster = await findPostmaster(dataDir);
  if (postmaster !== undefined) {
    log.warn('a PostgreSQL server of an earlier run is still running; shutting it down', { processId: postmaster });
    const deadlines = { stalledMs: stopTimeoutMs, longestMs: longestStopMs, onWaiting: options.onWaiting };
    if (!(await stopProcess(dataDir, postmaster, 'SIGINT', deadlines))) {
      // Immediate shutdown: nothing committed is lost, the next start replays the WAL.
      if (!(await stopProcess(dataDir, postmaster, 'SIGQUIT', within(15_000)))) {
        throw clusterErrors.FH_CLUSTER_IN_USE({ detail: `process ${postmaster}` });
      }
    }
  }
  for (const processId of await processesIn(dataDir)) {
    // No postmaster any more, so no new backend can meet a killed one's half-written shared memory.
    log.warn('ending a PostgreSQL backend whose server is gone', { processId });
    if (!(await stopProcess(dataDir, processId, 'SIGQUIT', within(5_000))))
      await stopProcess(dataDir, processId, 'SIGKILL', within(5_000));
  }
  await removeStaleLocks(options);
}

/** Process id of the living postmaster of exactly this data folder. */
export async function findPostmaster(dataDir: string): Promise<number | undefined> {
  const processId = Math.abs(await readProcessId(path.join(dataDir, 'postmaster.pid')));
  return processId > 0 && (await worksIn(dataDir, processId)) ? processId : undefined;
}

/**
 * A killed process keeps its id and name for a moment, longer when it waits for the disk, but has no folder any more by which it could be
 * known as ours. One that nobody reaps (a zombie) stays so for ever; it does nothing.
 */
async function waitForDying({ dataDir, socketDir, port }: OrphanOptions): Promise<void> {
  for (const file of [path.join(dataDir, 'postmaster.pid'), path.join(socketDir, `.s.PGSQL.${port}.lock`)]) {
    const processId = Math.abs(await readProcessId(file));
    if (processId === 0) continue;
    const isGone = async () => !(await isDying(processId)) || (await isZombie(processId));
    await waitFor('a killed server to be gone', isGone, { deadlineMs: 5_000 }).catch(() => {});
  }
}

/** A PostgreSQL process that has begun to end: its folder is let go, its id is not yet. */
async function isDying(processId: number): Promise<boolean> {
  if (process.platform !== 'linux' || !isAlive(processId) || !(await isPostgres(processId))) return false;
  const error = await readlink(`/proc/${processId}/cwd`).then(
    () => undefined,
    (reason: NodeJS.ErrnoException) => reason.code,
  );
  return error === 'ENOENT';
}

async function isZombie(processId: number): Promise<boolean> {
  const stat = await readFile(`/proc/${processId}/stat`, 'utf8').catch(() => '');
  // The name stands in parentheses and may hold anything (proc(5)).
  return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'Z';
}

async function removeStaleLocks({ dataDir, socketDir, port, log }: OrphanOptions): Promise<void> {
  for (const file of [path.join(dataDir, 'postmaster.pid'), path.join(socketDir, `.s.PGSQL.${port}.lock`)]) {
    const processId = Math.abs(await readProcessId(file));
    if (processId === 0) continue;
    if (file.startsWith(socketDir) && (await isPostgres(processId)) && !(await isDying(processId))) {
      throw clusterErrors.FH_CLUSTER_IN_USE({ detail: `process ${processId} listens on ${socketDir}, port ${port}` });
    }
    // PostgreSQL removes the file itself when its process is dead, after checking for shared memory in use.
    if (!isAlive(processId)) continue;
    log.warn('removing a lock file that names a foreign process', { file, processId });
    await rm(file, { force: true });
  }
}

type Deadlines = Pick<ShutdownPatience, 'stalledMs' | 'longestMs' | 'onWaiting'>;

function within(deadlineMs: number): Deadlines {
  return { stalledMs: deadlineMs, longestMs: deadlineMs };
}

/** Waits until the process is gone; false when it is still there after that. */
async function stopProcess(
  dataDir: string,
  processId: number,
  signal: NodeJS.Signals,
  deadlines: Deadlines,
): Promise<boolean> {
  // Looked at again right before the signal: the id may belong to somebody else by now.
  if (!(await worksIn(dataDir, processId))) return true;
  try {
    process.kill(processId, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
    throw error;
  }
  return waitForShutdown({
    ...deadlines,
    postmasterId: processId,
    hasEnded: async () => !(await worksIn(dataDir, processId)),
    // Some looks into the file system each, for half an hour at worst.
    everyMs: 50,
  });
}

/** Every PostgreSQL process works in its data folder; that tells ours from any other process with the same id. */
async function worksIn(dataDir: string, processId: number): Promise<boolean> {
  if (!isAlive(processId)) return false;
  const folder = await realpath(dataDir);
  if (process.platform === 'linux') {
    return (
      (await readlink(`/proc/${processId}/cwd`).catch(() => undefined)) === folder && (await isPostgres(processId))
    );
  }
  const { stdout } = await runProgram('/usr/sbin/lsof', ['-a', '-p', String(processId), '-d', 'cwd', '-Fn'], {
    cwd: '/',
  });
  return stdout.split('\n').includes(`n${folder}`);
}

async function isPostgres(processId: number): Promise<boolean> {
  if (process.platform === 'linux') {
    const name = await readFile(`/proc/${processId}/comm`, 'utf8').catch(() => '');
    return name.trim() === 'postgres';
  }
  const { stdout } = await runProgram('/bin/ps', ['-p', String(processId), '-o', 'comm='], { cwd: '/' });
  return path.basename(stdout.trim()) === 'postgres';
}

async function processesIn(dataDir: string): Promise<number[]> {
  // Elsewhere there is no cheap way to look; PostgreSQL then refuses to start while old backends hold its shared memory.
  if (process.platform !== 'linux') return [];
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (/^\d+$/.test(entry) && (await worksIn(dataDir, Number(entry)))) found.push(Number(entry));
  }
  return found;
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** First line of a lock file; 0 when there is none or it makes no sense. Negative: a stand-alone backend. */
async function readProcessId(file: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const processId = Number.parseInt(text.split('\n')[0] ?? '', 10);
  return Number.isSafeInteger(processId) && Math.abs(processId) > 1 ? processId : 0;
}
