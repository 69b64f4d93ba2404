import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotAName } from './nameRules.ts';

test('tells while typing why a name cannot be, and is silent about names that can', () => {
  for (const name of ['', 'acme', 'a1b', 'acme-north-2', 'x'.repeat(40)])
    assert.equal(whyNotAName(name), undefined, name);
  for (const name of ['Acme', 'ac', 'acme_north', '-acme', 'acme-', 'ac--me', '2026', 'x'.repeat(41), 'äcme', 'a b'])
    assert.notEqual(whyNotAName(name), undefined, name);
});
