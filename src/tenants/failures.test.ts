import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { armFailpoints, type Clock, randomName, systemClock, type TenantId, waitFor } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import type { Operation, OperationKind, Tenant } from './types.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
let aheadMs = 0;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
/** What the next closing of a database throws. */
let closeErrors: Error[] = [];
let migrateErrors: Error[] = [];
/** How often dropping a database still fails, as on a full disk. */
let refusedDrops = 0;
/** Creations wait here while it is set. */
let gate: Promise<void> | undefined;
let waiting = 0;
/** Before gateways are told. */
let whenNotified: ((tenantId: TenantId) => Promise<void>) | undefined;
/** After a copy was cleared of sessions and invitations. */
let whenStripped: ((tenantId: TenantId) => Promise<void>) | undefined;
before(async () => {
  cluster = await startTestCluster({ own: true });
  folder = await mkdtemp(join(tmpdir(), 'freehold-failures-'));
  world = await openTestInstallation({
    control: cluster.control,
    folder,
    clock,
    override: ({ databases, identity, notifyGateways, settings }) => ({
      // Ten seconds for each step: the control database is away for as long as the machine likes.
      settings: { ...settings, firstUndoPauseMs: 1_000, attemptsPerStep: 200 },
      databases: {
        ...databases,
        closeDatabase: async (name) => {
          const error = closeErrors.shift();
          if (error) throw error;
          await databases.closeDatabase(name);
        },
        dropDatabase: async (name) => {
          if (refusedDrops-- > 0) throw fullDisk();
          await databases.dropDatabase(name);
        },
        migrateDatabase: async (name, app) => {
          waiting++;
          await gate;
          const error = migrateErrors.shift();
          if (error) throw error;
          await databases.migrateDatabase(name, app);
        },
      },
      identity: {
        ...identity,
        stripClone: async (tenantId) => {
          await identity.stripClone(tenantId);
          await whenStripped?.(tenantId);
        },
      },
      notifyGateways: async (tenantId) => {
        await whenNotified?.(tenantId);
        await notifyGateways(tenantId);
      },
    }),
  });
});
after(async () => {
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});
afterEach(() => {
  armFailpoints('');
  closeErrors = [];
  migrateErrors = [];
  refusedDrops = 0;
  aheadMs = 0;
  whenNotified = undefined;
  whenStripped = undefined;
});

async function run(kind: OperationKind, tenant: Tenant | undefined, input: object): Promise<Operation> {
  const { operationId } = await world.lifecycle.startOperation(kind, tenant?.tenantId, input as never, 'os:test');
  return world.lifecycle.waitForOperation(operationId);
}
async function create(name = `t-${randomName(10)}`): Promise<Tenant> {
  assert.equal((await run('create', undefined, { name, adminEmail: 'ada@example.com' })).state, 'succeeded');
  return world.lifecycle.getTenant(name);
}
const failing = () => Object.assign(new Error('no'), { code: 'XX000', severity: 'ERROR' });
const fullDisk = () => Object.assign(new Error('could not extend file'), { code: '53100', severity: 'ERROR' });
const letsNobodyIn = () => Object.assign(new Error('not accepting'), { code: '55000', severity: 'FATAL' });
const busy = () => Object.assign(new Error('in use'), { code: '55006', severity: 'ERROR' });

test('a create that fails leaves nothing, and its name is free again', async () => {
  for (const step of ['key', 'database', 'open', 'migrations', 'administrator', 'host']) {
    armFailpoints(`lifecycle.create.${step}.after=error`);
    const operation = await run('create', undefined, { name: 'again', adminEmail: 'ada@example.com' });
    assert.deepEqual([operation.state, operation.error?.code], ['undone', 'FH_INTERNAL'], step);
    assert.match(operation.error!.text, new RegExp(`"${step}"`));
    assert.equal(await world.keys.hasTenantKey(operation.tenantId), false);
    await assert.rejects(world.lifecycle.takeSecretResult(operation.operationId, 'os:test'), {
      code: 'FH_OPERATION_SHOWN',
    });
    await assert.rejects(world.lifecycle.cancelOperation(operation.operationId, 'os:test'), {
      code: 'FH_OPERATION_STATE',
    });
  }
  assert.deepEqual(await world.admin.findOrphans(await world.lifecycle.knownDatabases()), { databases: [], roles: [] });
  assert.equal(await world.directory.findRoute('again.localhost'), undefined);
  await create('again');
});

test('what another try mends is tried again; what it does not mend stays visible', async () => {
  const tenant = await create();
  closeErrors = [busy(), busy()];
  assert.equal((await run('suspend', tenant, {})).state, 'succeeded');
  await run('resume', tenant, {});

  closeErrors = [failing()];
  const failed = await run('suspend', tenant, {});
  assert.deepEqual([failed.state, failed.steps[1]!.state], ['failed', 'failed']);
  const seen = await world.lifecycle.getTenant(tenant.name);
  assert.deepEqual([seen.state, seen.operationId], ['suspended', failed.operationId]);
  const recorded = () =>
    world.pool.query("SELECT name, actor FROM audit_events WHERE name = 'tenant.operation_retried' AND subject = $1", [
      failed.operationId,
    ]);
  // Whatever fails on the way, there is never a retry without its record, nor a record without one.
  armFailpoints('tenants.go_on.before_commit=error');
  await assert.rejects(world.lifecycle.retryOperation(failed.operationId, 'os:test'));
  assert.equal((await world.lifecycle.getOperation(failed.operationId)).state, 'failed');
  assert.deepEqual(await recorded(), []);
  await world.lifecycle.retryOperation(failed.operationId, 'os:test');
  assert.deepEqual(await recorded(), [{ name: 'tenant.operation_retried', actor: 'os:test' }]);
  const retried = await world.lifecycle.waitForOperation(failed.operationId);
  assert.deepEqual([retried.state, retried.error], ['succeeded', undefined]);
});

test('what cannot be taken back is tried again by itself, later and later, also after the next start', async () => {
  const failing = async (lifecycle: TestInstallation['lifecycle']): Promise<Operation> => {
    armFailpoints('lifecycle.create.open.before=error');
    const input = { name: `t-${randomName(10)}`, adminEmail: 'ada@example.com' };
    const { operationId } = await lifecycle.startOperation('create', undefined, input, 'os:test');
    // Between two tries, whichever.
    return waitFor('it to be stuck', async () => {
      const operation = await lifecycle.getOperation(operationId);
      return operation.state === 'failed' && operation;
    });
  };
  const isTakenBack = async ({ operationId, tenantId }: Operation) => {
    await waitFor(
      'it to be taken back',
      async () => (await world.lifecycle.getOperation(operationId)).state === 'undone',
    );
    assert.equal(await world.keys.hasTenantKey(tenantId), false);
  };
  refusedDrops = 3;
  const stuck = await failing(world.lifecycle);
  assert.deepEqual([stuck.state, stuck.undoing, stuck.error?.code], ['failed', true, 'FH_INTERNAL']);
  await isTakenBack(stuck);
  assert.ok(refusedDrops < 0);

  const other = await openTestInstallation({
    control: cluster.control,
    folder,
    override: ({ databases, settings }) => ({
      settings: { ...settings, firstUndoPauseMs: 3_600_000 },
      databases: { ...databases, dropDatabase: () => Promise.reject(fullDisk()) },
    }),
  });
  const left = await failing(other.lifecycle);
  assert.equal(left.state, 'failed');
  // Nor does a step that this version does not know keep the operation running, and its turn taken.
  const rename = (from: string, to: string) =>
    world.pool.query('UPDATE operation_steps SET name = $3 WHERE operation_id = $1 AND name = $2', [
      left.operationId,
      from,
      to,
    ]);
  await rename('key', 'unknown');
  await other.lifecycle.cancelOperation(left.operationId, 'os:test');
  assert.equal((await other.lifecycle.waitForOperation(left.operationId)).state, 'failed');
  await rename('unknown', 'key');
  await other.stop();
  // The disk is still so full that not even the books take anything: the start goes on all the same.
  await world.pool.query(
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'could not extend file' USING ERRCODE = '53100'; END $$`,
  );
  await world.pool.query('CREATE TRIGGER refuse BEFORE UPDATE ON operations EXECUTE FUNCTION refuse()');
  assert.equal(await world.lifecycle.resumeAll(), 1);
  assert.equal((await world.lifecycle.getOperation(left.operationId)).state, 'failed');
  await world.pool.query('DROP TRIGGER refuse ON operations');
  await world.pool.query('DROP FUNCTION refuse()');
  await isTakenBack(left);
  assert.deepEqual(await world.admin.findOrphans(await world.lifecycle.knownDatabases()), { databases: [], roles: [] });
});

test('a failed suspend can be taken back, a failed delete only be finished', async () => {
  const tenant = await create();
  closeErrors = [failing()];
  const suspend = await run('suspend', tenant, {});
  await world.lifecycle.cancelOperation(suspend.operationId, 'os:test');
  assert.equal((await world.lifecycle.waitForOperation(suspend.operationId)).state, 'undone');
  assert.equal((await world.lifecycle.getTenant(tenant.name)).state, 'active');
  await world.databases.app.read(tenant.tenantId, (db) => db.query('SELECT note_id FROM notes'));

  closeErrors = [failing()];
  const deletion = await run('delete', tenant, {});
  assert.equal(deletion.state, 'failed');
  await assert.rejects(world.lifecycle.cancelOperation(deletion.operationId, 'os:test'), {
    code: 'FH_OPERATION_STATE',
  });
  await assert.rejects(run('resume', tenant, {}), { code: 'FH_TENANT_STATE' });
  assert.equal((await world.directory.findRoute(`${tenant.name}.localhost`))?.state, 'deleting');
  await world.lifecycle.retryOperation(deletion.operationId, 'os:test');
  assert.equal((await world.lifecycle.waitForOperation(deletion.operationId)).state, 'succeeded');
});

test('a clone that fails opens the source first', async () => {
  const source = await create();
  armFailpoints('lifecycle.clone.database.after=error');
  const operation = await run('clone', source, { newName: 'not-made' });
  assert.equal(operation.state, 'undone');
  assert.equal((await world.lifecycle.getTenant(source.name)).state, 'active');
  await world.databases.app.read(source.tenantId, (db) => db.query('SELECT note_id FROM notes'));
});

test('an operation that was overtaken is not driven on', async () => {
  const tenant = await create();
  closeErrors = [failing()];
  const suspend = await run('suspend', tenant, {});
  assert.equal((await run('resume', tenant, {})).state, 'succeeded');
  await assert.rejects(world.lifecycle.retryOperation(suspend.operationId, 'os:test'), { code: 'FH_OPERATION_STATE' });
  assert.equal((await world.lifecycle.getTenant(tenant.name)).operationId, undefined);
});

test('a name that was given up is held back for its time, and free afterwards', async () => {
  const tenant = await create('given-up');
  await run('delete', tenant, {});
  const again = () => run('create', undefined, { name: 'given-up', adminEmail: 'b@example.com' });
  aheadMs = 89 * 24 * 3_600_000;
  await assert.rejects(again(), { code: 'FH_TENANT_NAME_TAKEN' });
  aheadMs = 91 * 24 * 3_600_000;
  assert.equal((await again()).state, 'succeeded');
  const heir = await world.lifecycle.getTenant('given-up');
  assert.notEqual(heir.tenantId, tenant.tenantId);
  assert.equal((await world.directory.findRoute('given-up.localhost'))?.tenantId, heir.tenantId);
});

test('different tenants are worked on side by side, up to the limit', async () => {
  let open = () => {};
  gate = new Promise((resolve) => (open = resolve));
  waiting = 0;
  const creating = Array.from({ length: 7 }, () =>
    run('create', undefined, { name: `t-${randomName(10)}`, adminEmail: 'ada@example.com' }),
  );
  await waitFor('four creations at a time', () => waiting === 4);
  const running = await world.lifecycle.listOperations({ states: ['running'] });
  assert.equal(running.length, 7, 'all are recorded');
  open();
  gate = undefined;
  for (const operation of await Promise.all(creating)) assert.equal(operation.state, 'succeeded');
  assert.equal(waiting, 7);
});

test('a lifecycle that stops leaves its operations to the next', async () => {
  const other = await openTestInstallation({ control: cluster.control, folder });
  armFailpoints('lifecycle.create.open.before=hang');
  const input = { name: 'left-over', adminEmail: 'ada@example.com' };
  const { operationId } = await other.lifecycle.startOperation('create', undefined, input, 'os:test');
  await waitFor(
    'the step to begin',
    async () => (await other.lifecycle.getOperation(operationId)).steps[2]!.state === 'running',
  );
  await other.lifecycle.stop(100);
  assert.equal((await world.lifecycle.getOperation(operationId)).state, 'running');
  await world.lifecycle.resumeAll();
  assert.equal((await world.lifecycle.waitForOperation(operationId)).state, 'succeeded');
  await other.pool.stop();
});

test('a step that finds the control database closed is tried again', async () => {
  migrateErrors = [letsNobodyIn(), letsNobodyIn()];
  await create();
  assert.deepEqual(migrateErrors, []);
});

test('an operation survives that the control database goes away in the middle', async () => {
  const superuser = await openConnection(cluster.superuser, { applicationName: 'test' });
  let open = () => {};
  gate = new Promise((resolve) => (open = resolve));
  waiting = 0;
  const creating = run('create', undefined, { name: 'survivor', adminEmail: 'ada@example.com' });
  await waitFor('the step to begin', () => waiting === 1);
  const database = cluster.control.database;
  await superuser.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
  const cutOff = () =>
    superuser.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
  await cutOff();
  open();
  gate = undefined;
  await waitFor('no connection', async () => {
    // One that was just being made may have come in before the door was closed.
    await cutOff();
    return world.pool.stats().idle === 0;
  });
  await superuser.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
  await superuser.close();
  const { state, error } = await creating;
  assert.equal(state, 'succeeded', JSON.stringify(error));
});

/** A session as a gateway would have it, from now on; `waits`: whether its commits wait for the regions. */
async function openSession(tenantId: TenantId) {
  const { database, app } = await world.directory.forLifecycle.getAccess(tenantId);
  const target = { host: database.host, port: database.port, tls: database.tls, database: database.name, ...app };
  const session = await openConnection(target, { applicationName: 'a gateway' });
  let ended = false;
  session.onEnd(() => (ended = true));
  const [row] = await session.query<{ point: string }>(`SELECT current_setting('synchronous_commit') AS point`);
  return { close: session.close, waits: row!.point === 'remote_apply', hasEnded: () => ended };
}
const pointOf = async ({ tenantId }: Tenant) => (await world.lifecycle.findTenant(tenantId))!.recoveryPoint;
async function waitsFor(tenantId: TenantId): Promise<boolean> {
  const session = await openSession(tenantId);
  await session.close();
  return session.waits;
}

test('a recovery point that is not lowered after all: no session goes on as if it were', async () => {
  const tenant = await create();
  assert.equal((await run('set', tenant, { recoveryPoint: 'zero' })).state, 'succeeded');
  armFailpoints('lifecycle.set.gateways.after=error');
  const failed = await run('set', tenant, { recoveryPoint: 'second' });
  assert.deepEqual([failed.state, await pointOf(tenant)], ['failed', 'second']);
  armFailpoints('');
  const between = await openSession(tenant.tenantId);
  const points: string[] = [];
  whenNotified = async (tenantId) => {
    // Whoever is told opens what it needs at once.
    points.push(`${await waitsFor(tenantId)} ${await pointOf(tenant)}`);
  };
  await world.lifecycle.cancelOperation(failed.operationId, 'os:test');
  assert.equal((await world.lifecycle.waitForOperation(failed.operationId)).state, 'undone');
  assert.equal(points[0], 'true second', 'the database first, the registry last');
  await waitFor('the session from between to be ended', () => between.hasEnded(), { deadlineMs: 60_000 });
  assert.deepEqual([between.waits, await waitsFor(tenant.tenantId), await pointOf(tenant)], [false, true, 'zero']);
});

test('a copy inherits the recovery point, and nobody who was there before goes on without it', async () => {
  const tenant = await create();
  await run('set', tenant, { recoveryPoint: 'zero' });
  for (const [kind, input] of [
    ['clone', {}],
    ['restore', { moment: { kind: 'time', time: '2026-01-01T00:00:00Z' } }],
  ] as const) {
    const early: Awaited<ReturnType<typeof openSession>>[] = [];
    whenStripped = async (tenantId) => void early.push(await openSession(tenantId));
    const copy = await run(kind, tenant, { ...input, newName: `t-${randomName(10)}` });
    assert.equal(copy.state, 'succeeded', JSON.stringify(copy.error));
    assert.deepEqual([early.length, early[0]!.waits, await waitsFor(copy.tenantId)], [1, false, true]);
    await waitFor('the session from before to be ended', () => early[0]!.hasEnded(), { deadlineMs: 60_000 });
  }
});

test('without regions a recovery point is lowered in truth, and cannot be raised', async () => {
  const tenant = await create();
  await run('set', tenant, { recoveryPoint: 'zero' });
  const bare = await openTestInstallation({
    control: cluster.control,
    folder,
    override: ({ recoveryPoints }) => ({ recoveryPoints: { ...recoveryPoints, hasRegions: false } }),
  });
  const set = (recoveryPoint: 'zero' | 'second') =>
    bare.lifecycle.startOperation('set', tenant.tenantId, { recoveryPoint }, 'os:test');
  await assert.rejects(set('zero'), { code: 'FH_RECOVERY_POINT_UNAVAILABLE' });
  const session = await openSession(tenant.tenantId);
  const { operationId } = await set('second');
  assert.equal((await bare.lifecycle.waitForOperation(operationId)).state, 'succeeded');
  await waitFor('the session from before to be ended', () => session.hasEnded(), { deadlineMs: 60_000 });
  assert.deepEqual([session.waits, await waitsFor(tenant.tenantId), await pointOf(tenant)], [true, false, 'second']);
  await bare.stop();
});
