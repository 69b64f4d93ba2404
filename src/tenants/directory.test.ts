import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newId, type TenantId } from '#src/kernel/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let acme: TenantId;
let globex: TenantId;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-directory-'));
  world = await openTestInstallation({ control: cluster.control, folder, domain: 'cloud.example' });
  const create = async (name: string) => {
    const input = { name, adminEmail: 'ada@example.com' };
    const { operationId, tenantId } = await world.lifecycle.startOperation('create', undefined, input, 'os:test');
    await world.lifecycle.waitForOperation(operationId);
    return tenantId;
  };
  [acme, globex] = [await create('acme'), await create('globex')];
});
after(async () => {
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

test('only the exact host of a tenant is a tenant', async () => {
  assert.equal((await world.directory.findRoute('acme.cloud.example'))?.tenantId, acme);
  for (const host of [
    'cloud.example',
    'acme',
    'ACME.cloud.example',
    'acme.cloud.example.',
    'acme.cloud.example:8443',
    'x.acme.cloud.example',
    'acme.cloud.example.evil.example',
    'acmecloud.example',
    '.cloud.example',
    'acme%2ecloud.example',
    "acme' OR ''='.cloud.example",
    'acme\u0000.cloud.example',
    'initech.cloud.example',
    'a'.repeat(5_000),
    '',
  ]) {
    assert.equal(await world.directory.findRoute(host), undefined, JSON.stringify(host).slice(0, 60));
    if (host !== 'cloud.example') assert.equal(await world.directory.findCertificate(host), undefined);
  }
});

test('access leads to one tenant, with keys and passwords of its own', async () => {
  const [a, b] = [await world.directory.getAccess(acme), await world.directory.getAccess(globex)];
  const secrets = [a, b].flatMap(({ app, platform, cookieKey, filesKey, factorsKey, identityKey }) => [
    app.password,
    platform.password,
    Buffer.from(cookieKey).toString('hex'),
    Buffer.from(filesKey).toString('hex'),
    Buffer.from(factorsKey).toString('hex'),
    Buffer.from(identityKey).toString('hex'),
  ]);
  assert.equal(new Set(secrets).size, 12);
  assert.notEqual(a.database.name, b.database.name);
  assert.deepEqual([a.app.user, a.platform.user], [a.database.name, `${a.database.name}_p`]);
  await assert.rejects(world.directory.getAccess(newId('ten')), { code: 'FH_TENANT_NOT_FOUND' });
});

test('a sealed password opens for its own tenant and use only', async () => {
  const swap = (from: string, to: string) =>
    world.pool.query(
      `UPDATE tenant_secrets SET sealed = (SELECT sealed FROM tenant_secrets WHERE tenant_id = $1 AND name = $2)
       WHERE tenant_id = $3 AND name = 'database.app'`,
      [from === 'acme' ? acme : globex, to, globex],
    );
  const kept = await world.pool.query<{ sealed: Buffer }>(
    `SELECT sealed FROM tenant_secrets WHERE tenant_id = $1 AND name = 'database.app'`,
    [globex],
  );
  for (const [from, name] of [
    ['acme', 'database.app'],
    ['globex', 'database.platform'],
  ] as const) {
    await swap(from, name);
    await assert.rejects(world.directory.getAccess(globex), { code: 'FH_KEY_UNSEAL' });
  }
  await world.pool.query(`UPDATE tenant_secrets SET sealed = $2 WHERE tenant_id = $1 AND name = 'database.app'`, [
    globex,
    kept[0]!.sealed,
  ]);
  await world.directory.getAccess(globex);
});

test('a change is waited for, at every listener', async () => {
  const told: string[] = [];
  world.directory.onChanged(async (tenantId) => void told.push(tenantId));
  await world.directory.changed(acme);
  assert.deepEqual(told, [acme]);
  world.directory.onChanged(async () => {
    throw new Error('a gateway that does not answer');
  });
  await assert.rejects(world.directory.changed(acme), /does not answer/);
});
