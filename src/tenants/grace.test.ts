/** What a deletion leaves for its grace period, and how that ends: by time, by hand, or by a restore that takes the name again. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { armFailpoints, systemClock, waitFor } from '#src/kernel/index.ts';
import { verifyDocument } from '#src/keys/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import type { OperationInputs } from './flow.ts';
import type { Operation, OperationKind, Tenant } from './types.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let aheadMs = 0;
/** What recovery gives: the same as this tenant holds now. */
let twin: Tenant;
/** What happens while something is recovered. */
let meanwhile: () => Promise<void> = async () => {};
const dayMs = 24 * 3_600_000;

before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-grace-'));
  world = await openTestInstallation({
    control: cluster.control,
    folder,
    clock: { ...systemClock, now: () => systemClock.now() + aheadMs },
    override: ({ restores }) => ({
      restores: {
        ...restores!,
        async recoverArchive(request, onProgress, signal) {
          await meanwhile();
          return restores!.recoverArchive({ ...request, tenant: twin }, onProgress, signal);
        },
      },
    }),
  });
  twin = await create('twin');
});
after(async () => {
  armFailpoints('');
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function run<K extends OperationKind>(
  kind: K,
  tenant: Tenant | undefined,
  input: OperationInputs[K],
): Promise<Operation> {
  const started = await world.lifecycle.startOperation(kind, tenant?.tenantId, input, 'os:test');
  return world.lifecycle.waitForOperation(started.operationId);
}
async function create(name: string): Promise<Tenant> {
  const operation = await run('create', undefined, { name, title: `${name} Ltd`, adminEmail: 'ada@example.com' });
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  return world.lifecycle.getTenant(name);
}
const moment = { kind: 'time', time: '2026-01-01T00:00:00Z' } as const;
interface Document {
  readonly certificateId: string;
  readonly destroyed: { readonly key: object; readonly database: object };
  readonly expires: readonly { readonly what: string; readonly when: string }[];
  readonly copies: readonly { readonly name: string; readonly madeBy: string }[];
  readonly completes?: string;
}
async function certificateOf({ tenantId }: Tenant) {
  const { document, publicKeyPem } = await world.lifecycle.getCertificate(tenantId);
  assert.ok(verifyDocument(document, publicKeyPem));
  return document as unknown as Document;
}

test('the key outlives the tenant for its time, and the certificate says so, then and afterwards', async () => {
  const tenant = await create('meadow');
  const deleted = await run('delete', tenant, {});
  assert.equal(deleted.state, 'succeeded', JSON.stringify(deleted.error));
  assert.ok(!deleted.steps.some(({ name }) => name === 'key'));
  const { keyDueAt, state, databaseName } = (await world.lifecycle.findTenant(tenant.tenantId))!;
  assert.deepEqual([state, databaseName], ['deleted', undefined]);
  assert.ok(await world.keys.hasTenantKey(tenant.tenantId));
  assert.deepEqual(await world.pool.query('SELECT 1 FROM pg_database WHERE datname = $1', [tenant.databaseName]), []);
  const first = await certificateOf(tenant);
  assert.deepEqual(first.destroyed.key, { destroyed: false, dueAt: keyDueAt!.toISOString() });
  assert.match(first.expires[0]!.what, /key.*base backups, dumps and files/);
  assert.equal(first.expires[0]!.when, `within a day after ${keyDueAt!.toISOString()}`);

  assert.equal(await world.lifecycle.destroyDueKeys(), 0);
  aheadMs = 7 * dayMs - 60_000;
  assert.equal(await world.lifecycle.destroyDueKeys(), 0);
  aheadMs = 7 * dayMs + 1_000;
  assert.equal(await world.lifecycle.destroyDueKeys(), 1);
  assert.equal(await world.lifecycle.destroyDueKeys(), 0);
  assert.equal(await world.keys.hasTenantKey(tenant.tenantId), false);
  const second = await certificateOf(tenant);
  assert.equal((await world.lifecycle.getCertificate(first.certificateId)).completedBy, second.certificateId);
  assert.deepEqual(second.destroyed.database, first.destroyed.database);
  assert.equal(second.completes, first.certificateId);
  assert.equal((second.destroyed.key as { destroyed: boolean }).destroyed, true);
  assert.ok(second.expires.every(({ what }) => !what.includes("tenant's key")));
  const events = await world.pool.query<{ name: string; actor: string }>(
    `SELECT name, actor FROM audit_events WHERE subject = $1 AND name IN ('tenant.deleted', 'tenant.key_destroyed') ORDER BY recorded_at`,
    [tenant.tenantId],
  );
  assert.deepEqual(events, [
    { name: 'tenant.deleted', actor: 'os:test' },
    { name: 'tenant.key_destroyed', actor: 'system' },
  ]);
  await assert.rejects(run('destroy', tenant, {}), { code: 'FH_TENANT_STATE' });
  await assert.rejects(run('restore', tenant, { moment }), { code: 'FH_KEY_DESTROYED' });
  aheadMs = 0;
});

test('a restored tenant is the heir of the name, and the certificate tells of it', async () => {
  const tenant = await create('brook');
  await run('delete', tenant, {});
  // Nobody else has the name, and a restore that fails leaves it held back as it was.
  const others = () => run('create', undefined, { name: 'brook', adminEmail: 'eve@example.com' });
  await assert.rejects(others(), { code: 'FH_TENANT_NAME_TAKEN' });
  armFailpoints('lifecycle.restore.host.before=error');
  assert.equal((await run('restore', tenant, { moment })).state, 'undone');
  await assert.rejects(others(), { code: 'FH_TENANT_NAME_TAKEN' });
  assert.equal((await world.directory.findRoute('brook.localhost'))?.state, 'deleted');

  // A key that is due waits for whoever is reading with it.
  aheadMs = 8 * dayMs;
  meanwhile = async () => assert.equal(await world.lifecycle.destroyDueKeys(), 0);
  const restored = await run('restore', tenant, { moment });
  meanwhile = async () => {};
  assert.equal(restored.state, 'succeeded', JSON.stringify(restored.error));
  const heir = await world.lifecycle.getTenant('brook');
  assert.deepEqual(
    [heir.tenantId, heir.title, heir.state],
    [restored.tenantId, 'brook Ltd', 'active'],
    'its name and title',
  );
  assert.equal((await world.directory.findRoute('brook.localhost'))?.tenantId, heir.tenantId);
  assert.equal(await world.lifecycle.destroyDueKeys(), 1);
  assert.deepEqual(
    (await certificateOf(tenant)).copies.map(({ name, madeBy }) => [name, madeBy]),
    [['brook', 'restore']],
  );
  assert.equal((await world.lifecycle.getTenant('brook')).state, 'active');
  aheadMs = 0;
});

test('a restore and the destruction of the key at once: one comes first, and the other knows', async () => {
  aheadMs = 0;
  for (const order of [
    ['restore', 'destroy'],
    ['destroy', 'restore'],
  ] as const) {
    const tenant = await create(`both-${order[0]}-first`);
    await run('delete', tenant, {});
    aheadMs = 8 * dayMs;
    let restore: Promise<unknown> | undefined;
    let destroy: Promise<number> | undefined;
    await world.pool.transaction(async (tx) => {
      await tx.query('SELECT FROM tenants WHERE tenant_id = $1 FOR NO KEY UPDATE', [tenant.tenantId]);
      for (const [index, which] of order.entries()) {
        if (which === 'restore') restore = run('restore', tenant, { moment }).catch((error: unknown) => error);
        else destroy = world.lifecycle.destroyDueKeys();
        destroy?.catch(() => {});
        await waitFor(`${which} to stand before the lock`, async () => (await countWaiting()) === index + 1, {
          deadlineMs: 60_000,
        });
      }
    });
    // Whoever came first does not have to get the lock first: a destruction's entry in tenant_locks holds a share of the row already, and PostgreSQL lets such waiters pass the queue.
    const outcome = await restore;
    const destroyed = await destroy;
    if (destroyed === 0) {
      const { state, error } = outcome as Operation;
      assert.equal(state, 'succeeded', JSON.stringify(error));
      assert.equal(await world.lifecycle.destroyDueKeys(), 1);
    } else {
      assert.equal(destroyed, 1);
      assert.equal((outcome as { code?: string }).code, 'FH_KEY_DESTROYED', JSON.stringify(outcome));
    }
    assert.equal(await world.keys.hasTenantKey(tenant.tenantId), false);
    aheadMs = 0;
  }
});

async function countWaiting(): Promise<number> {
  const [row] = await world.pool.query<{ waiting: number }>(
    `SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'SELECT state, name FROM tenants%'`,
  );
  return row!.waiting;
}

test('without backups, or with no days of grace, the key goes with the tenant', async () => {
  for (const override of [{ restores: undefined }, { deletionGraceDays: 0 }]) {
    const bare = await openTestInstallation({
      control: cluster.control,
      folder,
      override: ({ restores, settings }) =>
        'restores' in override ? override : { restores: restores!, settings: { ...settings, ...override } },
    });
    const tenant = await create(`bare-${'restores' in override ? 1 : 2}`);
    const { operationId } = await bare.lifecycle.startOperation('delete', tenant.tenantId, {}, 'os:test');
    assert.equal((await bare.lifecycle.waitForOperation(operationId)).state, 'succeeded');
    assert.equal(await bare.keys.hasTenantKey(tenant.tenantId), false);
    assert.deepEqual((await certificateOf(tenant)).destroyed.key, { destroyed: true });
    await bare.stop();
  }
});
