import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { randomName, silentLog } from '#src/kernel/index.ts';
import { createPool, newPassword, openConnection, type Pool } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createDatabaseAdmin, type DatabaseAdmin } from './index.ts';

const root = path.join(import.meta.dirname, '../..');
const folders = { platform: path.join(root, 'migrations/tenant'), app: '' };

let cluster: TestCluster;
let pool: Pool;
let admin: DatabaseAdmin;
let template: string;
before(async () => {
  // Content of its own, so that no other test on a shared server uses the template that is dropped here.
  folders.app = await mkdtemp(path.join(tmpdir(), 'freehold-killed-'));
  await writeFile(path.join(folders.app, '0001_item.sql'), `-- ${randomName(20)}\nCREATE TABLE item (id int);`);
  cluster = await startTestCluster({ own: true });
  pool = createPool(cluster.control, { max: 3, applicationName: 'test' });
  admin = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
  ({ template } = await admin.ensureTemplate('desk', folders));
});
after(async () => {
  await admin.dropDatabase(template);
  await rm(folders.app, { recursive: true });
  await pool.stop();
  await cluster.stop();
});

/** Calls one method of the admin in a process of its own that is killed at a failpoint. */
async function killAt(failpoint: string, method: keyof DatabaseAdmin, args: readonly unknown[]): Promise<void> {
  const program = `
    const { armFailpoints, silentLog } = await import('#src/kernel/index.ts');
    const { createPool } = await import('#src/postgres/index.ts');
    const { createDatabaseAdmin } = await import('#src/databases/index.ts');
    const { target, failpoint, method, args } = JSON.parse(process.argv[1]);
    armFailpoints(failpoint + '=kill');
    const pool = createPool(target, { max: 3, applicationName: 'to be killed' });
    await createDatabaseAdmin({ pool, target, log: silentLog })[method](...args);
    process.exit(0);`;
  const input = JSON.stringify({ target: cluster.control, failpoint, method, args });
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, input], {
    cwd: root,
    stdio: 'inherit',
  });
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGKILL', `${failpoint} was not passed`);
}

async function works(name: string): Promise<void> {
  const passwords = { appPassword: newPassword(), platformPassword: newPassword() };
  await admin.openDatabase(name, passwords);
  const login = { ...cluster.control, database: name, user: name, password: passwords.appPassword };
  const connection = await openConnection(login, { applicationName: 'test' });
  assert.deepEqual(await connection.query("SELECT session_id FROM freehold.check_session('\\x00')"), [
    { session_id: null },
  ]);
  await connection.close();
}

test('killed at any step of making a database, the same call finishes it', async () => {
  for (const point of ['before', 'made', 'door', 'ready']) {
    const name = admin.newDatabaseName();
    await killAt(`databases.create.${point}`, 'createDatabase', [name, { template }]);
    await admin.createDatabase(name, { template });
    await works(name);
    await admin.dropDatabase(name);
  }
});

test('killed at any step of copying, reading or dropping one, likewise', async () => {
  const source = admin.newDatabaseName();
  const copies: string[] = [];
  await admin.createDatabase(source, { template });
  for (const point of ['before', 'made', 'door', 'ready']) {
    const copy = admin.newDatabaseName();
    copies.push(copy);
    await killAt(`databases.create.${point}`, 'cloneDatabase', [source, copy]);
    await admin.cloneDatabase(source, copy);
    await works(copy);
    const dropPoint = { before: 'close.locked', made: 'drop.closed', door: 'drop.database', ready: undefined }[point];
    if (dropPoint) await killAt(`databases.${dropPoint}`, 'dropDatabase', [copy]);
    await admin.dropDatabase(copy);
  }
  // Of a closed database: what a kill leaves lets nobody in, and is the next reader's, or goes with the database.
  await killAt('databases.reader.made', 'openReader', [source]);
  const reader = await admin.openReader(source);
  const { user, password } = reader;
  const connection = await openConnection(
    { ...cluster.control, database: source, user, password },
    { applicationName: 'test' },
  );
  assert.deepEqual(await connection.query('SELECT 1 FROM freehold.users'), []);
  await connection.close();
  await reader.close();
  assert.deepEqual(await pool.query(`SELECT 1 FROM pg_roles WHERE rolname = '${source}_r'`), []);
  await killAt('databases.reader.made', 'openReader', [source]);
  await admin.closeDatabase(source);
  assert.deepEqual(await pool.query(`SELECT rolcanlogin AS "mayLogin" FROM pg_roles WHERE rolname = '${source}_r'`), [
    { mayLogin: false },
  ]);
  await admin.dropDatabase(source);
  const { databases, roles } = await admin.findOrphans([]);
  const left = [...databases, ...roles].filter((name) => [source, ...copies].some((made) => name.startsWith(made)));
  assert.deepEqual(left, []);
});

test('killed while a template is built, the next call builds it anew', async () => {
  for (const point of ['template.roles', 'template.made', 'migrate.before_commit', 'template.ready']) {
    await admin.dropDatabase(template);
    await killAt(`databases.${point}`, 'ensureTemplate', ['desk', folders]);
    const fresh = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
    assert.equal((await fresh.ensureTemplate('desk', folders)).template, template);
  }
  const name = admin.newDatabaseName();
  await admin.createDatabase(name, { template });
  await works(name);
  await admin.dropDatabase(name);
});

test('killed while a database is migrated, the next call brings it to the end', async () => {
  const bare = { platform: folders.platform, app: path.join(root, 'test/support/no-migrations') };
  const { template: bareTemplate } = await admin.ensureTemplate('bare', bare);
  for (const point of ['migrate.before_commit', 'migrate.after_commit', 'migrate.done']) {
    const name = admin.newDatabaseName();
    await admin.createDatabase(name, { template: bareTemplate });
    await killAt(`databases.${point}`, 'migrateDatabase', [name, folders]);
    await admin.migrateDatabase(name, folders);
    assert.equal(await admin.migrateDatabase(name, folders), undefined);
    await works(name);
    await admin.dropDatabase(name);
  }
});
