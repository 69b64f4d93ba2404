import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rankBetween, rankPattern, ranksAfter, ranksBefore } from '../ranks.ts';

test('places are in ascending order', () => {
  const start = ranksAfter(undefined, 3);
  const below = ranksAfter(start.at(-1), 1_000);
  const above = ranksBefore(start[0], 1_000);
  const all = [...above, ...start, ...below];
  assert.deepEqual([...all].sort(), all);
  assert.equal(new Set(all).size, all.length);
});

test('between two places there is always another, whatever was inserted before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 200 }),
      (choices) => {
        const ranks = ranksAfter(undefined, 2);
        for (const choice of choices) {
          const at = Math.floor(choice * (ranks.length + 1));
          const rank =
            at === 0
              ? ranksBefore(ranks[0], 1)[0]!
              : at === ranks.length
                ? ranksAfter(ranks.at(-1), 1)[0]!
                : rankBetween(ranks[at - 1]!, ranks[at]!);
          assert.match(rank, rankPattern);
          ranks.splice(at, 0, rank);
        }
        assert.deepEqual([...ranks].sort(), ranks);
        assert.equal(new Set(ranks).size, ranks.length);
      },
    ),
  );
});

test('the same gap grows by about one digit for five moves, in either direction', () => {
  for (const side of ['low', 'high'] as const) {
    let [low, high] = ranksAfter(undefined, 2) as [string, string];
    for (let moves = 0; moves < 100; moves++) {
      const between = rankBetween(low, high);
      assert.ok(low < between && between < high);
      if (side === 'low') high = between;
      else low = between;
    }
    assert.ok(Math.max(low.length, high.length) <= 8 + 100 / 4, `${low} ${high}`);
  }
});
