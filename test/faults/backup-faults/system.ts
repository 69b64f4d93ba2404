/**
 * The one system that the run of backup faults damages: a PostgreSQL cluster with two tenants that hold the same rows under the same ids, a shipper into
 * two regions that are folders, a base backup, and a ledger of rows to verify it with. Every injection leaves it clean again.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { manifestName } from '#src/backups/base/names.ts';
import type { TestTenant } from '#src/backups/base/world.fixture.ts';
import {
  type BackupVerdict,
  buildCatalogue,
  createCatalogueReader,
  type LedgerSource,
  type PlanRequest,
  planRestore,
  type RestoreDatabaseOptions,
  type RestoredDatabase,
  type RowLedger,
  type RowReader,
  restoreDatabase,
  takeRowLedger,
  toRefusal,
  type VerifyBackupOptions,
  verifyBackup,
} from '#src/backups/index.ts';
import { type RestoreWorld, startRestoreWorld } from '#src/backups/restore/restore-world.fixture.ts';
import type { BackupManifest } from '#src/backups/types.ts';
import { migrate } from '#src/databases/index.ts';
import { formatLsn, parseLsn, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { contentHash, longJob, stableOutput } from '#src/portability/index.ts';
import { createPool, openConnection, type Pool, readFlushedPlace } from '#src/postgres/index.ts';

export const waits = { deadlineMs: 120_000, everyMs: 50 };
const rows: RowReader = { settings: { ...longJob, ...stableOutput }, contentOf: contentHash };

export interface FaultSystem {
  readonly world: RestoreWorld;
  /** Control's own database, with its schema. */
  readonly db: Pool;
  /** The base backup that is verified; of timeline 1 until one is taken anew. */
  readonly manifest: BackupManifest;
  readonly ledger: RowLedger;
  verify(region: RegionStore, change?: Partial<VerifyBackupOptions>): Promise<BackupVerdict>;
  /** Restores one tenant to the ledger's place from north; rejects with why not. */
  restore<T>(
    tenant: Pick<TestTenant, 'oid'>,
    use: (restored: RestoredDatabase) => Promise<T>,
    change?: Partial<RestoreDatabaseOptions>,
  ): Promise<T>;
  /** Rows of the tenant that a fault is looked for in. */
  texts(restored: RestoredDatabase): Promise<string[]>;
  /** Counts rows anew, when what the databases hold has changed; both regions hold it when it resolves. */
  takeLedger(tenants?: readonly TestTenant[]): Promise<RowLedger>;
  /** In the place of the one that was verified so far. */
  takeBackup(): Promise<BackupManifest>;
  /** As if the backup had never been: no restore may fall back on it. */
  forget(backup: BackupManifest): Promise<void>;
  /** Everything of a region that WAL between two places is in. */
  walIn(region: RegionStore, from: bigint, to: bigint): Promise<string[]>;
  /** Pieces of WAL that a restore to the ledger's place replays, the first to the last. */
  walOfPlan(region: RegionStore): Promise<{ readonly name: string; readonly start: bigint; readonly end: bigint }[]>;
  /** Changes files of a region, or removes those for which `act` returns nothing, while `work` runs. */
  damaged<T>(
    region: RegionStore,
    names: readonly string[],
    act: (bytes: Buffer) => Buffer | undefined,
    work: () => Promise<T>,
  ): Promise<T>;
  /** The region's folder is elsewhere while `work` runs. */
  away<T>(region: RegionStore, work: () => Promise<T>): Promise<T>;
  objectOf(tenant: TestTenant): string;
  /** A statement that only the server's own OS user may run. */
  asSuperuser(database: string, ...statements: string[]): void;
  /** With owners and times. */
  copyFolder(from: string, to: string): Promise<void>;
  writeNoise(rows: number): Promise<void>;
  newest(): Promise<bigint>;
  /** A shipper as it is normally, that has shipped everything. */
  normalShipper(): Promise<void>;
  /** While nothing is shipped or compacted: what is looked up stays where it is. */
  withoutShipper<T>(work: () => Promise<T>): Promise<T>;
  heard(kind: string): Promise<Record<string, unknown>>;
  readonly scratchParent: string;
  remove(): Promise<void>;
}

export async function startFaultSystem(): Promise<FaultSystem> {
  const world = await startRestoreWorld();
  const { own, acme, globex, clusterId, keys } = world;
  await migrate(own.control, { schema: 'public', folder: new URL('../../../migrations/control/', import.meta.url) });
  const db = createPool(own.control, { max: 4, applicationName: 'test' });
  const scratchParent = await world.newFolder();
  const { binaries, socketDir, port } = own.cluster.options;
  const names = new Map([
    [acme.tenantId, 'acme'],
    [globex.tenantId, 'globex'],
  ]);
  // Its lock on a table would make the tenant busy for a moment.
  for (const { database } of [acme, globex])
    await world.sql(database, 'ALTER TABLE app.items SET (autovacuum_enabled = off)');
  let manifest = await world.takeBackup();
  await write();
  let ledger = await takeLedger();

  async function write(tenants: readonly TestTenant[] = [acme, globex]): Promise<void> {
    for (const { database } of tenants)
      await world.sql(
        database,
        `INSERT INTO app.items SELECT coalesce(min(item_id), 0) - 1, 'after the backup' FROM app.items WHERE item_id < 0`,
      );
  }

  async function takeLedger(tenants: readonly TestTenant[] = [acme, globex]): Promise<RowLedger> {
    const sources = tenants.map(({ tenantId, database, oid }): LedgerSource => {
      const target = { ...own.control, database };
      const open = () => openConnection(target, { applicationName: 'test', options: rows.settings });
      return { tenantId, name: names.get(tenantId)!, database, oid, open };
    });
    const now = () => new Date(systemClock.now());
    const taken = await takeRowLedger({ clusterId, control: db, sources, rows, waitMs: 10_000, now, log: silentLog });
    assert.deepEqual([taken.tenants.length, taken.busy, taken.unread], [2, [], []]);
    // Behind the place, so that a restore that goes on past it is seen.
    await write(tenants);
    await db.query('INSERT INTO canaries DEFAULT VALUES');
    await world.shipped();
    return taken;
  }

  async function forget({ backupId }: BackupManifest): Promise<void> {
    for (const region of [world.north, world.south]) await region.remove(manifestName(clusterId, backupId));
  }

  const target = () => ({ kind: 'lsn', lsn: parseLsn(ledger.lsn), timeline: ledger.timeline }) as const;
  const look = (region: RegionStore) => buildCatalogue({ region, reader: createCatalogueReader(region, keys) });
  const plan = async (region: RegionStore, wanted: PlanRequest['wanted']) => {
    const now = new Date(systemClock.now() + 60_000);
    return planRestore({ catalogue: await look(region), clusterId, target: target(), wanted, now });
  };

  return {
    world,
    db,
    get manifest() {
      return manifest;
    },
    get ledger() {
      return ledger;
    },
    scratchParent,
    async verify(region, change = {}) {
      const verdict = await verifyBackup({
        region,
        keys,
        destroyedOwners: async () => [],
        backupId: manifest.backupId,
        ledger,
        names,
        rows,
        control: own.control,
        binaries,
        ...(own.osUser && { osUser: own.osUser }),
        scratchParent,
        clock: systemClock,
        log: silentLog,
        ...change,
      });
      assert.deepEqual(await readdir(scratchParent), [], 'the scratch server left something');
      return verdict;
    },
    async restore({ oid }, use, change = {}) {
      const planned = await plan(world.north, { kind: 'database', oid });
      if (planned.outcome !== 'plan') throw toRefusal(planned);
      const options = { plan: planned.plan, region: world.north, keys, binaries, scratchParent, log: silentLog };
      try {
        return await restoreDatabase({ ...options, ...(own.osUser && { osUser: own.osUser }), ...change }, use);
      } finally {
        assert.deepEqual(await readdir(scratchParent), [], 'the scratch server left something');
      }
    },
    async texts({ connectionTarget }) {
      const connection = await openConnection(connectionTarget('freehold_control'), { applicationName: 'test' });
      const sql = 'SELECT text FROM app.items WHERE item_id < 1 ORDER BY item_id DESC';
      const found = await connection.query<{ text: string }>(sql).finally(() => connection.close());
      return found.map(({ text }) => text);
    },
    async takeLedger(tenants) {
      ledger = await takeLedger(tenants);
      return ledger;
    },
    async takeBackup() {
      const former = manifest;
      manifest = await world.takeBackup();
      await forget(former);
      return manifest;
    },
    forget,
    async walIn(region, from, to) {
      const { clusters } = await look(region);
      const pieces = [...clusters.get(clusterId)!.pieces.values()].flat();
      return pieces.filter(({ start, end }) => start < to && end > from).map(({ name }) => name);
    },
    async walOfPlan(region) {
      const planned = await plan(region, { kind: 'cluster' });
      if (planned.outcome !== 'plan') throw toRefusal(planned);
      return planned.plan.wal.map(({ piece }) => piece);
    },
    async damaged(region, objects, act, work) {
      assert.ok(objects.length > 0, 'nothing to damage');
      const files = objects.map((name) => path.join(world.folderOf(region), name));
      const before = await Promise.all(files.map((file) => readFile(file)));
      for (const [index, file] of files.entries()) {
        await rm(file);
        const changed = act(Buffer.from(before[index]!));
        if (changed) await writeFile(file, changed);
      }
      try {
        return await work();
      } finally {
        for (const [index, file] of files.entries()) {
          await rm(file, { force: true });
          await writeFile(file, before[index]!);
        }
      }
    },
    async away(region, work) {
      const folder = world.folderOf(region);
      await rename(folder, `${folder}-away`);
      try {
        return await work();
      } finally {
        await rename(`${folder}-away`, folder);
      }
    },
    objectOf: ({ oid }) => manifest.databases.find((database) => database.oid === oid)!.object,
    asSuperuser(database, ...statements) {
      const commands = statements.flatMap((statement) => ['-c', statement]);
      execFileSync(
        path.join(binaries.binDir, 'psql'),
        [
          '-XAtq',
          '-v',
          'ON_ERROR_STOP=1',
          '-h',
          socketDir,
          '-p',
          String(port),
          '-U',
          'postgres',
          '-d',
          database,
          ...commands,
        ],
        {
          cwd: '/',
          stdio: ['ignore', 'pipe', 'pipe'],
          ...(own.osUser && { uid: own.osUser.uid, gid: own.osUser.gid }),
        },
      );
    },
    async copyFolder(from, to) {
      execFileSync('cp', ['-a', from, to]);
    },
    async writeNoise(count) {
      await db.query('CREATE TABLE IF NOT EXISTS noise (id uuid)');
      // Random, so that it does not shrink: 1,000 rows are about 75 kB of WAL, sealed 30 kB.
      await db.query('INSERT INTO noise SELECT gen_random_uuid() FROM generate_series(1, $1::int)', [count]);
    },
    async newest() {
      return (await readFlushedPlace(db)).lsn;
    },
    async normalShipper() {
      await world.restartShipper();
      await world.shipped();
    },
    async withoutShipper(work) {
      await world.shipper().stop();
      try {
        return await work();
      } finally {
        await world.restartShipper();
      }
    },
    async heard(kind) {
      return waitFor(
        `the event ${kind}`,
        () => world.events.findLast((event) => event.kind === kind) as Record<string, unknown> | undefined,
        waits,
      );
    },
    async remove() {
      await db.stop();
      await world.remove();
    },
  };
}

/** Events and errors as one text, for what must be named in it. */
export function inWords(value: unknown): string {
  if (typeof value === 'bigint') return formatLsn(value);
  if (value instanceof Error) {
    const { code = '', detail = '' } = value as { code?: string; detail?: string };
    return `${code} ${value.message} ${detail}`;
  }
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([key, each]) => `${key}: ${inWords(each)}`)
    .join(', ');
}
