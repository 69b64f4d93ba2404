import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { armFailpoints, waitFor } from '#src/kernel/index.ts';
import { type Connection, openConnection } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { migrate, readMigrations } from './index.ts';

let cluster: TestCluster;
let control: Connection;
let folder: string;
before(async () => {
  cluster = await startTestCluster();
  control = await openConnection(cluster.control, { applicationName: 'test' });
  folder = await mkdtemp(path.join(tmpdir(), 'freehold-migrate-'));
});
after(async () => {
  armFailpoints('');
  await control.close();
  await cluster.stop();
  await rm(folder, { recursive: true, force: true });
});

async function write(name: string, files: Record<string, string>): Promise<string> {
  const home = path.join(folder, name);
  await rm(home, { recursive: true, force: true });
  await mkdir(home, { recursive: true });
  for (const [file, sql] of Object.entries(files)) await writeFile(path.join(home, file), sql);
  return home;
}
async function newSchema(name: string): Promise<string> {
  await control.query(`CREATE SCHEMA ${name}`);
  return name;
}
const two = {
  '0001_first.sql': 'CREATE TABLE t (n int);',
  '0002_second.sql': 'INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);',
};

test('files are run once, in order, each with its line in the ledger', async () => {
  const schema = await newSchema('ordered');
  const home = await write('ordered', two);
  assert.deepEqual(await migrate(cluster.control, { schema, folder: home }), {
    from: 0,
    to: 2,
    applied: ['0001_first', '0002_second'],
  });
  assert.deepEqual(await migrate(cluster.control, { schema, folder: home }), { from: 2, to: 2, applied: [] });
  assert.deepEqual(await control.query('SELECT n FROM ordered.t ORDER BY n'), [{ n: 1 }, { n: 2 }]);
  assert.deepEqual(await control.query('SELECT position, name FROM ordered.schema_migrations ORDER BY position'), [
    { position: 1, name: '0001_first' },
    { position: 2, name: '0002_second' },
  ]);
});

test('a file that was changed after it had been run stops everything', async () => {
  const schema = await newSchema('tampered');
  await migrate(cluster.control, { schema, folder: await write('tampered', two) });
  const changed = await write('tampered', {
    ...two,
    '0001_first.sql': 'CREATE TABLE t (n bigint);',
    '0003_third.sql': 'CREATE TABLE u ();',
  });
  await assert.rejects(migrate(cluster.control, { schema, folder: changed }), { code: 'FH_DB_MIGRATION_CHANGED' });
  const older = await write('tampered', { '0001_first.sql': two['0001_first.sql'] });
  await assert.rejects(migrate(cluster.control, { schema, folder: older }), { code: 'FH_DB_MIGRATION_UNKNOWN' });
  assert.deepEqual(await control.query("SELECT to_regclass('tampered.u') AS u"), [{ u: null }]);
});

test('a failing file leaves nothing of itself, and what came before it stays', async () => {
  const schema = await newSchema('failing');
  const broken = await write('failing', { ...two, '0003_third.sql': 'CREATE TABLE u (); INSERT INTO t VALUES (1/0);' });
  await assert.rejects(
    migrate(cluster.control, { schema, folder: broken }),
    (error: { code?: string; message: string }) => {
      assert.equal(error.code, 'FH_DB_MIGRATION_FAILED');
      assert.match(error.message, /0003_third\.sql: 22012/);
      return true;
    },
  );
  assert.deepEqual(await control.query("SELECT to_regclass('failing.u') AS u"), [{ u: null }]);
  const mended = await write('failing', { ...two, '0003_third.sql': 'CREATE TABLE u ();' });
  assert.deepEqual(await migrate(cluster.control, { schema, folder: mended }), {
    from: 2,
    to: 3,
    applied: ['0003_third'],
  });
});

test('a kill around the commit of a file leaves it run or not run, never half', async () => {
  const schema = await newSchema('killed');
  const home = await write('killed', two);
  for (const [point, from] of [
    ['before_commit', 0],
    ['after_commit', 1],
  ] as const) {
    armFailpoints(`databases.migrate.${point}=error`);
    await assert.rejects(migrate(cluster.control, { schema, folder: home }), /failpoint/);
    const [ledger] = await control.query('SELECT coalesce(max(position), 0) AS at FROM killed.schema_migrations');
    assert.equal(ledger!.at, from);
  }
  assert.equal((await migrate(cluster.control, { schema, folder: home })).to, 2);
});

const invalid: [string, Record<string, string>][] = [
  ['a gap', { '0001_a.sql': '', '0003_b.sql': '' }],
  ['a number used twice', { '0001_a.sql': '', '0001_b.sql': '' }],
  ['a name that does not fit', { '1_a.sql': '' }],
  ['transaction control', { '0001_a.sql': 'CREATE TABLE x ();\nCOMMIT;' }],
];
for (const [what, files] of invalid) {
  test(`${what} is refused before anything happens`, async () => {
    await assert.rejects(readMigrations(await write('invalid', files)), { code: 'FH_DB_MIGRATION_INVALID' });
  });
}

test('two runners at once: one works, the other finds it done', async () => {
  const schema = await newSchema('contended');
  const home = await write('contended', { ...two, '0003_slow.sql': 'SELECT pg_sleep(0.2);' });
  const results = await Promise.all([1, 2, 3].map(() => migrate(cluster.control, { schema, folder: home })));
  assert.deepEqual(results.map((result) => result.applied.length).sort(), [0, 0, 3]);
});

test('a lock held by somebody else is waited for in small portions', async () => {
  const schema = await newSchema('locked');
  const home = await write('locked', { '0001_first.sql': 'CREATE TABLE t (n int);' });
  await migrate(cluster.control, { schema, folder: home });
  await control.query('BEGIN');
  await control.query('LOCK TABLE locked.t IN ACCESS SHARE MODE');
  const altered = await write('locked', {
    '0001_first.sql': 'CREATE TABLE t (n int);',
    '0002_alter.sql': 'ALTER TABLE t ADD COLUMN m int;',
  });
  const work = migrate(cluster.control, { schema, folder: altered, lockTimeoutMs: 50 });
  const watcher = await openConnection(cluster.superuser, { applicationName: 'watcher' });
  await waitFor('the runner to wait for the lock', async () => {
    const [row] = await watcher.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND locktype = 'relation'",
    );
    return row!.n > 0;
  });
  await watcher.close();
  await control.query('COMMIT');
  assert.deepEqual((await work).applied, ['0002_alter']);
});

test('a statement that PostgreSQL refuses inside a transaction is refused before anything happens', async () => {
  for (const sql of [
    'CREATE INDEX CONCURRENTLY i ON t (n);',
    'CREATE UNIQUE INDEX CONCURRENTLY i ON t (n);',
    'DROP INDEX\n  CONCURRENTLY i;',
    'REINDEX TABLE CONCURRENTLY t;',
    'VACUUM t;',
  ])
    await assert.rejects(readMigrations(await write('invalid', { '0001_a.sql': sql })), {
      code: 'FH_DB_MIGRATION_INVALID',
      message: /outside a transaction/,
    });
  const spoken = await write('spoken', {
    '0001_a.sql': '-- not CREATE INDEX CONCURRENTLY\nCREATE TABLE t (vacuum int);',
  });
  assert.equal((await readMigrations(spoken)).length, 1);
});
