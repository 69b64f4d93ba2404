/** Another version of a tenant's app: the snapshot to go back to, and how it goes. That an update can be killed anywhere: kill.test.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock, type TenantId } from '#src/kernel/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import type { OperationInputs } from './flow.ts';
import type { Operation, OperationKind } from './types.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let aheadMs = 0;
const dayMs = 24 * 3_600_000;

before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-update-'));
  world = await openTestInstallation({
    control: cluster.control,
    folder,
    clock: { ...systemClock, now: () => systemClock.now() + aheadMs },
  });
  for (const version of ['1', '2'])
    await world.pool.query(
      `INSERT INTO app_versions (app, version, digest, manifest, notes, state, added_at, added_by)
       VALUES ('sample', $1, repeat('0', 64), '{}', '', 'ready', now(), 'test')`,
      [version],
    );
});
after(async () => {
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function run<K extends OperationKind>(
  kind: K,
  tenantId: TenantId | undefined,
  input: OperationInputs[K],
): Promise<Operation> {
  const started = await world.lifecycle.startOperation(kind, tenantId, input, 'os:test');
  const ended = await world.lifecycle.waitForOperation(started.operationId);
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
  return ended;
}
/** A tenant whose app is said to be a process, at version 1, with one note of the same id everywhere. */
async function create(name: string): Promise<TenantId> {
  const { tenantId } = await run('create', undefined, { name, adminEmail: 'ada@example.com' });
  await world.pool.query(`INSERT INTO tenant_apps (tenant_id, app, version) VALUES ($1, 'sample', '1')`, [tenantId]);
  await world.databases.app.transact(tenantId, (db) =>
    db.query(`INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('n1', $1, 'usr_x', now())`, [name]),
  );
  return tenantId;
}
async function textOf(tenantId: TenantId): Promise<string | undefined> {
  const [note] = await world.databases.app.read(tenantId, (db) => db.query<{ text: string }>('SELECT text FROM notes'));
  return note?.text;
}
const snapshotsOf = async (tenantId: TenantId) =>
  (
    await world.pool.query<{ name: string }>(
      'SELECT database_name AS name FROM tenant_snapshots WHERE tenant_id = $1 ORDER BY made_at',
      [tenantId],
    )
  ).map(({ name }) => name);

test('a tenant goes back to a snapshot with its content, and forward again to what that replaced; others keep theirs', async () => {
  const [acme, globex] = [await create('acme'), await create('globex')];
  await run('update', acme, { version: '2' });
  assert.deepEqual([await textOf(acme), await textOf(globex)], ['written by 2', 'globex']);
  const [before] = await snapshotsOf(acme);

  // The app of these tests writes when it starts: the content is seen to be the old one by what it is not.
  await world.databases.app.transact(acme, (db) =>
    db.query(
      `INSERT INTO notes (note_id, text, author_id, created_at) SELECT 'n2', text, author_id, created_at FROM notes`,
    ),
  );
  await run('update', acme, { version: '1', snapshot: before! });
  const { appVersion } = await world.lifecycle.getTenant('acme');
  assert.equal(appVersion, '1');
  const count = await world.databases.app.read(acme, (db) => db.query('SELECT FROM notes'));
  assert.equal(count.length, 1);
  const [after] = await snapshotsOf(acme);
  assert.notEqual(after, before);
  await run('update', acme, { version: '2', snapshot: after! });
  assert.equal((await world.databases.app.read(acme, (db) => db.query('SELECT FROM notes'))).length, 2);
  assert.equal(await textOf(globex), 'globex');
});

test("nobody goes back to another tenant's snapshot, to one of another version, or where there is no such app", async () => {
  const [one, other] = [await create('initech'), await create('umbrella')];
  await run('update', one, { version: '2' });
  await run('update', other, { version: '2' });
  const [foreign] = await snapshotsOf(other);
  const [own] = await snapshotsOf(one);
  const begin = (input: OperationInputs['update']) => world.lifecycle.startOperation('update', one, input, 'os:test');
  await assert.rejects(begin({ version: '1', snapshot: foreign! }), { code: 'FH_SNAPSHOT_NOT_FOUND' });
  await assert.rejects(begin({ version: '2', snapshot: own! }), { code: 'FH_SNAPSHOT_NOT_FOUND' });
  const { databaseName } = await world.lifecycle.getTenant('umbrella');
  await assert.rejects(begin({ version: '1', snapshot: databaseName! }), { code: 'FH_SNAPSHOT_NOT_FOUND' });
  const { tenantId } = await run('create', undefined, { name: 'inside', adminEmail: 'ada@example.com' });
  await assert.rejects(world.lifecycle.startOperation('update', tenantId, { version: '2' }, 'os:test'), {
    code: 'FH_TENANT_APP_UNKNOWN',
  });
  assert.deepEqual([await textOf(one), await textOf(other)], ['written by 2', 'written by 2']);
});

test('a snapshot goes after a day, or with its tenant', async () => {
  const [kept, gone] = [await create('wayne'), await create('stark')];
  await run('update', kept, { version: '2' });
  await run('update', gone, { version: '2' });
  const before = [...(await snapshotsOf(kept)), ...(await snapshotsOf(gone))];
  assert.equal(await world.lifecycle.dropDueSnapshots(), 0);
  await run('delete', gone, { now: true });
  assert.deepEqual(await snapshotsOf(gone), []);
  aheadMs = dayMs + 1_000;
  assert.ok((await world.lifecycle.dropDueSnapshots()) >= 1);
  const names = (await world.admin.listDatabases()).map(({ name }) => name);
  assert.deepEqual(
    before.filter((name) => names.includes(name)),
    [],
  );
  assert.deepEqual(await world.admin.findOrphans(await world.lifecycle.knownDatabases()), { databases: [], roles: [] });
  assert.equal(await textOf(kept), 'written by 2');
});
