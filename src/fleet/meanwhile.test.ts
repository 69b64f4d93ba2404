/** Tenants that are made, copied, brought in, restored or opened again while a migration of the fleet runs. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readMigrations } from '#src/databases/index.ts';
import { randomName, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { type Connection, openConnection } from '#src/postgres/index.ts';
import type { Operation, OperationInputs, OperationKind } from '#src/tenants/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { createFleetDrift, createFleetRuns, type FleetDeps, type FleetRuns } from './index.ts';

const top = join(import.meta.dirname, '../..');
const platform = join(top, 'migrations/tenant');
const adminEmail = 'same@example.com';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let fleet: FleetRuns;
let deps: () => FleetDeps;
let blocker: Connection;
let oldTemplate: string;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-meanwhile-'));
  const [notes] = await readMigrations(join(top, 'apps/sample/migrations'));
  const write = async (name: string, files: Record<string, string>) => {
    await mkdir(join(folder, name));
    for (const [file, sql] of Object.entries(files)) await writeFile(join(folder, name, file), sql);
    return join(folder, name);
  };
  const first = { '0001_notes.sql': `-- ${randomName(20)}\n${notes!.sql}` };
  const older = await write('first', first);
  const newer = await write('second', {
    ...first,
    '0002_pinned.sql': 'ALTER TABLE notes ADD COLUMN pinned boolean NOT NULL DEFAULT false;',
  });
  const old = await openTestInstallation({ control: cluster.control, folder, appMigrations: older });
  for (const name of ['held', 'source', 'closed']) await ran(old, 'create', undefined, { name, adminEmail });
  await ran(old, 'suspend', 'closed', {});
  oldTemplate = (await old.admin.ensureTemplate('sample', { platform, app: older })).template;
  await old.stop();

  // The next release starts: its fleet is kept busy by a transaction of one tenant.
  world = await openTestInstallation({ control: cluster.control, folder, appMigrations: newer });
  const held = await world.lifecycle.getTenant('held');
  blocker = await openConnection({ ...cluster.superuser, database: held.databaseName! }, { applicationName: 'held' });
  await blocker.query('BEGIN');
  await blocker.query('SELECT count(*) FROM app.notes');
  deps = () => ({
    db: world.pool,
    databases: world.admin,
    folders: new Map([['sample', { platform, app: newer }]]),
    clock: systemClock,
    log: silentLog,
  });
  fleet = createFleetRuns({ ...deps(), concurrency: 1, lockTimeoutMs: 50, attempts: 10_000, firstPauseMs: 50 });
});
after(async () => {
  await blocker?.close();
  await fleet?.stop();
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function ran<K extends OperationKind>(
  { lifecycle }: TestInstallation,
  kind: K,
  tenant: string | undefined,
  input: OperationInputs[K],
): Promise<Operation> {
  const tenantId = tenant === undefined ? undefined : (await lifecycle.getTenant(tenant)).tenantId;
  const { operationId } = await lifecycle.startOperation(kind, tenantId, input, 'os:test');
  const ended = await lifecycle.waitForOperation(operationId);
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
  return ended;
}

async function isNew(name: string): Promise<boolean> {
  const { databaseName } = await world.lifecycle.getTenant(name);
  const rows = await world.admin.readCatalogues(databaseName!, (db) =>
    db.query(
      `SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = 'notes' AND a.attname = 'pinned'`,
    ),
  );
  return rows.length === 1;
}

/** The fleet is not through: what is seen is what the operation itself did. */
async function assertComes(name: string): Promise<void> {
  assert.equal((await fleet.latest())!.state, 'running');
  assert.equal(await isNew(name), true, name);
}

test('cloned from a tenant that is still behind', async () => {
  await ran(world, 'clone', 'source', { newName: 'copy' });
  assert.deepEqual([await isNew('source'), await isNew('copy')], [false, true]);
  assert.equal((await fleet.resume())!.state, 'running');
  const stateOf = async (name: string) => {
    const subjects = await fleet.subjects((await fleet.latest())!.runId);
    return subjects.find((subject) => subject.name === name)!;
  };
  await waitFor('the fleet to be held up', async () => (await stateOf('held')).attempts > 1);
  await waitFor('the others', async () => (await stateOf('source')).state === 'done');
  await waitFor('the suspended one', async () => (await stateOf('closed')).state === 'skipped');
  assert.equal(await isNew('closed'), false);
});

test('created', async () => {
  await ran(world, 'create', undefined, { name: 'fresh', adminEmail });
  await assertComes('fresh');
});

test('imported', async () => {
  const { operationId } = await ran(world, 'export', 'source', {});
  const exported = await world.portability.openExport(operationId);
  const archivePath = await world.portability.receiveUpload(exported.content, 1e9);
  const { app, createdFrom } = await world.portability.inspectArchive(archivePath);
  await ran(world, 'import', undefined, { name: 'brought', archivePath, app: app.name, createdFrom });
  await assertComes('brought');
});

test('restored', async () => {
  const moment = { kind: 'time', time: '2026-01-01T00:00:00Z' } as const;
  await ran(world, 'restore', 'source', { newName: 'earlier', moment });
  await assertComes('earlier');
});

test('opened again', async () => {
  await ran(world, 'resume', 'closed', {});
  await assertComes('closed');
});

test('left behind by an operation that the last start has interrupted', async () => {
  // Its steps before the interruption were the old program's: it goes live at the old version while the fleet runs.
  const late = await world.lifecycle.getTenant('copy');
  await world.admin.dropDatabase(late.databaseName!);
  await world.admin.createDatabase(late.databaseName!, { template: oldTemplate });
  assert.equal(await isNew('copy'), false);
  await blocker.query('COMMIT');
  await fleet.idle();
  assert.equal((await fleet.latest())!.state, 'done');
  for (const { name } of (await world.lifecycle.listTenants({ limit: 100 })).tenants)
    assert.ok(await isNew(name), name);
});

test('none of them has drifted, however it came to be', async () => {
  const tenants = (await world.lifecycle.listTenants({ limit: 100 })).tenants;
  await world.admin.setCommitWaits(tenants[0]!.databaseName!, true);
  const drift = createFleetDrift(deps());
  const found = await drift.check();
  assert.deepEqual(
    found.map(({ name, state, differences }) => [name, state, differences]),
    tenants.map(({ name }) => [name, 'equal', []]),
  );
  await ran(world, 'suspend', 'brought', {});
  const { tenantId } = await world.lifecycle.getTenant('brought');
  assert.deepEqual(
    (await drift.check(tenantId)).map(({ state }) => state),
    ['equal'],
    'closed',
  );
});
