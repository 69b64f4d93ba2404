/**
 * The cross-tenant suite: two tenants with the same users, passwords and ids on a running product with two gateway workers, and everything that
 * one of them could bring to the other's door. Sources: OWASP Multi-Tenant Application Security Cheat Sheet, ASVS 5.0 8.4.1, Wiz PEACH, and the leaks of
 * other products (pools, poolers, caches, clones). How each group is sure to notice is shown by planted-leaks.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSuite } from './run-suite.ts';

test('one tenant reaches nothing of another', { timeout: 6_000_000 }, async (t) => {
  const outcome = await runSuite({ product: 'up', groups: ['all'], deadlineMs: 2_700_000 });
  for (const [group, probes] of Object.entries(outcome.byGroup)) t.diagnostic(`${group}: ${probes} probes`);
  t.diagnostic(`cross-tenant suite: ${outcome.probes} probes, ${outcome.findings.length} leaks`);
  assert.equal(outcome.error, undefined);
  assert.deepEqual(outcome.findings, []);
  assert.ok(outcome.probes > 5_000, `only ${outcome.probes} probes were made`);
});
