import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Board, ItemState, ItemSummary } from '../../api.ts';
import { findCard, withCardAt, withoutCard } from './cards.ts';
import { itemStates } from './words.ts';

function card(id: string, state: ItemState): ItemSummary {
  return { id, key: `ABC-${id}`, state, version: 1 } as ItemSummary;
}

/** Two cards to do, one in work; a hundred more to do are not loaded. */
function board(): Board {
  const cards: Partial<Record<ItemState, ItemSummary[]>> = {
    todo: [card('1', 'todo'), card('2', 'todo')],
    doing: [card('3', 'doing')],
  };
  return {
    project: { id: 'prj_1', key: 'ABC' } as Board['project'],
    columns: itemStates.map((state) => {
      const items = cards[state] ?? [];
      return { state, items, total: items.length + (state === 'todo' ? 100 : 0), nextCursor: null };
    }),
  };
}

const idsIn = (of: Board, state: ItemState) =>
  of.columns.find((column) => column.state === state)?.items.map(({ id }) => id);
const totalOf = (of: Board, state: ItemState) => of.columns.find((column) => column.state === state)?.total;

test('a card goes into another column, with its state and both counts', () => {
  const before = board();
  const moved = withCardAt(before, card('1', 'todo'), 'doing', 1);
  assert.deepEqual([idsIn(moved, 'todo'), idsIn(moved, 'doing')], [['2'], ['3', '1']]);
  assert.deepEqual([totalOf(moved, 'todo'), totalOf(moved, 'doing')], [101, 2]);
  assert.equal(findCard(moved, '1')?.column.items[1]?.state, 'doing');
  assert.deepEqual(idsIn(before, 'todo'), ['1', '2'], 'the board before is left alone, for taking the move back');
  assert.equal(moved.columns[0], before.columns[0], 'other columns are the same objects');
});

test('inside its column a card changes its place and no count', () => {
  const moved = withCardAt(board(), card('1', 'todo'), 'todo', 1);
  assert.deepEqual(idsIn(moved, 'todo'), ['2', '1']);
  assert.equal(totalOf(moved, 'todo'), 102);
});

test('a card that was not on the board is counted, one that leaves is not', () => {
  const added = withCardAt(board(), card('9', 'review'), 'review', 0);
  assert.deepEqual([idsIn(added, 'review'), totalOf(added, 'review')], [['9'], 1]);
  const left = withoutCard(added, '9');
  assert.deepEqual([idsIn(left, 'review'), totalOf(left, 'review')], [[], 0]);
  assert.equal(findCard(left, '9'), undefined);
});
