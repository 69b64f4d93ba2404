import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWorld } from './test-world.ts';

test('who comes while a tenant is closed for a moment waits until it is open; not for ever, and not beyond a number', async (t) => {
  const world = await startWorld(t, { limits: { updateMs: 400, waitingPerTenant: 2 } });
  world.setState('acme', 'migrating');
  const statusOf = async (tenant: string) => (await world.request({ tenant, path: '/api/whoami' })).status;
  const waiting = [statusOf('acme'), statusOf('acme')];
  assert.equal(await statusOf('globex'), 401, 'nobody else waits');
  assert.equal(await statusOf('acme'), 503, 'there is room for two');
  world.setState('acme', 'active');
  assert.deepEqual(await Promise.all(waiting), [401, 401]);
  world.setState('acme', 'migrating');
  assert.equal(await statusOf('acme'), 503);
});
