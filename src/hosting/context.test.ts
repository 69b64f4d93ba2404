import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { type App, type AppContext, AppError, type RouteDefinition, type RouteResult } from '#sdk';
import { waitFor } from '#src/kernel/index.ts';
import sample from '../../apps/sample/index.ts';
import { type HostedApp, startHostedApp } from '../../test/support/hosted-app.ts';

/** What the next request does. */
let next: RouteDefinition['handler'] = async () => ({});
const route = (operation: string, path: string, extra: Partial<RouteDefinition> = {}): RouteDefinition => ({
  method: 'POST',
  path,
  operation: `probe.${operation}`,
  summary: 'Does what the test says',
  handler: (context, input) => next(context, input),
  ...extra,
});
const probe: App = {
  ...sample,
  manifest: { ...sample.manifest, name: 'probe' },
  routes: [route('run', '/api/run'), route('upload', '/api/upload', { upload: { maxBytes: 1_000 } })],
  demo: undefined,
};

let app: HostedApp;
before(async () => {
  app = await startHostedApp(probe);
});
after(() => app.stop());

async function run(handler: RouteDefinition['handler'], who: Parameters<HostedApp['fetch']>[1] = {}) {
  next = handler;
  const response = await app.fetch('/api/run', { method: 'POST', ...who });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
}

test('a context belongs to the tenant and user of its request', async () => {
  const seen: AppContext[] = [];
  for (const as of ['acme', 'globex'] as const)
    await run(
      async (context) => {
        seen.push(context);
        const rows = await context.db.read((db) => db.query('SELECT current_user AS role'));
        return { body: rows };
      },
      { as },
    );
  assert.deepEqual(
    seen.map(({ tenant }) => tenant.url),
    ['https://acme.localhost', 'https://globex.localhost'],
  );
  assert.equal(seen[0]!.user.id, seen[1]!.user.id);
  assert.throws(() => Object.assign(seen[0]!.tenant, { id: seen[1]!.tenant.id }), TypeError);
  assert.throws(() => Object.assign(seen[0]!, { db: seen[1]!.db }), TypeError);
  assert.throws(() => Object.assign(seen[0]!.db, { read: undefined }), TypeError);
});

test('a context that was kept is dead after its request', async () => {
  let kept: AppContext | undefined;
  await run(async (context) => {
    kept = context;
    return {};
  });
  const ended = { code: 'FH_APP_CONTEXT_ENDED' };
  assert.equal(kept!.signal.aborted, true);
  assert.throws(() => kept!.db.read(async () => 1), ended);
  assert.throws(() => kept!.db.transact(async () => 1), ended);
  assert.throws(() => kept!.files.open('fil_x'), ended);
  assert.throws(() => kept!.users.list(), ended);
  assert.throws(() => kept!.publish({ type: 'a', data: null }), ended);
  assert.throws(() => kept!.background('a', async () => {}), ended);
});

test('for a token that only reads nothing is changed, whatever a handler does', async () => {
  const reads = await run(async (context) => ({ body: await context.db.read((db) => db.query('SELECT 1 AS one')) }), {
    token: 'read',
  });
  assert.deepEqual(reads.json(), [{ one: 1 }]);
  const writes: ((context: AppContext) => unknown)[] = [
    (context) => context.db.transact((db) => db.query('SELECT 1')),
    (context) => context.files.put(Readable.from([Buffer.from('x')]), { name: 'x.txt', mediaType: 'text/plain' }),
    (context) => context.files.remove('fil_x'),
    (context) => context.publish({ type: 'note.changed', data: null }),
    (context) => context.background('later', async () => {}),
  ];
  for (const write of writes) {
    const attempt = async (context: AppContext) => ({ body: (await write(context)) ?? null });
    const refused = await run(attempt, { token: 'read' });
    assert.deepEqual([refused.status, refused.json().code], [403, 'FH_APP_TOKEN_READS_ONLY'], String(write));
    assert.ok((await run(attempt, { token: 'write' })).status < 300, String(write));
  }
});

test('a statement that nobody awaited is cancelled', async () => {
  let floating: Promise<unknown> | undefined;
  const startedAt = performance.now();
  await run(async (context) => {
    let isRunning = false;
    floating = context.db.read((db) => {
      isRunning = true;
      return db.query('SELECT pg_sleep(600)');
    });
    floating.catch(() => undefined);
    await waitFor('the statement', () => isRunning);
    return {};
  });
  await assert.rejects(floating!);
  // Well before the time-out of statements, a minute.
  assert.ok(performance.now() - startedAt < 45_000);
});

test('what fails is rolled back; a refusal of the app becomes a problem document', async () => {
  const refused = await run((context) =>
    context.db.transact(async (db) => {
      await db.query("INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('n', 't', 'u', now())");
      throw new AppError(409, 'PROBE_TAKEN', 'That is taken', { hint: 'Choose another', fields: { name: 'is taken' } });
    }),
  );
  const { requestId, ...problem } = refused.json();
  assert.match(requestId, /^req_/);
  assert.deepEqual(problem, {
    type: 'urn:freehold:error:PROBE_TAKEN',
    title: 'That is taken',
    status: 409,
    code: 'PROBE_TAKEN',
    hint: 'Choose another',
    fields: { name: 'is taken' },
  });
  const rows = await run(async (context) => ({
    body: await context.db.read((db) => db.query('SELECT note_id FROM notes')),
  }));
  assert.deepEqual(rows.json(), []);
});

test('an unexpected error tells nothing', async () => {
  const failed = await run(async () => {
    throw new Error('password of the database is hunter2');
  });
  assert.equal(failed.status, 500);
  assert.equal(failed.json().code, 'FH_INTERNAL');
  assert.ok(!failed.text.includes('hunter2'));
});

test('the app role reaches its schema and nothing of the platform', async () => {
  for (const statement of [
    'SELECT email FROM freehold.users',
    'SELECT name FROM freehold.files',
    'CREATE TABLE freehold.mine ()',
    'SET ROLE postgres',
  ]) {
    const failed = await run(async (context) => {
      await context.db.transact((db) => db.query(statement));
      return {};
    });
    assert.equal(failed.status, 500, statement);
  }
});

test('an app sets only harmless headers', async () => {
  const allowed = await run(async () => ({
    status: 201,
    body: 'a;b\n',
    headers: { 'Content-Type': 'text/csv; charset=utf-8', location: '/items/1' },
  }));
  assert.deepEqual(
    [allowed.status, allowed.text, allowed.headers.get('content-type')],
    [201, 'a;b\n', 'text/csv; charset=utf-8'],
  );
  const refused: RouteResult[] = [
    { headers: { 'set-cookie': '__Host-freehold=x' } },
    { headers: { 'content-security-policy': 'default-src *' } },
    { headers: { 'access-control-allow-origin': '*' } },
    { headers: { location: 'https://evil.example/' } },
    { headers: { location: '//evil.example/' } },
    { headers: { etag: 'a\r\nset-cookie: b' } },
    { body: '<script></script>', headers: { 'content-type': 'text/html' } },
    { status: 302, headers: { location: '/' } },
    { status: 500 },
    { body: {}, headers: { 'content-type': 'text/csv' } },
  ];
  for (const result of refused) {
    const answer = await run(async () => result);
    assert.deepEqual([answer.status, answer.json().code], [500, 'FH_APP_FAULTY'], JSON.stringify(result));
    assert.equal(answer.headers.get('set-cookie'), null);
  }
});

test('JSON values come back as JSON, also a bare text', async () => {
  for (const body of ['text', 7, null, [1], { a: { b: '"' } }]) {
    const answer = await run(async () => ({ body }));
    assert.deepEqual([answer.status, answer.json()], [200, body]);
  }
  assert.equal((await run(async () => ({}))).status, 204);
});

test('events that could break the stream are refused', async () => {
  for (const event of [
    { type: 'a\ndata: forged', data: 1 },
    { type: '', data: 1 },
    { type: 'large', data: 'x'.repeat(70_000) },
  ]) {
    const answer = await run(async (context) => {
      context.publish(event);
      return {};
    });
    assert.equal(answer.status, 500);
  }
});

test('ids have the prefix that was asked for', async () => {
  const { json } = await run(async (context) => ({ body: context.newId('itm') }));
  assert.match(json(), /^itm_[0-9a-hjkmnp-tv-z]{26}$/);
  assert.equal((await run(async (context) => ({ body: context.newId('../x') }))).status, 500);
});

test('background work goes on after the answer with a context of its own', async () => {
  const seen: string[] = [];
  let inner: AppContext | undefined;
  const answer = await run(async (context) => {
    context.background('probe.later', async (later) => {
      inner = later;
      await waitFor('the request to be over', () => context.signal.aborted);
      const [row] = await later.db.read((db) => db.query<{ one: number }>('SELECT 1 AS one'));
      seen.push(`${later.tenant.name} ${later.user.email} ${row!.one}`);
    });
    context.background('probe.failing', async () => {
      throw new Error('nobody is waiting for this');
    });
    return {};
  });
  assert.equal(answer.status, 204);
  await waitFor('the background work', () => seen.length === 1 && inner?.signal.aborted);
  assert.deepEqual(seen, ['acme ada@example.com 1']);
  assert.throws(() => inner!.db.read(async () => 1), { code: 'FH_APP_CONTEXT_ENDED' });
});

test('closing a tenant aborts its background work, and only its', async () => {
  const ended: string[] = [];
  const work: RouteDefinition['handler'] = async (context) => {
    context.background('probe.endless', async (later) => {
      await later.db.read((db) => db.query('SELECT pg_sleep(60)')).catch(() => undefined);
      ended.push(later.tenant.name);
    });
    return {};
  };
  await run(work, { as: 'acme' });
  await run(work, { as: 'globex' });
  await app.hosting.evict(app.tenants.acme.tenantId);
  assert.deepEqual(ended, ['acme']);
  await app.hosting.evict(app.tenants.globex.tenantId);
});

test('an upload that the handler does not read is no harm', async () => {
  next = async (_, { upload }) => ({ body: upload!.name });
  const body = new FormData();
  body.set('file', new File([Buffer.alloc(900)], 'unread.bin'));
  const response = await app.fetch('/api/upload', { method: 'POST', body });
  assert.deepEqual([response.status, await response.json()], [200, 'unread.bin']);
  assert.equal((await run(async () => ({}))).status, 204);
});

test('drain waits for background work, then aborts what is left', async () => {
  const own = await startHostedApp({ ...probe, manifest: { ...probe.manifest, name: 'drained' } });
  try {
    const ended: string[] = [];
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    next = async (context) => {
      context.background('probe.short', async () => {
        await released;
        ended.push('short');
      });
      context.background('probe.endless', async (later) => {
        await waitFor('drain', () => later.signal.aborted, { deadlineMs: 120_000 });
        ended.push('aborted');
      });
      return {};
    };
    assert.equal((await own.fetch('/api/run', { method: 'POST' })).status, 204);
    const stopped = own.hosting.stop(500);
    release();
    await stopped;
    assert.deepEqual(ended, ['short', 'aborted']);
  } finally {
    await own.stop();
  }
});
