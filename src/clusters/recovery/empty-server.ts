import path from 'node:path';
import { failpoint, type Log, waitFor } from '#src/kernel/index.ts';
import type { ConnectionTarget } from '#src/postgres/index.ts';
import type { Binaries } from '../binaries.ts';
import { clusterErrors } from '../errors.ts';
import { replaceFile } from '../files.ts';
import { initialiseDataDir } from '../initialise.ts';
import { port, type ScratchFolder } from './scratch-folder.ts';
import { isReady, spawnScratchProcess } from './scratch-process.ts';

export interface EmptyServerOptions {
  readonly folder: ScratchFolder;
  readonly binaries: Binaries;
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** Default 120,000. */
  readonly startDeadlineMs?: number;
}

export interface EmptyServer {
  /** Any role may enter any database: the socket's folder keeps everybody else out. Superuser: `postgres`. */
  connectionTarget(database: string, user: string): ConnectionTarget;
  /** Idempotent. */
  stop(): Promise<void>;
}

/**
 * A new server with nothing in it, to load dumps into and throw away: no network, nothing of it durable. What is loaded is somebody's own statements: load it
 * as a role that is not superuser, or they could start programs as our user.
 */
export async function startEmptyServer(options: EmptyServerOptions): Promise<EmptyServer> {
  const { folder, binaries, log, signal, startDeadlineMs = 120_000 } = options;
  const { home, dataDir, socketDir, osUser } = folder;
  await initialiseDataDir({ dataDir, binaries, ...(osUser && { osUser }), durable: false, log });
  const [configFile, hbaFile] = [path.join(home, 'server.conf'), path.join(home, 'hba.conf')];
  await replaceFile(hbaFile, 'local all all trust\n', osUser);
  await replaceFile(configFile, settings(socketDir, hbaFile), osUser);
  const server = await spawnScratchProcess(folder, binaries, configFile);
  try {
    await failpoint('clusters.empty_server.started');
    const started = async () => {
      signal?.throwIfAborted();
      if (server.hasEnded()) throw clusterErrors.FH_CLUSTER_START_FAILED({ cause: new Error(server.lines.join('\n')) });
      return isReady(folder, server);
    };
    await waitFor('the scratch server to start', started, { deadlineMs: startDeadlineMs, everyMs: 20 });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    connectionTarget: (database, user) => ({ host: socketDir, port, database, user, password: '' }),
    stop: () => server.stop(),
  };
}

function settings(socketDir: string, hbaFile: string): string {
  const values: Record<string, string | number> = {
    // Nobody but who started it: no network.
    listen_addresses: '',
    unix_socket_directories: `"${socketDir.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    port,
    hba_file: hbaFile,
    max_connections: 10,
    // A crash is an answer.
    restart_after_crash: 'off',
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    wal_level: 'minimal',
    max_wal_senders: 0,
    autovacuum: 'off',
    shared_buffers: '64MB',
    maintenance_work_mem: '64MB',
    max_parallel_workers: 0,
    jit: 'off',
    max_wal_size: '512MB',
    timezone: 'UTC',
    lc_messages: 'C',
    logging_collector: 'off',
    // Statements and the DETAIL of errors hold tenants' data.
    log_statement: 'none',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    log_checkpoints: 'off',
    cluster_name: 'freehold scratch',
  };
  return Object.entries(values)
    .map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''").replaceAll('\\', '\\\\')}'\n`)
    .join('');
}
