import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { randomName } from '#src/kernel/index.ts';
import { sqlState } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createTestTenants, type TestTenant, type TestTenants } from '../../test/support/tenant.ts';
import type { LeaseGuard, TenantDatabases, TenantDb } from './index.ts';

let cluster: TestCluster;
let tenants: TestTenants;
let databases: TenantDatabases;
let tenant: TestTenant;

before(async () => {
  cluster = await startTestCluster();
  tenants = createTestTenants(cluster);
  tenant = await tenants.createTestTenant('acme');
  databases = tenants.createDatabases({ budget: 1, perTenantMax: 1 });
  await transact('CREATE TABLE item (id int PRIMARY KEY, title text)');
  await transact("INSERT INTO item VALUES (1, 'secret')");
  await transact('CREATE TABLE gate (good text)');
  await transact("INSERT INTO gate VALUES ('yes')");
});
after(async () => {
  await tenants.stop();
  await cluster.stop();
});

class Refused extends Error {}
let asked: unknown[] = [];
let refuses = false;
beforeEach(() => {
  [asked, refuses] = [[], false];
});
const guard: LeaseGuard = {
  text: 'SELECT good FROM gate WHERE $1::int = 1',
  values: [1],
  accept(rows) {
    asked.push(...rows);
    if (refuses) throw new Refused();
  },
};
const transact = (text: string) => databases.app.transact(tenant.tenantId, (db) => db.query(text));
const read = <T>(fn: (db: TenantDb) => Promise<T>, of = guard) =>
  databases.app.read(tenant.tenantId, fn, { guard: of });
const titles = (db: TenantDb) => db.query('SELECT title FROM item');
const backend = async () =>
  (await databases.app.read(tenant.tenantId, (db) => db.query('SELECT pg_backend_pid() AS pid')))[0]!.pid;

test('a lease asks its guard once, with the first statement or without one', async () => {
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await read(titles), [{ title: 'secret' }]);
    assert.equal(await read(async () => 7), 7);
    assert.equal((await read((db) => Promise.all([titles(db), titles(db), titles(db)]))).length, 3);
    assert.deepEqual(asked, Array(3).fill({ good: 'yes' }));
    asked = [];
  }
});

test('nothing of a lease whose guard refuses is given out, and the connection is as good as before', async () => {
  const pid = await backend();
  const given: unknown[] = [];
  const callbacks: Record<string, (db: TenantDb) => Promise<unknown>> = {
    reads: async (db) => given.push(await titles(db)),
    'reads at once': async (db) => given.push(...(await Promise.all([titles(db), titles(db)]))),
    'reads and goes on': async (db) => {
      await titles(db).catch(() => {});
      given.push(await titles(db));
    },
    'reads nothing': async () => 7,
    swallows: async (db) => titles(db).catch(() => 7),
    throws: async () => assert.fail('something else'),
    'fails in the server': (db) => db.query('SELECT 1 / 0'),
    'is refused': (db) => db.query('LISTEN x'),
    'never ends': () => new Promise(() => {}),
  };
  for (const [what, callback] of Object.entries(callbacks)) {
    for (let round = 0; round < 3; round++) {
      refuses = true;
      await assert.rejects(read(callback), Refused, what);
      assert.deepEqual([given, asked], [[], [{ good: 'yes' }]], what);
      [refuses, asked] = [false, []];
      assert.deepEqual(await read(titles), [{ title: 'secret' }]);
      asked = [];
    }
  }
  assert.equal(await backend(), pid);
});

test('what a callback throws is heard after the guard', async () => {
  const order: string[] = [];
  const noting: LeaseGuard = { ...guard, accept: () => void order.push('guard') };
  const failing = read(async () => assert.fail('mine'), noting).catch((error) => order.push(error.message));
  await failing;
  assert.deepEqual(order, ['guard', 'mine']);
  await assert.rejects(
    read((db) => db.query('SELECT 1 / 0')),
    (error) => sqlState(error) === '22012',
  );
});

test('a guard that cannot be asked ends the lease', async () => {
  const broken: LeaseGuard = { ...guard, text: 'SELECT good FROM nowhere WHERE $1::int = 1' };
  for (let round = 0; round < 3; round++) {
    for (const callback of [titles, async () => 7, (db: TenantDb) => titles(db).catch(() => 7)])
      await assert.rejects(read<unknown>(callback, broken), (error) => sqlState(error) === '42P01');
  }
  assert.deepEqual(asked, []);
});

test('after a change of either table, both are asked again', async () => {
  for (const table of ['gate', 'item', 'gate']) {
    for (let round = 0; round < 3; round++) await read((db) => db.query('SELECT * FROM item'), starred);
    await transact(`ALTER TABLE ${table} ADD COLUMN c${randomName(8)} int`);
    asked = [];
    assert.equal((await read((db) => db.query('SELECT * FROM item'), starred)).length, 1);
    assert.equal(asked.length, 1);
    refuses = true;
    await assert.rejects(
      read((db) => db.query('SELECT * FROM item'), starred),
      Refused,
    );
    refuses = false;
  }
});
const starred: LeaseGuard = { ...guard, text: 'SELECT * FROM gate WHERE $1::int = 1' };
