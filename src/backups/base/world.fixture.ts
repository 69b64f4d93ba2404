/** For tests: a real server with databases of two tenants that hold the same rows under the same ids, keys, and two regions on disk. */
import { createHash } from 'node:crypto';
import { chown, copyFile, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { createCluster } from '#src/clusters/index.ts';
import { type ClusterId, type Log, newId, randomName, silentLog, type TenantId } from '#src/kernel/index.ts';
import { keyErrors } from '#src/keys/index.ts';
import type { BackupKey, BackupKeys, KeyId, KeyOwner } from '#src/keys/types.ts';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import { type Connection, type ConnectionTarget, openConnection } from '#src/postgres/index.ts';
import { type OwnCluster, startOwnCluster } from '../../../test/support/own-cluster.ts';
import { type BaseBackupOptions, readClusterFacts, readDatabases } from './index.ts';

export interface TestTenant {
  readonly tenantId: TenantId;
  readonly database: string;
  readonly oid: number;
}

export interface World {
  readonly own: OwnCluster;
  readonly clusterId: ClusterId;
  /** A session as control. */
  readonly control: Connection;
  readonly log: Log;
  /** A new session as control, after a restart of the server. */
  reconnect(): Promise<void>;
  readonly acme: TestTenant;
  readonly globex: TestTenant;
  readonly keys: TestKeys;
  /** For `createTestKeys` in another process. */
  readonly seed: string;
  /** Every call: two new regions. */
  newRegions(): Promise<readonly [RegionStore, RegionStore]>;
  folderOf(region: RegionStore): string;
  options(regions: readonly RegionStore[], more?: Partial<BaseBackupOptions>): Promise<BaseBackupOptions>;
  createTenant(): Promise<TestTenant>;
  sql(database: string, ...statements: string[]): Promise<Record<string, unknown>[]>;
  newFolder(): Promise<string>;
  /** Starts a server on a restored folder with the WAL of the source, runs `work`, stops it. */
  withRestored<T>(dataDir: string, work: (sql: World['sql']) => Promise<T>): Promise<T>;
  remove(): Promise<void>;
}

export interface TestKeys extends Pick<BackupKeys, 'currentKey' | 'openKey'> {
  rotate(owner: KeyOwner): void;
  destroy(owner: KeyOwner): void;
  /** As if it had never been destroyed, for the next test. */
  restore(owner: KeyOwner): void;
}

/** Keys derived from a seed, so that another process of the test has the same. */
export function createTestKeys(seed: string): TestKeys {
  const versions = new Map<KeyOwner, number>();
  const destroyed = new Set<string>();
  const keyOf = (keyId: KeyId): BackupKey => {
    if (destroyed.has(keyId.split('.')[0]!)) throw keyErrors.FH_KEY_DESTROYED();
    return { keyId, key: createHash('sha256').update(`${seed} ${keyId}`).digest() };
  };
  return {
    currentKey: async (owner) => keyOf(`${owner}.${versions.get(owner) ?? 1}`),
    openKey: async (keyId) => keyOf(keyId),
    rotate: (owner) => versions.set(owner, (versions.get(owner) ?? 1) + 1),
    destroy: (owner) => destroyed.add(owner),
    restore: (owner) => destroyed.delete(owner),
  };
}

export const tableSql = `
  CREATE SCHEMA app;
  CREATE TABLE app.items (item_id bigint PRIMARY KEY, text text NOT NULL);
  INSERT INTO app.items SELECT number, md5(number::text) FROM generate_series(1, 2000) AS number;`;

export async function startWorld(): Promise<World> {
  const own = await startOwnCluster();
  let control = await own.connect();
  const { binaries, dataDir } = own.cluster.options;
  const clusterId = newId('clu');
  const seed = randomName(20);
  const keys = createTestKeys(seed);
  const tenants = new Map<string, TenantId>();
  const roots = new Map<RegionStore, string>();

  async function sql(database: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
    return runSql({ ...own.control, database }, statements);
  }
  const give = async (name: string) => {
    if (own.osUser) await chown(name, own.osUser.uid, own.osUser.gid);
  };
  async function newFolder(): Promise<string> {
    const folder = path.join(own.folder, randomName(10));
    await mkdir(folder, { mode: 0o755 });
    return folder;
  }
  async function createTenant(): Promise<TestTenant> {
    const tenantId = newId('ten');
    const database = `t_${randomName(20)}`;
    tenants.set(database, tenantId);
    await control.query(`CREATE DATABASE ${database}`);
    const connection = await openConnection({ ...own.control, database }, { applicationName: 'test' });
    await connection.script(tableSql);
    await connection.close();
    const [row] = await control.query<{ oid: number }>('SELECT oid FROM pg_database WHERE datname = $1', [database]);
    return { tenantId, database, oid: row!.oid };
  }
  const [acme, globex] = [await createTenant(), await createTenant()];

  return {
    own,
    clusterId,
    get control() {
      return control;
    },
    log: silentLog,
    async reconnect() {
      await control.close();
      control = await own.connect();
    },
    acme,
    globex,
    keys,
    seed,
    createTenant,
    sql,
    newFolder,
    async newRegions() {
      const make = async (region: string) => {
        const root = await newFolder();
        const store = createDiskRegion({ region, root, initialise: true });
        roots.set(store, root);
        // The first look sets it up.
        await store.stat('kits/none');
        return store;
      };
      return [await make('north'), await make('south')];
    },
    folderOf: (region) => roots.get(region)!,
    options: async (regions, more = {}) => ({
      clusterId,
      facts: await readClusterFacts(control),
      binaries,
      target: own.replication,
      regions,
      keys,
      listDatabases: async () =>
        (await readDatabases(control)).map(({ oid, name }) => ({ oid, name, tenantId: tenants.get(name) })),
      checkpoint: 'fast',
      log: silentLog,
      ...more,
    }),
    async withRestored(restored, work) {
      for (const name of await readdir(path.join(dataDir, 'pg_wal'))) {
        if (/^[0-9A-F]{24}$/.test(name)) {
          const copy = path.join(restored, 'pg_wal', name);
          await copyFile(path.join(dataDir, 'pg_wal', name), copy);
          await give(copy);
        }
      }
      const home = path.dirname(restored);
      for (const name of ['run', 'logs']) {
        await mkdir(path.join(home, name));
        await give(path.join(home, name));
      }
      const cluster = createCluster({
        ...own.cluster.options,
        dataDir: restored,
        socketDir: path.join(home, 'run'),
        logFile: path.join(home, 'logs', 'postgres.log'),
      });
      await cluster.start();
      try {
        return await work((database, ...statements) =>
          runSql({ ...own.control, host: cluster.options.socketDir, database }, statements),
        );
      } finally {
        await cluster.stop({ smartMs: 0 });
      }
    },
    async remove() {
      await control.close();
      await own.remove();
    },
  };
}

async function runSql(target: ConnectionTarget, statements: readonly string[]): Promise<Record<string, unknown>[]> {
  const connection = await openConnection(target, { applicationName: 'test' });
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) rows = await connection.query(statement);
    return rows;
  } finally {
    await connection.close();
  }
}
