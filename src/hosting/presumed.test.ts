import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, beforeEach, test } from 'node:test';
import { type App, type AppContext, AppError, type RouteDefinition, type RouteResult } from '#sdk';
import { createTenantDatabases, type TenantDatabases } from '#src/databases/index.ts';
import { identityErrors, type Session } from '#src/identity/index.ts';
import { newId, silentLog, waitFor } from '#src/kernel/index.ts';
import sample from '../../apps/sample/index.ts';
import { email, type HostedApp, startHostedApp, userId } from '../../test/support/hosted-app.ts';

/** What the next request does, and what its check will say. */
let next: RouteDefinition['handler'];
let verdict: () => Session;
let check: { text: string; values: readonly unknown[] };
let asked = 0;
/** Rows that handlers were given. */
let seen: unknown[] = [];

const session: Session = {
  sessionId: newId('ses'),
  user: { userId, email, name: 'Ada', role: 'admin' },
  createdAt: new Date(0),
  expiresAt: new Date(8.64e15),
};
const answer = 'SELECT $1::text AS good';
const slowAnswer = 'SELECT pg_sleep(0.15)::text, $1::text AS good';
const handler: RouteDefinition['handler'] = (context, input) => next(context, input);
const probe: App = {
  ...sample,
  manifest: { ...sample.manifest, name: 'presumed' },
  routes: [
    { method: 'GET', path: '/api/run', operation: 'probe.run', summary: 'Does what the test says', handler },
    {
      method: 'GET',
      path: '/api/numbered',
      operation: 'probe.numbered',
      summary: 'Wants a number, from administrators',
      roles: ['owner', 'admin'],
      query: {
        type: 'object',
        properties: { n: { type: 'integer' } },
        required: ['n'],
        additionalProperties: false,
      },
      handler,
    },
  ],
  demo: undefined,
};

let app: HostedApp;
let databases: TenantDatabases | undefined;
/** The product's own leases: those of the other tests here know no guards. */
const openDatabases = (): TenantDatabases => {
  const targets = new Map(app.tenants.targets);
  databases ??= createTenantDatabases({
    directory: {
      getAccess: async (tenantId) => {
        const { host, port, database: name, user, password } = targets.get(tenantId)!;
        const database = { host, port, name, tls: 'off' } as const;
        const platform = { user: `${user}_p`, password };
        const keys = { cookieKey: noKey, filesKey: noKey, factorsKey: noKey, identityKey: noKey };
        return { tenantId, database, app: { user, password }, platform, ...keys };
      },
      onChanged: () => {},
      onFlush: () => {},
    },
    budget: 2,
    perTenantMax: 2,
    statementTimeoutMs: 10_000,
    lockTimeoutMs: 2_000,
    waitTimeoutMs: 20_000,
    log: silentLog,
  });
  return databases;
};
const noKey = Buffer.alloc(32);
before(async () => {
  app = await startHostedApp(probe, {
    databases: {
      app: {
        read: (...call) => openDatabases().app.read(...call),
        transact: (...call) => openDatabases().app.transact(...call),
      },
    },
    identify: (request) => ({
      tenant: app.tenants.acme,
      session,
      unconfirmed: {
        ...check,
        accept: (rows) => {
          asked++;
          assert.equal((rows[0] as { good: string }).good, 'yes');
          return verdict();
        },
      },
      requestId: request.id,
      signal: new AbortController().signal,
      isStillSignedIn: async () => true,
    }),
  });
});
after(async () => {
  await databases?.stop();
  await app.stop();
});
beforeEach(() => {
  [asked, seen] = [0, []];
  verdict = () => session;
  check = { text: answer, values: ['yes'] };
});

const over = () => {
  throw identityErrors.FH_SESSION_REQUIRED();
};
async function run(handle: RouteDefinition['handler'], path = '/api/run') {
  next = handle;
  const response = await app.fetch(path, { signal: AbortSignal.timeout(60_000) });
  const text = await response.text();
  const json = text === '' ? undefined : JSON.parse(text);
  return { status: response.status, headers: response.headers, text, json, code: json?.code };
}
const read = async (context: AppContext, text = "SELECT 'secret' AS word") => {
  const rows = await context.db.read((db) => db.query(text));
  seen.push(rows);
  return rows;
};
const reading: RouteDefinition['handler'] = async (context) => ({ body: await read(context) });

test('a presumed session that is confirmed answers like any other, and is asked once per read that begins before', async () => {
  for (let round = 0; round < 4; round++) {
    const { status, json } = await run(reading);
    assert.deepEqual([status, json, asked], [200, [{ word: 'secret' }], round + 1]);
  }
  asked = 0;
  await run(async (context) => {
    await read(context);
    return { body: [await read(context), await Promise.all([read(context), read(context)])] };
  });
  assert.equal(asked, 1);
});

test('whatever a handler does, a session that is over gets its refusal and nothing else', async () => {
  verdict = over;
  let hung = 0;
  const file = Readable.from(['secret']);
  const handlers: Record<string, RouteDefinition['handler']> = {
    reads: reading,
    'reads twice': async (context) => ({ body: await Promise.all([read(context), read(context)]) }),
    'reads two statements in one lease': async (context) => ({
      body: await context.db.read((db) => Promise.all([db.query('SELECT 1'), db.query('SELECT 2')])),
    }),
    'returns at once': async () => ({
      status: 202,
      body: 'secret',
      headers: { etag: '"secret"', location: '/secret' },
    }),
    'returns nothing': async () => ({}),
    throws: async () => {
      throw new AppError(409, 'PROBE_SECRET', 'secret');
    },
    'throws before it is asynchronous': () => {
      throw new AppError(409, 'PROBE_SECRET', 'secret');
    },
    'throws after reading': async (context) => {
      await read(context);
      throw new AppError(409, 'PROBE_SECRET', 'secret');
    },
    'swallows the refusal': async (context) => {
      await read(context).catch(() => undefined);
      return { body: 'secret' };
    },
    hangs: () => {
      hung++;
      return new Promise<RouteResult>(() => {});
    },
    'hangs in a lease': (context) => context.db.read(() => new Promise<RouteResult>(() => {})),
    'hangs after reading': async (context) => {
      await read(context).catch(() => undefined);
      return new Promise<RouteResult>(() => {});
    },
    streams: async () => ({
      file: { id: 'fil_x', name: 'secret.txt', mediaType: 'text/plain', sizeBytes: 6, sha256: '0'.repeat(64) },
      content: file,
      disposition: 'inline',
    }),
    'asks with a statement that fails': async (context) => ({ body: await read(context, 'SELECT 1/0') }),
    'asks with a statement that is refused': async (context) => ({ body: await read(context, 'LISTEN x') }),
  };
  for (const text of [answer, slowAnswer]) {
    check = { text, values: ['yes'] };
    for (const [what, handle] of Object.entries(handlers)) {
      for (let round = 0; round < 3; round++) {
        const refused = await run(handle);
        assert.deepEqual([refused.status, refused.code], [401, 'FH_SESSION_REQUIRED'], what);
        assert.ok(!refused.text.includes('secret'), what);
        for (const name of ['etag', 'location', 'content-disposition'])
          assert.equal(refused.headers.get(name), null, what);
      }
    }
  }
  assert.deepEqual(seen, []);
  assert.equal(hung, 6);
  assert.equal(file.destroyed, true);
});

test('not even a wrong query is told before the check', async () => {
  const never = async () => assert.fail('the handler ran');
  assert.deepEqual((await run(never, '/api/numbered?n=x')).code, 'FH_INVALID_REQUEST');
  assert.equal(asked, 1);
  verdict = over;
  assert.deepEqual((await run(never, '/api/numbered?n=x')).code, 'FH_SESSION_REQUIRED');
});

test('nothing but reading happens before the check, and nothing at all when it refuses', async () => {
  const events = () => app.published.length;
  const notes = async () => {
    const { tenantId } = app.tenants.acme;
    return (await app.tenants.databases.app.read(tenantId, (db) => db.query('SELECT note_id FROM notes'))).length;
  };
  const write = (context: AppContext) =>
    context.db.transact((db) =>
      db.query("INSERT INTO notes (note_id, text, author_id, created_at) VALUES ($1, 't', 'u', now())", [
        context.newId('itm'),
      ]),
    );
  let began = 0;
  const file = { name: 'a.txt', mediaType: 'text/plain' };
  const acts: Record<string, (context: AppContext) => Promise<unknown> | undefined> = {
    transact: write,
    put: (context) => context.files.put(Readable.from([Buffer.from('x')]), file),
    open: (context) => context.files.open('fil_x'),
    remove: (context) => context.files.remove('fil_x'),
    list: (context) => context.users.list(),
    publish: (context) => void context.publish({ type: 'a', data: 1 }),
    background: (context) =>
      void context.background('probe.later', async (later) => {
        began++;
        await write(later);
      }),
  };
  const effects = async () => [await notes(), events(), began];
  for (const [what, act] of Object.entries(acts)) {
    const before = await effects();
    for (const isReading of [false, true]) {
      let isPast = false;
      const handle: RouteDefinition['handler'] = async (context) => {
        const reads = isReading ? read(context).catch(() => {}) : undefined;
        // What it says of a file that does not exist is said after the check as well.
        await act(context)?.then(
          () => (isPast = true),
          (error) => (isPast = error.code !== 'FH_SESSION_REQUIRED'),
        );
        await reads;
        return {};
      };
      verdict = over;
      assert.equal((await run(handle)).status, 401, what);
      assert.equal(isPast, false, what);
      assert.deepEqual(await effects(), before, what);
      let countAtCheck: unknown[] | undefined;
      verdict = () => {
        countAtCheck ??= [events(), began, isPast];
        return session;
      };
      assert.equal((await run(handle)).status, 204, what);
      assert.deepEqual(countAtCheck, [before[1], before[2], false], what);
      if (what === 'background') await waitFor('the work', async () => (await notes()) > before[0]!);
      if (['transact', 'publish', 'background'].includes(what)) assert.notDeepEqual(await effects(), before, what);
      before.splice(0, 3, ...(await effects()));
    }
  }
  assert.deepEqual(seen.length, Object.keys(acts).length);
});

test('a session that changed is asked no second time: the handler runs again with what the check has found', async () => {
  const renamed: Session = { ...session, user: { ...session.user, name: 'Ada Lovelace' } };
  verdict = () => renamed;
  const users: string[] = [];
  const { json } = await run(async (context) => {
    users.push(context.user.name);
    context.publish({ type: 'greeted', data: context.user.name });
    await read(context);
    return { body: context.user.name };
  });
  assert.deepEqual([json, users, asked, seen.length], ['Ada Lovelace', ['Ada', 'Ada Lovelace'], 1, 1]);
  assert.deepEqual(app.published.at(-1)?.[1].data, 'Ada Lovelace');
  assert.ok(!app.published.some(([, { data }]) => data === 'Ada'));

  verdict = () => ({ ...session, user: { ...session.user, role: 'member' } });
  const refused = await run(reading, '/api/numbered?n=1');
  assert.deepEqual([refused.status, refused.code], [403, 'FH_APP_ROLE_REQUIRED']);
});

test('a check that cannot be asked answers nothing, although the handler is done', async () => {
  check = { text: 'SELECT good FROM nowhere WHERE $1 IS NULL', values: ['yes'] };
  for (const handle of [reading, async () => ({ body: 'secret' })] satisfies RouteDefinition['handler'][]) {
    const { status, text } = await run(handle);
    assert.deepEqual([status, text.includes('secret')], [500, false]);
  }
  assert.deepEqual(seen, []);
});

test('no request holds a place while it waits for another one', async () => {
  // As many as the tenant has places, several times over: each reads, and wants a second connection for what it does next.
  const handle: RouteDefinition['handler'] = async (context) => {
    const work = [read(context), context.db.transact((db) => db.query('SELECT 1')), context.files.open('fil_x')];
    await Promise.all([...work, context.db.read(async (db) => void (await db.query('SELECT 2')))]);
    return {};
  };
  check = { text: slowAnswer, values: ['yes'] };
  next = handle;
  const answers = await Promise.all(Array.from({ length: 12 }, () => app.fetch('/api/run')));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([204]));
});
