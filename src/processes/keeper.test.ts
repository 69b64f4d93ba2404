import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import { startWorld, type World } from './world.fixture.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world.stop());

const stateOf = (tenantId: string) => world.keeper.list().find((app) => app.tenantId === tenantId)?.state;

test('an app wakes on request, once for all who wait, and sleeps when nobody holds it', async () => {
  const tenantId = world.tenant({ idleMs: 1 });
  const entrances = await Promise.all(Array.from({ length: 20 }, () => world.keeper.enter(tenantId)));
  assert.equal(new Set(entrances.map(({ instanceId }) => instanceId)).size, 1);
  const { socketPath } = entrances[0]!;
  assert.equal((await world.fetch(socketPath, '/')).status, 200);

  world.gateway.isFree = false;
  await waitFor('idle', () => world.keeper.list()[0]!.idleMs > 2);
  await world.keeper.sleepIdle();
  assert.equal(stateOf(tenantId), 'awake');
  world.gateway.isFree = true;
  await world.keeper.sleepIdle();
  assert.equal(stateOf(tenantId), 'asleep');
  assert.ok(!existsSync(socketPath));
  assert.deepEqual(readdirSync(join(world.folder, 'box')), []);
  assert.ok(world.gateway.ended.includes(entrances[0]!.instanceId));

  const again = await world.keeper.enter(tenantId);
  assert.notEqual(again.instanceId, entrances[0]!.instanceId);
  const { lines } = await world.keeper.readLog(tenantId, { last: 50 });
  assert.ok(lines.some((line) => line.includes('the app goes to sleep')));
  assert.ok(
    lines.some((line) => line.endsWith('Z ending')),
    lines.join('\n'),
  );
  await world.keeper.evict(tenantId);
});

test('an app that dies is started again, slower each time; its log says why, without its secrets', async () => {
  const tenantId = world.tenant();
  const { socketPath, instanceId } = await world.keeper.enter(tenantId);
  await assert.rejects(world.fetch(socketPath, '/die'));
  await waitFor('another instance', async () => (await world.keeper.enter(tenantId)).instanceId !== instanceId);
  const lines = (await world.keeper.readLog(tenantId, { last: 50 })).lines.join('\n');
  assert.match(lines, /dying, secret \[redacted\]/);
  assert.match(lines, /the app is gone: it ended with exit code 9/);
  await world.keeper.evict(tenantId);
});

for (const [mode, startMs, expected] of [
  ['dies', 30_000, /exit code 3 before it was healthy[\s\S]*cannot find the thing/],
  ['ill', 700, /not healthy after 0.7 s: \/health answers 500/],
  ['deaf', 700, /not healthy after 0.7 s: \/health does not answer/],
] as const)
  test(`an app that ${mode === 'dies' ? 'ends at once' : `is ${mode}`} has failed, with the reason`, async () => {
    const tenantId = world.tenant({ env: { MODE: mode }, startMs });
    const error = await world.keeper.enter(tenantId).then(
      () => undefined,
      (reason) => reason,
    );
    assert.equal(error.code, 'FH_APP_FAILED');
    assert.match(error.detail, expected);
    assert.equal(stateOf(tenantId), 'failed');
    await world.keeper.evict(tenantId);
    assert.equal(stateOf(tenantId), undefined);
  });

test('a program that is not there has failed, too', async () => {
  const tenantId = world.tenant({ start: ['/nowhere/program'] });
  await assert.rejects(world.keeper.enter(tenantId), (error: { code: string; detail: string }) => {
    assert.equal(error.code, 'FH_APP_FAILED');
    assert.match(error.detail, /nowhere/);
    return true;
  });
  await world.keeper.evict(tenantId);
});

test('a tenant that is closed while its app wakes has no app afterwards', async () => {
  const tenantId = world.tenant({ env: { MODE: 'deaf' } });
  const entering = world.keeper.enter(tenantId);
  entering.catch(() => undefined);
  await waitFor('waking', () => stateOf(tenantId) === 'waking');
  await world.keeper.evict(tenantId);
  await assert.rejects(entering);
  assert.equal(stateOf(tenantId), undefined);
  assert.deepEqual(readdirSync(join(world.folder, 'box')), []);
});

test('migrations run before the start, to their end, and a failed one keeps the app from starting', async () => {
  const good = world.tenant({ migrate: ['/bin/sh', '-c', 'echo migrated >/data/done'] });
  assert.equal((await world.shell(good, 'cat /data/done')).stdout, 'migrated\n');
  const bad = world.tenant({ migrate: ['/bin/sh', '-c', 'echo column is missing >&2; exit 4'] });
  await assert.rejects(world.keeper.enter(bad), (error: { detail: string }) =>
    /migrate: it ended with exit code 4[\s\S]*column is missing/.test(error.detail),
  );
  await Promise.all([world.keeper.evict(good), world.keeper.evict(bad)]);
});

test('who needs room gets that of an idle one, and none of a busy one', async () => {
  const small = await startWorld({ room: { memoryBytes: 600 * 2 ** 20, connections: 100 } });
  try {
    const [first, second, third] = [small.tenant(), small.tenant(), small.tenant()];
    await small.keeper.enter(first);
    await small.keeper.enter(second);
    await assert.rejects(small.keeper.enter(third), { code: 'FH_APP_BUSY' });
    await waitFor('the first was idle for a while', () => small.keeper.list().every(({ idleMs }) => idleMs > 2_100));
    small.keeper.used([second]);
    await small.keeper.enter(third);
    const awake = small.keeper.list().filter(({ state }) => state === 'awake');
    assert.deepEqual(awake.map(({ tenantId }) => tenantId).sort(), [second, third].sort());
  } finally {
    await small.stop();
  }
});

for (const [what, room] of [
  ['memory', { memoryBytes: 300 * 2 ** 20, connections: 100 }],
  ['connections', { memoryBytes: 2 ** 31, connections: 6 }],
] as const)
  test(`of two who wake at once where there is ${what} for one, one is let in`, async () => {
    const small = await startWorld({ room });
    try {
      const answers = await Promise.allSettled([small.tenant(), small.tenant()].map((id) => small.keeper.enter(id)));
      assert.deepEqual(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
      const [refused] = answers.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
      assert.equal(refused!.reason.code, 'FH_APP_BUSY');
    } finally {
      await small.stop();
    }
  });

test('entering, closing and looking again, all at once, leave one instance at most', async () => {
  const tenantId = world.tenant({ idleMs: 1 });
  const seen = new Set<string>();
  for (let round = 0; round < 6; round++) {
    const entering = Array.from({ length: 4 }, () =>
      world.keeper.enter(tenantId).then(
        ({ instanceId }) => void seen.add(instanceId),
        () => undefined,
      ),
    );
    const others = [
      world.keeper.recheck(tenantId),
      world.keeper.sleepIdle(),
      ...(round % 2 ? [world.keeper.evict(tenantId)] : []),
    ];
    await Promise.all([...entering, ...others]);
    assert.ok(world.keeper.list().filter((app) => app.tenantId === tenantId).length <= 1);
    const running = readdirSync(join(world.folder, 'box'));
    assert.ok(running.length <= 1, running.join());
  }
  const last = await world.keeper.enter(tenantId);
  assert.equal((await world.fetch(last.socketPath, '/')).status, 200);
  await world.keeper.evict(tenantId);
  assert.deepEqual(readdirSync(join(world.folder, 'box')), []);
  assert.ok(seen.size > 0);
});

test('an app about which something has changed ends its requests, then is started anew; who comes meanwhile waits', async () => {
  const tenantId = world.tenant();
  const before = await world.keeper.enter(tenantId);
  await world.keeper.recheck(tenantId);
  assert.equal((await world.keeper.enter(tenantId)).instanceId, before.instanceId, 'nothing was different');
  world.specs.set(tenantId, { ...world.specs.get(tenantId)!, env: { PORT: '8080', HOME: '/data', TITLE: 'new' } });
  world.gateway.isFree = false;
  const late = world.fetch(before.socketPath, '/hang?ms=300').finally(() => {
    world.gateway.isFree = true;
  });
  await world.keeper.recheck(tenantId);
  await waitFor('it is drained', () => stateOf(tenantId) === 'stopping');
  assert.ok(world.gateway.ended.includes(before.instanceId), 'nobody enters it any more');
  const meanwhile = await world.keeper.enter(tenantId);
  assert.equal((await late).text, 'late');
  assert.notEqual(meanwhile.instanceId, before.instanceId);
  assert.match((await world.fetch(meanwhile.socketPath, '/')).text, /"TITLE":"new"/);

  // A tenant that is closed waits for nobody.
  world.gateway.isFree = false;
  world.specs.set(tenantId, { ...world.specs.get(tenantId)!, env: { PORT: '8080', HOME: '/data' } });
  await world.keeper.recheck(tenantId);
  await waitFor('it is drained', () => stateOf(tenantId) === 'stopping');
  await world.keeper.evict(tenantId);
  assert.equal(stateOf(tenantId), undefined);
  world.gateway.isFree = true;
});

test('an app that answers the question for its health without end is ended in time, and can be closed meanwhile', async () => {
  const start = [
    '/freehold/bin/node',
    '-e',
    'require("net").createServer(s=>{s.on("error",()=>0);setInterval(()=>s.write("HTTP/1.1 103 Early Hints\\r\\n\\r\\n"),50)}).listen(process.env.PORT)',
  ];
  const late = world.tenant({ start, startMs: 800 });
  await assert.rejects(world.keeper.enter(late), { code: 'FH_APP_FAILED' });
  const closed = world.tenant({ start });
  const entering = world.keeper.enter(closed);
  entering.catch(() => undefined);
  await waitFor('waking', () => stateOf(closed) === 'waking');
  await world.keeper.evict(closed);
  await assert.rejects(entering, { code: 'FH_APP_BUSY' });
  await world.keeper.evict(late);
});

test('an app that floods its log is held back; its log stays small, and others are answered', async () => {
  const flooding = world.tenant();
  const calm = world.tenant();
  const [{ socketPath }] = await Promise.all([world.keeper.enter(flooding), world.keeper.enter(calm)]);
  await world.fetch(socketPath, '/flood');
  assert.equal((await world.shell(calm, 'echo well')).stdout, 'well\n');
  await Promise.all([world.keeper.evict(flooding), world.keeper.evict(calm)]);
  const files = readdirSync(join(world.folder, 'logs')).filter((name) => name.startsWith(flooding));
  const bytes = files.map((name) => statSync(join(world.folder, 'logs', name)).size);
  assert.ok(bytes.length > 0 && bytes.length <= 5 && Math.max(...bytes) < 8 * 2 ** 20, bytes.join());
});
