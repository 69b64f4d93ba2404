import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPlaces } from './places.ts';

test('one owner has no more than its share, and whoever else waits does not wait for it', async () => {
  const places = createPlaces({ total: 3, perOwner: 2 });
  const begun: string[] = [];
  const endings: (() => void)[] = [];
  const hold = (owner: string, name: string) =>
    places.hold(owner, () => {
      begun.push(name);
      return new Promise<void>((resolve) => endings.push(resolve));
    });
  const all = ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'].map((name) => hold(name[0]!, name));
  await Promise.resolve();
  assert.deepEqual(begun, ['a1', 'a2', 'b1']);
  for (let index = 0; index < all.length; index++) {
    endings[index]!();
    await new Promise((resolve) => setImmediate(resolve));
  }
  // a3 came first of those that wait; b2 and c1 as soon as there is a place that a may not have.
  assert.deepEqual(begun, ['a1', 'a2', 'b1', 'a3', 'a4', 'b2', 'c1']);
  await Promise.all(all);
});

test('a place is given back when the work fails', async () => {
  const places = createPlaces({ total: 1, perOwner: 1 });
  await assert.rejects(
    places.hold('a', () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(await places.hold('b', async () => 'well'), 'well');
});
