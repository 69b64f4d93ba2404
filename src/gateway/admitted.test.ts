import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import { createAdmitted } from './admitted.ts';
import { startWorld, type World } from './test-world.ts';

const idOf = (world: World, name: string) => world.tenants.get(`${name}.localhost`)!.tenantId;

test('a change of a tenant waits for requests of that tenant that are under way, and for nobody else', async (t) => {
  const world = await startWorld(t);
  for (const name of ['acme', 'globex']) world.addSession(name, 'token');
  const slow = world.request({ path: '/api/slow', cookie: 'token' });
  await waitFor('the slow request', () => world.slowSignals.length === 1);
  world.setState('acme', 'moving');
  await world.gateway.settle(idOf(world, 'globex'));
  let isSettled = false;
  const settling = world.gateway.settle(idOf(world, 'acme')).then(() => {
    isSettled = true;
  });
  assert.equal((await world.request({ tenant: 'globex', path: '/api/whoami', cookie: 'token' })).status, 200);
  assert.equal(isSettled, false);
  world.releaseSlow();
  assert.equal((await slow).status, 200);
  await settling;
});

test('it waits for no stream, for nobody at a tenant that is not closed for a moment, and not for ever', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const slow = world.request({ path: '/api/slow', cookie: 'token' });
  await waitFor('the slow request', () => world.slowSignals.length === 1);
  world.setState('acme', 'suspended');
  await world.gateway.settle(idOf(world, 'acme'));
  world.releaseSlow();
  await slow;

  const tenant = world.tenants.get('acme.localhost')!;
  const admitted = createAdmitted({ findRoute: async () => ({ ...tenant, state: 'migrating' }), settleMs: 100 });
  const becomeStream = admitted.enter(tenant);
  becomeStream();
  becomeStream();
  await admitted.settle(tenant.tenantId);
  const leave = admitted.enter(tenant);
  await admitted.settle(tenant.tenantId);
  leave();
});
