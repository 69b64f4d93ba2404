import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromLocalInput, isWithin, nearestSeconds, toLocalInput, unite, windowAround } from './moments.ts';

const stretches = [
  { from: 1_500, to: 10_000 },
  { from: 60_200, to: 90_001 },
];

test('a moment in a gap has a neighbour on either side', () => {
  assert.equal(isWithin(stretches, 1_500), true);
  assert.equal(isWithin(stretches, 10_000), false);
  assert.deepEqual(nearestSeconds(stretches, 30_000), { earlier: 9_000, later: 61_000 });
  assert.deepEqual(nearestSeconds(stretches, 0), { earlier: undefined, later: 2_000 });
  assert.deepEqual(nearestSeconds(stretches, 99_000), { earlier: 90_000, later: undefined });
  assert.deepEqual(nearestSeconds([{ from: 5_100, to: 5_900 }], 0), { earlier: undefined, later: undefined });
});

test('what one region lacks another may have', () => {
  const other = [{ from: 8_000, to: 70_000 }];
  assert.deepEqual(unite([...stretches, ...other]), [{ from: 1_500, to: 90_001 }]);
});

test('a part of the line stays inside the whole and holds the moment', () => {
  const whole = { from: 0, to: 1_000 };
  assert.deepEqual(windowAround(whole, 100, 500), { from: 450, to: 550 });
  assert.deepEqual(windowAround(whole, 100, 990), { from: 900, to: 1_000 });
  assert.deepEqual(windowAround(whole, 5_000, 10), whole);
});

test('typed moments are in the time of the reader, to the second', () => {
  const at = new Date(2026, 2, 9, 4, 5, 6).getTime();
  assert.equal(toLocalInput(at), '2026-03-09T04:05:06');
  assert.equal(fromLocalInput('2026-03-09T04:05:06'), at);
  assert.equal(fromLocalInput('2026-03-09T04:05'), at - 6_000);
  for (const wrong of ['', '2026-03-09', '2026-13-01T00:00', 'yesterday'])
    assert.equal(fromLocalInput(wrong), undefined);
});
