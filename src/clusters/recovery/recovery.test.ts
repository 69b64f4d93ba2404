import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { formatLsn, type Lsn, waitFor, walSegmentBytes } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { RecoveredServer, RecoveryOptions } from './recovery.ts';
import { recoverFrom, type SourceServer, startSourceServer } from './source.fixture.ts';

let source: SourceServer;
/** Databases that recoveries leave out, as of the base backup. */
let skipped: number[];
let base: Lsn;
/** Moments and places in the life of the source, in order. */
const moments: { after1: Date; xid3: string; beforeIndex: Lsn; end: Lsn; walEnd: Lsn } = {} as typeof moments;

/** Rows are numbered as they were committed, so that a wrong moment shows. */
const insert = (n: number) => source.sql('wanted', `INSERT INTO ledger (n) VALUES (${n})`);

/** A moment of the source's clock with no commit in it: PostgreSQL compares microseconds, a Date has milliseconds. */
async function nextMillisecond(): Promise<Date> {
  const clock = async () => (await source.sql('postgres', 'SELECT clock_timestamp() AS now'))[0]!.now as Date;
  const begun = (await clock()).getTime();
  return waitFor('the next millisecond', async () => {
    const now = await clock();
    return now.getTime() > begun + 1 && now;
  });
}

before(async () => {
  source = await startSourceServer();
  const databases = ['wanted', 'other', 'vacuumed', 'dropped', 'template_file'];
  for (const name of databases) {
    await source.sql('postgres', `CREATE DATABASE ${name}`);
    await source.sql(
      name,
      'CREATE TABLE ledger (n int PRIMARY KEY, filler text)',
      `INSERT INTO ledger SELECT -n, repeat('${name} ', 20) FROM generate_series(1, 2000) n`,
    );
  }
  await source.takeBase();
  base = await source.lsn();
  const oids = await source.sql('postgres', "SELECT oid FROM pg_database WHERE datname <> 'wanted' AND oid > 16383");
  skipped = oids.map(({ oid }) => Number(oid));

  await insert(1);
  moments.after1 = await nextMillisecond();
  await nextMillisecond();
  await source.sql('postgres', "SELECT pg_create_restore_point('before 2')");
  await insert(2);
  const connection = await source.connect('wanted');
  await connection.query('BEGIN');
  await connection.query('INSERT INTO ledger (n) VALUES (3)');
  moments.xid3 = String((await connection.query('SELECT pg_current_xact_id()::text AS xid'))[0]!.xid);
  await insert(4);
  await connection.query('COMMIT');
  await connection.close();
  await source.archiveNow();
  await insert(5);
  await source.archiveNow();

  // What others do meanwhile: every kind of WAL that touches files which a recovery does not have.
  moments.beforeIndex = await source.lsn();
  await source.sql(
    'vacuumed',
    'DELETE FROM ledger WHERE n % 2 = 0',
    'VACUUM ledger',
    'UPDATE ledger SET filler = filler WHERE n % 3 = 0',
    'VACUUM FULL ledger',
    'CREATE INDEX by_filler ON ledger (filler)',
    'REINDEX TABLE ledger',
    'CREATE TABLE extra AS SELECT n FROM ledger',
    'TRUNCATE extra',
    'DROP TABLE extra',
  );
  await source.sql(
    'other',
    "UPDATE ledger SET filler = 'x'",
    'VACUUM (FREEZE) ledger',
    'CHECKPOINT',
    "UPDATE ledger SET filler = 'y'",
  );
  await source.sql(
    'postgres',
    'DROP DATABASE dropped',
    'ALTER DATABASE other RENAME TO renamed',
    'CREATE DATABASE copied_by_wal TEMPLATE template_file STRATEGY wal_log',
    'CREATE DATABASE copied_by_file TEMPLATE template_file STRATEGY file_copy',
    'CREATE DATABASE fresh_by_file TEMPLATE template0 STRATEGY file_copy',
    'CREATE DATABASE wanted_copy_by_file TEMPLATE wanted STRATEGY file_copy',
  );
  await source.sql('copied_by_wal', 'INSERT INTO ledger (n) VALUES (9)');
  await insert(6);
  await source.archiveNow();
  await source.sql('postgres', "SELECT pg_create_restore_point('end')");
  moments.end = await source.lsn();
  await insert(7);
  await source.archiveNow();
  moments.walEnd = await source.lsn();
});
after(() => source?.stop());

const recover = <T>(
  change: Partial<RecoveryOptions>,
  work: (server: RecoveredServer) => Promise<T>,
  without = skipped,
): Promise<T> => recoverFrom(source, { target: { kind: 'name', name: 'end' }, ...change }, work, without);

/** The numbers in the database's ledger, without those of the base backup. */
async function numbers(server: RecoveredServer, database = 'wanted'): Promise<number[]> {
  const connection = await openConnection(server.connectionTarget(database, 'postgres'), { applicationName: 'test' });
  try {
    const rows = await connection.query<{ n: number }>('SELECT n FROM ledger WHERE n > 0 ORDER BY n');
    assert.equal((await connection.query('SELECT n FROM ledger WHERE n < 0')).length, 2000);
    return rows.map(({ n }) => n);
  } finally {
    await connection.close();
  }
}

const reached: [what: string, target: () => RecoveryOptions['target'], expected: number[]][] = [
  ['a time between two commits', () => ({ kind: 'time', time: moments.after1 }), [1]],
  ['a restore point', () => ({ kind: 'name', name: 'before 2' }), [1]],
  ['a transaction', () => ({ kind: 'xid', xid: moments.xid3 }), [1, 2, 3, 4]],
  ['just before a transaction', () => ({ kind: 'xid', xid: moments.xid3, inclusive: false }), [1, 2, 4]],
  ['a place', () => ({ kind: 'lsn', lsn: moments.beforeIndex }), [1, 2, 3, 4, 5]],
  ['just before a place', () => ({ kind: 'lsn', lsn: moments.beforeIndex + 1n, inclusive: false }), [1, 2, 3, 4, 5]],
  ['a restore point behind all kinds of work of others', () => ({ kind: 'name', name: 'end' }), [1, 2, 3, 4, 5, 6]],
  ['the end', () => ({ kind: 'end', atLeast: moments.end }), [1, 2, 3, 4, 5, 6, 7]],
];
for (const [what, target, expected] of reached) {
  test(`recovers to ${what}, with the files of one database only`, async () => {
    await recover({ target: target() }, async (server) => {
      assert.deepEqual(await numbers(server), expected);
      assert.equal(server.newTimeline, 2);
      assert.ok(server.lsn >= base && server.lsn <= moments.walEnd + walSegmentBytes);
      if (target().kind === 'time') assert.ok(server.lastCommitAt! <= moments.after1);
    });
  });
}

test('databases that were made since are whole, unless they were copied by files that were left out', async () => {
  await recover({}, async (server) => {
    assert.deepEqual(await numbers(server, 'copied_by_wal'), [9]);
    assert.deepEqual(await numbers(server, 'wanted_copy_by_file'), [1, 2, 3, 4, 5]);
    await assert.rejects(numbers(server, 'copied_by_file'));
    const connection = await openConnection(server.connectionTarget('wanted', 'postgres'), { applicationName: 'test' });
    const names = await connection.query<{ datname: string }>('SELECT datname FROM pg_database WHERE oid > 16383');
    assert.ok(names.some(({ datname }) => datname === 'renamed'));
    assert.ok(!names.some(({ datname }) => datname === 'dropped' || datname === 'other'));
    await connection.close();
  });
});

test('a server that is used afterwards keeps what it writes on its new timeline until somebody ships it', async () => {
  await recover({ durable: true, target: { kind: 'end', atLeast: moments.end } }, async (server) => {
    const connection = await openConnection(server.connectionTarget('wanted', 'postgres'), { applicationName: 'test' });
    await connection.query('CREATE TABLE noise AS SELECT n, md5(n::text) AS text FROM generate_series(1, 400000) n');
    for (let round = 0; round < 2; round++) await connection.query('CHECKPOINT');
    const [row] = await connection.query<{ first: string; segments: string[] }>(
      `SELECT pg_walfile_name($1::pg_lsn) AS first, array(SELECT name FROM pg_ls_waldir()) AS segments`,
      [formatLsn(server.lsn + 1n)],
    );
    await connection.close();
    assert.ok(row!.segments.includes(row!.first), `${row!.first} among ${row!.segments.join(', ')}`);
  });
});
