import assert from 'node:assert/strict';
import { test } from 'node:test';
import { safeNext } from './next.ts';

const origin = 'https://acme.example:8443';

test('goes to a path of this host, with its query and fragment', () => {
  assert.equal(safeNext('/items/7?tab=history#last', origin), '/items/7?tab=history#last');
  assert.equal(safeNext('/-/people', origin), '/-/people');
});

test('never leaves this host, and never comes back to the sign-in page', () => {
  const refused = [
    undefined,
    '',
    'items',
    '//elsewhere.example',
    '/\\elsewhere.example',
    '/\t/elsewhere.example',
    '/.//elsewhere.example',
    '/items/..//elsewhere.example',
    '/./\\elsewhere.example',
    'https://elsewhere.example/',
    'javascript:alert(1)',
    '/-/sign-in?next=/',
    '/sign-in',
  ];
  for (const next of refused) assert.equal(safeNext(next, origin), '/', JSON.stringify(next));
});
