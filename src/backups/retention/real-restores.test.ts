/** Retention beside a real shipper, base backups and restores: whatever a region could bring back of the time since the horizon, it still can. */
import assert from 'node:assert/strict';
import { chmod, readdir, rename } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { migrate } from '#src/databases/index.ts';
import { type Clock, newId, randomName, silentLog } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { createPool, openConnection, type Pool } from '#src/postgres/index.ts';
import { findManifest, listBackups, runBaseBackup } from '../base/index.ts';
import type { TestTenant } from '../base/world.fixture.ts';
import {
  buildCatalogue,
  type Catalogue,
  createCatalogueReader,
  planRestore,
  type RestorePlan,
} from '../catalogue/index.ts';
import { restoreDatabase } from '../restore/restore-database.ts';
import { type RestoreWorld, startRestoreWorld } from '../restore/restore-world.fixture.ts';
import type { BackupManifest } from '../types.ts';
import { holdBaseBackup } from './hold-backup.ts';
import { createRetentionHolds } from './holds.ts';
import { runRetention } from './run.ts';
import { createRandom } from './year.fixture.ts';

const seed = Number(process.env.FREEHOLD_SEED ?? Number.parseInt(randomName(6), 36));
const random = createRandom(seed);
const rounds = process.env.FREEHOLD_SLOW_TESTS ? 8 : 2;
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;

/** The horizon is a moment of the test, so that nothing depends on how fast the machine is: now is then and so much. */
const windowMs = 1_000_000;
/** Orphans are left behind from half of it on: whatever is stored during the test, as soon as it is known. */
const policy = { days: windowMs / 86_400_000, fullEveryDays: windowMs / 2 / 86_400_000 };

interface Moment {
  readonly time: Date;
  /** Rows of each tenant by then. */
  readonly rows: ReadonlyMap<TestTenant, readonly string[]>;
}

let world: RestoreWorld;
let db: Pool;
let scratchParent: string;
const holds = createRetentionHolds();
const moments: Moment[] = [];
const rows = new Map<TestTenant, string[]>();

before(async () => {
  world = await startRestoreWorld();
  const { own } = world;
  await migrate(own.control, {
    schema: 'public',
    folder: new URL('../../../migrations/control/', import.meta.url),
  });
  db = createPool(own.control, { max: 4, applicationName: 'test' });
  scratchParent = await world.newFolder();
  await chmod(scratchParent, 0o711);
  for (const { region } of [world.north, world.south])
    await db.query('INSERT INTO regions (region, set_up_at) VALUES ($1, $2)', [region, new Date(8e14)]);
  for (const tenant of [world.acme, world.globex]) rows.set(tenant, []);
});
after(async () => {
  await db?.stop();
  await world?.remove();
});

const look = (region: RegionStore) => buildCatalogue({ region, reader: createCatalogueReader(region, world.keys) });

function plan(catalogue: Catalogue, { time }: Moment, { oid }: TestTenant): RestorePlan | undefined {
  const target = { kind: 'time', time } as const;
  const wanted = { kind: 'database', oid } as const;
  const now = new Date(time.getTime() + 86_400_000);
  const result = planRestore({ catalogue, clusterId: world.clusterId, target, wanted, now });
  return result.outcome === 'plan' ? result.plan : undefined;
}

/** Every object of a plan is there. */
async function requireThere(region: RegionStore, { shared, databases, wal, histories }: RestorePlan): Promise<void> {
  const names = [shared, ...histories, ...databases.map(({ object }) => object), ...wal.map(({ piece }) => piece.name)];
  const found = await Promise.all(names.map((name) => region.stat(name)));
  assert.deepEqual(
    names.filter((_, index) => !found[index]),
    [],
    `seed ${seed}: planned and not there`,
  );
}

async function write(): Promise<void> {
  const tenant = pick([world.acme, world.globex]);
  const known = rows.get(tenant)!;
  const text = `${tenant.database} ${known.length}`;
  await world.sql(tenant.database, `INSERT INTO app.items VALUES (${-known.length - 1}, '${text}')`);
  known.push(text);
}

async function remember(): Promise<void> {
  const then = new Map([...rows].map(([tenant, known]) => [tenant, [...known]]));
  moments.push({ time: await world.moment(), rows: then });
}

async function findPrevious(): Promise<BackupManifest[]> {
  const [inNorth, inSouth] = await Promise.all(
    [world.north, world.south].map((region) => Array.fromAsync(listBackups(region, world.clusterId))),
  );
  const both = inNorth!.filter((backupId) => inSouth!.includes(backupId));
  const manifests = await Promise.all(
    both.map((backupId) =>
      findManifest(world.north, { clusterId: world.clusterId, backupId }, (keyId) => world.keys.openKey(keyId)),
    ),
  );
  // Any of them may be the one that the next is compared with, also the oldest: as after a region was away for long.
  return manifests.flatMap((manifest) => manifest ?? []).sort(() => random() - 0.5);
}

async function takeBackup(abortAfterBytes = Number.POSITIVE_INFINITY): Promise<void> {
  const backupId = newId('bak');
  const abort = new AbortController();
  const held = await holdBaseBackup({ clusterId: world.clusterId, backupId, findPrevious, holds, db });
  try {
    await runBaseBackup({
      ...(await world.options([world.north, world.south])),
      backupId,
      ...(held.previous && { previous: held.previous }),
      signal: abort.signal,
      onProgress: ({ readBytes }) => {
        if (readBytes > abortAfterBytes) abort.abort(new Error('given up'));
      },
    });
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    held.release();
  }
}

async function prune(region: RegionStore): Promise<number> {
  await world.shipped();
  const horizon = pick(moments.slice(0, -1)).time;
  const clock: Clock = { now: () => horizon.getTime() + windowMs, monotonicMs: () => 0 };
  const earlier = await look(region);
  const { decision, removedObjects } = await runRetention({
    region,
    policy,
    db,
    keys: { openKey: world.keys.openKey, destroyedOwners: async () => [] },
    holds,
    clusterId: world.clusterId,
    readOwed: () => new Map(),
    findUnneededFiles: async () => [],
    clock,
  });
  assert.ok(decision.horizon <= horizon);
  const later = await look(region);
  for (const tenant of rows.keys())
    for (const moment of moments.filter(({ time }) => time >= decision.horizon)) {
      if (!plan(earlier, moment, tenant)) continue;
      const then = plan(later, moment, tenant);
      assert.ok(then, `seed ${seed}: ${moment.time.toISOString()} of ${tenant.database} is lost in ${region.region}`);
      await requireThere(region, then);
    }
  for (const backup of later.clusters.get(world.clusterId)!.backups)
    assert.notEqual(backup.state, 'incomplete', `seed ${seed}: ${backup.backupId} was robbed`);
  return removedObjects;
}

async function restore(region: RegionStore, moment: Moment, tenant: TestTenant): Promise<void> {
  const planned = plan(await look(region), moment, tenant);
  assert.ok(planned, `seed ${seed}: no plan for ${moment.time.toISOString()}`);
  const { binaries } = world.own.cluster.options;
  const found = await restoreDatabase(
    { plan: planned, region, keys: world.keys, binaries, osUser: world.own.osUser, log: silentLog, scratchParent },
    async ({ connectionTarget }) => {
      const connection = await openConnection(connectionTarget('freehold_control'), { applicationName: 'test' });
      const sql = 'SELECT text FROM app.items WHERE item_id < 0 ORDER BY item_id DESC';
      return connection.query<{ text: string }>(sql).finally(() => connection.close());
    },
  );
  assert.deepEqual(
    found.map(({ text }) => text),
    moment.rows.get(tenant),
    `seed ${seed}`,
  );
  assert.deepEqual(await readdir(scratchParent), []);
}

test('whatever goes on meanwhile, no moment since the horizon is lost, and restores prove it', async (context) => {
  context.diagnostic(`seed ${seed}`);
  await takeBackup();
  let removed = 0;
  const regions = [world.north, world.south];
  for (let round = 0; round < rounds; round++) {
    for (let count = 0; count < 2; count++) {
      await write();
      await remember();
    }
    const what = pick(['backup', 'backup and retention', 'given up', 'a region away'] as const);
    context.diagnostic(what);
    if (what === 'backup') await takeBackup();
    if (what === 'given up') await takeBackup(1_000_000);
    if (what === 'backup and retention') {
      const [, ...counts] = await Promise.all([takeBackup(), ...regions.map(prune)]);
      removed += counts.reduce((sum, count) => sum + count, 0);
    }
    if (what === 'a region away') {
      const away = world.folderOf(world.south);
      await rename(away, `${away}-away`);
      await takeBackup().catch((error) => assert.equal(error.code, 'FH_REGION_UNAVAILABLE'));
      await rename(`${away}-away`, away);
    }
    await write();
    await remember();
    removed += await prune(pick(regions));
  }
  await takeBackup();
  await remember();
  await remember();
  for (const region of regions) removed += await prune(region);
  context.diagnostic(`${removed} objects were removed`);
  for (const [region, tenant] of [
    [world.north, world.acme],
    [world.south, world.globex],
  ] as const) {
    const catalogue = await look(region);
    const possible = moments.filter((moment) => plan(catalogue, moment, tenant));
    await restore(region, possible[0]!, tenant);
    if (process.env.FREEHOLD_SLOW_TESTS) await restore(region, pick(possible), tenant);
  }
});
