import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { armFailpoints, silentLog } from '#src/kernel/index.ts';
import { type Connection, createPool, newPassword, openConnection, type Pool, sqlState } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import {
  createDatabaseAdmin,
  type DatabaseAdmin,
  digestMigrations,
  type MigrationFolders,
  newDatabaseName,
  type RolePasswords,
  readMigrations,
} from './index.ts';
import { templateNameOf } from './names.ts';

let cluster: TestCluster;
let pool: Pool;
let admin: DatabaseAdmin;
let folder: string;
let folders: MigrationFolders;
let template: string;
const made: string[] = [];

before(async () => {
  cluster = await startTestCluster({ own: true });
  pool = createPool(cluster.control, { max: 4, applicationName: 'test' });
  admin = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
  folder = await mkdtemp(path.join(tmpdir(), 'freehold-migrations-'));
  folders = await writeMigrations('base', platformSql, [appSql]);
  ({ template } = await admin.ensureTemplate('test', folders));
  made.push(template);
});
after(async () => {
  armFailpoints('');
  // Copies before their templates.
  for (const name of made.sort()) await admin.dropDatabase(name);
  await pool.stop();
  await cluster.stop();
  await rm(folder, { recursive: true, force: true });
});

const platformSql = `
CREATE TABLE users (user_id text PRIMARY KEY, email text);
CREATE FUNCTION check_session(token bytea) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = freehold AS 'SELECT min(user_id) FROM users';
REVOKE ALL ON FUNCTION check_session(bytea) FROM PUBLIC;
CREATE TYPE color AS ENUM ('red');
DO $$ BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA freehold TO %I', current_database());
  EXECUTE format('GRANT EXECUTE ON FUNCTION check_session(bytea) TO %I', current_database());
  EXECUTE format('GRANT SELECT (user_id) ON users TO %I', current_database());
END $$;`;
const appSql = `
CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL);
CREATE INDEX item_title ON item (title);
CREATE VIEW titles AS SELECT title FROM item;
CREATE FUNCTION count_items() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM item';
INSERT INTO item (title) VALUES ('from the template');`;

async function writeMigrations(name: string, platform: string, app: readonly string[]): Promise<MigrationFolders> {
  const home = path.join(folder, name);
  await mkdir(path.join(home, 'platform'), { recursive: true });
  await mkdir(path.join(home, 'app'), { recursive: true });
  await writeFile(path.join(home, 'platform', '0001_platform.sql'), platform);
  for (const [index, sql] of app.entries()) await writeFile(path.join(home, 'app', `000${index + 1}_app.sql`), sql);
  return { platform: path.join(home, 'platform'), app: path.join(home, 'app') };
}

function newPasswords(): RolePasswords {
  return { appPassword: newPassword(), platformPassword: newPassword() };
}

async function makeDatabase(open = true): Promise<{ name: string; passwords: RolePasswords }> {
  const name = newDatabaseName();
  made.push(name);
  const passwords = newPasswords();
  await admin.createDatabase(name, { template });
  if (open) await admin.openDatabase(name, passwords);
  return { name, passwords };
}

async function as<T>(user: string, password: string, database: string, fn: (db: Connection) => Promise<T>): Promise<T> {
  const connection = await openConnection(
    { ...cluster.control, user, password, database },
    { applicationName: 'test' },
  );
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

test('a new database is owned by its own two roles, each with exactly its rights', async () => {
  const { name, passwords } = await makeDatabase();
  await as(name, passwords.appPassword, name, async (db) => {
    assert.deepEqual(await db.query('SELECT title FROM item'), [{ title: 'from the template' }]);
    assert.equal(
      await stateOf(db.query("INSERT INTO item (title) VALUES ('x')")),
      '25006',
      'read-only unless it says otherwise',
    );
    await db.query('BEGIN READ WRITE');
    await db.query("INSERT INTO item (title) VALUES ('mine')");
    await db.query('COMMIT');
    await db.query("SELECT freehold.check_session('x')");
    await db.query('SELECT user_id FROM freehold.users');
    assert.equal(await stateOf(db.query('SELECT email FROM freehold.users')), '42501');
    await db.query('BEGIN READ WRITE');
    assert.equal(await stateOf(db.query('CREATE TEMP TABLE t ()')), '42501');
    await db.query('ROLLBACK');
    await db.query('BEGIN READ WRITE');
    assert.equal(await stateOf(db.query('CREATE SCHEMA other')), '42501');
    await db.query('ROLLBACK');
    const owners = await db.query(
      `SELECT DISTINCT n.nspname, pg_get_userbyid(c.relowner) = $1 AS mine FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'app'`,
      [name],
    );
    assert.deepEqual(owners, [{ nspname: 'app', mine: true }]);
    await db.query('BEGIN READ WRITE');
    await db.query('ALTER TABLE item ADD COLUMN more text');
    await db.query('ROLLBACK');
  });
  await as(`${name}_p`, passwords.platformPassword, name, async (db) => {
    await db.query('BEGIN READ WRITE');
    await db.query("INSERT INTO users VALUES ('usr_1', 'ada@example.com')");
    await db.query('SELECT title FROM app.item');
    await db.query('COMMIT');
  });
});

test('a tenant role reaches no other database and no other tenant', async () => {
  const [a, b] = [await makeDatabase(), await makeDatabase()];
  for (const database of [b.name, template, 'postgres', 'template1', cluster.control.database]) {
    for (const [user, password] of [
      [a.name, a.passwords.appPassword],
      [`${a.name}_p`, a.passwords.platformPassword],
    ] as const) {
      const state = await stateOf(as(user, password, database, async () => {}));
      assert.ok(state === '28000' || state === '42501', `${user} → ${database}: ${state}`);
    }
  }
  await as(a.name, a.passwords.appPassword, a.name, async (db) => {
    assert.equal(await stateOf(db.query(`SET ROLE ${b.name}`)), '42501');
    assert.equal(await stateOf(db.query(`SET ROLE ${a.name}_p`)), '42501');
    assert.equal(await stateOf(db.query('SET ROLE freehold_control')), '42501');
    // pg_database is public; its names tell nothing, and sizes are refused.
    for (const { datname } of await db.query<{ datname: string }>('SELECT datname FROM pg_database')) {
      assert.match(
        datname,
        /^(t_[0-9a-z]{20}|tpl_[0-9a-z]{20}|postgres|template[01]|control_[0-9a-z]+|[a-z]+_[0-9a-z]+)$/,
      );
    }
    assert.equal(await stateOf(db.query('SELECT pg_database_size($1::name)', [b.name])), '42501');
    await db.query('BEGIN READ WRITE');
    assert.equal(await stateOf(db.query(`ALTER ROLE ${b.name} PASSWORD NULL`)), '42501');
    await db.query('ROLLBACK');
  });
});

test('closed means closed: sessions end, nobody comes in, open again lets in with new passwords only', async () => {
  const { name, passwords } = await makeDatabase();
  const session = await openConnection(
    { ...cluster.control, user: name, password: passwords.appPassword, database: name },
    { applicationName: 'test' },
  );
  const ended = new Promise<void>((resolve) => session.onEnd(() => resolve()));
  await admin.closeDatabase(name);
  await ended;
  assert.equal(await stateOf(as(name, passwords.appPassword, name, async () => {})), '28000');
  await admin.closeDatabase(name);
  const renewed = newPasswords();
  await admin.openDatabase(name, renewed);
  assert.equal(await stateOf(as(name, passwords.appPassword, name, async () => {})), '28P01');
  assert.equal(await stateOf(as(name, renewed.appPassword, name, async () => {})), 'ok');
});

test('a clone is equal, and owned by its own roles; the original can be dropped first', async () => {
  const { name, passwords } = await makeDatabase();
  await as(`${name}_p`, passwords.platformPassword, name, async (db) => {
    await db.query('BEGIN READ WRITE');
    await db.query("INSERT INTO users VALUES ('usr_1', 'ada@example.com')");
    await db.query('COMMIT');
  });
  await admin.closeDatabase(name);
  const copy = newDatabaseName();
  made.push(copy);
  await admin.cloneDatabase(name, copy);
  await admin.cloneDatabase(name, copy);
  await admin.dropDatabase(name);
  await admin.openDatabase(copy, passwords);
  await as(copy, passwords.appPassword, copy, async (db) => {
    assert.deepEqual(await db.query("SELECT freehold.check_session('x') AS user"), [{ user: 'usr_1' }]);
    assert.equal(await stateOf(db.query('SELECT email FROM freehold.users')), '42501');
  });
  const [membership] = await pool.query(
    `SELECT count(*)::int AS n FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
     WHERE m.member = 'freehold_control'::regrole AND r.rolname LIKE 't\\_%' AND pg_has_role(current_user, r.oid, 'USAGE')`,
  );
  assert.equal(membership!.n, 0, 'control keeps no rights of tenants');
});

test('whatever does not move to another owner is refused when the copy is made', async () => {
  const odd = await writeMigrations(
    'odd',
    'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO CURRENT_USER WITH GRANT OPTION;',
    [
      'DO $$ BEGIN EXECUTE format($f$ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO %I$f$, current_database() || $x$_p$x$); END $$',
    ],
  );
  const { template: oddTemplate } = await admin.ensureTemplate('odd', odd);
  const name = newDatabaseName();
  made.push(oddTemplate, name);
  await assert.rejects(admin.createDatabase(name, { template: oddTemplate }), { code: 'FH_DB_NOT_PORTABLE' });
});

test('a template is made once per content, also by two at a time', async () => {
  const copies = await writeMigrations('same', platformSql, [appSql]);
  assert.equal((await admin.ensureTemplate('same', copies)).template, template);
  const fresh = await writeMigrations('fresh', platformSql, [appSql, 'CREATE TABLE fresh ();']);
  const other = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
  const [one, two] = await Promise.all([admin.ensureTemplate('fresh', fresh), other.ensureTemplate('fresh', fresh)]);
  made.push(one.template);
  assert.deepEqual(one, two);
});

test('migrations of an app cannot leave their role, and leave no login behind', async () => {
  const evil = await writeMigrations('evil', platformSql, ['RESET ROLE; CREATE TABLE freehold.planted ();']);
  await assert.rejects(admin.ensureTemplate('evil', evil), (error: { code?: string; message: string }) => {
    assert.equal(error.code, 'FH_DB_MIGRATION_FAILED');
    assert.match(error.message, /42501/);
    return true;
  });
  const becomes = await writeMigrations('becomes', platformSql, [
    "DO $$ BEGIN EXECUTE format('SET ROLE %I', current_database() || '_p'); END $$",
  ]);
  await assert.rejects(admin.ensureTemplate('becomes', becomes), { code: 'FH_DB_MIGRATION_FAILED' });
  for (const { platform, app } of [evil, becomes]) {
    const [platformFiles, appFiles] = [await readMigrations(platform), await readMigrations(app!)];
    const name = templateNameOf(digestMigrations({ freehold: platformFiles, app: appFiles }), cluster.control.database);
    made.push(name);
    assert.deepEqual(await pool.query('SELECT rolname FROM pg_roles WHERE rolname = $1', [`${name}_m`]), []);
  }
});

test('a database is brought forward while it is closed, and the second time nothing is done', async () => {
  const { name, passwords } = await makeDatabase(false);
  const next = await writeMigrations('next', platformSql, [
    appSql,
    'ALTER TABLE item ADD COLUMN done boolean NOT NULL DEFAULT false;',
  ]);
  assert.equal(await admin.migrateDatabase(name, folders), undefined);
  const result = await admin.migrateDatabase(name, next);
  assert.deepEqual(result?.app, { from: 1, to: 2, applied: ['0002_app'] });
  assert.equal(await admin.migrateDatabase(name, next), undefined);
  await assert.rejects(admin.migrateDatabase(name, folders), { code: 'FH_DB_MIGRATION_UNKNOWN' });
  await admin.openDatabase(name, passwords);
  await as(name, passwords.appPassword, name, (db) => db.query('SELECT done FROM item'));
});

const steps: Record<string, readonly string[]> = {
  create: ['databases.create.before', 'databases.create.made', 'databases.create.door', 'databases.create.ready'],
  drop: ['databases.close.locked', 'databases.drop.closed', 'databases.drop.database'],
};
for (const point of steps.create!) {
  test(`creating goes on after a failure at ${point}`, async () => {
    const name = newDatabaseName();
    made.push(name);
    armFailpoints(`${point}=error`);
    await assert.rejects(admin.createDatabase(name, { template }), /failpoint/);
    const passwords = newPasswords();
    await admin.createDatabase(name, { template });
    await admin.openDatabase(name, passwords);
    await as(name, passwords.appPassword, name, (db) => db.query('SELECT title FROM item'));
  });
}
for (const point of steps.drop!) {
  test(`dropping goes on after a failure at ${point}`, async () => {
    const { name } = await makeDatabase();
    armFailpoints(`${point}=error`);
    await assert.rejects(admin.dropDatabase(name), /failpoint/);
    await admin.dropDatabase(name);
    await admin.dropDatabase(name);
    assert.deepEqual(
      (await admin.listDatabases()).filter((found) => found.name === name),
      [],
    );
    assert.deepEqual(await pool.query('SELECT rolname FROM pg_roles WHERE rolname LIKE $1', [`${name}%`]), []);
  });
}

test('orphans are found, and nothing else is ever dropped', async () => {
  const [kept, orphan] = [await makeDatabase(false), await makeDatabase(false)];
  const known = (await admin.listDatabases()).map(({ name }) => name).filter((name) => name !== orphan.name);
  await pool.query('CREATE ROLE t_00000000000000000000');
  const orphans = await admin.findOrphans(known);
  await pool.query('DROP ROLE t_00000000000000000000');
  assert.ok(!orphans.databases.includes(kept.name));
  assert.ok(orphans.databases.includes(orphan.name));
  assert.ok(
    orphans.roles.includes(orphan.name) &&
      orphans.roles.includes(`${orphan.name}_p`) &&
      orphans.roles.includes('t_00000000000000000000'),
  );
  for (const name of ['postgres', cluster.control.database, 't_x', 't_"; DROP DATABASE x', '']) {
    await assert.rejects(admin.dropDatabase(name), { code: 'FH_DB_NAME_INVALID' });
  }
});

test('sizes are told; absent databases are named', async () => {
  const { name } = await makeDatabase(false);
  assert.ok((await admin.databaseSize(name)) > 1_000_000);
  await assert.rejects(admin.databaseSize(newDatabaseName()), { code: 'FH_DB_NOT_FOUND' });
  await assert.rejects(admin.createDatabase(newDatabaseName(), { template: `tpl_${'0'.repeat(20)}` }), {
    code: 'FH_DB_NOT_FOUND',
  });
});
