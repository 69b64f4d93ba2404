import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { createTenantUsage } from './usage.ts';

let cluster: TestCluster;
let folder: string;
const opened: TestInstallation[] = [];
before(async () => {
  cluster = await startTestCluster({ own: true });
  folder = await mkdtemp(join(tmpdir(), 'freehold-pool-'));
});
after(async () => {
  await dropTestTenants(opened.at(-1)!);
  for (const world of opened) await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});
async function open(appMigrations?: string): Promise<TestInstallation> {
  const world = await openTestInstallation({ control: cluster.control, folder, preparedDatabases: 2, appMigrations });
  opened.push(world);
  return world;
}
const prepared = (world: TestInstallation) =>
  world.pool.query<{ name: string; state: string; version: string }>(
    'SELECT database_name AS name, state, template_version AS version FROM prepared_databases ORDER BY made_at',
  );
const full = (world: TestInstallation) =>
  waitFor(
    'a full pool',
    async () => {
      const found = await prepared(world);
      return found.length === 2 && found.every(({ state }) => state === 'ready') && found;
    },
    { deadlineMs: 120_000 },
  );
async function createMany(world: TestInstallation, names: string[]): Promise<string[]> {
  return Promise.all(
    names.map(async (name) => {
      const input = { name, adminEmail: 'ada@example.com' };
      const { operationId } = await world.lifecycle.startOperation('create', undefined, input, 'os:test');
      assert.equal((await world.lifecycle.waitForOperation(operationId)).state, 'succeeded');
      return (await world.lifecycle.getTenant(name)).databaseName!;
    }),
  );
}

test('prepared databases are taken once each, and replaced', async () => {
  const world = await open();
  world.lifecycle.startPool();
  const ready = (await full(world)).map(({ name }) => name);
  const taken = await createMany(world, ['first', 'second', 'third', 'fourth']);
  assert.equal(new Set(taken).size, 4);
  assert.deepEqual(taken.filter((name) => ready.includes(name)).sort(), ready.sort());
  await full(world);
  await world.lifecycle.stop();
});

test('what a crash left half-made is cleaned up, and older templates are let go', async () => {
  const before = opened.at(-1)!;
  const old = await full(before);
  await before.pool.query(
    `INSERT INTO prepared_databases (database_name, app, template_version, state, made_at) VALUES ('t_00000000000000000000', 'sample', 'x', 'making', now())`,
  );
  const newer = join(folder, 'migrations');
  await cp(join(import.meta.dirname, '../../apps/sample/migrations'), newer, { recursive: true });
  await writeFile(join(newer, '0002_more.sql'), 'CREATE TABLE more (id integer PRIMARY KEY);');
  const world = await open(newer);
  world.lifecycle.startPool();
  await waitFor(
    'a pool of the new version',
    async () => {
      const found = await prepared(world);
      return (
        found.length === 2 && found.every(({ version, state }) => state === 'ready' && version !== old[0]!.version)
      );
    },
    { deadlineMs: 120_000 },
  );
  assert.deepEqual(await world.admin.findOrphans(await world.lifecycle.knownDatabases()), { databases: [], roles: [] });
  const [name] = await createMany(world, ['newest']);
  assert.ok(name);
  const { tenantId } = await world.lifecycle.getTenant('newest');
  await world.databases.app.read(tenantId, (db) => db.query('SELECT id FROM more'));
});

test('last use is kept to the minute, and sizes are measured once in a while', async () => {
  const world = opened.at(-1)!;
  const { tenantId } = await world.lifecycle.getTenant('first');
  let ms = systemClock.now();
  const clock = { ...systemClock, now: () => ms };
  let measured = 0;
  const databases = {
    databaseSize: async (name: string) => {
      measured++;
      return world.admin.databaseSize(name);
    },
  };
  const usage = createTenantUsage({ db: world.pool, databases, clock, log: silentLog, measureEveryMs: 300_000 });
  await usage.recordUse([tenantId, tenantId]);
  const first = (await world.lifecycle.findTenant(tenantId))!.lastUsedAt!;
  assert.equal(first.getTime() % 60_000, 0);
  usage.start();
  await waitFor('a size', async () => (await world.lifecycle.findTenant(tenantId))!.sizeBytes !== undefined, {
    deadlineMs: 120_000,
  });
  await usage.stop();
  const { total } = await world.lifecycle.listTenants();
  assert.ok(measured <= total, 'each at most once');
  ms += 61_000;
  await usage.recordUse([tenantId]);
  assert.ok((await world.lifecycle.findTenant(tenantId))!.lastUsedAt! > first);
});
