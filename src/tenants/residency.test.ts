/** Where data may be: what is a place, what lies in which, and that a binding which does not hold is never written. Stores: test/faults/residency.test.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import type { OperationInputs } from './flow.ts';
import { findOutside, type Places, parseResidency, requireAllResidencies } from './residency.ts';
import type { OperationKind, Tenant } from './types.ts';

const places: Places = {
  home: 'eu-de',
  regions: [
    { region: 'a', place: 'eu-nl' },
    { region: 'b', place: 'eu-fr-par' },
  ],
};
let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-residency-'));
  world = await openTestInstallation({
    control: cluster.control,
    folder,
    override: ({ settings }) => ({ settings: { ...settings, places, deletionGraceDays: 7 } }),
  });
});
after(async () => {
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function run<K extends OperationKind>(
  kind: K,
  of: Tenant | undefined,
  input: OperationInputs[K],
): Promise<Tenant> {
  const started = await world.lifecycle.startOperation(kind, of?.tenantId, input, 'os:test');
  const { state, tenantId, error } = await world.lifecycle.waitForOperation(started.operationId);
  assert.equal(state, 'succeeded', `${error?.code}: ${error?.text}`);
  return world.lifecycle.getTenant(tenantId!);
}
const create = (name: string, residency?: OperationInputs['create']['residency']) =>
  run('create', undefined, { name, adminEmail: 'ada@example.com', ...(residency && { residency }) });

test('a place holds what lies inside it, and nothing that only begins alike', () => {
  const outside = (home: string[], copies?: string[]) => findOutside(parseResidency({ home, copies }), places);
  assert.deepEqual(outside(['eu']), []);
  assert.deepEqual(outside(['eu-de'], ['eu-nl', 'eu-fr']), []);
  assert.deepEqual(outside(['eu-de']), ['region a lies in eu-nl', 'region b lies in eu-fr-par']);
  assert.deepEqual(outside(['eu-d', 'e', 'eu-de-fra'], ['eu']), ['this machine lies in eu-de']);
  assert.deepEqual(findOutside(parseResidency({ home: ['eu'] }), { home: undefined, regions: [] }), [
    'this machine has no named place',
  ]);
});

test('what is no place is refused, and lists are put in order', () => {
  const code = (home: string[], copies?: string[]) => () => parseResidency({ home, copies });
  for (const wrong of ['', 'EU', 'eu_de', '-eu', 'eu-', 'eu--de', 'a-b-c-d-e', 'x'.repeat(17), 'eu de', 'eu\n', 'é'])
    assert.throws(code(['eu', wrong]), { code: 'FH_RESIDENCY_INVALID' }, JSON.stringify(wrong));
  assert.throws(code([]), { code: 'FH_RESIDENCY_INVALID' });
  assert.throws(code(['eu'], []), { code: 'FH_RESIDENCY_INVALID' });
  assert.throws(code(Array.from({ length: 21 }, (_, index) => `p${index}`)), { code: 'FH_RESIDENCY_INVALID' });
  assert.deepEqual(parseResidency({ home: ['us', 'eu', 'us'] }), { home: ['eu', 'us'], copies: ['eu', 'us'] });
});

test('a tenant that asks for elsewhere is not made; a bound one is bound with its copies', async () => {
  const { total } = await world.lifecycle.listTenants({});
  await assert.rejects(create('acme', { home: ['us'] }), {
    code: 'FH_RESIDENCY_NOT_KEPT',
    message: /region b lies in eu-fr-par/,
  });
  assert.equal((await world.lifecycle.listTenants({})).total, total);
  const acme = await create('acme', { home: ['eu-de'], copies: ['eu'] });
  const globex = await create('globex');
  assert.deepEqual(acme.residency, { home: ['eu-de'], copies: ['eu'] });
  assert.equal(globex.residency, undefined);
  assert.deepEqual((await run('clone', acme, { newName: 'acme-copy' })).residency, acme.residency);
});

test('a change that does not hold changes nothing; one that does is recorded', async () => {
  const globex = await world.lifecycle.getTenant('globex');
  await assert.rejects(world.lifecycle.changeResidency(globex, { home: ['eu-de'] }, 'os:test'), {
    code: 'FH_RESIDENCY_NOT_KEPT',
  });
  assert.equal((await world.lifecycle.getTenant('globex')).residency, undefined);
  await world.lifecycle.changeResidency(globex, { home: ['eu'] }, 'os:test');
  assert.deepEqual((await world.lifecycle.getTenant('globex')).residency, { home: ['eu'], copies: ['eu'] });
  await world.lifecycle.changeResidency(globex, null, 'os:test');
  assert.equal((await world.lifecycle.getTenant('globex')).residency, undefined);
  const recorded = await world.pool.query<{ details: object }>(
    `SELECT details FROM audit_events WHERE name = 'tenant.residency_changed' ORDER BY recorded_at`,
  );
  assert.deepEqual(
    recorded.map(({ details }) => details),
    [
      { name: 'globex', from: 'anywhere', to: 'eu' },
      { name: 'globex', from: 'eu', to: 'anywhere' },
    ],
  );
});

test('settings are compared with everybody who has data here, deleted ones too until their key is gone', async () => {
  const moved: Places = { ...places, regions: [{ region: 'a', place: 'us-east' }] };
  await requireAllResidencies(world.pool, places);
  await assert.rejects(requireAllResidencies(world.pool, moved), {
    code: 'FH_RESIDENCY_NOT_KEPT',
    message: /tenant acme: eu-de, copies in eu; region a lies in us-east; 1 more/,
  });
  await run('delete', await world.lifecycle.getTenant('acme'), {});
  await run('delete', await world.lifecycle.getTenant('acme-copy'), {});
  await assert.rejects(requireAllResidencies(world.pool, moved), { code: 'FH_RESIDENCY_NOT_KEPT', message: /tenant / });
});
