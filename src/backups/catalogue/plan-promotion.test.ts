/** Without times in the headers nobody knows which commit is the last of a timeline: around a promotion, which timeline is a moment restored on? */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, clusterId, lsn, type PlantedPiece, plantCatalogue, timelineOf } from './catalogue.fixture.ts';
import { planRestore } from './plan.ts';

/** One commit per quarter, stored a second after it. */
const pieces = (start: number, end: number, timeline = 1, later = 0): PlantedPiece[] =>
  Array.from({ length: end - start }, (_, index) => ({
    timeline,
    start: start + index,
    end: start + index + 1,
    storedAt: start + index + later + 1,
  }));

/** The last commit of timeline 1 says second 14; timeline 2 begins there, at second 30. */
function plan(seconds: number, more: readonly PlantedPiece[] = []) {
  const bases = [{ id: 'a', start: 5, stop: 6, finishedAt: 5 }];
  const timelines = [timelineOf(2, [[1, 15]], 30)];
  const catalogue = plantCatalogue({ bases, timelines, pieces: [...pieces(0, 15), ...more] });
  const target = { kind: 'time', time: at(seconds) } as const;
  const result = planRestore({ catalogue, clusterId, target, wanted: { kind: 'cluster' }, now: at(1e6) });
  assert.equal(result.outcome, 'plan');
  return result.outcome === 'plan' ? result.plan : assert.fail();
}

test('after the last commit of a timeline and before its last chunk was stored: on the child, which leads on', () => {
  const { timeline, reach, wal, abandoned } = plan(14.5, pieces(15, 26, 2, 15));
  assert.deepEqual([timeline, reach, wal.at(-1)?.to, abandoned], [2, 'likely', lsn(26), undefined]);
});

test('what was left behind may hold the moment: on the timeline that was live then', () => {
  const { timeline, wal } = plan(14.5, [...pieces(15, 18), ...pieces(15, 26, 2, 15)]);
  assert.deepEqual([timeline, wal.at(-1)?.to], [1, lsn(18)]);
});
