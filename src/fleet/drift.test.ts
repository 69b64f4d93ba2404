import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openConnection } from '#src/postgres/index.ts';
import { openTestFleet, type TestFleet, type TestSubject } from './fleet.fixture.ts';
import { compareCatalogues, type FleetDrift, readCatalogue } from './index.ts';

/** Statements as a superuser inside one tenant's database, and the object that has to be named. APP and PLATFORM stand for its roles. */
const mutations: readonly (readonly [sql: string, change: 'added' | 'removed' | 'changed', object: string])[] = [
  ['DROP INDEX app.item_title', 'removed', 'index app.item_title'],
  ['CREATE INDEX extra ON app.item (id)', 'added', 'index app.extra'],
  ['DROP INDEX app.item_title; CREATE INDEX item_title ON app.item (title DESC)', 'changed', 'index app.item_title'],
  [
    `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.item_title'::regclass`,
    'changed',
    'index app.item_title',
  ],
  ['ALTER TABLE app.item CLUSTER ON item_title', 'changed', 'index app.item_title'],
  [`ALTER TABLE app.item ALTER title SET DEFAULT 'x'`, 'changed', 'column app.item.title'],
  ['ALTER TABLE app.item ALTER title DROP DEFAULT', 'changed', 'column app.item.title'],
  ['ALTER TABLE app.item ALTER title DROP NOT NULL', 'changed', 'column app.item.title'],
  ['ALTER TABLE app.item ALTER id TYPE bigint', 'changed', 'column app.item.id'],
  ['ALTER TABLE app.item ALTER title SET STORAGE EXTERNAL', 'changed', 'column app.item.title'],
  ['ALTER TABLE app.item ALTER title SET STATISTICS 500', 'changed', 'column app.item.title'],
  ['ALTER TABLE app.item ADD COLUMN extra text', 'added', 'column app.item.extra'],
  ['ALTER TABLE app.item DROP COLUMN title', 'removed', 'column app.item.title'],
  ['ALTER TABLE app.item RENAME title TO heading', 'removed', 'column app.item.title'],
  ['CREATE TABLE app.extra (id int)', 'added', 'table app.extra'],
  ['DROP TABLE app.item', 'removed', 'table app.item'],
  ['ALTER TABLE app.item SET UNLOGGED', 'changed', 'table app.item'],
  ['ALTER TABLE app.item SET (fillfactor = 50)', 'changed', 'table app.item'],
  ['ALTER TABLE app.item REPLICA IDENTITY FULL', 'changed', 'table app.item'],
  [
    'CREATE TABLE app.parent (id int, title text); ALTER TABLE app.item INHERIT app.parent',
    'changed',
    'table app.item',
  ],
  ['ALTER TABLE app.item ADD CONSTRAINT small CHECK (id < 10)', 'added', 'constraint small on app.item'],
  ['ALTER TABLE app.item ADD CONSTRAINT small CHECK (id < 10) NOT VALID', 'added', 'constraint small on app.item'],
  [
    `UPDATE pg_constraint SET convalidated = false WHERE conname = 'users_role_check'`,
    'changed',
    'constraint users_role_check on freehold.users',
  ],
  [
    'ALTER TABLE freehold.sessions DROP CONSTRAINT sessions_pkey CASCADE',
    'removed',
    'constraint sessions_pkey on freehold.sessions',
  ],
  [
    'ALTER TABLE freehold.audit_events DISABLE TRIGGER audit_events_append_only',
    'changed',
    'trigger audit_events_append_only on freehold.audit_events',
  ],
  [
    'ALTER TABLE freehold.audit_events ENABLE REPLICA TRIGGER audit_events_append_only',
    'changed',
    'trigger audit_events_append_only on freehold.audit_events',
  ],
  [
    'DROP TRIGGER audit_events_append_only ON freehold.audit_events',
    'removed',
    'trigger audit_events_append_only on freehold.audit_events',
  ],
  [
    'CREATE TRIGGER spy AFTER INSERT ON app.item FOR EACH ROW EXECUTE FUNCTION freehold.refuse_change()',
    'added',
    'trigger spy on app.item',
  ],
  ['ALTER TABLE freehold.sessions DISABLE TRIGGER ALL', 'changed', 'table freehold.sessions'],
  ['CREATE RULE quiet AS ON DELETE TO app.item DO INSTEAD NOTHING', 'added', 'rule quiet on app.item'],
  [
    `CREATE OR REPLACE FUNCTION freehold.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
    'changed',
    'function freehold.refuse_change()',
  ],
  [
    'ALTER FUNCTION freehold.check_session(bytea) SECURITY INVOKER',
    'changed',
    'function freehold.check_session(bytea)',
  ],
  [
    'ALTER FUNCTION freehold.check_session(bytea) SET search_path = app',
    'changed',
    'function freehold.check_session(bytea)',
  ],
  ['ALTER FUNCTION freehold.check_session(bytea) IMMUTABLE', 'changed', 'function freehold.check_session(bytea)'],
  ['DROP FUNCTION freehold.is_session_live(text)', 'removed', 'function freehold.is_session_live(text)'],
  ['CREATE FUNCTION app.spy() RETURNS int LANGUAGE sql AS $$SELECT 1$$', 'added', 'function app.spy()'],
  [
    'GRANT EXECUTE ON FUNCTION freehold.refuse_change() TO PUBLIC',
    'changed',
    'privileges of function freehold.refuse_change()',
  ],
  ['GRANT SELECT ON freehold.users TO APP', 'changed', 'privileges of table freehold.users'],
  ['GRANT SELECT (email) ON freehold.users TO APP', 'added', 'privileges of column freehold.users.email'],
  ['GRANT SELECT ON app.item TO PUBLIC', 'changed', 'privileges of table app.item'],
  ['GRANT USAGE ON SCHEMA freehold TO PUBLIC', 'changed', 'privileges of schema freehold'],
  ['GRANT CONNECT ON DATABASE APP TO PUBLIC', 'changed', 'privileges of the database'],
  ['GRANT SELECT ON app.item TO PLATFORM WITH GRANT OPTION', 'changed', 'privileges of table app.item'],
  [
    'ALTER DEFAULT PRIVILEGES FOR ROLE APP GRANT SELECT ON TABLES TO PUBLIC',
    'added',
    'default privileges of the app for r',
  ],
  ['ALTER TABLE app.item OWNER TO PLATFORM', 'changed', 'owner of table app.item'],
  ['ALTER SCHEMA app OWNER TO PLATFORM', 'changed', 'owner of schema app'],
  [
    'ALTER FUNCTION freehold.check_session(bytea) OWNER TO APP',
    'changed',
    'owner of function freehold.check_session(bytea)',
  ],
  ['ALTER TABLE app.item ENABLE ROW LEVEL SECURITY', 'changed', 'row security of table app.item'],
  ['ALTER TABLE app.item FORCE ROW LEVEL SECURITY', 'changed', 'row security of table app.item'],
  ['CREATE POLICY own ON app.item USING (id = 1)', 'added', 'policy own on app.item'],
  ['CREATE SCHEMA extra', 'added', 'schema extra'],
  ['CREATE SCHEMA public; CREATE TABLE public.hidden (id int)', 'added', 'table public.hidden'],
  ['CREATE VIEW app.seen AS SELECT id FROM app.item', 'added', 'view app.seen'],
  ['CREATE MATERIALIZED VIEW app.kept AS SELECT 1 AS one', 'added', 'materialized view app.kept'],
  ['CREATE SEQUENCE app.counter', 'added', 'sequence app.counter'],
  ['ALTER SEQUENCE freehold.audit_events_position_seq CYCLE', 'changed', 'sequence freehold.audit_events_position_seq'],
  [`CREATE TYPE app.mood AS ENUM ('good')`, 'added', 'type app.mood'],
  ['CREATE DOMAIN app.small AS int CHECK (VALUE < 10)', 'added', 'domain app.small'],
  ['CREATE TYPE app.pair AS (a int, b int)', 'added', 'composite type app.pair'],
  ['CREATE STATISTICS app.pairs ON id, title FROM app.item', 'added', 'statistics app.pairs'],
  ['CREATE CAST (app.item AS text) WITH INOUT', 'added', 'cast from app.item to text'],
  [
    'CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION app.on_ddl()',
    'added',
    'event trigger watch',
  ],
  ['CREATE PUBLICATION leak FOR TABLE app.item', 'added', 'publication leak'],
  ['DROP EXTENSION plpgsql CASCADE', 'removed', 'extension plpgsql'],
  ['ALTER ROLE APP SET search_path = freehold', 'changed', 'setting search_path of the app'],
  ['ALTER ROLE APP RESET default_transaction_read_only', 'removed', 'setting default_transaction_read_only of the app'],
  [
    'ALTER ROLE PLATFORM IN DATABASE APP SET statement_timeout = 1',
    'added',
    'setting statement_timeout of the platform',
  ],
  [`ALTER DATABASE APP SET "app.flag" = 'x'`, 'added', 'setting app.flag of the database'],
  ['ALTER ROLE APP BYPASSRLS', 'changed', 'attributes of the app'],
  ['GRANT PLATFORM TO OTHER', 'added', 'membership of OTHER in the platform'],
  ['ALTER TABLE app.item SET SCHEMA freehold', 'added', 'table freehold.item'],
  [
    'CREATE OPERATOR app.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
    'added',
    'operator app.===(integer,integer)',
  ],
  ['CREATE COLLATION app.plain FROM "C"', 'added', 'collation app.plain'],
  ['CREATE TEXT SEARCH CONFIGURATION app.words (COPY = simple)', 'added', 'text search configuration app.words'],
];

let fleet: TestFleet;
let drift: FleetDrift;
before(async () => {
  fleet = await openTestFleet({
    tenants: ['anna', 'bert'],
    second: `ALTER TABLE item ALTER COLUMN id SET NOT NULL;
      ALTER TABLE item ADD COLUMN kind text NOT NULL DEFAULT 'plain', DROP COLUMN title;
      GRANT SELECT ON item TO PUBLIC; REVOKE SELECT ON item FROM PUBLIC;`,
  });
  drift = fleet.openDrift(0);
});
after(() => fleet?.stop());
const named = (name: string): TestSubject => fleet.tenants.find((tenant) => tenant.name === name)!;

async function findingsOf(subject: TestSubject, looker = drift) {
  const [found] = await looker.check(subject.tenantId);
  return found!;
}

test(`each of ${mutations.length} changes of a schema is found and named`, async () => {
  const { databaseName } = named('anna');
  const place = (text: string) =>
    text
      .replace(/\bOTHER\b/, named('bert').databaseName)
      .replaceAll(/\bAPP\b/g, databaseName)
      .replaceAll(/\bPLATFORM\b/g, `${databaseName}_p`);
  const expected = await fleet.admin.readCatalogues(databaseName, readCatalogue);
  const connection = await openConnection(
    { ...fleet.cluster.superuser, database: databaseName },
    { applicationName: 'mutations', options: { search_path: 'pg_catalog' } },
  );
  try {
    for (const [sql, change, object] of mutations) {
      await connection.run('BEGIN');
      await connection.script(place(sql));
      const differences = compareCatalogues(expected, await readCatalogue(connection));
      await connection.run('ROLLBACK');
      const seen = differences.map((difference) => `${difference.change} ${difference.object}`);
      assert.ok(seen.includes(`${change} ${place(object)}`), `${sql}: ${seen.join(', ')}`);
    }
    assert.deepEqual(compareCatalogues(expected, await readCatalogue(connection)), []);
  } finally {
    await connection.close();
  }
  const states = (await drift.check()).map(({ name, state }) => [name, state]);
  assert.deepEqual(states, [
    ['anna', 'equal'],
    ['bert', 'equal'],
  ]);
});

test('drift is recorded once, stops no migration, and its end is recorded', async () => {
  const bert = named('bert');
  await fleet.inside(bert, 'CREATE TABLE app.extra (id int)');
  const first = await findingsOf(bert);
  const again = await findingsOf(bert);
  assert.equal(first.state, 'drifted');
  assert.deepEqual(again.since, first.since);
  const runs = fleet.open();
  await runs.start({ requestedBy: 'test' });
  await runs.idle();
  assert.deepEqual((await runs.latest())!.counts, { waiting: 0, running: 0, done: 2, failed: 0, skipped: 0 });
  const after = await findingsOf(bert, fleet.openDrift(1));
  assert.deepEqual([after.state, after.differences[0]!.object], ['drifted', 'column app.extra.id']);
  assert.equal((await findingsOf(named('anna'), fleet.openDrift(1))).state, 'equal', 'migrated from the older version');
  await fleet.inside(bert, 'DROP TABLE app.extra');
  assert.equal((await findingsOf(bert, fleet.openDrift(1))).state, 'equal');
  const events = await fleet.pool.query<{ name: string; first: string }>(
    `SELECT name, details->>'first' AS first FROM audit_events WHERE tenant_id = $1 AND name LIKE 'tenant.schema%' ORDER BY position`,
    [bert.tenantId],
  );
  assert.deepEqual(
    events.map((event) => event.name),
    ['tenant.schema_drifted', 'tenant.schema_drifted', 'tenant.schema_drift_ended'],
  );
  assert.equal(events[0]!.first, 'column app.extra.id added');
});

test('a tenant at an older version is compared with that one; a version that nobody looked at is said to be unknown', async () => {
  const late = await fleet.add('cleo');
  // The first program has looked at its version, above: the second one knows it from there.
  assert.equal((await findingsOf(late, fleet.openDrift(1))).state, 'equal');
  await fleet.pool.query('DELETE FROM fleet_catalogues');
  assert.equal((await findingsOf(late, fleet.openDrift(1))).state, 'unknown');
  assert.deepEqual(
    await fleet.pool.query('SELECT FROM prepared_databases'),
    [],
    'nothing is left of what was made to look at',
  );
});
