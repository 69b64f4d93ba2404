import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Item } from '../../api.ts';
import { findConflicts } from './conflict.ts';

const base = {
  title: 'Old',
  description: 'Text',
  state: 'todo',
  assignee: { id: 'usr_1', name: 'Ada' },
  tags: [{ name: 'a', color: 1 }],
  requester: null,
} as unknown as Item;

test('fields that nobody else touched are no conflict', () => {
  assert.deepEqual(findConflicts(base, { ...base, state: 'doing' }, { title: 'New' }), []);
});

test('the same field changed to something else is one; to the same value it is none', () => {
  const theirs: Item = { ...base, title: 'Theirs', state: 'done' };
  assert.deepEqual(findConflicts(base, theirs, { title: 'Mine', state: 'done' }), ['title']);
});

test('people, tags and requesters are compared by what they say', () => {
  const theirs: Item = { ...base, assignee: null, tags: [{ name: 'a', color: 5 }] };
  assert.deepEqual(findConflicts(base, theirs, { assigneeId: 'usr_2', tags: ['b'], requester: null }), ['assigneeId']);
  assert.deepEqual(findConflicts(base, theirs, { assigneeId: null }), []);
});
