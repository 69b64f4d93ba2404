import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { verifyDocument } from '#src/keys/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import type { OperationInputs } from './flow.ts';
import type { Operation, OperationKind, Tenant } from './types.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
before(async () => {
  cluster = await startTestCluster({ own: true });
  folder = await mkdtemp(join(tmpdir(), 'freehold-lifecycle-'));
  world = await openTestInstallation({ control: cluster.control, folder });
});
after(async () => {
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

const actor = 'os:test';
async function run<K extends OperationKind>(
  kind: K,
  tenant: Tenant | undefined,
  input: OperationInputs[K],
): Promise<Operation> {
  const started = await world.lifecycle.startOperation(kind, tenant?.tenantId, input, actor);
  return world.lifecycle.waitForOperation(started.operationId);
}
async function create(name: string): Promise<Tenant> {
  const operation = await run('create', undefined, { name, adminEmail: 'ada@example.com' });
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  return world.lifecycle.getTenant(name);
}
const rows = (tenant: Tenant) =>
  world.databases.app.read(tenant.tenantId, (db) => db.query('SELECT note_id, text FROM notes ORDER BY note_id'));
const note = (tenant: Tenant, text: string) =>
  world.databases.app.transact(tenant.tenantId, (db) =>
    db.query(`INSERT INTO notes (note_id, text, author_id, created_at) VALUES ($1, $2, 'usr_x', now())`, ['n1', text]),
  );

test('a tenant is born, and its invitation is shown once and to nobody else', async () => {
  const started = await world.lifecycle.startOperation(
    'create',
    undefined,
    { name: 'birth', adminEmail: 'ada@example.com' },
    actor,
  );
  assert.equal(await world.directory.findRoute('birth.localhost'), undefined, 'the host answers last');
  const operation = await world.lifecycle.waitForOperation(started.operationId);
  assert.deepEqual(
    [operation.state, operation.steps.map((step) => `${step.name} ${step.state}`)],
    ['succeeded', ['key', 'database', 'open', 'migrations', 'administrator', 'host'].map((name) => `${name} done`)],
  );
  const tenant = await world.lifecycle.getTenant('birth');
  assert.deepEqual([tenant.state, tenant.operationId, tenant.adminEmail], ['active', undefined, 'ada@example.com']);
  const route = await world.directory.findRoute('birth.localhost');
  assert.deepEqual([route?.tenantId, route?.state], [tenant.tenantId, 'active']);

  await assert.rejects(world.lifecycle.takeSecretResult(operation.operationId, 'os:other'), {
    code: 'FH_OPERATION_NOT_FOUND',
  });
  const taken = await Promise.allSettled(
    [1, 2, 3].map(() => world.lifecycle.takeSecretResult(operation.operationId, actor)),
  );
  const shown = taken.filter((result) => result.status === 'fulfilled');
  assert.equal(shown.length, 1);
  assert.match(shown[0]!.value.invitationUrl!, /^https:\/\/birth\.localhost:8443\/-\/invitations\/[A-Za-z0-9_-]{40,}$/);
  const stored = await world.pool.query('SELECT input::text || memo::text || result::text AS text FROM operations');
  assert.ok(!JSON.stringify(stored).includes('/-/invitations/'));
});

test('suspend closes the door in the server itself, resume opens it', async () => {
  const tenant = await create('pause');
  await note(tenant, 'kept');
  const access = await world.directory.getAccess(tenant.tenantId);
  const login = () =>
    openConnection({ ...access.database, database: access.database.name, ...access.app }, { applicationName: 'test' });
  const open = await login();
  const ended = new Promise((resolve) => open.onEnd(resolve));
  assert.equal((await run('suspend', tenant, {})).state, 'succeeded');
  await ended;
  await assert.rejects(login(), { code: '28000' });
  await assert.rejects(world.directory.getAccess(tenant.tenantId), { code: 'FH_TENANT_NOT_ACTIVE' });
  assert.equal((await world.directory.findRoute('pause.localhost'))?.state, 'suspended');
  assert.equal((await run('resume', tenant, {})).state, 'succeeded');
  assert.equal((await rows(tenant)).length, 1);
});

test('rename moves the host at once; the old name answers nothing and stays reserved', async () => {
  const tenant = await create('before');
  const operation = await run('rename', tenant, { newName: 'after' });
  assert.deepEqual([operation.state, operation.result.url], ['succeeded', 'https://after.localhost:8443']);
  assert.equal(await world.directory.findRoute('before.localhost'), undefined);
  assert.equal((await world.directory.findRoute('after.localhost'))?.tenantId, tenant.tenantId);
  await assert.rejects(run('create', undefined, { name: 'before', adminEmail: 'b@example.com' }), {
    code: 'FH_TENANT_NAME_TAKEN',
  });
  const renamed = await world.lifecycle.getTenant('after');
  assert.equal(
    (await run('rename', renamed, { newName: 'before' })).state,
    'succeeded',
    'its own old name it may have',
  );
});

test('a clone has the rows and none of the ways in', async () => {
  const source = await create('original');
  await note(source, 'shared');
  const file = await world.files.put(source.tenantId, [Buffer.from('attached')] as never, {
    name: 'a.txt',
    mediaType: 'text/plain',
    maxBytes: 100,
    createdBy: 'system',
  });
  const before = await world.directory.getAccess(source.tenantId);
  const operation = await run('clone', source, { newName: 'the-copy' });
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  const copy = await world.lifecycle.getTenant('the-copy');
  assert.deepEqual(await rows(copy), await rows(source));
  const invitations = await world.databases.platform.read(copy.tenantId, (db) =>
    db.query('SELECT invitation_id FROM freehold.invitations'),
  );
  assert.deepEqual(invitations, []);
  const opened = await world.files.open(copy.tenantId, file.fileId);
  assert.equal(String(Buffer.concat(await opened!.content.toArray())), 'attached');
  const access = await world.directory.getAccess(copy.tenantId);
  assert.notDeepEqual(access.cookieKey, before.cookieKey);
  assert.notEqual(access.database.name, before.database.name);
  assert.notEqual(access.app.password, before.app.password);
  await note(copy, 'ignored').catch(() => {});
  await world.databases.app.transact(copy.tenantId, (db) => db.query('DELETE FROM notes'));
  assert.equal((await rows(source)).length, 1, 'the source has rows of its own');
});

test('a suspended tenant can be cloned and exported, and stays closed', async () => {
  const source = await create('asleep');
  await note(source, 'quiet');
  await run('suspend', source, {});
  for (const operation of [await run('clone', source, { newName: 'awake' }), await run('export', source, {})]) {
    assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  }
  assert.equal((await world.lifecycle.getTenant('asleep')).state, 'suspended');
  await assert.rejects(rows(source), { code: '28000' });
  assert.equal((await rows(await world.lifecycle.getTenant('awake'))).length, 1);
});

test('delete with the key destroys what it says, and says what it destroyed', async () => {
  const tenant = await create('farewell');
  await note(tenant, 'gone');
  await world.files.put(tenant.tenantId, [Buffer.from('12345')] as never, {
    name: 'a',
    mediaType: 'text/plain',
    maxBytes: 100,
    createdBy: 'system',
  });
  await run('export', tenant, {});
  const operation = await run('delete', tenant, { now: true });
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  const { document, publicKeyPem } = await world.lifecycle.getCertificate(String(operation.result.certificateId));
  assert.ok(verifyDocument(document, publicKeyPem));
  const { destroyed } = document as { destroyed: Record<string, Record<string, unknown>> };
  assert.deepEqual(
    [destroyed.files, destroyed.exports!.count, destroyed.key],
    [{ count: 1, bytes: 5 }, 1, { destroyed: true }],
  );
  assert.ok(Number(destroyed.database!.rows) > 0);
  assert.equal(await world.keys.hasTenantKey(tenant.tenantId), false);
  assert.deepEqual(await world.pool.query('SELECT 1 FROM pg_database WHERE datname = $1', [tenant.databaseName]), []);
  assert.deepEqual(
    await world.pool.query('SELECT 1 FROM pg_roles WHERE rolname LIKE $1', [`${tenant.databaseName}%`]),
    [],
  );
  assert.equal((await world.directory.findRoute('farewell.localhost'))?.state, 'deleted');
  assert.equal((await world.lifecycle.findTenant(tenant.tenantId))?.adminEmail, '');
  await assert.rejects(run('create', undefined, { name: 'farewell', adminEmail: 'b@example.com' }), {
    code: 'FH_TENANT_NAME_TAKEN',
  });
  await assert.rejects(run('resume', tenant, {}), { code: 'FH_TENANT_STATE' });
});

test('of two creates with one name exactly one succeeds, and the other leaves nothing', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 6 }, () => run('create', undefined, { name: 'wanted', adminEmail: 'ada@example.com' })),
  );
  const refused = results.filter((result) => result.status === 'rejected');
  assert.deepEqual([...new Set(refused.map((result) => result.reason.code))], ['FH_TENANT_NAME_TAKEN']);
  assert.equal(refused.length, 5);
  assert.deepEqual((await world.lifecycle.listTenants({ search: 'wanted' })).total, 1);
});

test('one operation at a time per tenant', async () => {
  const tenant = await create('crowded');
  const results = await Promise.allSettled([
    run('suspend', tenant, {}),
    run('rename', tenant, { newName: 'crowded-2' }),
    run('clone', tenant, { newName: 'crowded-3' }),
    run('export', tenant, {}),
  ]);
  const codes = results.map((result) => (result.status === 'fulfilled' ? result.value.state : result.reason.code));
  assert.ok(
    codes.every((code) => code === 'succeeded' || code === 'FH_TENANT_BUSY'),
    codes.join(),
  );
  // One that came late may have found the first at its end already.
  const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  done.sort((one, other) => Number(one.startedAt) - Number(other.startedAt));
  assert.ok(done.length >= 1);
  for (const [index, { startedAt }] of done.entries())
    assert.ok(index === 0 || startedAt >= done[index - 1]!.finishedAt!, codes.join());
});
