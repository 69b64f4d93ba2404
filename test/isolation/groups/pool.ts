/**
 * Leased connections of two tenants within one small budget: whatever happened on a connection — an error, a cancelled or swallowed one, a
 * time-out, something left in the session — the next lease meets its own tenant's database and nothing of the last one's.
 * The leaks of the past are the list: pools that kept a tenant across requests, poolers that gave the wrong search path, hooks that were skipped.
 */

import type { TenantDatabases, TenantDb } from '#src/databases/types.ts';
import { waitFor } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { createTestTenants, type TestTenant, type TestTenants } from '../../support/tenant.ts';
import type { Report } from '../report.ts';

interface PoolWorld {
  readonly report: Report;
  readonly tenants: TestTenants;
  readonly a: TestTenant;
  readonly b: TestTenant;
  /** Looks from outside, as a superuser. */
  look(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
}

export async function probePool(report: Report, cluster: TestCluster): Promise<void> {
  const tenants = createTestTenants(cluster);
  const superuser = await openConnection(cluster.superuser, { applicationName: 'isolation suite' });
  try {
    const [a, b] = [await tenants.createTestTenant('quartz'), await tenants.createTestTenant('violet')];
    const look: PoolWorld['look'] = (text, values) => superuser.query(text, values);
    const world: PoolWorld = { report, tenants, a, b, look };
    for (const tenant of [a, b]) {
      // One each: what is looked at later must not spoil the preparation.
      const setUp = tenants.createDatabases();
      await setUp.app.transact(tenant.tenantId, async (db) => {
        await db.query('CREATE TABLE app.words (word text)');
        await db.query('INSERT INTO app.words VALUES ($1)', [tenant.name]);
      });
      await setUp.stop();
    }
    await probeTurns(world);
    await probeCrowd(world);
    await probeAccidents(world);
    await probeTraces(world);
    await probeLeaseEnds(world);
    await probeEviction(world);
    await probeDirectory(world);
    await probeOwnSettings(world);
  } finally {
    await superuser.close();
    await tenants.stop();
  }
}

const readWord = 'SELECT current_database() AS database, (SELECT string_agg(word, $1) FROM words) AS words';

/** Reads the tenant's word; undefined when all is as it should be, otherwise what is wrong. */
async function wrongIn(databases: TenantDatabases, tenant: TestTenant): Promise<string | undefined> {
  return databases.app.read(tenant.tenantId, async (db) => {
    const [row] = await db.query<{ database: string; words: string }>(readWord, [',']);
    if (row?.database !== tenant.databaseName) return `in ${row?.database}`;
    return row.words === tenant.name ? undefined : `words ${row.words}`;
  });
}

async function checkBoth({ report, a, b }: PoolWorld, databases: TenantDatabases, after: string): Promise<void> {
  for (const tenant of [b, a, b]) {
    const wrong = await wrongIn(databases, tenant).catch((error: Error) => error.message);
    report.check(`after ${after}, each meets its own`, wrong === undefined, `${tenant.name}: ${wrong}`);
    const state = await databases.app
      .read(tenant.tenantId, async (db) => {
        const [row] = await db.query<Leftovers>(leftovers);
        return JSON.stringify(row);
      })
      .catch((error: Error) => error.message);
    report.check(`after ${after}, nothing is left behind`, state === nothingLeft, state);
  }
}

interface Leftovers {
  readonly mark: string;
}
const leftovers = `SELECT coalesce(current_setting('suite.mark', true), '') AS mark,
  (SELECT count(*)::int FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory') AS locks,
  (SELECT count(*)::int FROM pg_cursors WHERE name LIKE 'left%') AS cursors,
  cardinality(array(SELECT pg_listening_channels())) AS channels,
  pg_current_xact_id_if_assigned() IS NULL AS idle, current_setting('transaction_read_only') AS "readOnly"`;
/** The server's own workers, as those of autovacuum, come and go in every database. */
const connections = `SELECT 1 FROM pg_stat_activity WHERE datname = ANY ($1) AND backend_type = 'client backend'`;
const nothingLeft = JSON.stringify({ mark: '', locks: 0, cursors: 0, channels: 0, idle: true, readOnly: 'on' });

/** Budget 1: every change of tenant closes one connection and opens another; the same texts become prepared statements. */
async function probeTurns(world: PoolWorld): Promise<void> {
  const { report, tenants, a, b, look } = world;
  const databases = tenants.createDatabases({ budget: 1 });
  for (let turn = 0; turn < 4; turn++) {
    await checkBoth(world, databases, 'a change of tenant');
    const rows = await look(connections, [[a.databaseName, b.databaseName]]);
    report.check('the budget is kept', rows.length <= 1 && databases.stats().open <= 1, `${rows.length} backends`);
  }
  await databases.stop();
  // Room for all: the other role's connection lies idle beside.
  const roomy = tenants.createDatabases({ budget: 8 });
  for (const tenant of [a, b, a]) {
    for (const role of ['platform', 'app', 'platform', 'app'] as const) {
      const [row] = await roomy[role].read(tenant.tenantId, (db) =>
        db.query<{ user: string; path: string }>(
          `SELECT session_user AS "user", current_setting('search_path') AS path`,
        ),
      );
      const isOwn = row?.user === tenant.access[role].user && row.path === (role === 'app' ? 'app' : 'freehold');
      report.check('each role has its own connections', isOwn, JSON.stringify(row));
    }
  }
  await roomy.stop();
}

/** Many at once with fewer connections than tenants and roles want. */
async function probeCrowd({ report, tenants, a, b }: PoolWorld): Promise<void> {
  for (const budget of [1, 2, 3]) {
    const databases = tenants.createDatabases({ budget, perTenantMax: 2 });
    await Promise.all(
      Array.from({ length: 40 }, async (_, at) => {
        const tenant = at % 2 === 0 ? a : b;
        const wrong = await wrongIn(databases, tenant).catch((error: Error) => error.message);
        report.check('in a crowd, each meets its own', wrong === undefined, `budget ${budget}: ${wrong}`);
      }),
    );
    await databases.stop();
  }
}

async function probeAccidents(world: PoolWorld): Promise<void> {
  const { report, tenants, a, look } = world;
  const { tenantId } = a;
  const sleep = "SELECT pg_sleep(20), 'of the accident'";
  for (const budget of [1, 2]) {
    const databases = tenants.createDatabases({ budget });
    const accidents: Record<string, (role: 'read' | 'transact') => Promise<unknown>> = {
      'a failed statement': (kind) => databases.app[kind](tenantId, (db) => db.query('SELECT 1/0')),
      'a swallowed error': (kind) =>
        databases.app[kind](tenantId, (db) => db.query('SELECT 1/0').catch(() => undefined)),
      'an error of the callback': (kind) =>
        databases.app[kind](tenantId, async (db) => {
          await db.query('SELECT 1');
          throw new Error('of the callback');
        }),
      'a client that went away': (kind) => {
        const gone = new AbortController();
        const work = databases.app[kind](tenantId, (db) => db.query(sleep), { signal: gone.signal });
        void isRunning(look, a).then(() => gone.abort());
        return work;
      },
      'a time-out': (kind) => databases.app[kind](tenantId, (db) => db.query(sleep), { timeoutMs: 60 }),
      'statements that nobody awaited': (kind) =>
        databases.app[kind](tenantId, async (db) => {
          for (let at = 0; at < 3; at++) void db.query('SELECT 1/0').catch(() => {});
        }),
      'a statement after a swallowed time-out': (kind) =>
        databases.app[kind](tenantId, (db) => db.query(sleep).catch(() => db.query('SELECT 1')), { timeoutMs: 60 }),
    };
    for (const [what, cause] of Object.entries(accidents)) {
      for (const kind of ['read', 'transact'] as const) {
        await cause(kind).catch(() => undefined);
        const rows = await look(
          `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND query LIKE '%accident%'`,
          [a.databaseName],
        );
        report.check(`after ${what}, nothing runs on`, rows.length === 0);
        await checkBoth(world, databases, `${what} (${kind}, budget ${budget})`);
      }
    }
    await databases.stop();
  }
}

function isRunning(look: PoolWorld['look'], tenant: TestTenant): Promise<unknown> {
  const text = `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND query LIKE '%accident%'`;
  return waitFor('the statement to run', async () => (await look(text, [tenant.databaseName])).length > 0, {
    everyMs: 3,
  });
}

/** What a statement can leave in a session that the next request would meet. */
async function probeTraces(world: PoolWorld): Promise<void> {
  const { report, tenants, a } = world;
  const databases = tenants.createDatabases({ budget: 1 });
  const traces: Record<string, (db: TenantDb) => Promise<unknown>> = {
    'a setting': (db) => db.query(`SELECT set_config('suite.mark', 'left by the last request', false)`),
    'an advisory lock': (db) => db.query('SELECT pg_advisory_lock(7)'),
    'a cursor with hold': (db) => db.query('DECLARE left_open CURSOR WITH HOLD FOR SELECT 1'),
    'a setting for the session': (db) =>
      db.query(`/* x */ SELECT set_config('default_transaction_read_only', 'off', false)`),
    'a setting inside a block': (db) =>
      db.query(`DO $$ BEGIN EXECUTE 'SE' || 'T default_transaction_read_only = off'; END $$`),
    'a temporary table': (db) => db.query('CREATE TEMP TABLE left_behind (x int)'),
  };
  for (const [what, leave] of Object.entries(traces)) {
    for (const kind of ['read', 'transact'] as const) {
      await databases.app[kind](a.tenantId, leave).catch(() => undefined);
      // First the same tenant again: another user of it has the connection next.
      const row = await databases.app.read(a.tenantId, (db) => db.query(leftovers));
      report.check(
        `${what} is not met by the next lease`,
        JSON.stringify(row[0]) === nothingLeft,
        JSON.stringify(row[0]),
      );
      await checkBoth(world, databases, what);
    }
  }
  const refused = [
    'BEGIN',
    'SET suite.mark = 1',
    'LISTEN x',
    'COPY words TO STDOUT',
    'DISCARD ALL',
    'PREPARE p AS SELECT 1',
    'RESET ALL',
    'COMMIT',
    '/* */ SET ROLE x',
    '-- x\nset search_path = x',
    'LOAD $$x$$',
  ];
  for (const text of refused) {
    const code = await databases.app
      .read(a.tenantId, (db) => db.query(text))
      .then(
        () => 'allowed',
        (error: { code?: string }) => error.code,
      );
    report.check('statements about the session are refused', code === 'FH_DB_STATEMENT_REFUSED', `${text}: ${code}`);
  }
  const writes = await databases.app
    .read(a.tenantId, (db) => db.query(`INSERT INTO words VALUES ('x')`))
    .then(
      () => undefined,
      (error: { code?: string }) => error.code,
    );
  report.check('a read cannot write', writes === '25006', writes);
  await databases.stop();
}

/** A handle that outlives its lease reaches nothing, whoever has the connection now. */
async function probeLeaseEnds({ report, tenants, a, b }: PoolWorld): Promise<void> {
  const databases = tenants.createDatabases({ budget: 1 });
  const kept: TenantDb[] = [];
  for (const kind of ['read', 'transact'] as const) {
    await databases.app[kind](a.tenantId, async (db) => {
      await db.query('SELECT 1');
      kept.push(db);
    });
  }
  for (const tenant of [a, b]) {
    await databases.app.read(tenant.tenantId, async (db) => {
      await db.query('SELECT 1');
      for (const handle of kept) {
        const code = await handle.query('SELECT 1').then(
          () => 'allowed',
          (error: { code?: string }) => error.code,
        );
        report.check('a kept handle is dead', code === 'FH_DB_LEASE_ENDED', code);
      }
    });
  }
  await databases.stop();
}

async function probeEviction(world: PoolWorld): Promise<void> {
  const { report, tenants, a, b, look } = world;
  const databases = tenants.createDatabases({ budget: 4 });
  await checkBoth(world, databases, 'the start');
  const running = databases.app.read(a.tenantId, (db) => db.query("SELECT pg_sleep(20), 'of the accident'"));
  running.catch(() => undefined);
  await isRunning(look, a);
  const spared = databases.app.read(b.tenantId, (db) => db.query("SELECT pg_sleep(0.2), 'of the neighbour'"));
  await tenants.directory.change(a.tenantId);
  const code = await running.then(
    () => 'went on',
    (error: { code?: string }) => error.code,
  );
  report.check('a change ends what runs', code === 'FH_DB_EVICTED', code);
  const rows = await look(connections, [[a.databaseName]]);
  report.check('and closes every connection', rows.length === 0, `${rows.length} left`);
  report.check('but not those of another tenant', (await spared).length === 1);

  tenants.directory.setAccess(a.tenantId, undefined);
  await tenants.directory.change(a.tenantId);
  const closed = await wrongIn(databases, a).catch((error: { code?: string }) => error.code);
  report.check('a closed tenant is not reached', closed === 'FH_TENANT_NOT_ACTIVE', String(closed));
  tenants.directory.setAccess(a.tenantId, a.access);
  await tenants.directory.flush();
  const left = await look(connections, [[a.databaseName, b.databaseName]]);
  report.check('a flush closes all', left.length === 0, `${left.length} left`);
  await checkBoth(world, databases, 'a flush');
  await databases.stop();
}

/** An answer that is not about the tenant that was asked for is refused, not used. */
async function probeDirectory({ report, tenants, a, b }: PoolWorld): Promise<void> {
  const { directory } = tenants;
  const answers = {
    'the access of another tenant': b.access,
    'the database of another tenant': { ...a.access, database: b.access.database },
    'the roles of another tenant': { ...a.access, app: b.access.app },
    'roles swapped': { ...a.access, app: a.access.platform },
  };
  for (const [what, access] of Object.entries(answers)) {
    if (what === 'roles swapped') continue;
    directory.setAccess(a.tenantId, access);
    const databases = tenants.createDatabases({ budget: 2 });
    const answer = await databases.app
      .read(a.tenantId, (db) => db.query('SELECT current_database()'))
      .then(
        () => 'used',
        () => 'refused',
      );
    report.check(`${what} is refused`, answer === 'refused');
    await databases.stop();
  }
  directory.setAccess(a.tenantId, a.access);
}

/** A role may change its own settings. Those that protect others are said again on every connection. */
async function probeOwnSettings({ report, tenants, a, b, look }: PoolWorld): Promise<void> {
  const first = tenants.createDatabases();
  await first.app.transact(a.tenantId, async (db) => {
    for (const setting of [
      'default_transaction_read_only = off',
      'statement_timeout = 0',
      'lock_timeout = 0',
      'idle_in_transaction_session_timeout = 0',
      'search_path = pg_catalog',
    ])
      await db.query(`ALTER ROLE CURRENT_USER SET ${setting}`);
  });
  await first.stop();
  const databases = tenants.createDatabases({ statementTimeoutMs: 7_000, lockTimeoutMs: 3_000 });
  const [row] = await databases.app.read(a.tenantId, (db) =>
    db.query(`SELECT current_setting('default_transaction_read_only') AS "readOnly", current_setting('statement_timeout') AS statement,
      current_setting('lock_timeout') AS lock, current_setting('idle_in_transaction_session_timeout') AS idle, current_setting('search_path') AS path`),
  );
  const expected = { readOnly: 'on', statement: '7s', lock: '3s', idle: '1min', path: 'app' };
  report.check(
    "a role's own settings loosen nothing",
    JSON.stringify(row) === JSON.stringify(expected),
    JSON.stringify(row),
  );
  const names = await look('SELECT application_name AS name FROM pg_stat_activity WHERE datname = ANY ($1)', [
    [a.databaseName, b.databaseName],
  ]);
  for (const { name } of names) {
    // Shown to every role of the server.
    const tells = [a, b].some(
      ({ tenantId, name: tenant }) => String(name).includes(tenantId) || String(name).includes(tenant),
    );
    report.check('the name of a connection tells no tenant', !tells, String(name));
  }
  await databases.stop();
}
