import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import { type Connection, openConnection, sqlState } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createTestTenants, type TestTenant, type TestTenants } from '../../test/support/tenant.ts';
import type { TenantDatabases, TenantDb } from './index.ts';

let cluster: TestCluster;
let tenants: TestTenants;
let databases: TenantDatabases;
let watcher: Connection;
let [a, b]: TestTenant[] = [];

before(async () => {
  cluster = await startTestCluster();
  tenants = createTestTenants(cluster);
  // The same ids and e-mails in both, so that a mix-up cannot hide.
  [a, b] = [await tenants.createTestTenant('acme'), await tenants.createTestTenant('globex')];
  databases = tenants.createDatabases({ budget: 6, perTenantMax: 4 });
  watcher = await openConnection(cluster.superuser, { applicationName: 'watcher' });
  for (const tenant of [a!, b!]) {
    await databases.app.transact(tenant.tenantId, async (db) => {
      await db.query('CREATE TABLE item (id int PRIMARY KEY, title text)');
      await db.query('INSERT INTO item VALUES (1, $1)', [tenant.name]);
    });
  }
});
after(async () => {
  await watcher.close();
  await tenants.stop();
  await cluster.stop();
});

const title = async (db: TenantDb) =>
  (await db.query<{ title: string }>('SELECT title FROM item WHERE id = 1'))[0]?.title;
const code = (expected: string) => (error: { code?: string }) =>
  error.code === expected || assert.fail(`${error.code}: ${error}`);
const backends = async (tenant: TestTenant) =>
  await watcher.query<{ pid: number; query: string; state: string }>(
    `SELECT pid, query, state FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`,
    [tenant.databaseName],
  );

test('each tenant sees its own rows, in each role its own schema', async () => {
  for (let round = 0; round < 3; round++) {
    assert.equal(await databases.app.read(a!.tenantId, title), 'acme');
    assert.equal(await databases.app.read(b!.tenantId, title), 'globex');
  }
  const who = (db: TenantDb) => db.query('SELECT current_user::text AS role, current_schema()::text AS schema');
  assert.deepEqual(await databases.app.read(a!.tenantId, who), [{ role: a!.databaseName, schema: 'app' }]);
  assert.deepEqual(await databases.platform.read(a!.tenantId, who), [
    { role: `${a!.databaseName}_p`, schema: 'freehold' },
  ]);
  assert.deepEqual(
    await databases.app.read(a!.tenantId, (db) => db.query("SELECT session_id FROM freehold.check_session('\\x00')")),
    [{ session_id: null }],
  );
  await assert.rejects(
    databases.app.read(a!.tenantId, (db) => db.query('SELECT user_id FROM freehold.users')),
    (error) => sqlState(error) === '42501',
  );
});

test('a read cannot write; a transaction is committed, or rolled back as a whole', async () => {
  await assert.rejects(
    databases.app.read(a!.tenantId, (db) => db.query("INSERT INTO item VALUES (2, 'x')")),
    (error) => sqlState(error) === '25006',
  );
  await assert.rejects(
    databases.app.transact(a!.tenantId, async (db) => {
      await db.query("INSERT INTO item VALUES (2, 'x')");
      throw new Error('changed my mind');
    }),
    /changed my mind/,
  );
  await assert.rejects(
    databases.app.transact(a!.tenantId, async (db) => {
      await db.query("INSERT INTO item VALUES (2, 'x')");
      await db.query('SELECT 1/0').catch(() => {});
    }),
    code('FH_DB_ROLLED_BACK'),
  );
  assert.equal(await databases.app.transact(a!.tenantId, async () => 'nothing'), 'nothing');
  const ids = await databases.app.transact(a!.tenantId, async (db) => {
    await Promise.all([db.query("INSERT INTO item VALUES (3, 'x')"), db.query("INSERT INTO item VALUES (4, 'y')")]);
    return db.query('SELECT id FROM item ORDER BY id');
  });
  assert.deepEqual(ids, [{ id: 1 }, { id: 3 }, { id: 4 }]);
  await databases.app.transact(a!.tenantId, (db) => db.query('DELETE FROM item WHERE id > 1'));
});

test('statements that a callback did not wait for belong to it all the same', async () => {
  await databases.app.transact(a!.tenantId, async (db) => {
    void db.query("INSERT INTO item VALUES (5, 'late')");
  });
  const rows = await databases.app.read(a!.tenantId, (db) => db.query('SELECT title FROM item WHERE id = 5'));
  assert.deepEqual(rows, [{ title: 'late' }]);
  await databases.app.transact(a!.tenantId, (db) => db.query('DELETE FROM item WHERE id = 5'));
});

test('a lease is of no use after its end', async () => {
  let leaked: TenantDb | undefined;
  await databases.app.read(a!.tenantId, async (db) => {
    leaked = db;
  });
  await assert.rejects(leaked!.query('SELECT 1'), code('FH_DB_LEASE_ENDED'));
});

test('the connection is reused, with its prepared statements', async () => {
  const pid = (db: TenantDb) => db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const first = await databases.app.read(a!.tenantId, pid);
  for (let round = 0; round < 3; round++) assert.deepEqual(await databases.app.read(a!.tenantId, pid), first);
  const prepared = await databases.app.read(a!.tenantId, (db) =>
    db.query("SELECT count(*)::int AS n FROM pg_prepared_statements WHERE statement LIKE 'SELECT pg_backend_pid%'"),
  );
  assert.deepEqual(prepared, [{ n: 1 }]);
});

test('a prepared statement survives a change of its table', async () => {
  const every = (db: TenantDb) => db.query('SELECT t FROM item t WHERE id = 1');
  const wide = (db: TenantDb) => db.query('TABLE item LIMIT 1');
  for (let round = 0; round < 3; round++) {
    await databases.app.read(b!.tenantId, every);
    await databases.app.read(b!.tenantId, wide);
  }
  await databases.app.transact(b!.tenantId, (db) => db.query('ALTER TABLE item ADD COLUMN more int'));
  assert.deepEqual(await databases.app.read(b!.tenantId, wide), [{ id: 1, title: 'globex', more: null }]);
  await databases.app.transact(b!.tenantId, (db) => db.query('ALTER TABLE item DROP COLUMN more'));
});

const refused = [
  'BEGIN',
  ' commit',
  '/* x */ ROLLBACK',
  '-- x\nSET ROLE x',
  'set search_path = x',
  'RESET ALL',
  'DISCARD ALL',
  'LISTEN x',
  'PREPARE x AS SELECT 1',
  'DEALLOCATE ALL',
  'COPY item TO STDOUT',
  'START TRANSACTION',
  'END',
];
for (const text of refused) {
  test(`refuses ${JSON.stringify(text)}`, () =>
    assert.rejects(
      databases.app.transact(a!.tenantId, (db) => db.query(text)),
      code('FH_DB_STATEMENT_REFUSED'),
    ));
}

test('the client is gone: the statement is cancelled in the server, then the lease ends', async () => {
  for (const method of ['read', 'transact'] as const) {
    const abort = new AbortController();
    const work = databases.app[method](a!.tenantId, (db) => db.query('SELECT pg_sleep(60)'), { signal: abort.signal });
    await waitFor('the statement to run', async () =>
      (await backends(a!)).some((backend) => backend.state === 'active' && /pg_sleep/.test(backend.query)),
    );
    abort.abort();
    await assert.rejects(work, code('FH_DB_CANCELLED'));
    assert.ok((await backends(a!)).every((backend) => backend.state === 'idle'));
    assert.equal(databases.stats().leased, 0);
    assert.equal(await databases.app.read(a!.tenantId, title), 'acme');
  }
  const aborted = AbortSignal.abort();
  await assert.rejects(databases.app.read(a!.tenantId, title, { signal: aborted }), code('FH_DB_CANCELLED'));
});

test('a callback that hangs elsewhere does not keep its lease', async () => {
  await assert.rejects(
    databases.app.transact(
      a!.tenantId,
      async (db) => {
        await db.query("INSERT INTO item VALUES (6, 'x')");
        await new Promise(() => {});
      },
      { timeoutMs: 50 },
    ),
    code('FH_DB_TIMEOUT'),
  );
  assert.equal(databases.stats().leased, 0);
  assert.deepEqual(await databases.app.read(a!.tenantId, (db) => db.query('SELECT title FROM item WHERE id = 6')), []);
});

test('statement and lock time-outs have codes of their own', async () => {
  const short = tenants.createDatabases({ statementTimeoutMs: 2_000 });
  await assert.rejects(
    short.app.read(a!.tenantId, (db) => db.query('SELECT pg_sleep(60)')),
    code('FH_DB_TIMEOUT'),
  );
  const impatient = tenants.createDatabases({ lockTimeoutMs: 200 });
  await databases.app.transact(a!.tenantId, async (db) => {
    await db.query('SELECT title FROM item WHERE id = 1 FOR UPDATE');
    await assert.rejects(
      impatient.app.transact(a!.tenantId, (other) => other.query("UPDATE item SET title = 'x' WHERE id = 1")),
      code('FH_DB_LOCK_TIMEOUT'),
    );
  });
});

test('one tenant cannot take all connections; who waits too long is told to come back', async () => {
  const small = tenants.createDatabases({ budget: 3, perTenantMax: 2, waitTimeoutMs: 10_000 });
  const release = Promise.withResolvers<void>();
  const hold = () =>
    small.app.read(a!.tenantId, async (db) => {
      await db.query('SELECT 1');
      await release.promise;
    });
  const held = [hold(), hold()];
  await waitFor('both to be leased', () => small.stats().leased === 2);
  await assert.rejects(
    small.app.read(a!.tenantId, title),
    (error: { code?: string; retryAfterSeconds?: number; status?: number }) => {
      assert.deepEqual([error.code, error.status, error.retryAfterSeconds], ['FH_DB_BUSY', 503, 1]);
      return true;
    },
  );
  assert.equal(await small.app.read(b!.tenantId, title), 'globex');
  const abort = new AbortController();
  const waiting = small.app.read(a!.tenantId, title, { signal: abort.signal });
  abort.abort();
  await assert.rejects(waiting, code('FH_DB_CANCELLED'));
  release.resolve();
  await Promise.all(held);
  assert.equal(small.stats().waiting, 0);
});

test('at the budget the connection that was idle for longest gives way', async () => {
  const small = tenants.createDatabases({ budget: 2, perTenantMax: 2 });
  const c = await tenants.createTestTenant('initech');
  await small.app.read(a!.tenantId, title);
  await small.app.read(b!.tenantId, title);
  await small.app.read(a!.tenantId, title);
  await small.app.read(c.tenantId, (db) => db.query('SELECT 1'));
  assert.equal(small.stats().open, 2);
  const pidOf = (tenant: TestTenant) =>
    small.app.read(tenant.tenantId, (db) => db.query('SELECT pg_backend_pid() AS pid'));
  // a was used after b, so b's connection was the one to go.
  const pid = await pidOf(a!);
  assert.deepEqual(await pidOf(a!), pid);
  await small.platform.read(a!.tenantId, (db) => db.query('SELECT 1'));
  assert.ok(small.stats().open <= 2);
});

test('the tenants that wait are served in turn, each in the order of arrival', async () => {
  const one = tenants.createDatabases({ budget: 1, perTenantMax: 1 });
  const order: string[] = [];
  await Promise.all(
    ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'a5'].map((label) =>
      one.app.read(label.startsWith('a') ? a!.tenantId : b!.tenantId, async (db) => {
        order.push(label);
        await db.query('SELECT 1');
      }),
    ),
  );
  assert.deepEqual(order, ['a1', 'a2', 'b1', 'a3', 'b2', 'a4', 'a5']);
});

test('a change of the tenant ends its leases and connections before control goes on', async () => {
  const abandoned = assert.rejects(
    databases.app.read(a!.tenantId, (db) => db.query('SELECT pg_sleep(60)')),
    code('FH_DB_EVICTED'),
  );
  await waitFor('the statement to run', async () =>
    (await backends(a!)).some((backend) => /pg_sleep/.test(backend.query)),
  );
  assert.equal(await databases.app.read(b!.tenantId, title), 'globex');
  tenants.directory.setAccess(a!.tenantId, undefined);
  await tenants.directory.change(a!.tenantId);
  const left = await watcher.query(
    "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'freehold gateway'",
    [a!.databaseName],
  );
  assert.deepEqual(left, []);
  await abandoned;
  assert.ok((await backends(b!)).length > 0, 'the other tenant keeps its connections');
  await assert.rejects(databases.app.read(a!.tenantId, title), code('FH_TENANT_NOT_ACTIVE'));
  tenants.directory.setAccess(a!.tenantId, a!.access);
  assert.equal(await databases.app.read(a!.tenantId, title), 'acme');
  await tenants.directory.flush();
  assert.equal(databases.stats().open, 0);
});

test('work of a tenant that stays open may come to its end after a change; not for ever, and not when the tenant is closed', async () => {
  const patient = tenants.createDatabases({ settleMs: 2_000 });
  const begin = async (seconds: number) => {
    const running = patient.app.read(a!.tenantId, (db) => db.query(`SELECT pg_sleep(${seconds})`));
    running.catch(() => undefined);
    await waitFor('the statement to run', async () =>
      (await backends(a!)).some(({ query }) => query.includes(`pg_sleep(${seconds})`)),
    );
    return { running };
  };
  const short = await begin(0.5);
  const changing = tenants.directory.change(a!.tenantId);
  // Who comes meanwhile has a connection of afterwards.
  assert.equal(await patient.app.read(a!.tenantId, title), 'acme');
  await changing;
  await short.running;

  const long = await begin(60);
  await tenants.directory.change(a!.tenantId);
  await assert.rejects(long.running, code('FH_DB_EVICTED'));

  const closed = await begin(61);
  tenants.directory.setAccess(a!.tenantId, undefined);
  await tenants.directory.change(a!.tenantId);
  await assert.rejects(closed.running, code('FH_DB_EVICTED'));
  tenants.directory.setAccess(a!.tenantId, a!.access);
});

test('when control is back, a lease that runs may end, and its connection is not used again', async () => {
  const running = databases.app.read(a!.tenantId, (db) =>
    db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_sleep(0.3)'),
  );
  await waitFor('the statement to run', async () =>
    (await backends(a!)).some((backend) => /pg_sleep/.test(backend.query)),
  );
  await tenants.directory.flush();
  const [before] = await running;
  const [after] = await databases.app.read(a!.tenantId, (db) =>
    db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'),
  );
  assert.notEqual(before!.pid, after!.pid);
});

test('an access that leads elsewhere is refused', async () => {
  const lying = tenants.createDatabases();
  tenants.directory.setAccess(a!.tenantId, b!.access);
  await assert.rejects(lying.app.read(a!.tenantId, title), code('FH_DB_WRONG_DATABASE'));
  tenants.directory.setAccess(a!.tenantId, { ...b!.access, tenantId: a!.tenantId, app: a!.access.app });
  await assert.rejects(lying.app.read(a!.tenantId, title), code('FH_DB_UNAVAILABLE'));
  tenants.directory.setAccess(a!.tenantId, a!.access);
});

test('a connection that the server ended is replaced; a lost one is reported as such', async () => {
  const [row] = await databases.app.read(a!.tenantId, (db) =>
    db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'),
  );
  await assert.rejects(
    databases.app.read(a!.tenantId, async (db) => {
      await watcher.query('SELECT pg_terminate_backend($1)', [row!.pid]);
      await waitFor('the backend to be gone', async () =>
        (await backends(a!)).every((backend) => backend.pid !== row!.pid),
      );
      await db.query('SELECT 1');
    }),
    code('FH_DB_UNAVAILABLE'),
  );
  assert.equal(await databases.app.read(a!.tenantId, title), 'acme');
  await assert.rejects(
    databases.app.transact(a!.tenantId, async (db) => {
      const [own] = await db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await watcher.query('SELECT pg_terminate_backend($1)', [own!.pid]);
      await waitFor('the backend to be gone', async () =>
        (await backends(a!)).every((backend) => backend.pid !== own!.pid),
      );
    }),
    code('FH_DB_OUTCOME_UNKNOWN'),
  );
  assert.equal(databases.stats().leased, 0);
});

test('after stop nothing is open and nothing is answered', async () => {
  const stopped = tenants.createDatabases();
  await stopped.app.read(a!.tenantId, title);
  await stopped.stop();
  assert.deepEqual(stopped.stats(), { open: 0, leased: 0, waiting: 0, budget: 10 });
  await assert.rejects(stopped.app.read(a!.tenantId, title), code('FH_DB_UNAVAILABLE'));
});
