/** A primary and its standby below one temporary folder, for tests; both servers run as one user here. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chown, copyFile, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Lsn, parseLsn, segmentFileName, silentLog, waitFor } from '#src/kernel/index.ts';
import { type Connection, newPassword, openConnection } from '#src/postgres/index.ts';
import type { ConnectionTarget } from '#src/postgres/types.ts';
import { findBinaries } from '../binaries.ts';
import { findOsUser, type OsUser } from '../os-user.ts';
import { type ClusterPair, type ClusterPairOptions, createClusterPair, type PairStatus } from './pair.ts';
import type { MemberName } from './roles.ts';
import type { ShippedWal } from './shipped-wal.ts';

const top = path.join(import.meta.dirname, '../../..');
const port = 5432;

export type PlainOptions = Omit<ClusterPairOptions, 'isStopping' | 'onChange' | 'onFailover' | 'log' | 'clock'>;

export interface PairHome {
  readonly folder: string;
  readonly options: PlainOptions;
  /** Where clients find the primary. */
  readonly target: ConnectionTarget;
  /** A pair on these folders in this process. */
  open(overrides?: Partial<ClusterPairOptions>): ClusterPair;
  /** The same in a process of its own, which fails over once its standby follows, and passes these failpoints. */
  failOverInChild(failpoints: string): ChildProcess;
  /** A first start in a process of its own that passes these failpoints while the standby is copied. */
  seedInChild(failpoints: string): ChildProcess;
  connect(): Promise<Connection>;
  /** Keeps a copy of the primary's WAL as a shipper would; its pairs and their processes ask for that. */
  ship(primary: MemberName): Promise<void>;
  /** Nobody has anything any more. @returns how it comes back */
  loseShipped(): Promise<() => Promise<void>>;
  socketDirOf(member: MemberName): string;
  remove(): Promise<void>;
}

export async function makePairHome(): Promise<PairHome> {
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'freehold-pair-')));
  const osUser = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  const make = async (name: string) => {
    const made = path.join(folder, name);
    await mkdir(made, { recursive: true, mode: 0o755 });
    if (osUser) await chown(made, osUser.uid, osUser.gid);
    return made;
  };
  await make('');
  const [controlPassword, replicationPassword] = [newPassword(), newPassword()];
  const member = async (name: MemberName) => {
    const passFile = path.join(folder, `${name}.pass`);
    await writeFile(passFile, `*:*:*:freehold_replication:${replicationPassword}\n`, { mode: 0o600 });
    if (osUser) await chown(passFile, osUser.uid, osUser.gid);
    const logFile = path.join(await make('logs'), `${name}.log`);
    return { dataDir: path.join(folder, name), socketDir: await make(`run-${name}`), logFile, osUser, passFile };
  };
  const options: PlainOptions = {
    members: { main: await member('main'), standby: await member('standby') },
    rolesFile: path.join(folder, 'roles.json'),
    socketDir: await make('run'),
    handoverDir: path.join(folder, 'handover'),
    controlPassword,
    replicationPassword,
    standby: 'on',
    failover: 'manual',
    port,
    maxConnections: 30,
    binaries: await findBinaries({ binDir: process.env.FREEHOLD_PG_BIN }),
    longestRestartMs: 50,
  };
  const target = {
    host: options.socketDir,
    port,
    database: 'freehold_control',
    user: 'freehold_control',
    password: controlPassword,
  };
  const shippedFolder = path.join(folder, 'shipped');
  const connect = () => openConnection(target, { applicationName: 'test' });
  const runInChild = (onFailover: string, onStart: string): ChildProcess => {
    const program = `
      const { armFailpoints, silentLog, waitFor } = await import('#src/kernel/index.ts');
      const { createClusterPair } = await import('#src/clusters/index.ts');
      const { shippedFrom } = await import('#src/clusters/standby/pair.fixture.ts');
      const [options, onFailover, onStart, shipped] = process.argv.slice(1);
      armFailpoints(onStart);
      const openShippedWal = async () => shippedFrom(shipped);
      const pair = createClusterPair({ ...JSON.parse(options), openShippedWal, isStopping: () => false, onChange: () => {}, log: silentLog });
      await pair.start();
      await pair.startStandby();
      await waitFor('the standby to follow', () => pair.status().standby.state === 'following', { deadlineMs: 60_000 });
      console.log('following');
      await new Promise((resolve) => process.stdin.once('data', resolve));
      armFailpoints(onFailover);
      await pair.failover();
      await pair.stop();`;
    const args = ['--input-type=module', '--eval', program, JSON.stringify(options), onFailover, onStart];
    args.push(shippedFolder);
    return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: top });
  };
  return {
    folder,
    options,
    target,
    open: (overrides = {}) =>
      createClusterPair({
        ...options,
        openShippedWal: async () => shippedFrom(shippedFolder),
        isStopping: () => false,
        onChange: () => {},
        log: silentLog,
        ...overrides,
      }),
    seedInChild: (failpoints) => runInChild('', failpoints),
    failOverInChild: (failpoints) => runInChild(failpoints, ''),
    connect,
    async ship(primary) {
      await rm(shippedFolder, { recursive: true, force: true });
      await mkdir(shippedFolder);
      const connection = await connect();
      const [row] = await connection
        .query<{ end: string }>('SELECT pg_current_wal_flush_lsn()::text AS end')
        .finally(() => connection.close());
      const source = path.join(options.members[primary].dataDir, 'pg_wal');
      for (const name of await readdir(source))
        if (/^[0-9A-F]{24}$/.test(name)) await copyFile(path.join(source, name), path.join(shippedFolder, name));
      await writeFile(path.join(shippedFolder, 'end'), row!.end);
    },
    async loseShipped() {
      await rename(shippedFolder, `${shippedFolder}-away`);
      return () => rename(`${shippedFolder}-away`, shippedFolder);
    },
    socketDirOf: (name) => options.members[name].socketDir,
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** What `ship` kept, as regions would give it. */
export function shippedFrom(folder: string): ShippedWal {
  const read = (name: string) =>
    readFile(path.join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
  return {
    async describe(from) {
      const line = [{ timeline: from.timeline, begin: 0n }];
      const text = await read('end');
      if (!text) return { line, end: from.lsn, isComplete: false, places: [{ name: 'kept', problem: 'it is away' }] };
      const end: Lsn = parseLsn(String(text));
      return { line, end: end > from.lsn ? end : from.lsn, isComplete: true, places: [{ name: 'kept' }] };
    },
    openSegment: (timeline, start) => read(segmentFileName(timeline, start)),
    openHistory: async () => undefined,
    close: async () => {},
  };
}

/** Resolves when the standby follows. */
export function following(pair: ClusterPair): Promise<PairStatus> {
  return waitFor(
    'the standby to follow',
    () => pair.status().standby.state === 'following' && !pair.status().isFailingOver && pair.status(),
    { deadlineMs: 60_000 },
  );
}

/** PostgreSQL refuses to run as root. */
async function unprivilegedUser(): Promise<OsUser> {
  for (const name of ['freehold-postgres', 'postgres', 'nobody']) {
    const user = await findOsUser(name);
    if (user) return user;
  }
  throw new Error('run the tests as an ordinary user: no unprivileged user was found to run PostgreSQL');
}
