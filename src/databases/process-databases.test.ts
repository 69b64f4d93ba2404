import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { silentLog } from '#src/kernel/index.ts';
import { type Connection, createPool, newPassword, openConnection, type Pool, sqlState } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createDatabaseAdmin, type DatabaseAdmin, newDatabaseName, type RolePasswords } from './index.ts';

const platform = fileURLToPath(new URL('../../migrations/tenant', import.meta.url));
const noMigrations = fileURLToPath(new URL('../../test/support/no-migrations', import.meta.url));

let cluster: TestCluster;
let pool: Pool;
let admin: DatabaseAdmin;
let template: string;
const made: string[] = [];

before(async () => {
  cluster = await startTestCluster({ own: true });
  pool = createPool(cluster.control, { max: 4, applicationName: 'test' });
  admin = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
  ({ template } = await admin.ensureTemplate('process', { platform, app: undefined }));
});
after(async () => {
  for (const name of [...made, template]) await admin.dropDatabase(name);
  await pool.stop();
  await cluster.stop();
});

interface Made {
  readonly name: string;
  readonly passwords: RolePasswords;
}

async function makeDatabase(connectionLimit?: number): Promise<Made> {
  const name = newDatabaseName();
  made.push(name);
  const passwords = { appPassword: newPassword(), platformPassword: newPassword() };
  await admin.createDatabase(name, { template });
  await admin.openDatabase(name, passwords, { connectionLimit });
  return { name, passwords };
}

const connect = (user: string, password: string, database: string) =>
  openConnection({ ...cluster.control, user, password, database }, { applicationName: 'test' });

async function asApp<T>({ name, passwords }: Made, fn: (db: Connection) => Promise<T>): Promise<T> {
  const connection = await connect(name, passwords.appPassword, name);
  try {
    return await fn(connection);
  } finally {
    await connection.close();
  }
}

const stateOf = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error) => sqlState(error) ?? error.code,
  );

/** What apps, and the libraries they use, make of a database of their own. */
const furnished = `
CREATE EXTENSION pgcrypto;
CREATE SCHEMA "Mixed Case";
CREATE EXTENSION citext SCHEMA "Mixed Case";
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE DOMAIN short AS text CHECK (length(value) < 10);
CREATE TABLE people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email "Mixed Case".citext UNIQUE, mood mood, short short);
CREATE TABLE "Mixed Case"."Letters" (id bigserial PRIMARY KEY, person uuid REFERENCES people, body text);
CREATE INDEX lowered ON "Mixed Case"."Letters" (lower(body));
CREATE TABLE measured (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE measured_2026 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE UNLOGGED TABLE cache (k text);
CREATE VIEW moods AS SELECT mood, count(*) FROM people GROUP BY mood;
CREATE MATERIALIZED VIEW frozen AS SELECT * FROM people;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int);
CREATE STATISTICS related ON id, email FROM people;
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
CREATE PUBLICATION changes FOR TABLE people;
GRANT SELECT ON people TO PUBLIC;
SELECT lo_from_bytea(4711, 'large');
GRANT SELECT ON LARGE OBJECT 4711 TO CURRENT_USER WITH GRANT OPTION;
INSERT INTO people (email, mood, short) VALUES ('Ada@Example.com', 'calm', 'x');
INSERT INTO "Mixed Case"."Letters" (person, body) SELECT id, 'Dear' FROM people;
INSERT INTO measured VALUES ('2026-03-01', 1);`;

test('the app owns schema public, writes by default, makes schemas and temporary tables, and is bounded in connections', async () => {
  const acme = await makeDatabase(2);
  await asApp(acme, async (db) => {
    await db.query('CREATE TABLE notes (note text)');
    await db.query(`INSERT INTO notes VALUES ('ada@example.com')`);
    await db.query('CREATE SCHEMA other');
    await db.query('CREATE TEMPORARY TABLE scratch ()');
    const [row] = await db.query(
      `SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout,
              current_setting('default_transaction_read_only') AS "readOnly", to_regnamespace('app') AS app`,
    );
    assert.deepEqual(row, { path: '"$user", public', timeout: '0', readOnly: 'off', app: null });
    const second = await connect(acme.name, acme.passwords.appPassword, acme.name);
    assert.equal(await stateOf(connect(acme.name, acme.passwords.appPassword, acme.name)), '53300');
    // The platform is not counted.
    await (await connect(`${acme.name}_p`, acme.passwords.platformPassword, acme.name)).close();
    await second.close();
  });
});

test('what closes the app in is not its to change', async () => {
  const [acme, globex] = [await makeDatabase(), await makeDatabase()];
  const refused: Record<string, string> = {
    'SELECT 1 FROM freehold.users': '42501',
    'CREATE TABLE freehold.planted ()': '42501',
    'DROP SCHEMA freehold CASCADE': '42501',
    'CREATE TABLE planted (id text REFERENCES freehold.users)': '42501',
    [`ALTER ROLE ${acme.name} CONNECTION LIMIT -1`]: '42501',
    [`ALTER ROLE ${acme.name} VALID UNTIL 'infinity'`]: '42501',
    [`ALTER ROLE ${acme.name} CREATEDB`]: '42501',
    [`ALTER ROLE ${acme.name}_p SET search_path = public`]: '42501',
    [`ALTER DATABASE ${acme.name} SET search_path = public`]: '42501',
    [`COMMENT ON DATABASE ${acme.name} IS 'freehold ready'`]: '42501',
    [`GRANT CONNECT ON DATABASE ${acme.name} TO ${globex.name}`]: '01007',
    [`GRANT ${acme.name} TO ${globex.name}`]: '42501',
    [`SET ROLE ${acme.name}_p`]: '42501',
    'SET SESSION AUTHORIZATION freehold_control': '42501',
    'CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION public.f()': '42501',
    'CREATE EXTENSION dblink': '42501',
    'CREATE PUBLICATION everything FOR ALL TABLES': '42501',
    "SELECT pg_create_logical_replication_slot('s', 'pgoutput')": '42501',
    "SELECT pg_read_file('/etc/passwd')": '42501',
    "COPY (SELECT 1) TO PROGRAM 'true'": '42501',
    "SELECT lo_import('/etc/passwd')": '42501',
    'SET session_replication_role = replica': '42501',
    'ALTER SYSTEM SET fsync = off': '42501',
  };
  await asApp(acme, async (db) => {
    await db.query(`CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
    for (const [statement, state] of Object.entries(refused)) {
      const found = await stateOf(db.query(statement));
      // Granting what one may not grant is a warning.
      if (state === '01007')
        assert.equal(await stateOf(connect(globex.name, globex.passwords.appPassword, acme.name)), '28000');
      else assert.equal(found, state, statement);
    }
    // Nothing can be prepared that a restart would keep, and locks with it.
    await db.query('BEGIN');
    assert.equal(await stateOf(db.query("PREPARE TRANSACTION 'left'")), '55000');
    await db.query('ROLLBACK');
    // Its own password and defaults are its own; being closed does not rest on them.
    await db.query(`ALTER ROLE ${acme.name} SET default_transaction_isolation = 'serializable'`);
    await db.query(`ALTER ROLE ${acme.name} PASSWORD 'chosen by the app'`);
    await admin.closeDatabase(acme.name);
  });
  assert.equal(await stateOf(connect(acme.name, 'chosen by the app', acme.name)), '28000');
  await admin.openDatabase(acme.name, acme.passwords, { connectionLimit: 3 });
  assert.equal(await stateOf(connect(acme.name, 'chosen by the app', acme.name)), '28P01');
  assert.equal(await stateOf(asApp(acme, async () => {})), 'ok');
});

test('a clone of a furnished database is owned by its own roles; each lives on without the other', async () => {
  const [acme, globex] = [await makeDatabase(), await makeDatabase()];
  for (const tenant of [acme, globex]) await asApp(tenant, (db) => db.script(furnished));
  const copy = { name: newDatabaseName(), passwords: acme.passwords };
  made.push(copy.name);
  await admin.closeDatabase(acme.name);
  await admin.cloneDatabase(acme.name, copy.name);
  await admin.dropDatabase(acme.name);
  await admin.openDatabase(copy.name, copy.passwords, { connectionLimit: 1 });
  await asApp(copy, async (db) => {
    assert.deepEqual(await db.query(`SELECT email::text FROM people`), [{ email: 'Ada@Example.com' }]);
    assert.deepEqual(await db.query(`SELECT body FROM "Mixed Case"."Letters"`), [{ body: 'Dear' }]);
    assert.deepEqual(await db.query(`SELECT convert_from(lo_get(4711), 'UTF8') AS body`), [{ body: 'large' }]);
    assert.equal((await db.query(`SELECT digest('x', 'sha256')`)).length, 1);
    // What only an owner may.
    await db.script(`
      ALTER TABLE people ADD COLUMN more text; ALTER TYPE mood ADD VALUE 'glad'; REFRESH MATERIALIZED VIEW frozen;
      CREATE TABLE "Mixed Case".more (); ALTER TABLE measured ADD COLUMN m int; ALTER PUBLICATION changes DROP TABLE people;
      ALTER EXTENSION citext UPDATE; DROP EXTENSION pgcrypto; ALTER FUNCTION touch() RENAME TO touch2; SELECT lo_unlink(4711);
      ALTER DOMAIN short RENAME TO shorter; ALTER STATISTICS related RENAME TO relation; DROP TEXT SEARCH CONFIGURATION plain;`);
  });
  await asApp(globex, (db) => db.query('SELECT * FROM people'));
});

test('a right that an app gives to another tenant keeps nobody from being deleted', async () => {
  const [acme, globex, initech] = [await makeDatabase(), await makeDatabase(), await makeDatabase()];
  await asApp(acme, (db) =>
    db.script(`
      CREATE TABLE bait (a int, b int);
      CREATE FUNCTION bait() RETURNS int LANGUAGE sql AS 'SELECT 1';
      CREATE POLICY bait ON bait TO ${globex.name};
      GRANT ALL ON bait TO ${globex.name}, ${initech.name} WITH GRANT OPTION;
      GRANT SELECT (a) ON bait TO ${globex.name}_p;
      GRANT EXECUTE ON FUNCTION bait() TO ${globex.name};
      GRANT ALL ON SCHEMA public TO ${globex.name};
      SELECT lo_create(1);
      GRANT ALL ON LARGE OBJECT 1 TO ${globex.name};
      ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO ${globex.name};
      ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO ${globex.name};
      CREATE TABLE more ()`),
  );
  await admin.dropDatabase(globex.name);
  assert.deepEqual(
    await pool.query('SELECT FROM pg_roles WHERE rolname IN ($1, $2)', [globex.name, `${globex.name}_p`]),
    [],
  );
  await asApp(acme, (db) => db.query('SELECT a FROM bait'));
  const [held] = await pool.query(
    `SELECT count(*)::int AS n FROM pg_auth_members WHERE member = 'freehold_control'::regrole AND roleid::regrole::text IN ($1, $2)
     AND NOT admin_option`,
    [acme.name, `${acme.name}_p`],
  );
  assert.equal(held!.n, 0, 'control keeps no rights of tenants');
  assert.equal(await stateOf(asApp(initech, async () => {})), 'ok');
});

test('what a copy cannot carry is refused with a code, and nothing is left of it', async () => {
  for (const plant of [
    `CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE CREATE ON SCHEMA public FROM CURRENT_USER`,
    'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC',
  ]) {
    const acme = await makeDatabase();
    await asApp(acme, (db) => db.script(plant));
    await admin.closeDatabase(acme.name);
    const copy = newDatabaseName();
    made.push(copy);
    await assert.rejects(admin.cloneDatabase(acme.name, copy), { code: 'FH_DB_NOT_PORTABLE' }, plant);
    await admin.dropDatabase(copy);
    assert.equal(await stateOf(admin.databaseSize(copy)), 'FH_DB_NOT_FOUND');
  }
});

test('the platform goes forward, the app part is its own; a database is not taken for one of the other kind', async () => {
  const { name } = await makeDatabase();
  assert.equal(await admin.migrateDatabase(name, { platform, app: undefined }), undefined);
  await assert.rejects(admin.migrateDatabase(name, { platform, app: noMigrations }), { code: 'FH_DB_WRONG_KIND' });
  const sdk = await admin.ensureTemplate('sdk', { platform, app: noMigrations });
  assert.notEqual(sdk.template, template);
  made.push(sdk.template);
  const older = (await import('./migration-files.ts')).readMigrations(platform).then((files) => files.slice(0, -1));
  const old = await admin.ensureTemplate('old', { platform: await older, app: undefined });
  made.push(old.template);
  const behind = newDatabaseName();
  made.unshift(behind);
  await admin.createDatabase(behind, { template: old.template });
  const result = await admin.migrateDatabase(behind, { platform, app: undefined });
  assert.deepEqual([result?.platform.applied.length, result?.app.applied], [1, []]);
});
