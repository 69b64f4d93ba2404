/** What the statements of a lease cannot do, on a real server. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sqlState } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createTestTenants, type TestTenant, type TestTenants } from '../../test/support/tenant.ts';
import type { TenantDatabases } from './index.ts';

let cluster: TestCluster;
let tenants: TestTenants;
let databases: TenantDatabases;
let a: TestTenant;

before(async () => {
  cluster = await startTestCluster();
  tenants = createTestTenants(cluster);
  a = await tenants.createTestTenant('acme');
  databases = tenants.createDatabases({ budget: 6, perTenantMax: 4 });
  await databases.app.transact(a.tenantId, async (db) => {
    await db.query('CREATE TABLE item (id int PRIMARY KEY, title text)');
    await db.query(`INSERT INTO item VALUES (1, 'acme')`);
  });
});
after(async () => {
  await tenants.stop();
  await cluster.stop();
});

test('what a lease might leave in the session never meets the next lease', async () => {
  const traces: [string, string, unknown][] = [
    [
      "SELECT set_config('statement_timeout', '1', false)",
      "SELECT current_setting('statement_timeout') AS found",
      '1min',
    ],
    [
      "SELECT set_config('default_transaction_read_only', 'off', false)",
      "SELECT current_setting('transaction_read_only') AS found",
      'on',
    ],
    [
      'SELECT pg_advisory_lock(42)',
      "SELECT count(*)::int AS found FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
      0,
    ],
    [
      "DO $$ BEGIN EXECUTE 'SET default_tra' || 'nsaction_read_only = off'; END $$",
      "SELECT current_setting('transaction_read_only') AS found",
      'on',
    ],
  ];
  for (const [leave, look, expected] of traces) {
    const how = leave.startsWith('DO') ? 'transact' : 'read';
    await databases.app[how](a.tenantId, (db) => db.query(leave));
    assert.deepEqual(await databases.app.read(a.tenantId, (db) => db.query(look)), [{ found: expected }], leave);
  }
  // Within one transaction it is nobody's business.
  await databases.app.transact(a.tenantId, async (db) => {
    await db.query("SET LOCAL statement_timeout = '1s'");
    await db.query('SAVEPOINT here');
    await db.query('ROLLBACK TO here');
  });
});

test('no second statement, no temporary table', async () => {
  await assert.rejects(
    databases.app.read(a.tenantId, (db) => db.query('SELECT 1; COMMIT')),
    (error) => sqlState(error) === '42601',
  );
  await assert.rejects(
    databases.app.transact(a.tenantId, (db) => db.query('CREATE TEMP TABLE t ()')),
    (error) => sqlState(error) === '42501',
  );
});

test('only the lease ends its transaction, however that is spelled', async () => {
  const spellings = [
    'COMMIT',
    ' ;commit',
    '-- x\rCOMMIT',
    '/* /* */ */ end',
    'ROLLBACK',
    '\n--\n/**/;;ABORT',
    'SET x.y = 1',
  ];
  for (const spelling of spellings) {
    const attempt = databases.app.transact(a.tenantId, async (db) => {
      await db.query("UPDATE item SET title = 'half' WHERE id = 1");
      await db.query(spelling);
    });
    await assert.rejects(attempt, { code: 'FH_DB_STATEMENT_REFUSED' }, JSON.stringify(spelling));
  }
  // Outside a transaction a block could end its own and begin one that writes.
  const block = `DO $$ BEGIN COMMIT; SET TRANSACTION READ WRITE; UPDATE item SET title = 'sly'; COMMIT; END $$`;
  await assert.rejects(
    databases.app.read(a.tenantId, (db) => db.query(`/* */ ${block}`)),
    { code: 'FH_DB_STATEMENT_REFUSED' },
  );
  await assert.rejects(
    databases.app.transact(a.tenantId, (db) => db.query(block)),
    (error) => sqlState(error) === '2D000',
  );
  assert.deepEqual(await databases.app.read(a.tenantId, (db) => db.query('SELECT title FROM item')), [
    { title: 'acme' },
  ]);
});
