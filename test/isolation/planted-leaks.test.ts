/**
 * Who watches the suite: leaks are planted into copies of the product, one at a time, and the suite must notice each. Every leak is tried on the
 * product in one process; a sample, and with FREEHOLD_SLOW_TESTS every one, on `up` with all its processes and its own PostgreSQL.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startSharedTestCluster } from '../support/cluster.ts';
import { type PlantedLeak, plantedLeaks } from './leaks/index.ts';
import { plantAll } from './plant.ts';
import { repository, runSuite } from './run-suite.ts';

const isSlow = process.env.FREEHOLD_SLOW_TESTS === '1';
const seed = Number(process.env.FREEHOLD_SEED ?? Math.floor(performance.timeOrigin) % 1_000_000);
/** Of the leaks on the product in one process, about two seconds of two cores each; and on `up`, besides those that need it. */
const sampleSizes = { oneProcess: 40, up: 1 };

let folder: string;
let stopCluster: (() => Promise<void>) | undefined;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fh-planted-'));
  await chmod(folder, 0o711);
  if (process.env.FREEHOLD_TEST_CLUSTER) return;
  const cluster = await startSharedTestCluster();
  process.env.FREEHOLD_TEST_CLUSTER = cluster.announcement;
  stopCluster = cluster.stop;
});
after(async () => {
  await stopCluster?.();
  rmSync(folder, { recursive: true, force: true });
});

test('every planted leak can be planted', () => {
  assert.ok(plantedLeaks.length >= 40);
  assert.equal(new Set(plantedLeaks.map(({ name }) => name)).size, plantedLeaks.length);
  for (const { name, edits } of plantedLeaks) {
    for (const { file, find } of edits) {
      const occurrences = readFileSync(join(repository, file), 'utf8').split(find).length - 1;
      assert.equal(
        occurrences,
        1,
        `"${name}": its text occurs ${occurrences} times in ${file}; bring the leak up to date`,
      );
    }
  }
});

test('without a planted leak the suite finds nothing', { timeout: 6_000_000 }, async () => {
  const groups = [...new Set(plantedLeaks.flatMap((leak) => leak.groups))];
  const outcome = await runSuite({
    product: 'one-process',
    groups,
    deadlineMs: 1_200_000,
    compileCache: join(folder, 'compiled'),
  });
  assert.equal(outcome.error, undefined);
  assert.deepEqual(outcome.findings, []);
});

test('every planted leak is caught', { timeout: 9_000_000 }, async (t) => {
  const all = plantedLeaks.filter((leak) => !leak.needsOwnServer);
  const leaks = isSlow ? all : sampleOf(all, sampleSizes.oneProcess);
  t.diagnostic(`seed ${seed}: ${leaks.length} of ${all.length} are tried (all with FREEHOLD_SLOW_TESTS=1)`);
  const missed = await plantAll({ leaks, product: 'one-process', folder });
  t.diagnostic(`${leaks.length - missed.length} of ${leaks.length} planted leaks caught`);
  assert.deepEqual(missed, []);
});

test('planted leaks are caught on `up` as well', { timeout: 18_000_000 }, async (t) => {
  const needed = plantedLeaks.filter((leak) => leak.needsOwnServer);
  const others = plantedLeaks.filter((leak) => !leak.needsOwnServer && !leak.groups.every(isPart));
  const leaks = [...needed, ...(isSlow ? others : shuffle(others).slice(0, sampleSizes.up))];
  const possible = needed.length + others.length;
  t.diagnostic(`seed ${seed}: ${leaks.length} of ${possible} are tried (all with FREEHOLD_SLOW_TESTS=1)`);
  const missed = await plantAll({ leaks, product: 'up', folder });
  t.diagnostic(`${leaks.length - missed.length} of ${leaks.length} planted leaks caught on up`);
  assert.deepEqual(missed, []);
});

/** Groups that need no running product. */
function isPart(group: string): boolean {
  return ['barriers', 'pool', 'doors', 'presumption', 'apps'].includes(group);
}

/** So many, and every group of probes among them. */
function sampleOf(leaks: readonly PlantedLeak[], size: number): PlantedLeak[] {
  const shuffled = shuffle(leaks);
  const firstOfGroups = new Map(shuffled.map((leak) => [leak.groups[0], leak])).values();
  return [...new Set([...firstOfGroups, ...shuffled])].slice(0, size);
}

/** Fisher-Yates on a small generator (mulberry32), so that a seed names the sample. */
function shuffle<T>(items: readonly T[]): T[] {
  const shuffled = [...items];
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(next() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled;
}
