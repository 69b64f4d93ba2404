/** The ledger of docs/asvs.md is complete, names tests that exist, and its page is up to date. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { asvsLedger, asvsRequirements, findAsvsRow } from './asvs/index.ts';
import { asvsPage, renderAsvs, summariseAsvs } from './support/asvs-docs.ts';
import { hasTest } from './support/has-test.ts';

test('every requirement has one row, and no row is about anything else', (context) => {
  assert.equal(asvsRequirements.length, 345);
  const known = new Set(asvsRequirements.map(({ id }) => id));
  const ids = asvsLedger.map(({ id }) => id);
  assert.deepEqual(
    ids.filter((id) => !known.has(id)),
    [],
    'rows about requirements that there are not',
  );
  assert.deepEqual(
    ids.filter((id, index) => ids.indexOf(id) !== index),
    [],
    'two rows about one requirement',
  );
  assert.deepEqual(
    asvsRequirements.filter(({ id }) => !findAsvsRow(id)).map(({ id, level }) => `${id} (level ${level})`),
    [],
    'requirements without a row',
  );
  context.diagnostic(summariseAsvs());
});

test('every row says why, and what is met is shown by tests that exist, or for a reason that is marked as one', () => {
  const wrong: string[] = [];
  for (const { id, verdict, reason, tests, by } of asvsLedger) {
    if (!/^\S.{10,}[.)]$/s.test(reason)) wrong.push(`${id}: no sentence`);
    if (verdict === 'met' && tests.length === 0 && !by) wrong.push(`${id}: met, and neither a test nor who says so`);
    if (verdict !== 'met' && by) wrong.push(`${id}: ${verdict}, and "${by}" all the same`);
    for (const { file, title } of tests) if (!hasTest(file, title)) wrong.push(`${id}: ${file} has no test "${title}"`);
  }
  assert.deepEqual(wrong, []);
});

test('docs/asvs.md is what the ledger says', () => {
  assert.equal(readFileSync(asvsPage, 'utf8'), renderAsvs());
});
