import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { openConnection } from '#src/postgres/index.ts';
import { withTestCluster } from '../../test/support/cluster.ts';
import { contentHash } from './index.ts';
import { forEachSorted } from './sorted-digests.ts';
import { stableOutput } from './sql.ts';

test('the digest of a table is that of its rows as PostgreSQL prints them', async () => {
  await withTestCluster(async (cluster) => {
    const db = await openConnection(cluster.control, { applicationName: 'test', options: stableOutput });
    try {
      await db.script(`
        CREATE SCHEMA printed;
        CREATE TYPE printed.pair AS (a text, b int[]);
        CREATE TABLE printed.every (id int, t text, b bytea, n numeric, p printed.pair, j jsonb, at timestamptz, dropped int, e text[]);
        ALTER TABLE printed.every DROP COLUMN dropped;
        CREATE TABLE printed.one (t text);
        CREATE TABLE printed.none ();
        CREATE TABLE printed."odd ""name" (whole_row text);
        INSERT INTO printed.none DEFAULT VALUES;
        INSERT INTO printed.none DEFAULT VALUES;
        INSERT INTO printed.one VALUES (NULL), (''), ('N'), ('\\N'), (E'\\\\N'), ('NULL'), (E'tab\\there'), (E'\\b\\f\\n\\r\\t\\v\\\\'), ('"'), ('(a,b)'), (' '), ('ünï'),
          (E'\\u00a0'), ('a'), ('a'), ('x y'), (E'\\x7f\\x01');
        INSERT INTO printed."odd ""name" SELECT n::text FROM generate_series(1, 3000) n, generate_series(1, 2);
        INSERT INTO printed.every
          SELECT n, CASE n % 5 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE repeat(chr(n % 128 + 1), n % 7) END, decode(md5(n::text), 'hex'), n / 7.0,
                 ROW(chr(n % 200 + 1), ARRAY[n, NULL])::printed.pair, jsonb_build_object('k"', chr(n % 90 + 33)), timestamptz '2026-01-01' + n * interval '1 s',
                 ARRAY['a"b', NULL, chr(n % 300 + 1)]
          FROM generate_series(1, 2000) n;`);
      await db.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const { tables } = await contentHash(db);
      for (const name of ['printed.every', 'printed.one', 'printed.none', 'printed."odd ""name"']) {
        const hash = createHash('sha256');
        const rows = await db.query<{ digest: Buffer }>(
          `SELECT sha256(convert_to(x::text, 'UTF8')) AS digest FROM ${name} x ORDER BY 1`,
        );
        for (const { digest } of rows) hash.update(digest);
        const found = tables.find((table) => table.name === name.replaceAll('""', '"').replace(/\."(.*)"$/, '.$1'));
        assert.deepEqual([found?.rows, found?.sha256], [rows.length, hash.digest('hex')], name);
      }
    } finally {
      await db.close();
    }
  });
});

test('digests come in order, each as often as it was there, however few are held at a time', async () => {
  const digestOf = (n: number) => createHash('sha256').update(String(n)).digest();
  const all = Array.from({ length: 5_000 }, (_, n) => digestOf(n % 3 === 0 ? 7 : n));
  const sorted = [...all].sort(Buffer.compare).map((digest) => digest.toString('hex'));
  for (const limit of [64, 1_000, 2 ** 21]) {
    let passes = 0;
    const found: string[] = [];
    await forEachSorted(
      async (take) => {
        passes++;
        for (const digest of all) take(digest);
      },
      (digest) => found.push(digest.toString('hex')),
      limit,
    );
    assert.deepEqual(found, sorted);
    assert.ok(passes === 1 ? limit > 5_000 : limit < 5_000);
  }
});
