/** The catalogue of backup faults is complete, names tests that exist, and its page is up to date. backup-fault-run.test.ts injects them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { backupFaultsPage, renderBackupFaults, summariseFaults } from '../support/backup-fault-docs.ts';
import { hasTest } from '../support/has-test.ts';
import { backupInjections } from './backup-faults/inject-backups.ts';
import { restoreInjections } from './backup-faults/inject-restores.ts';
import { walInjections } from './backup-faults/inject-wal.ts';
import { backupFaults } from './backup-faults.ts';

const injected = new Set([...walInjections, ...backupInjections, ...restoreInjections].map(({ id }) => id));
test('every fault from F01 to F36 is there, once and in order', (context) => {
  const expected = Array.from({ length: 36 }, (_, index) => `F${String(index + 1).padStart(2, '0')}`);
  assert.deepEqual(
    backupFaults.map(({ id }) => id),
    expected,
  );
  context.diagnostic(summariseFaults());
  for (const { id, outcome, missing } of backupFaults)
    if (outcome === 'open') context.diagnostic(`${id} open: ${missing}`);
});

test('every entry is one: a sentence, a reason, tests that exist in the files that it names', () => {
  const wrong: string[] = [];
  for (const { id, what, outcome, how, tests, missing } of backupFaults) {
    if (!/^[A-Z].*\.$/.test(what) || how === '') wrong.push(`${id}: no sentence`);
    if (outcome === 'open' && !missing) wrong.push(`${id}: open, and it does not say what is missing`);
    if (outcome !== 'impossible' && outcome !== 'open' && !injected.has(id))
      wrong.push(`${id}: the run does not make it`);
    for (const [file, title] of tests) if (!hasTest(file, title)) wrong.push(`${id}: ${file} has no test "${title}"`);
  }
  assert.deepEqual(wrong, []);
});

test('docs/backup-faults.md is what the catalogue says', () => {
  assert.equal(readFileSync(backupFaultsPage, 'utf8'), renderBackupFaults());
});
