import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, readFile, rename, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Clock, type Log, systemClock, waitFor } from '#src/kernel/index.ts';
import type { ConnectionTarget } from '#src/postgres/index.ts';
import type { Binaries } from './binaries.ts';
import { bootstrapCluster, replicationRole } from './bootstrap.ts';
import { clusterErrors } from './errors.ts';
import { openOwnFile } from './files.ts';
import { configureDataDir, initialiseDataDir } from './initialise.ts';
import { stopOrphans } from './orphans.ts';
import type { OsUser } from './os-user.ts';
import { minimalEnvironment, withParentDeathSignal } from './run.ts';
import { waitForShutdown } from './shutdown.ts';
import { fence, isFenced } from './standby/fence.ts';
import type { Upstream } from './standby/upstream.ts';

export interface ClusterOptions {
  /** The data folder; its parent must exist and be ours. */
  readonly dataDir: string;
  /** Folder of the unix socket; must exist and be writable for the server's user. At most 90 bytes long. */
  readonly socketDir: string;
  /** Receives the server's standard error; moved aside at start when it is larger than 64 MiB. */
  readonly logFile: string;
  /** Only part of the socket's file name. */
  readonly port: number;
  /** The user to run as; needed when we are root, because PostgreSQL refuses to be. */
  readonly osUser?: OsUser;
  /** Name of the user that the server runs as; maps to the superuser `postgres` on the socket. Default: `osUser`, or who we are. */
  readonly ownerUserName?: string;
  readonly maxConnections: number;
  /** What its caches are measured by. Default: all of the machine's. */
  readonly memoryBytes?: number | undefined;
  /** Where the primary is found when this server is the standby; undefined: it never is. */
  readonly upstream?: Upstream;
  readonly binaries: Binaries;
  /** Told what a long shutdown waits for, for a person who watches. */
  readonly onWaiting?: (text: string) => void;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface StartOptions {
  /** `standby`: follows `upstream`; its data folder must be there. Default: `primary`. */
  readonly role?: 'primary' | 'standby';
  readonly timeoutMs?: number;
}

export type ClusterState = 'stopped' | 'starting' | 'running' | 'stopping';

export interface ClusterStatus {
  readonly state: ClusterState;
  readonly processId: number | undefined;
  readonly version: string;
  readonly startedAt: Date | undefined;
}

export interface StopDeadlines {
  /** For sessions to end by themselves. Default 2,000. */
  readonly smartMs?: number;
  /** For transactions to be rolled back and a checkpoint. Default 60,000. */
  readonly fastMs?: number;
  /** The same while the checkpoint gets on. Default: as `fastMs`. */
  readonly longestFastMs?: number;
  /** Default 10,000. */
  readonly immediateMs?: number;
}

export interface ClusterExit {
  /** False: nobody asked for it. */
  readonly expected: boolean;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One PostgreSQL server of ours. */
export interface Cluster {
  readonly options: ClusterOptions;
  /** Makes the data folder when it is not there. Safe to be killed in and to be called again. */
  initialise(): Promise<void>;
  /**
   * Initialises if need be, ends leftovers of an earlier run, writes the settings, starts the server and resolves when it accepts
   * connections. Throws FH_CLUSTER_FENCED when a primary is wanted of a folder that a failover closed.
   */
  start(options?: StartOptions): Promise<void>;
  /** Makes the role and database of control and closes the server's own databases to everybody else. Safe to be called at each start. */
  bootstrap(options: { readonly controlPassword: string; readonly replicationPassword?: string }): Promise<void>;
  /** Smart, then fast, then immediate shutdown. Resolves when the server is gone; does nothing when it is not running. */
  stop(deadlines?: StopDeadlines): Promise<void>;
  /** Immediate shutdown, not waited for: nothing committed is lost, the next start replays the WAL. */
  endAtOnce(): void;
  status(): ClusterStatus;
  onExit(listener: (exit: ClusterExit) => void): void;
  /** Where control finds its own database. */
  controlTarget(password: string): ConnectionTarget;
  /** Where `openReplication` connects. */
  replicationTarget(password: string): ConnectionTarget;
}

const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;
const logFileLimitBytes = 64 * 1024 * 1024;
/** sockaddr_un holds 107 bytes on Linux, 103 on macOS; the file name takes up to 15. */
const socketDirLimitBytes = 88;

export function createCluster(options: ClusterOptions): Cluster {
  const { dataDir, socketDir, port, osUser, binaries, log, clock = systemClock } = options;
  const ownerUserName = options.ownerUserName ?? osUser?.name ?? os.userInfo().username;
  if (Buffer.byteLength(socketDir) > socketDirLimitBytes) {
    throw new TypeError(`the socket folder is longer than ${socketDirLimitBytes} bytes: ${socketDir}`);
  }
  if (!osUser && process.getuid?.() === 0) throw new TypeError('started as root, the server needs a user of its own');
  const exitListeners: ((exit: ClusterExit) => void)[] = [];
  let child: ChildProcess | undefined;
  let state: ClusterState = 'stopped';
  let startedAt: Date | undefined;

  async function spawnServer(): Promise<ChildProcess> {
    const command = await withParentDeathSignal('INT', [path.join(binaries.binDir, 'postgres'), '-D', dataDir]);
    await rotateLog(options.logFile);
    const logHandle = await openOwnFile(options.logFile, appending, osUser);
    try {
      if (osUser) await logHandle.chown(osUser.uid, osUser.gid);
      const server = spawn(command[0]!, command.slice(1), {
        cwd: dataDir,
        env: minimalEnvironment(),
        stdio: ['ignore', logHandle.fd, logHandle.fd],
        // A session of its own: Ctrl-C in the terminal reaches only the supervisor, which stops things in order.
        detached: true,
        ...(osUser && { uid: osUser.uid, gid: osUser.gid }),
      });
      await once(server, 'spawn');
      return server;
    } finally {
      await logHandle.close();
    }
  }

  async function start({ role = 'primary', timeoutMs = 600_000 }: StartOptions = {}): Promise<void> {
    if (state !== 'stopped') throw new Error(`the server is ${state}`);
    state = 'starting';
    let server: ChildProcess;
    try {
      if (role === 'primary') {
        await initialiseDataDir({ dataDir, binaries, osUser, log });
        if (await isFenced(dataDir)) throw clusterErrors.FH_CLUSTER_FENCED({ detail: dataDir });
      }
      // What a primary does not bring to disk now it replays later, while nobody is served. A standby keeps nobody but a failover waiting.
      const longestStopMs = role === 'standby' ? 60_000 : undefined;
      await stopOrphans({ dataDir, socketDir, port, longestStopMs, onWaiting: options.onWaiting, log });
      await configureDataDir({ ...options, ownerUserName, major: binaries.major });
      if (role === 'standby') await fence(dataDir, osUser);
      server = await spawnServer();
    } catch (error) {
      state = 'stopped';
      throw error;
    }
    child = server;
    let startFailed = false;
    server.once('exit', (exitCode, signal) => {
      const expected = state === 'stopping' || startFailed;
      const wasStarting = state === 'starting';
      state = 'stopped';
      child = undefined;
      if (!expected && !wasStarting) log.error('the PostgreSQL server ended by itself', { exitCode, signal });
      for (const listener of exitListeners) listener({ expected, exitCode, signal });
    });
    try {
      await waitFor(
        'the PostgreSQL server to accept connections',
        async () => {
          if (hasEnded(server)) throw clusterErrors.FH_CLUSTER_START_FAILED({ detail: `see ${options.logFile}` });
          const status = await postmasterStatus(dataDir, server.pid!);
          return status === 'ready' || (role === 'standby' && status === 'standby');
        },
        { deadlineMs: timeoutMs, everyMs: 10 },
      );
    } catch (error) {
      startFailed = true;
      await stop({ smartMs: 0 });
      throw error;
    }
    // The server may have been asked to stop while it was starting.
    if (state === 'starting') state = 'running';
    startedAt = new Date(clock.now());
    log.info('PostgreSQL accepts connections', { role, processId: server.pid, version: binaries.version });
  }

  async function stop(deadlines: StopDeadlines = {}): Promise<void> {
    const { smartMs = 2_000, fastMs = 60_000, longestFastMs = fastMs, immediateMs = 10_000 } = deadlines;
    const server = child;
    if (!server || hasEnded(server)) return;
    state = 'stopping';
    const phases: [NodeJS.Signals, number][] = [
      ['SIGTERM', smartMs],
      ['SIGINT', fastMs],
      ['SIGQUIT', immediateMs],
      ['SIGKILL', 5_000],
    ];
    for (const [signal, deadlineMs] of phases) {
      if (deadlineMs === 0) continue;
      server.kill(signal);
      const isFast = signal === 'SIGINT';
      const ended = await waitForShutdown({
        postmasterId: server.pid!,
        hasEnded: () => hasEnded(server),
        stalledMs: deadlineMs,
        longestMs: isFast ? longestFastMs : deadlineMs,
        // What ends in a moment anyhow is not worth a word.
        onWaiting: isFast && longestFastMs > fastMs ? options.onWaiting : undefined,
      });
      if (ended) return;
      if (signal !== 'SIGTERM') log.warn('the PostgreSQL server did not stop in time', { signal, deadlineMs });
    }
    throw clusterErrors.FH_CLUSTER_STOP_FAILED({ detail: `process ${server.pid}` });
  }

  const controlTarget = (password: string): ConnectionTarget => ({
    host: socketDir,
    port,
    database: 'freehold_control',
    user: 'freehold_control',
    password,
  });
  return {
    options,
    initialise: () => initialiseDataDir({ dataDir, binaries, osUser, log }),
    start,
    bootstrap: ({ controlPassword, replicationPassword }) =>
      bootstrapCluster({ binaries, osUser, target: controlTarget(controlPassword), replicationPassword }),
    stop,
    endAtOnce() {
      if (!child || hasEnded(child)) return;
      state = 'stopping';
      child.kill('SIGQUIT');
    },
    status: () => ({ state, processId: child?.pid, version: binaries.version, startedAt: child && startedAt }),
    onExit: (listener) => exitListeners.push(listener),
    controlTarget,
    replicationTarget: (password) => ({ ...controlTarget(password), user: replicationRole }),
  };
}

function hasEnded(server: ChildProcess): boolean {
  return server.exitCode !== null || server.signalCode !== null;
}

/** Line 8 of postmaster.pid, as pg_ctl reads it: `starting`, `ready`, `standby`, `stopping`; undefined while the file is another server's. */
async function postmasterStatus(dataDir: string, processId: number): Promise<string | undefined> {
  const lines = (await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return Number(lines[0]) === processId ? lines[7]?.trim() : undefined;
}

async function rotateLog(logFile: string): Promise<void> {
  await access(path.dirname(logFile));
  const size = await stat(logFile).then(
    (info) => info.size,
    () => 0,
  );
  if (size > logFileLimitBytes) await rename(logFile, `${logFile}.1`);
}
