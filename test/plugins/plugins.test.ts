/** Custom plugins: what is taken in, what runs when, what it may ask for, what is left of it. What it may not do is in escapes.test.ts. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { recordTenantAudit } from '#src/audit/index.ts';
import { hashApiToken } from '#src/identity/index.ts';
import { type TenantId, waitFor } from '#src/kernel/index.ts';
import { type PluginWorld, startPluginWorld } from './world.ts';

let world: PluginWorld;
before(async () => {
  world = await startPluginWorld();
});
after(() => world?.stop());

const query = <R extends object>(tenantId: TenantId, text: string, values: unknown[] = []) =>
  world.installation.databases.platform.transact(tenantId, (db) => db.query<R>(text, values));
const handler = (body: string) => `export default async (input, context) => { ${body} };`;

test('in the Standard edition nothing is added, enabled or run, and the reason is said', async () => {
  const plugin = await world.add(world.globex, handler('return 1'));
  await world.setEdition(world.globex, 'standard');
  const refused = { code: 'FH_PLUGIN_EDITION', message: /Private Cloud/ };
  await assert.rejects(world.add(world.globex, handler('return 2'), { name: 'second' }), refused);
  await assert.rejects(world.runs.run(plugin, { trigger: 'manual' }), refused);
  await assert.rejects(
    world.getTenant(world.globex).then((tenant) => world.registry.setState(tenant, 'probe', 'enabled', 'os:test')),
    refused,
  );
  assert.deepEqual(
    (await world.registry.list(world.globex)).map(({ name }) => name),
    ['probe'],
  );
  await world.setEdition(world.globex, 'private-cloud');
  assert.equal((await world.runs.run(plugin, { trigger: 'manual' })).result, 1);
});

test('a run by hand gets its payload, says what came of it, and what it wrote is in the log', async () => {
  const end = await world.run(
    world.acme,
    handler(
      `console.log('hello', input.payload.n, context.tenant.name); return { doubled: input.payload.n * 2, trigger: input.trigger }`,
    ),
    {},
    { n: 21 },
  );
  assert.deepEqual([end.outcome, end.reason, end.result], ['succeeded', undefined, { doubled: 42, trigger: 'manual' }]);
  const log = await world.log(world.acme);
  assert.match(log, /probe: hello 21 acme/);
  assert.match(log, /probe: freehold: manual: succeeded/);
  assert.doesNotMatch(await world.log(world.globex), /hello/);
  const forged = `'out of paper \\u001b[2J fhp_' + 'A'.repeat(36)`;
  const failed = await world.run(world.acme, handler(`throw new Error(${forged})`));
  assert.equal(failed.outcome, 'failed');
  assert.match(failed.reason!, /out of paper/);
  assert.doesNotMatch(failed.reason!, /\u001b|fhp_A/);
  assert.match((await world.run(world.acme, 'syntax error here')).reason!, /SyntaxError/);
  assert.match((await world.run(world.acme, 'export const x = 1')).reason!, /no default export/);
});

test('time and memory end it', async () => {
  const limits = { limits: { memoryMb: 64, timeoutSeconds: 1 } };
  const slow = await world.run(world.acme, handler('for (;;);'), limits);
  assert.match(slow.reason!, /longer than 1 s/);
  assert.ok(slow.durationMs < 10_000);
  const greedy = await world.run(world.acme, handler('const a = []; for (;;) a.push(new Array(1e6).fill(a.length));'), {
    limits: { memoryMb: 64, timeoutSeconds: 20 },
  });
  assert.match(greedy.reason!, /64 MiB of memory/);
});

test('what it keeps lies in its own tenant, under its own name, within limits', async () => {
  const code = handler(`
    const { state } = context;
    await state.set('n', ((await state.get('n')) ?? 0) + 1);
    await state.set('gone', 'x');
    await state.delete('gone');
    return { n: await state.get('n'), keys: await state.list(), none: await state.get('none') };`);
  for (const [tenantId, n] of [
    [world.acme, 1],
    [world.acme, 2],
    [world.globex, 1],
  ] as const)
    assert.deepEqual((await world.run(tenantId, code)).result, { n, keys: ['n'], none: null });
  const other = await world.run(world.acme, handler('return context.state.list()'), { name: 'other' });
  assert.deepEqual(other.result, []);
  const full = await world.run(
    world.acme,
    handler(`const said = [];
      for (const [key, value] of [['k'.repeat(201), 1], ['big', 'x'.repeat(70_000)], ['nul', '\\0'], ['a\\0b', 1]])
        said.push(await context.state.set(key, value).catch((error) => error.code));
      for (let i = 0; i < 70; i++) await context.state.set('k' + i, 'x'.repeat(65_000)).catch((error) => said.push(error.code));
      return [said.slice(0, 4), said.length > 4, said.at(-1), (await context.state.list('k')).length < 66];`),
  );
  assert.deepEqual(full.result, [
    ['FH_PLUGIN_REFUSED', 'FH_PLUGIN_REFUSED', null, 'FH_PLUGIN_REFUSED'],
    true,
    'FH_PLUGIN_STATE_FULL',
    true,
  ]);
  const kept = await query(world.acme, `SELECT key FROM freehold.plugin_state WHERE plugin = 'probe'`);
  await world.registry.remove(await world.getTenant(world.acme), 'probe', { actor: 'os:test', keepState: true });
  assert.deepEqual(await query(world.acme, `SELECT key FROM freehold.plugin_state WHERE plugin = 'probe'`), kept);
  const again = await world.add(world.acme, code);
  assert.equal((await world.add(world.acme, handler('return 2'))).place, again.place);
  assert.equal((await world.add(world.acme, handler('return 3'), { name: 'next' })).place, again.place + 1);
  await world.registry.remove(await world.getTenant(world.acme), 'next', { actor: 'os:test', keepState: false });
  await world.registry.remove(await world.getTenant(world.acme), 'probe', { actor: 'os:test', keepState: false });
  assert.deepEqual(await query(world.acme, `SELECT key FROM freehold.plugin_state WHERE plugin = 'probe'`), []);
  assert.deepEqual(await query(world.globex, 'SELECT value FROM freehold.plugin_state'), [{ value: '1' }]);
});

test('at the API it is a member of its own tenant for the time of its run, within what it declares', async () => {
  const code = handler(`const said = [];
    for (const [method, path] of [['GET', '/api/x'], ['POST', '/api/x'], ['GET', '/-/api/users'], ['GET', '//evil/'], ['GET', 'https://x/'], ['TRACE', '/'], ['GET', '/a b']])
      said.push(await context.api(method, path).then(({ status }) => status, (error) => error.code));
    return said;`);
  const no = 'FH_PLUGIN_REFUSED';
  const apis = {
    none: [no, no, no, no, no, no, no],
    read: [200, no, no, no, no, no, no],
    write: [200, 200, no, no, no, no, no],
  };
  for (const [api, expected] of Object.entries(apis))
    assert.deepEqual(
      (await world.run(world.acme, code, { capabilities: api === 'none' ? {} : { api } })).result,
      expected,
      api,
    );
  const { token } = world.asked.at(-1)!;
  const check = async (tenantId: TenantId) =>
    await query<{ role: string; scope: string; name: string }>(
      tenantId,
      'SELECT role, scope, name FROM freehold.check_token($1) WHERE token_id IS NOT NULL',
      [hashApiToken(token)],
    );
  assert.deepEqual(await check(world.acme), [], 'over with the run');
  await query(
    world.acme,
    `INSERT INTO freehold.plugin_tokens (token_id, token_hash, user_id, plugin, scope, expires_at)
     VALUES ('tok_' || repeat('0', 26), $1, 'usr_' || repeat('0', 26), 'probe', 'read', now() + interval '1 min')`,
    [hashApiToken(token)],
  );
  assert.deepEqual(await check(world.acme), [{ role: 'member', scope: 'read', name: 'probe' }]);
  assert.deepEqual(await check(world.globex), []);
  await query(world.acme, `UPDATE freehold.plugin_tokens SET created_at = now() - interval '1 h', expires_at = now()`);
  assert.deepEqual(await check(world.acme), []);
});

test('what may not run any more is ended at once, its token first: disabled, removed, replaced, its tenant closed or moved', async () => {
  const { pool } = world.installation;
  const tenant = () => world.getTenant(world.acme);
  const setTenantState = (state: string) =>
    pool.query('UPDATE tenants SET state = $2 WHERE tenant_id = $1', [world.acme, state]);
  const isLive = async (token: string) =>
    (
      await query(world.acme, 'SELECT 1 FROM freehold.check_token($1) WHERE token_id IS NOT NULL', [
        hashApiToken(token),
      ])
    ).length === 1;
  const capabilities = { api: 'write' } as never;
  const limits = { memoryMb: 128, timeoutSeconds: 60 };
  const code = handler(
    `await context.state.set('n', 1); await context.api('GET', '/api/x'); await new Promise(() => {});`,
  );
  const ways: Record<string, () => Promise<unknown>> = {
    disabled: async () => world.registry.setState(await tenant(), 'patient', 'disabled', 'os:test'),
    replaced: () => world.add(world.acme, handler('return 2'), { name: 'patient' }),
    suspended: async () => {
      await setTenantState('suspended');
      await world.look();
      await setTenantState('active');
    },
    moved: async () => {
      await world.setEdition(world.acme, 'standard');
      await world.look();
      await world.setEdition(world.acme, 'private-cloud');
    },
    removed: async () => world.registry.remove(await tenant(), 'patient', { actor: 'os:test', keepState: false }),
  };
  for (const [way, act] of Object.entries(ways)) {
    const plugin = await world.add(world.acme, code, { name: 'patient', capabilities, limits });
    const before = world.asked.length;
    const run = assert.rejects(world.runs.run(plugin, { trigger: 'manual' }), { code: 'FH_PLUGIN_STOPPED' }, way);
    const { token } = await waitFor('it to ask', () => world.asked[before]);
    assert.ok(await isLive(token), way);
    await act();
    assert.ok(!(await isLive(token)), way);
    await run;
    if (way === 'removed')
      assert.deepEqual(await query(world.acme, `SELECT 1 FROM freehold.plugin_state WHERE plugin = 'patient'`), []);
    // Of its own fault was nothing of that.
    else assert.equal((await world.registry.get(world.acme, 'patient')).failures, 0, way);
  }
});

test('whose place another tenant has taken has its plugins disabled until somebody enables them', async () => {
  const { lifecycle } = world.installation;
  const capabilities = { schedule: '*/5 * * * *' } as never;
  for (const tenantId of [world.acme, world.globex])
    await world.add(tenantId, handler('return 1'), { name: 'nightly', capabilities });
  const swap = async () => {
    const { operationId } = await lifecycle.startOperation(
      'swap',
      world.acme,
      { otherTenantId: world.globex },
      'os:test',
    );
    await lifecycle.waitForOperation(operationId);
  };
  await swap();
  world.now.offsetMs = 6 * 60_000;
  await world.look();
  const of = async (tenantId: TenantId) => {
    const { state, last } = await world.registry.get(tenantId, 'nightly');
    return [state, last?.outcome];
  };
  assert.deepEqual(
    [await of(world.acme), await of(world.globex)],
    [
      ['enabled', 'succeeded'],
      ['disabled', undefined],
    ],
  );
  const events = await world.installation.pool.query<{ tenant_id: TenantId }>(
    `SELECT tenant_id FROM audit_events WHERE name = 'plugin.disabled' AND actor = 'system' AND details->>'plugin' = 'nightly'`,
  );
  assert.deepEqual(events, [{ tenant_id: world.globex }]);
  await world.registry.setState(await world.getTenant(world.globex), 'nightly', 'enabled', 'os:test');
  world.now.offsetMs = 12 * 60_000;
  await world.look();
  assert.deepEqual(await of(world.globex), ['enabled', 'succeeded']);
  world.now.offsetMs = 0;
  await swap();
  for (const tenantId of [world.acme, world.globex])
    await world.registry.remove(await world.getTenant(tenantId), 'nightly', { actor: 'os:test', keepState: false });
});

test('what it writes is bounded: who writes without end is slowed down and fills no disk', async () => {
  const flood = handler(
    `for (let n = 0; ; n++) { console.log(n + 'x'.repeat(8_000)); if (n % 16 === 0) await context.state.get('k'); }`,
  );
  const limits = { memoryMb: 128, timeoutSeconds: 2 };
  assert.match((await world.run(world.globex, flood, { name: 'noisy', limits })).reason!, /longer than 2 s/);
  const { size } = await stat(join(world.folder, 'logs', world.globex));
  assert.ok(size < 6 * 2 ** 20, `${size} bytes`);
});

test('a schedule is run when it is due, once also when it was missed, and not in Standard', async () => {
  const code = handler(`await context.state.set(input.trigger, ((await context.state.get(input.trigger)) ?? 0) + 1)`);
  const capabilities = { schedule: '*/5 * * * *' } as never;
  const { nextRunAt } = await world.add(world.acme, code, { name: 'timed', capabilities });
  assert.ok(nextRunAt && nextRunAt.getUTCMinutes() % 5 === 0);
  const runs = async () =>
    (await query<{ value: string }>(world.acme, `SELECT value FROM freehold.plugin_state WHERE plugin = 'timed'`))[0]
      ?.value;
  await world.look();
  assert.equal(await runs(), undefined);
  world.now.offsetMs = 17 * 60_000;
  await world.look();
  await world.look();
  assert.equal(await runs(), '1');
  world.now.offsetMs = 40 * 60_000;
  await world.setEdition(world.acme, 'standard');
  await world.look();
  assert.equal(await runs(), '1');
  await world.setEdition(world.acme, 'private-cloud');
  await world.look();
  assert.equal(await runs(), '2');
  world.now.offsetMs = 0;
});

test('events are handed over in their order, again after a failure, and only those that are declared and new', async () => {
  const record = (name: 'user.invited' | 'user.disabled', subject: string) =>
    world.installation.databases.platform.transact(world.acme, (db) =>
      recordTenantAudit(db, { name, actor: 'system', subject }),
    );
  await record('user.invited', 'before');
  await world.add(
    world.acme,
    handler(`const seen = (await context.state.get('seen')) ?? [];
      if (input.events.some(({ subject }) => subject === 'bad') && !(await context.state.get('mended'))) throw new Error('bad one');
      await context.state.set('seen', [...seen, ...input.events.map(({ subject }) => subject)]);`),
    { name: 'listener', capabilities: { events: ['user.invited'] } as never },
  );
  const seen = async () =>
    (
      await query<{ value: string }>(
        world.acme,
        `SELECT value FROM freehold.plugin_state WHERE plugin = 'listener' AND key = 'seen'`,
      )
    )[0]?.value;
  for (const subject of ['one', 'two']) await record('user.invited', subject);
  await record('user.disabled', 'other');
  await world.look();
  await world.look();
  assert.equal(await seen(), '["one","two"]');
  await record('user.invited', 'bad');
  await world.look();
  assert.equal(await seen(), '["one","two"]');
  await query(
    world.acme,
    `INSERT INTO freehold.plugin_state (plugin, key, value) VALUES ('listener', 'mended', 'true')`,
  );
  await world.look();
  assert.equal(await seen(), '["one","two"]', 'not before its time');
  world.now.offsetMs = 60_000;
  await world.look();
  assert.equal(await seen(), '["one","two","bad"]');
  world.now.offsetMs = 0;
  await world.registry.remove(await world.getTenant(world.acme), 'listener', { actor: 'os:test', keepState: false });
});

test('what fails five times in a row runs no more until somebody enables it', async () => {
  await world.add(world.globex, handler(`throw new Error('no')`), {
    name: 'broken',
    capabilities: { schedule: '* * * * *' } as never,
  });
  for (let run = 1; run <= 7; run++) {
    world.now.offsetMs = run * 120_000;
    await world.look();
  }
  world.now.offsetMs = 0;
  const broken = await world.registry.get(world.globex, 'broken');
  assert.deepEqual([broken.state, broken.failures, broken.nextRunAt], ['failed', 5, undefined]);
  const { events } = await world.installation.pool
    .query<{ name: string }>(`SELECT name FROM audit_events WHERE name = 'plugin.failed' AND tenant_id = $1`, [
      world.globex,
    ])
    .then((events) => ({ events }));
  assert.equal(events.length, 1);
  const enabled = await world.registry.setState(await world.getTenant(world.globex), 'broken', 'enabled', 'os:test');
  assert.deepEqual([enabled.state, enabled.failures], ['enabled', 0]);
  const disabled = await world.registry.setState(await world.getTenant(world.globex), 'broken', 'disabled', 'os:test');
  await assert.rejects(world.runs.run(disabled, { trigger: 'manual' }), { code: 'FH_PLUGIN_DISABLED' });
});

// The last one: nobody is there to be asked afterwards.
test('what runs while control dies is ended by the keeper: nobody else could', async () => {
  const before = world.asked.length;
  const waiting = handler(`await context.api('GET', '/api/x'); await new Promise(() => {});`);
  const plugin = await world.add(world.acme, waiting, {
    capabilities: { api: 'read' } as never,
    limits: { memoryMb: 128, timeoutSeconds: 60 },
  });
  const run = assert.rejects(world.runs.run(plugin, { trigger: 'manual' }), { code: 'FH_CONTROL_UNAVAILABLE' });
  await waitFor('it to ask', () => world.asked.length > before);
  await world.loseControl();
  await run;
  const log = join(world.folder, 'logs', world.acme);
  await waitFor('its end', async () => /failed: control was gone/.test(await readFile(log, 'utf8')));
});
