import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newId, silentLog, systemClock, type TenantId, waitFor } from '#src/kernel/index.ts';
import type { TenantAccess, TenantRoute } from '#src/tenants/types.ts';
import { type ControlPort, connectToControl, createControlLink } from './index.ts';

const acme: TenantRoute = {
  tenantId: newId('ten'),
  name: 'acme',
  title: 'Acme',
  state: 'active',
  app: 'desk',
  host: 'acme.localhost',
};
const access: TenantAccess = {
  tenantId: acme.tenantId,
  database: { host: '/run', port: 5432, name: 't_x', tls: 'off' },
  app: { user: 't_x', password: 'secret-app' },
  platform: { user: 't_x_p', password: 'secret-platform' },
  cookieKey: new Uint8Array(32).fill(1),
  filesKey: new Uint8Array(32).fill(2),
  factorsKey: new Uint8Array(32).fill(3),
  identityKey: new Uint8Array(32).fill(4),
};

async function start(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'fh-link-'));
  const socketPath = join(folder, 'link.sock');
  const registry = new Map<string, TenantRoute>([[acme.host, acme]]);
  const asked: string[] = [];
  const used: TenantId[][] = [];
  const ordered: { tenantId: TenantId; order: unknown }[] = [];
  const kept: unknown[] = [];
  let hold: Promise<void> | undefined;
  const port: ControlPort = {
    findRoute: async (host) => {
      asked.push(host);
      const found = registry.get(host);
      await hold;
      return found;
    },
    getAccess: async () => access,
    findCertificate: async (host, publicKeyPem) => `certificate of ${host} for ${publicKeyPem}`,
    noteWritten: async () => true,
    recordTraffic: () => {},
    recordUse: async (tenantIds) => void used.push([...tenantIds]),
    queueMail: async (tenantId, order) => void ordered.push({ tenantId, order }),
    keepFile: async (tenantId, name) => void kept.push([tenantId, name]),
  };
  const makeLink = () => createControlLink({ socketPath, mode: 0o600, port, log: silentLog, answerWithinMs: 200 });
  let link = makeLink();
  await link.start();
  const clients: ReturnType<typeof connectToControl>[] = [];
  t.after(async () => {
    for (const client of clients) await client.stop();
    await link.stop();
    await rm(folder, { recursive: true });
  });
  return {
    registry,
    asked,
    used,
    ordered,
    kept,
    link: () => link,
    setHold: (promise: Promise<void> | undefined) => {
      hold = promise;
    },
    restartLink: async () => {
      await link.stop();
      link = makeLink();
      await link.start();
    },
    client: async () => {
      const client = connectToControl({ socketPath, publicKeyPem: 'PUBLIC', log: silentLog, clock: systemClock });
      clients.push(client);
      await waitFor('the link', () => client.connected);
      return client;
    },
  };
}

test('answers are kept, asked for once at a time, and dropped when control says so', async (t) => {
  const world = await start(t);
  const { directory } = await world.client();
  const [one, two] = await Promise.all([directory.findRoute(acme.host), directory.findRoute(acme.host)]);
  assert.deepEqual(one, acme);
  assert.deepEqual(two, acme);
  await directory.findRoute(acme.host);
  assert.equal(await directory.findRoute('nobody.localhost'), undefined);
  assert.equal(await directory.findRoute('nobody.localhost'), undefined);
  assert.deepEqual(world.asked, [acme.host, 'nobody.localhost']);
  const found = await directory.getAccess(acme.tenantId);
  assert.deepEqual(Buffer.from(found.cookieKey), Buffer.alloc(32, 1));
  assert.equal(found.app.password, 'secret-app');
  assert.equal(await directory.findCertificate('acme.localhost'), 'certificate of acme.localhost for PUBLIC');

  const told: string[] = [];
  directory.onChanged(async (tenantId) => void told.push(tenantId));
  world.registry.set(acme.host, { ...acme, state: 'suspended' });
  world.registry.set('nobody.localhost', { ...acme, tenantId: newId('ten'), host: 'nobody.localhost' });
  await world.link().tenantChanged(acme.tenantId);
  assert.deepEqual(told, [acme.tenantId]);
  assert.equal((await directory.findRoute(acme.host))?.state, 'suspended');
  assert.ok(await directory.findRoute('nobody.localhost'), 'a new tenant is seen at once');
});

test('an answer that was on its way when the tenant changed is not handed out', async (t) => {
  const world = await start(t);
  const { directory } = await world.client();
  const gate = Promise.withResolvers<void>();
  world.setHold(gate.promise);
  const early = directory.findRoute(acme.host);
  await waitFor('the question', () => world.asked.length === 1);
  world.registry.set(acme.host, { ...acme, state: 'suspended' });
  world.setHold(undefined);
  await world.link().tenantChanged(acme.tenantId);
  gate.resolve();
  assert.equal((await early)?.state, 'suspended');
  assert.equal((await directory.findRoute(acme.host))?.state, 'suspended');
});

test('control waits for every gateway, and disconnects one that does not let go', async (t) => {
  const world = await start(t);
  const good = await world.client();
  const stuck = await world.client();
  let flushes = 0;
  stuck.directory.onFlush(async () => void flushes++);
  let isDone = false;
  good.directory.onChanged(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    isDone = true;
  });
  stuck.directory.onChanged(() => new Promise(() => {}));
  await world.link().tenantChanged(acme.tenantId);
  assert.equal(isDone, true);
  await waitFor('the way back, with nothing remembered', () => flushes === 1);
});

test('after the link was lost, nothing old is believed', async (t) => {
  const world = await start(t);
  const { directory } = await world.client();
  assert.equal((await directory.findRoute(acme.host))?.state, 'active');
  world.registry.set(acme.host, { ...acme, state: 'deleted' });
  await world.restartLink();
  await waitFor('the flush', async () => (await directory.findRoute(acme.host))?.state === 'deleted');
});

test('events reach the other workers only; use is recorded', async (t) => {
  const world = await start(t);
  const [one, two] = [await world.client(), await world.client()];
  const received: unknown[] = [];
  one.liveEvents.onRemote((tenantId, event) => received.push(['one', tenantId, event]));
  two.liveEvents.onRemote((tenantId, event) => received.push(['two', tenantId, event]));
  const here: unknown[] = [];
  one.liveEvents.subscribe(acme.tenantId, (_tenantId, event) => here.push(event));
  one.liveEvents.subscribe(newId('ten'), () => assert.fail('an event of another tenant'));
  const event = { type: 'item.changed', data: { id: 1 } };
  one.liveEvents.publish(acme.tenantId, event);
  await waitFor('the event', () => received.length === 1);
  assert.deepEqual(received, [['two', acme.tenantId, event]]);
  assert.deepEqual(here, [event]);
  one.noteUse(acme.tenantId);
  one.noteUse(acme.tenantId);
  await one.stop();
  assert.deepEqual(world.used, [[acme.tenantId]]);
  await two.queueMail(acme.tenantId, { kind: 'invitation' });
  assert.deepEqual(world.ordered, [{ tenantId: acme.tenantId, order: { kind: 'invitation' } }]);
});

test('content is ordered into the regions by its own name, and by no other', async (t) => {
  const world = await start(t);
  const client = await world.client();
  const name = (tenantId: string, rest = `ab/${'ab'.repeat(32)}`) => `${tenantId}/${rest}`;
  await client.keepFile(acme.tenantId, name(acme.tenantId));
  const other = newId('ten');
  for (const wrong of [
    name(other),
    name(acme.tenantId, '../../secrets/installation'),
    name(acme.tenantId, `ab/${'ab'.repeat(31)}`),
    acme.tenantId,
    '',
  ])
    await assert.rejects(client.keepFile(acme.tenantId, wrong), { code: 'FH_INVALID_REQUEST' }, wrong);
  assert.deepEqual(world.kept, [[acme.tenantId, name(acme.tenantId)]]);
});
