import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationScale, timeTicks } from './chart-scale.ts';

test('a small lag and a large one both have a place, and the goal is always in sight', () => {
  const { place, ticks } = durationScale([0, 3, 40], { goal: 1_000 });
  assert.equal(place(0), 0);
  assert.ok(place(3) > 0.05 && place(3) < place(40) && place(40) < place(1_000));
  assert.ok(place(1_000) < 1);
  assert.ok(ticks.length >= 2 && ticks.length <= 4);
  const late = durationScale([5, 200_000], { goal: 1_000 });
  assert.ok(late.place(200_000) <= 1 && late.place(200_000) > 0.8);
});

test('nothing to show is a scale too', () => {
  const { place, ticks } = durationScale([], {});
  assert.equal(place(1), 0);
  assert.ok(ticks.length >= 1);
});

test('moments on the axis are round and few', () => {
  const from = Date.UTC(2026, 0, 1, 10, 7);
  const hour = timeTicks(from, from + 3_600_000, 6);
  assert.ok(hour.length >= 3 && hour.length <= 7, String(hour.length));
  assert.ok(hour.every(({ value }) => value % 600_000 === 0));
  const days = timeTicks(from, from + 60 * 86_400_000, 5);
  assert.ok(days.length >= 1 && days.length <= 6);
  assert.match(days[0]!.label, /Jan/);
});
