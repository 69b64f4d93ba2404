/** For tests: a server, two regions that are folders, a shipper in this process or one of its own, a writer that remembers what was acknowledged, and restores. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createScratchFolder, startRecovery } from '#src/clusters/recovery/index.ts';
import { runProgram } from '#src/clusters/run.ts';
import {
  type ClusterId,
  formatLsn,
  type Lsn,
  newId,
  parseLsn,
  randomBytes,
  silentLog,
  waitFor,
} from '#src/kernel/index.ts';
import type { BackupKey } from '#src/keys/types.ts';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import { type Connection, openConnection, openReplication, readFlushedPlace, sqlState } from '#src/postgres/index.ts';
import { type OwnCluster, type OwnClusterOptions, startOwnCluster } from '../../../test/support/own-cluster.ts';
import type { ShippingEvent } from './events.ts';
import { type Shipper, type ShipperOptions, startShipper } from './shipper.ts';
import { asWalSource, readWal, type WalArchive } from './wal-reader.ts';

export type RegionName = 'north' | 'south';
export const regionNames: readonly RegionName[] = ['north', 'south'];

export interface ShippingWorld {
  readonly server: OwnCluster;
  readonly clusterId: ClusterId;
  readonly key: BackupKey;
  /** Makes another version of the key, which everybody here can find. */
  rotateKey(): BackupKey;
  readonly regions: Readonly<Record<RegionName, RegionStore>>;
  readonly events: ShippingEvent[];
  readonly ledgers: LedgerWriter[];
  rootOf(region: RegionName): string;
  archive(region: RegionName): WalArchive;
  /** In this process. */
  start(options?: Partial<ShipperOptions>): Promise<Shipper>;
  /** In a process of its own. `failpoints` as in the setting. */
  launch(failpoints?: string, options?: ChildOptions): Promise<ShipperProcess>;
  /** A base backup to restore on; @returns where its WAL begins, at the latest */
  takeBase(): Promise<Lsn>;
  /** Restores the base backup and the WAL of one region up to its end, which must be `atLeast`; then reads a database, by default control's. */
  restore<T>(region: RegionName, atLeast: Lsn, read: (db: Connection) => Promise<T>, database?: string): Promise<T>;
  flushed(): Promise<Lsn>;
  remove(): Promise<void>;
}

export type ChildOptions = Pick<ShipperOptions, 'awayAfterMs' | 'chunkBytes' | 'chunkIntervalMs' | 'spoolLimitBytes'>;

export interface ShipperProcess {
  readonly process: ChildProcess;
  /** performance.now() of this process when it ended. */
  readonly ended: Promise<{ readonly signal: NodeJS.Signals | null; readonly atMs: number; readonly problems: string }>;
  kill(): Promise<number>;
  /** Arms failpoints from now on. */
  arm(failpoints: string): void;
}

/** Runs from the top of the repository; configuration on standard input. */
const childScript = `
  import { text } from 'node:stream/consumers';
  import { armFailpoints, silentLog } from '#src/kernel/index.ts';
  import { createDiskRegion } from '#src/objects/index.ts';
  import { startShipper } from '#src/backups/shipping/shipper.ts';
  const { failpoints, key, regions, target, ...rest } = JSON.parse(await text(process.stdin));
  armFailpoints(failpoints);
  const bytes = Buffer.from(key.key, 'hex');
  const shipper = await startShipper({
    ...rest, log: silentLog, key: { keyId: key.keyId, key: bytes }, findKey: (keyId) => (keyId === key.keyId ? bytes : undefined),
    regions: regions.map(createDiskRegion), findPrimary: async () => target,
  });
  process.on('disconnect', () => process.exit(0));
  process.on('message', armFailpoints);
  process.send('started');
  await shipper.done;
`;

export async function startShippingWorld(options: OwnClusterOptions = {}): Promise<ShippingWorld> {
  const server = await startOwnCluster(options);
  const clusterId = newId('clu');
  const key: BackupKey = { keyId: `${clusterId}.1`, key: randomBytes(32) };
  const keys = new Map<string, Buffer>([[key.keyId, key.key]]);
  const owner = { clusterId, findKey: (keyId: string) => keys.get(keyId) };
  const rootOf = (region: RegionName) => path.join(server.folder, region);
  const spoolDir = path.join(server.folder, 'spool');
  for (const region of regionNames) await mkdir(rootOf(region));
  const regionOptions = (region: RegionName) => ({ region, root: rootOf(region), initialise: true });
  const regions = {
    north: createDiskRegion(regionOptions('north')),
    south: createDiskRegion(regionOptions('south')),
  };
  const events: ShippingEvent[] = [];
  const running: ShipperProcess[] = [];
  const shippers: Shipper[] = [];
  const ledgers: LedgerWriter[] = [];
  const base = path.join(server.folder, 'base');
  const { systemIdentifier } = await identify();
  const archive = (region: RegionName) => readWal({ store: regions[region], ...owner });

  return {
    server,
    clusterId,
    key,
    rotateKey() {
      const next: BackupKey = { keyId: `${clusterId}.${keys.size + 1}`, key: randomBytes(32) };
      keys.set(next.keyId, next.key);
      return next;
    },
    regions,
    events,
    ledgers,
    rootOf,
    archive,
    async start(more = {}) {
      const shipper = await startShipper({
        clusterId,
        key,
        findKey: owner.findKey,
        regions: Object.values(regions),
        findPrimary: async () => server.replication,
        spoolDir,
        log: silentLog,
        onEvent: (event) => events.push(event),
        ...more,
      });
      shippers.push(shipper);
      return shipper;
    },
    async launch(failpoints = '', more = {}) {
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', childScript], {
        cwd: path.join(import.meta.dirname, '../../..'),
        stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
      });
      let problems = '';
      child.stderr!.setEncoding('utf8').on('data', (text) => {
        problems += text;
      });
      const ended = once(child, 'exit').then(([, signal]) => ({ signal, atMs: performance.now(), problems }));
      child.stdin!.end(
        JSON.stringify({
          ...more,
          failpoints,
          clusterId,
          spoolDir,
          key: { keyId: key.keyId, key: key.key.toString('hex') },
          regions: regionNames.map(regionOptions),
          target: server.replication,
        }),
      );
      await Promise.race([
        once(child, 'message'),
        ended.then(() => {
          throw new Error(`the shipper did not start: ${problems}`);
        }),
      ]);
      const launched: ShipperProcess = {
        process: child,
        ended,
        arm: (text) => void child.send(text),
        async kill() {
          child.kill('SIGKILL');
          return (await ended).atMs;
        },
      };
      running.push(launched);
      return launched;
    },
    async takeBase() {
      const { binaries } = server.cluster.options;
      await mkdir(base, { mode: 0o700 });
      if (server.osUser) await chown(base, server.osUser.uid, server.osUser.gid);
      const { host, port, user, password } = server.replication;
      const args = [
        '-D',
        base,
        '-X',
        'none',
        '--checkpoint=fast',
        '--no-sync',
        '-h',
        host,
        '-p',
        String(port),
        '-U',
        user,
      ];
      const from = await flushed();
      const result = await runProgram(path.join(binaries.binDir, 'pg_basebackup'), args, {
        osUser: server.osUser,
        cwd: server.folder,
        env: { PGPASSWORD: password },
      });
      if (result.exitCode !== 0) throw new Error(`pg_basebackup: ${result.stderr}`);
      return from;
    },
    async restore(region, atLeast, read, database = 'freehold_control') {
      const folder = await createScratchFolder(server.folder, server.osUser);
      try {
        const copied = await runProgram('cp', ['-a', base, folder.dataDir], { osUser: server.osUser, cwd: '/' });
        if (copied.exitCode !== 0) throw new Error(copied.stderr);
        const recovered = await startRecovery({
          folder,
          binaries: server.cluster.options.binaries,
          walSource: asWalSource(archive(region)),
          target: { kind: 'end', atLeast },
          timeline: (await archive(region).end())!.timeline,
          systemIdentifier,
          deadlineMs: 60_000,
          log: silentLog,
        });
        try {
          const db = await openConnection(recovered.connectionTarget(database, 'postgres'), {
            applicationName: 'test',
          });
          return await read(db).finally(() => db.close());
        } finally {
          await recovered.stop();
        }
      } finally {
        await folder.remove();
      }
    },
    flushed,
    async remove() {
      for (const ledger of ledgers) await ledger.stop();
      for (const child of running) await child.kill();
      for (const shipper of shippers) await shipper.stop();
      await server.remove();
    },
  };

  async function identify() {
    const connection = await openReplication(server.replication, { applicationName: 'test' });
    return connection.identifySystem().finally(() => connection.close());
  }

  async function flushed(): Promise<Lsn> {
    const db = await server.connect();
    try {
      return (await readFlushedPlace(db)).lsn;
    } finally {
      await db.close();
    }
  }
}

/** Every region has everything up to here, in one stretch. */
export async function waitUntilShipped(world: ShippingWorld, from: Lsn, to: Lsn, timeline = 1): Promise<void> {
  for (const region of regionNames) {
    const archive = world.archive(region);
    const waits = { deadlineMs: 60_000, everyMs: 100 };
    await waitFor(`${region} to have ${formatLsn(to)}`, async () => ((await archive.end())?.lsn ?? 0n) >= to, waits);
    await waitFor(
      `${region} to have no hole`,
      async () => {
        const stretches = await archive.coverage(timeline, { from });
        return stretches.length === 1 && stretches[0]!.start <= from && stretches[0]!.end >= to;
      },
      waits,
    );
  }
}

export interface Acknowledged {
  readonly n: number;
  /** performance.now() when the answer came. */
  readonly atMs: number;
  /** A place before its commit record. */
  readonly lsn: Lsn;
}

/** Commits rows 1, 2, 3 … one by one into table `ledger` and remembers those that were acknowledged; goes on over restarts of the server. */
export interface LedgerWriter {
  readonly acknowledged: readonly Acknowledged[];
  stop(): Promise<void>;
}

export interface LedgerOptions {
  /** Commits wait for every region (recovery point zero). Default: false. */
  readonly synchronous?: boolean;
  /** Pause of a writer between two commits. Default 2. */
  readonly everyMs?: number;
  /** Sessions at once; with more than one, rows are not acknowledged in their order. Default 1. */
  readonly writers?: number;
}

export async function startLedger(world: ShippingWorld, options: LedgerOptions = {}): Promise<LedgerWriter> {
  const { synchronous = false, everyMs = 2, writers = 1 } = options;
  const acknowledged: Acknowledged[] = [];
  let stopping = false;
  const sessions = new Set<Connection>();

  async function open(): Promise<Connection> {
    const db = await world.server.connect();
    sessions.add(db);
    await db.query(`SET synchronous_commit = ${synchronous ? 'remote_apply' : 'local'}`);
    return db;
  }

  async function write(): Promise<void> {
    let db: Connection | undefined;
    while (!stopping) {
      try {
        db ??= await open();
        const mine = ++n;
        const [answer] = await db.query<{ lsn: string }>(
          'INSERT INTO ledger VALUES ($1, repeat(md5($1::int::text), 20)) RETURNING pg_current_wal_insert_lsn()::text AS lsn',
          [mine],
        );
        // Cancelled while it waited: PostgreSQL lets it pass with a warning.
        if (!stopping) acknowledged.push({ n: mine, atMs: performance.now(), lsn: parseLsn(answer!.lsn) });
        await delay(everyMs);
      } catch (error) {
        if (sqlState(error)?.startsWith('42')) throw error;
        // Whether it was committed nobody knows: the number is not used again.
        if (db) sessions.delete(db);
        await db?.close();
        db = undefined;
        await delay(20);
      }
    }
    await db?.close();
  }

  const first = await world.server.connect();
  await first.query('CREATE TABLE IF NOT EXISTS ledger (n int PRIMARY KEY, filler text)');
  const [row] = await first.query<{ n: number }>('SELECT coalesce(max(n), 0) AS n FROM ledger');
  await first.close();
  let { n } = row!;
  const running = Promise.all(Array.from({ length: writers }, write));
  const ledger: LedgerWriter = {
    acknowledged,
    async stop() {
      stopping = true;
      // A commit that waits for regions may wait for ever.
      await Promise.race([running, delay(500)]);
      for (const db of sessions) await db.cancel().catch(() => {});
      await running;
    },
  };
  world.ledgers.push(ledger);
  return ledger;
}
