import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forgetTab } from './leave.ts';

test('after a sign-out the tab remembers nothing of the account', () => {
  sessionStorage.setItem('desk-draft:comment:itm_1', 'what nobody else should read');
  forgetTab();
  assert.equal(sessionStorage.length, 0);
});
