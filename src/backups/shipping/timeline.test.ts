import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparePositions, nextPlace, parseTimelineHistory } from './timeline.ts';

const mebibyte = 1n << 20n;
/** 1 → 2 at 40 MiB, 2 → 4 at 100 MiB; 3 is another branch. */
const steps = [
  { timeline: 1, switchedAt: 40n * mebibyte },
  { timeline: 2, switchedAt: 100n * mebibyte },
];

test('a history file: ancestors, comments and reasons', () => {
  const text =
    '1\t0/2800000\tno recovery target specified\n\n# said by a person\n2\t0/6400000\tbefore 2026-11-22 03:00:00+00\n';
  assert.deepEqual(parseTimelineHistory(Buffer.from(text)), steps);
  assert.deepEqual(parseTimelineHistory(Buffer.from('')), []);
  assert.throws(() => parseTimelineHistory(Buffer.from('what is this\n')));
  assert.throws(() => parseTimelineHistory(Buffer.from('2\t0/1\tx\n1\t0/2\ty\n')), /do not increase/);
});

test('where to go on: on the timeline, before a switch, at a switch', () => {
  const goOn = (position: { timeline: number; lsn: bigint }) =>
    assert.deepEqual(nextPlace(position, 4, steps), { kind: 'go on', from: position });
  goOn({ timeline: 4, lsn: 120n * mebibyte });
  goOn({ timeline: 1, lsn: 39n * mebibyte });
  const goOnNext = (timeline: number, at: bigint, from: { timeline: number; lsn: bigint }) =>
    assert.deepEqual(nextPlace({ timeline, lsn: at * mebibyte }, 4, steps), { kind: 'go on', from });
  goOnNext(1, 40n, { timeline: 2, lsn: 32n * mebibyte });
  goOnNext(2, 100n, { timeline: 4, lsn: 96n * mebibyte });
});

test('WAL that a failover left behind is named, and the next timeline begins with a whole segment', () => {
  assert.deepEqual(nextPlace({ timeline: 1, lsn: 41n * mebibyte }, 4, steps), {
    kind: 'diverged',
    from: { timeline: 2, lsn: 32n * mebibyte },
    lostFrom: { timeline: 1, lsn: 40n * mebibyte },
  });
  assert.deepEqual(nextPlace({ timeline: 2, lsn: 101n * mebibyte }, 4, steps).from, {
    timeline: 4,
    lsn: 96n * mebibyte,
  });
  // Another branch altogether, as after a restore of the whole cluster.
  assert.deepEqual(nextPlace({ timeline: 3, lsn: 60n * mebibyte }, 4, steps).from, {
    timeline: 4,
    lsn: 96n * mebibyte,
  });
});

test('places are compared by timeline first', () => {
  assert.ok(comparePositions({ timeline: 1, lsn: 9n }, { timeline: 2, lsn: 1n }) < 0);
  assert.ok(comparePositions({ timeline: 2, lsn: 2n }, { timeline: 2, lsn: 1n }) > 0);
  assert.equal(comparePositions({ timeline: 2, lsn: 2n }, { timeline: 2, lsn: 2n }), 0);
});
