import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { openConnection, sqlState } from './index.ts';
import type { Connection, Row } from './types.ts';

let cluster: TestCluster;
let db: Connection;
before(async () => {
  cluster = await startTestCluster();
  db = await openConnection(cluster.control, { applicationName: 'test', pipeline: true });
});
after(async () => {
  await db.close();
  await cluster.stop();
});

class Refused extends Error {}
let seen: Row[][] = [];
const guardOf = (text: string, values: readonly unknown[], name?: string, refuses = false) => ({
  text,
  values,
  name,
  accept(rows: Row[]) {
    seen.push(rows);
    if (refuses) throw new Refused();
  },
});
const good = (refuses = false) => guardOf('SELECT $1::int AS good', [7], 'g1', refuses);

/** Each the first time, when nothing is prepared, and later, when both statements are one message. */
async function twice(work: () => Promise<void>): Promise<void> {
  for (let round = 0; round < 3; round++) {
    seen = [];
    await work();
    assert.equal(db.transactionStatus(), 'I');
    assert.deepEqual(await db.query('SELECT 1 AS still'), [{ still: 1 }]);
  }
}

test('the guard sees its rows, then the statement gives out its own', () =>
  twice(async () => {
    const values = [['a', null, 'ü'], Buffer.from([1])];
    const text = `SELECT x, $2::bytea AS bytes, now() AS at FROM unnest($1::text[]) x`;
    const { rows, rowCount, command } = await db.runBehind(good(), text, values, 's1');
    assert.deepEqual(seen, [[{ good: 7 }]]);
    assert.deepEqual(
      rows.map(({ x, bytes }) => [x, bytes]),
      ['a', null, 'ü'].map((x) => [x, Buffer.from([1])]),
    );
    assert.deepEqual([rowCount, command], [3, 'SELECT']);
  }));

test('a guard that refuses keeps the rows back', () =>
  twice(async () => {
    await assert.rejects(db.runBehind(good(true), 'SELECT 2 AS n', [], 's2'), Refused);
    assert.deepEqual(seen, [[{ good: 7 }]]);
  }));

test('a guard that fails fails the statement, and one that cannot be sent sends nothing', () =>
  twice(async () => {
    const failing = guardOf('SELECT 1 / $1::int AS good', [0], 'g2');
    await assert.rejects(db.runBehind(failing, 'SELECT 3 AS n', [], 's3'), (error) => sqlState(error) === '22012');
    await db.runBehind(guardOf('SELECT 1 / $1::int AS good', [1], 'g2'), 'SELECT 3 AS n', [], 's3');
    assert.deepEqual(seen, [[{ good: 1 }]]);
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    await assert.rejects(db.runBehind(good(), 'SELECT $1::jsonb AS n', [circular], 's4'), TypeError);
  }));

test('a statement that fails says so; its guard was asked all the same', () =>
  twice(async () => {
    const divide = (by: number) => db.runBehind(good(), 'SELECT 1 / $1::int AS n', [by], 's5');
    await assert.rejects(divide(0), (error) => sqlState(error) === '22012');
    assert.deepEqual((await divide(1)).rows, [{ n: 1 }]);
    assert.deepEqual(seen, [[{ good: 7 }], [{ good: 7 }]]);
  }));

test('statements without columns, and many at once, keep their order', () =>
  twice(async () => {
    const order: unknown[] = [];
    const note = (what: unknown) => order.push(what);
    const behind = (n: number) =>
      db
        .runBehind({ ...good(), accept: () => note(`guard ${n}`) }, 'SELECT $1::int AS n', [n], 's6')
        .then(({ rows }) => note(rows[0]!.n));
    await Promise.all([behind(1), db.query('SELECT 0').then(() => note('between')), behind(2)]);
    assert.deepEqual(
      order.filter((one) => one !== 'between'),
      ['guard 1', 1, 'guard 2', 2].toSorted((x, y) => order.indexOf(x) - order.indexOf(y)),
    );
    for (const n of [1, 2]) assert.ok(order.indexOf(`guard ${n}`) < order.indexOf(n));
    const { command } = await db.runBehind(good(), 'CREATE TABLE IF NOT EXISTS guarded (n int)', [], 's7');
    assert.equal(command, 'CREATE');
  }));
