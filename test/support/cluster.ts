/**
 * A throw-away PostgreSQL server for tests: real binaries, sockets in a temporary folder, no durability.
 * One server per test run when FREEHOLD_TEST_CLUSTER announces it (JSON of `announcement`), otherwise one per caller.
 * Every caller gets a control database of its own on it, so that test files can run side by side.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findBinaries, findOsUser, type OsUser } from '#src/clusters/index.ts';
import { randomName, waitFor } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';

const port = 5432;
const controlRole = 'freehold_control';
const superuserRole = 'freehold_test_superuser';
// Fixed: the server lives for minutes in a folder that only its own user can enter.
const testPassword = 'test-password-of-a-throw-away-server-0123456789';

export interface TestCluster {
  /** Folder of the unix socket. */
  readonly socketDir: string;
  readonly port: number;
  readonly controlPassword: string;
  /** freehold_control on an empty database of this caller's own, dropped by `stop`. */
  readonly control: ConnectionTarget;
  /** A superuser on database `postgres`, for looking behind the curtain. */
  readonly superuser: ConnectionTarget;
  /** JSON for FREEHOLD_TEST_CLUSTER: child processes then share this server. */
  readonly announcement: string;
  stop(): Promise<void>;
}

export async function withTestCluster<T>(fn: (cluster: TestCluster) => Promise<T>): Promise<T> {
  const cluster = await startTestCluster();
  try {
    return await fn(cluster);
  } finally {
    await cluster.stop();
  }
}

/** @param own a server of the caller's own even when the run shares one: for tests that count what is on the whole server */
export async function startTestCluster({ own = false }: { own?: boolean } = {}): Promise<TestCluster> {
  const announced = own ? undefined : process.env.FREEHOLD_TEST_CLUSTER;
  if (announced) {
    const { socketDir } = JSON.parse(announced) as { socketDir: string };
    return connectTo(socketDir, async () => {});
  }
  const server = await startServer();
  try {
    return await connectTo(server.socketDir, server.stop);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Starts a server for a whole test run; set FREEHOLD_TEST_CLUSTER to `announcement` for the children and call `stop` at the end. */
export async function startSharedTestCluster(): Promise<{ announcement: string; stop(): Promise<void> }> {
  const server = await startServer();
  return { announcement: JSON.stringify({ socketDir: server.socketDir, port }), stop: server.stop };
}

async function connectTo(socketDir: string, stopServer: () => Promise<void>): Promise<TestCluster> {
  const target = (database: string, user: string): ConnectionTarget => ({
    host: socketDir,
    port,
    database,
    user,
    password: testPassword,
  });
  const superuser = target('postgres', superuserRole);
  const database = `control_${randomName(12)}`;
  await runAs(superuser, `CREATE DATABASE ${database} OWNER ${controlRole}`);
  await runAs(superuser, `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  return {
    socketDir,
    port,
    controlPassword: testPassword,
    control: target(database, controlRole),
    superuser,
    announcement: JSON.stringify({ socketDir, port }),
    async stop() {
      await runAs(superuser, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
      await stopServer();
    },
  };
}

async function runAs(target: ConnectionTarget, ...statements: string[]): Promise<void> {
  const connection = await openConnection(target, { applicationName: 'test' });
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    await connection.close();
  }
}

const folderPrefix = 'freehold-test-';
const ownerFile = 'owner.pid';

/** Folders of test runs that were killed: their server ended with them, but nobody was left to remove the files. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const folder = path.join(tmpdir(), name);
    const owner = path.join(folder, ownerFile);
    if (!name.startsWith(folderPrefix) || isRunning(owner) || isRunning(path.join(folder, 'data/postmaster.pid')))
      continue;
    // Without the owner's file it is being made right now, or is not ours.
    if (existsSync(owner)) rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether the process whose id is the first line of the file is alive. */
function isRunning(file: string): boolean {
  try {
    process.kill(Number.parseInt(readFileSync(file, 'utf8'), 10), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function startServer(): Promise<{ socketDir: string; stop(): Promise<void> }> {
  const user = await unprivilegedUser();
  removeLeftovers();
  const folder = mkdtempSync(path.join(tmpdir(), folderPrefix));
  writeFileSync(path.join(folder, ownerFile), String(process.pid));
  const own = user ? { uid: user.uid, gid: user.gid } : {};
  if (user) chownSync(folder, user.uid, user.gid);
  const dataDir = path.join(folder, 'data');
  const { binDir } = await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
  try {
    const passwordFile = path.join(folder, 'password');
    writeFileSync(passwordFile, testPassword, { mode: 0o644 });
    execFileSync(
      path.join(binDir, 'initdb'),
      [
        '-D',
        dataDir,
        '-U',
        superuserRole,
        `--pwfile=${passwordFile}`,
        '-A',
        'scram-sha-256',
        '-E',
        'UTF8',
        '--no-sync',
      ].concat(['--locale=C.UTF-8', '--data-checksums']),
      { ...own, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    writeFileSync(
      path.join(dataDir, 'pg_hba.conf'),
      [`local all ${superuserRole},${controlRole} scram-sha-256`, 'local samerole all scram-sha-256', ''].join('\n'),
    );
    writeFileSync(path.join(dataDir, 'postgresql.auto.conf'), settings(folder));
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  // Ends with this process, even when that is killed.
  const server = spawn('setpriv', ['--pdeathsig', 'INT', path.join(binDir, 'postgres'), '-D', dataDir], {
    ...own,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let serverLog = '';
  server.stderr.on('data', (chunk) => {
    serverLog = (serverLog + chunk).slice(-4000);
  });
  server.unref();
  (server.stderr as unknown as { unref(): void }).unref();
  const ended = once(server, 'exit');
  const stop = async () => {
    server.ref();
    // SIGINT: fast shutdown. Tests that hold a connection lose it.
    if (server.exitCode === null && server.signalCode === null) server.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const first: ConnectionTarget = {
      host: folder,
      port,
      database: 'postgres',
      user: superuserRole,
      password: testPassword,
    };
    await waitFor(
      'the test server to accept connections',
      async () => {
        if (server.exitCode !== null) throw new Error(`the test server ended: ${serverLog}`);
        return runAs(first, 'SELECT 1').then(
          () => true,
          () => false,
        );
      },
      { deadlineMs: 120_000 },
    );
    await runAs(
      first,
      `CREATE ROLE ${controlRole} LOGIN CREATEDB CREATEROLE PASSWORD '${testPassword}'`,
      `GRANT pg_signal_backend, pg_monitor TO ${controlRole}`,
      'REVOKE CONNECT, TEMPORARY ON DATABASE postgres FROM PUBLIC',
      'REVOKE CONNECT, TEMPORARY ON DATABASE template1 FROM PUBLIC',
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { socketDir: folder, stop };
}

function settings(socketDir: string): string {
  return Object.entries({
    listen_addresses: '',
    unix_socket_directories: socketDir,
    unix_socket_permissions: '0777',
    port: String(port),
    max_connections: '120',
    shared_buffers: '64MB',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_wal_size: '2GB',
    checkpoint_timeout: '30min',
    jit: 'off',
    autovacuum_naptime: '60s',
    log_min_messages: 'warning',
    log_statement: 'none',
    timezone: 'UTC',
  })
    .map(([name, value]) => `${name} = '${value}'\n`)
    .join('');
}

/** PostgreSQL refuses to run as root. */
async function unprivilegedUser(): Promise<OsUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['freehold-postgres', 'postgres', 'nobody']) {
    const user = await findOsUser(name);
    if (user) return user;
  }
  throw new Error('run the tests as an ordinary user: no unprivileged user was found to run PostgreSQL');
}
