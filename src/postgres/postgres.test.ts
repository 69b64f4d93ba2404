import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { randomName, waitFor } from '#src/kernel/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import {
  CommitUncertainError,
  commit,
  createPool,
  isRetryable,
  newPassword,
  openConnection,
  quoteIdentifier,
  quoteLiteral,
  retryTransaction,
  runTransaction,
  scramVerifier,
  sqlState,
} from './index.ts';
import type { Connection } from './types.ts';

let cluster: TestCluster;
before(async () => {
  cluster = await startTestCluster();
});
after(() => cluster.stop());

async function withConnection(fn: (connection: Connection) => Promise<void>, pipeline = false): Promise<void> {
  const connection = await openConnection(cluster.control, { applicationName: 'test', pipeline });
  try {
    await fn(connection);
  } finally {
    await connection.close();
  }
}

test('values keep their exactness', () =>
  withConnection(async (db) => {
    const [row] = await db.query(
      "SELECT 9007199254740993::int8 AS big, 0.10::numeric AS exact, '2026-02-28'::date AS day, 7::int4 AS small",
    );
    assert.deepEqual(row, { big: '9007199254740993', exact: '0.10', day: '2026-02-28', small: 7 });
  }));

test('a text cannot hold a second statement', () =>
  withConnection(async (db) => {
    await assert.rejects(db.query('SELECT 1; SELECT 2'), (error) => sqlState(error) === '42601');
  }));

test('settings of the session hold from the first statement and may contain spaces', async () => {
  const connection = await openConnection(cluster.control, {
    applicationName: 'test',
    options: { default_transaction_read_only: 'on', search_path: 'a, "b c"' },
  });
  try {
    await assert.rejects(connection.query('CREATE TABLE t ()'), (error) => sqlState(error) === '25006');
    assert.deepEqual(await connection.query('SHOW search_path'), [{ search_path: 'a, "b c"' }]);
  } finally {
    await connection.close();
  }
});

test('in a pipeline each statement succeeds or fails alone', () =>
  withConnection(async (db) => {
    const results = await Promise.allSettled([
      db.query('SELECT 1 AS n'),
      db.query('SELECT 1/0'),
      db.query('SELECT 2 AS n'),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value : sqlState(result.reason))),
      [[{ n: 1 }], '22012', [{ n: 2 }]],
    );
  }, true));

test('cancel ends the running statement and the connection can go on', () =>
  withConnection(async (db) => {
    const running = assert.rejects(db.query('SELECT pg_sleep(60)'), (error) => sqlState(error) === '57014');
    // A request that comes before the statement does cancels nothing.
    await withConnection(async (watcher) => {
      await waitFor('the statement to run', async () => {
        const [row] = await watcher.query('SELECT state, query FROM pg_stat_activity WHERE pid = $1', [db.processId]);
        return row?.state === 'active' && String(row.query).includes('pg_sleep');
      });
    });
    await db.cancel();
    await running;
    assert.deepEqual(await db.query('SELECT 1 AS n'), [{ n: 1 }]);
  }));

test('the end of a session is told, also to those who ask late', () =>
  withConnection(async (db) => {
    let error: Error | undefined;
    const ended = new Promise<void>((resolve) =>
      db.onEnd((reason) => {
        error = reason;
        resolve();
      }),
    );
    await withConnection(async (other) => {
      await other.query('SELECT pg_terminate_backend($1)', [db.processId]);
    });
    await ended;
    assert.equal(sqlState(error), '57P01');
    db.onEnd((reason) => assert.equal(reason, error));
    await assert.rejects(db.query('SELECT 1'));
  }));

test('the verifier lets exactly its password in', async () => {
  const password = newPassword();
  const name = `scram_${randomName(10)}`;
  assert.match(password, /^[A-Za-z0-9_-]{43}$/);
  await withConnection(async (db) => {
    await db.query(`CREATE ROLE ${name} LOGIN PASSWORD '${scramVerifier(password)}'`);
    await db.query(`CREATE DATABASE ${name}`);
  });
  const attempt = (attempted: string) =>
    openConnection(
      { ...cluster.control, user: name, database: name, password: attempted },
      { applicationName: 'test' },
    ).then(
      (connection) => connection.close().then(() => 'in'),
      (error) => sqlState(error),
    );
  try {
    assert.equal(await attempt(password), 'in');
    assert.equal(await attempt(newPassword()), '28P01');
  } finally {
    await withConnection(async (db) => {
      await db.query(`DROP DATABASE ${name}`);
      await db.query(`DROP ROLE ${name}`);
    });
  }
  assert.throws(() => scramVerifier('short'), TypeError);
  assert.throws(() => scramVerifier('ü'.repeat(50)), TypeError);
});

test('a pool never opens more than its maximum, and commits or rolls back', async () => {
  const pool = createPool(cluster.control, { max: 3, applicationName: 'test' });
  try {
    await pool.query('CREATE TABLE account (id int PRIMARY KEY)');
    await Promise.all(
      Array.from({ length: 20 }, async (_, id) => {
        await pool
          .transaction(async (tx) => {
            await tx.query('INSERT INTO account VALUES ($1)', [id]);
            assert.ok(pool.stats().open <= 3);
            if (id % 2) throw new Error('no');
          })
          .catch((error) => assert.equal(error.message, 'no'));
      }),
    );
    assert.deepEqual(await pool.query('SELECT count(*) AS n FROM account'), [{ n: '10' }]);
    await assert.rejects(
      pool.transaction(async (tx) => {
        await tx.query('INSERT INTO account VALUES (1000)');
        await tx.query('SELECT 1/0').catch(() => {});
      }),
      /rolled back/,
    );
    assert.deepEqual(await pool.query('SELECT count(*) AS n FROM account'), [{ n: '10' }]);
  } finally {
    await pool.stop();
  }
  assert.equal(pool.stats().open, 0);
  await assert.rejects(pool.query('SELECT 1'), /stopped/);
});

test('a connection that was killed is replaced', async () => {
  const pool = createPool(cluster.control, { max: 1, applicationName: 'test' });
  try {
    const [row] = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await withConnection(async (db) => {
      await db.query('SELECT pg_terminate_backend($1)', [row!.pid]);
    });
    await waitFor('the pool to notice', () => pool.stats().open === 0);
    assert.deepEqual(await pool.query('SELECT 1 AS n'), [{ n: 1 }]);
  } finally {
    await pool.stop();
  }
});

test('transactions that the server refuses for the moment are run again', async () => {
  const pool = createPool(cluster.control, { max: 2, applicationName: 'test' });
  try {
    await pool.query('CREATE TABLE counter AS SELECT 0 AS n');
    const addOne = () =>
      retryTransaction(
        pool,
        async (tx) => {
          await tx.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
          const [row] = await tx.query<{ n: number }>('SELECT n FROM counter');
          await tx.query('UPDATE counter SET n = $1', [row!.n + 1]);
        },
        { attempts: 20 },
      );
    await Promise.all([addOne(), addOne(), addOne(), addOne()]);
    assert.deepEqual(await pool.query('SELECT n FROM counter'), [{ n: 4 }]);
  } finally {
    await pool.stop();
  }
});

test('a connection lost during COMMIT is never taken for a refusal', () =>
  withConnection(async (db) => {
    await assert.rejects(
      runTransaction(db, async (tx) => {
        await tx.query('CREATE TABLE uncertain ()');
        await db.close();
      }),
      (error) => error instanceof CommitUncertainError && !isRetryable(error),
    );
  }));

test('a request to cancel that comes after its commit is known to be on its way', () =>
  withConnection(async (db) => {
    await db.script(`
      CREATE TABLE slow (id int);
      CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();`);
    await withConnection(async (other) => {
      const write = async () => {
        await db.query('BEGIN');
        await db.query('INSERT INTO slow VALUES (1)');
      };
      await write();
      assert.equal(await commit(db), true);
      await other.query('SELECT pg_advisory_lock(7)');
      await write();
      // Asked for while the commit waits, and under way when it does not any more.
      const asked = Promise.withResolvers<void>();
      const late: Connection = { ...db, cancel: async () => asked.resolve() };
      const committing = commit(late, { confirmWithinMs: 10 });
      await asked.promise;
      await other.query('SELECT pg_advisory_unlock(7)');
      assert.equal(await committing, false);
    });
    assert.equal((await db.query('SELECT FROM slow')).length, 2);
  }));

test('what goes ahead of a commit decides it, in one turn', () =>
  withConnection(async (db) => {
    await db.script(
      'CREATE TABLE ahead (id int, CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED, note text)',
    );
    const attempt = async (statements: string[], ahead: string[]) => {
      await db.query('BEGIN');
      for (const statement of statements) await db.query(statement).catch(() => {});
      await commit(db, { ahead });
    };
    const constraints = ['SET CONSTRAINTS ALL IMMEDIATE', `INSERT INTO ahead VALUES (2, 'from ahead')`];
    await attempt(['INSERT INTO ahead VALUES (1)'], constraints);
    await assert.rejects(
      attempt(['INSERT INTO ahead VALUES (1)'], constraints),
      (error) => sqlState(error) === '23505',
    );
    // What failed before is what is told.
    await assert.rejects(attempt(['SELECT 1/0'], constraints), /one of its statements had failed/);
    assert.deepEqual(await db.query('SELECT id, note FROM ahead ORDER BY id'), [
      { id: 1, note: null },
      { id: 2, note: 'from ahead' },
    ]);
  }, true));

test('quoting survives quotes and backslashes', () =>
  withConnection(async (db) => {
    for (const text of ["it's", 'a\\b', "\\'; DROP TABLE x --", 'ü"']) {
      assert.deepEqual(await db.query(`SELECT ${quoteLiteral(text)} AS ${quoteIdentifier(text)}`), [{ [text]: text }]);
    }
  }));

test('a prepared statement carries values of every kind and length, and gets NULL back', () =>
  withConnection(async (db) => {
    const text =
      'SELECT $1::text AS text, $2::bytea AS bytes, $3::int AS number, $4::text[] AS list, $5::jsonb AS json';
    const long = 'ä€😀'.repeat(20_000);
    const cases: unknown[][] = [
      ['', Buffer.alloc(0), 0, [], {}],
      ['Zoë "quoted" \\ back', Buffer.from([0, 1, 255]), -1, ['a', 'b,c', '"', null], { a: [1, null] }],
      [long, Buffer.alloc(100_000, 7), 2_147_483_647, [long], { long }],
      [null, null, null, null, null],
      [undefined, undefined, undefined, undefined, undefined],
    ];
    for (let round = 0; round < 3; round++) {
      for (const values of cases) {
        const { rows, rowCount, command } = await db.run(text, values, 's_values');
        const [sent, bytes, number, list, json] = values.map((value) => value ?? null);
        assert.deepEqual(rows, [{ text: sent, bytes, number, list, json }]);
        assert.deepEqual([rowCount, command], [1, 'SELECT']);
      }
    }
    await assert.rejects(db.run('SELECT 1', [], 's_values'), /another one/);
    await assert.rejects(db.run(text, cases[0]!.slice(1), 's_values'), (error) => sqlState(error) === '08P01');
    assert.equal((await db.run(text, cases[0], 's_values')).rows.length, 1);
  }));

test('after DDL a prepared statement is refused, never read wrongly', () =>
  withConnection(async (db) => {
    await db.script('CREATE TEMP TABLE shapes (a int, b text); INSERT INTO shapes VALUES (1, $$x$$)');
    for (let round = 0; round < 2; round++)
      assert.deepEqual((await db.run('SELECT * FROM shapes', [], 's_shapes')).rows, [{ a: 1, b: 'x' }]);
    await db.script('ALTER TABLE shapes ALTER a TYPE text USING $$one$$, ADD c int');
    await assert.rejects(db.run('SELECT * FROM shapes', [], 's_shapes'), (error) => sqlState(error) === '0A000');
    assert.deepEqual(await db.query('SELECT * FROM shapes'), [{ a: 'one', b: 'x', c: null }]);
  }));

test('commands say how many rows they changed', () =>
  withConnection(async (db) => {
    await db.script('CREATE TEMP TABLE counted (a int)');
    const counts: [string, string, number][] = [
      ['INSERT INTO counted SELECT generate_series(1, 12)', 'INSERT', 12],
      ['UPDATE counted SET a = 0 WHERE a > 9', 'UPDATE', 3],
      ['DELETE FROM counted WHERE a = 0', 'DELETE', 3],
      ['SELECT a FROM counted', 'SELECT', 9],
      ['CREATE TEMP TABLE more (a int)', 'CREATE', 0],
    ];
    for (const [text, command, rowCount] of counts) {
      const result = await db.run(text);
      assert.deepEqual([result.command, result.rowCount], [command, rowCount]);
    }
    assert.deepEqual((await db.run('')).rows, []);
  }));
