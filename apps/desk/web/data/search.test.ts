import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  countFilters,
  filtersOf,
  joinChoices,
  parseItemSearch,
  parseQueryString,
  sortOf,
  splitChoices,
  toQueryString,
} from './search.ts';

test('an address keeps what is known and throws the rest away', () => {
  const search = parseItemSearch(parseQueryString('q=12&state=todo,doing&item=ABC-1&sort=due&evil=1&type='));
  assert.deepEqual(search, { q: '12', state: 'todo,doing', item: 'ABC-1', sort: 'due' });
  assert.deepEqual(filtersOf(search), { q: '12', state: 'todo,doing' });
  assert.equal(countFilters(search, ['q']), 1);
});

test('addresses stay readable and come back as they were', () => {
  const search = { q: 'a & b, "c"=?', state: 'todo,doing', due: undefined };
  const text = toQueryString(search);
  assert.ok(text.includes('state=todo,doing'), text);
  assert.deepEqual(parseQueryString(text), { q: search.q, state: search.state });
  assert.equal(toQueryString({ a: undefined, b: '' }), '');
});

test('choices are joined and split, and the sort follows the search', () => {
  assert.deepEqual(splitChoices(undefined), []);
  assert.equal(joinChoices([]), undefined);
  assert.deepEqual(splitChoices(joinChoices(['a', 'b'])), ['a', 'b']);
  assert.equal(sortOf({}), '-updated');
  assert.equal(sortOf({ q: 'x' }), '-relevance');
  assert.equal(sortOf({ q: 'x', sort: 'due' }), 'due');
});
