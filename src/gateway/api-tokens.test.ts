import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyPluginAsync } from 'fastify';
import { hashApiToken } from '#src/identity/index.ts';
import type { ApiTokenUse, Session } from '#src/identity/types.ts';
import { type Clock, newId, systemClock, type UserId } from '#src/kernel/index.ts';
import { startWorld } from './test-world.ts';
import { createTokenGuard } from './token-guard.ts';

/** Their shape and checksum are right; what they are good for is said by the test. */
const writeToken = 'fhp_oURpAoILPEFPO5KYcq5Oj7KgrXbL6p0qz1wl';
const readToken = 'fhp_n2bRkWH1BCa81ykUMmFZrAor9KKoqX3kr9so';
const unknownToken = 'fhp_DEPrNDS8edus4lGidZQJGn7kUjtUrB3HSdBo';

const user = { userId: newId('usr') as UserId, email: 'ann@example.com', name: 'Ann', role: 'member' } as const;
const grantOf = (scope: 'read' | 'write', role: Session['user']['role'] = 'member'): ApiTokenUse => ({
  tokenId: newId('tok'),
  scope,
  user: { ...user, role },
  expiresAt: new Date(0),
});
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** A gateway in front of an app that says who asks; acme knows two tokens, globex none. */
async function startWithTokens(t: Parameters<typeof startWorld>[0]) {
  const known = new Map([
    [hashApiToken(writeToken)!.toString('hex'), grantOf('write')],
    [hashApiToken(readToken)!.toString('hex'), grantOf('read')],
  ]);
  const asked: string[] = [];
  const session: Session = { sessionId: newId('ses'), user, createdAt: new Date(0), expiresAt: new Date(0) };
  const desk: FastifyPluginAsync = async (app) => {
    const config = { acceptsTokens: true };
    const who = ({
      session: from,
      apiToken,
    }: {
      session?: Session | undefined;
      apiToken?: ApiTokenUse | undefined;
    }) => ({
      session: from !== undefined,
      token: apiToken?.scope,
      role: apiToken?.user.role,
    });
    app.get('/api/items', { config }, async (request) => who(request));
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      app.route({ method, url: '/api/items', config, handler: async (request) => who(request) });
    app.get('/api/admins', { config: { ...config, roles: ['admin', 'owner'] } }, async (request) => who(request));
    app.get('/api/eager', { config: { ...config, mayPresume: true } }, async (request) => who(request));
    app.get('/api/browsers-only', async (request) => who(request));
    app.get('/api/open', { config: { withoutSession: 'allow' } }, async (request) => who(request));
  };
  const world = await startWorld(t, {
    identity: {
      authenticate: async () => {
        asked.push('session');
        return session;
      },
      presume: () => {
        asked.push('presume');
        return undefined;
      },
      renew: async () => '__Host-freehold=next; Path=/; Secure; HttpOnly; SameSite=Lax',
      checkToken: async ({ tenant }, hash) => {
        asked.push('token');
        return tenant.name === 'acme' ? known.get(hash.toString('hex')) : undefined;
      },
      routes: async (app) => {
        app.get('/tokens', async () => ({}));
        app.post('/session', { config: { withoutSession: 'allow' } }, async () => ({ fine: true }));
      },
    },
    hosting: { plugin: () => desk },
  });
  return { world, asked, known };
}

test('a request with a token has no session, and its answer no cookie', async (t) => {
  const { world, asked } = await startWithTokens(t);
  for (const path of ['/api/items', '/api/eager']) {
    const answer = await world.request({ path, headers: bearer(writeToken) });
    assert.deepEqual([answer.status, answer.json()], [200, { session: false, token: 'write', role: 'member' }]);
    assert.equal(answer.headers['set-cookie'], undefined);
  }
  assert.deepEqual(asked, ['token', 'token']);
  const inSession = await world.request({ path: '/api/items', cookie: 'x' });
  assert.deepEqual(inSession.json(), { session: true });
  assert.ok(inSession.headers['set-cookie']);
});

test('the scheme is case-insensitive, other schemes mean nothing, and nothing else carries a token', async (t) => {
  const { world, asked } = await startWithTokens(t);
  for (const authorization of [`bearer ${writeToken}`, `BEARER   ${writeToken}`])
    assert.equal((await world.request({ path: '/api/items', headers: { authorization } })).status, 200);
  asked.length = 0;
  const basic = await world.request({ path: '/api/items', headers: { authorization: 'Basic YTpi' } });
  assert.deepEqual([basic.status, basic.json().session], [200, true]);
  for (const path of [`/api/items?access_token=${writeToken}`, `/api/items?token=${writeToken}`])
    assert.equal((await world.request({ path })).json().session, true);
  assert.ok(!asked.includes('token'));
});

test('what is not good is refused as RFC 6750 says, and what is mistyped asks nobody', async (t) => {
  const { world, asked } = await startWithTokens(t);
  const mistyped = writeToken.replace('o', 'p');
  for (const token of [unknownToken, mistyped, writeToken.slice(0, -1), '', 'x y', `${writeToken} ${writeToken}`]) {
    const answer = await world.request({ path: '/api/items', headers: bearer(token) });
    assert.deepEqual([answer.status, answer.json().code], [401, 'FH_TOKEN_INVALID'], token);
    assert.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"');
    assert.ok(!answer.body.includes('fhp_'), 'it is not repeated');
  }
  assert.deepEqual(asked, ['token']);
  const elsewhere = await world.request({ tenant: 'globex', path: '/api/items', headers: bearer(writeToken) });
  assert.equal(elsewhere.status, 401);
});

test('a token that reads does nothing else, and the role is that of its user', async (t) => {
  const { world, known } = await startWithTokens(t);
  assert.equal((await world.request({ path: '/api/items', headers: bearer(readToken) })).status, 200);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const answer = await world.request({ path: '/api/items', method, headers: bearer(readToken) });
    assert.deepEqual([answer.status, answer.json().code], [403, 'FH_TOKEN_SCOPE'], method);
    assert.equal(answer.headers['www-authenticate'], 'Bearer error="insufficient_scope", scope="write"');
    assert.equal((await world.request({ path: '/api/items', method, headers: bearer(writeToken) })).status, 200);
  }
  const admins = () => world.request({ path: '/api/admins', headers: bearer(readToken) });
  assert.deepEqual([(await admins()).status, (await admins()).json().code], [403, 'FH_ROLE_REQUIRED']);
  known.set(hashApiToken(readToken)!.toString('hex'), grantOf('read', 'admin'));
  assert.equal((await admins()).status, 200);
});

test('with a token and a cookie, or two tokens, it is not said who asks', async (t) => {
  const { world, asked } = await startWithTokens(t);
  const code = async (options: Parameters<typeof world.request>[0]) => (await world.request(options)).json().code;
  for (const path of ['/api/items', '/-/api/tokens', '/api/open'])
    assert.equal(await code({ path, cookie: 'x', headers: bearer(writeToken) }), 'FH_CREDENTIALS_AMBIGUOUS', path);
  const other = { ...bearer(writeToken), cookie: 'theme=dark; __host-freehold=x' };
  assert.equal(await code({ path: '/api/items', headers: other }), 'FH_CREDENTIALS_AMBIGUOUS');
  const twice = { authorization: `Bearer ${unknownToken}`, Authorization: `Bearer ${writeToken}` };
  assert.equal(await code({ path: '/api/items', headers: twice }), 'FH_CREDENTIALS_AMBIGUOUS');
  assert.deepEqual(asked, []);
  const foreign = { ...bearer(writeToken), cookie: 'theme=dark' };
  assert.equal((await world.request({ path: '/api/items', headers: foreign })).status, 200);
});

test('nothing about accounts is done with a token, and it lets nobody past the check of where a request comes from', async (t) => {
  const { world, asked } = await startWithTokens(t);
  for (const path of ['/-/api/tokens', '/api/browsers-only']) {
    const answer = await world.request({ path, headers: bearer(writeToken) });
    assert.deepEqual([answer.status, answer.json().code], [403, 'FH_TOKEN_NOT_HERE'], path);
  }
  assert.equal((await world.request({ path: '/api/nothing-here', headers: bearer(writeToken) })).status, 404);
  assert.deepEqual((await world.request({ path: '/api/open', headers: bearer(unknownToken) })).json(), {
    session: false,
  });
  assert.deepEqual(asked, []);

  const fromElsewhere = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' };
  const post = (path: string, headers: Record<string, string>) =>
    world.request({ path, method: 'POST', headers: { ...fromElsewhere, ...headers } });
  assert.equal((await post('/api/items', bearer(writeToken))).status, 200);
  assert.equal((await post('/api/items', {})).json().code, 'FH_CROSS_SITE');
  assert.equal((await post('/-/api/session', bearer(writeToken))).json().code, 'FH_CROSS_SITE');
  // A page of another site could not have sent the token without this question, to which there is no yes.
  const preflight = await world.request({ path: '/api/items', method: 'OPTIONS', headers: fromElsewhere });
  assert.ok(preflight.status >= 400 && preflight.headers['access-control-allow-origin'] === undefined);
});

/** The guard by itself, with a clock of its own and questions that are counted. */
function startGuard(good: ReadonlySet<string> = new Set(), failuresPerMinute = 3) {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const guard = createTokenGuard({ failuresPerMinute, unlimitedAddresses: ['127.0.0.1'] }, clock);
  const asked: string[] = [];
  const tenantId = newId('ten');
  return {
    asked,
    good: good as Set<string>,
    pass: (ms: number) => {
      nowMs += ms;
    },
    check: (name: string, address = '192.0.2.1') =>
      guard
        .check({ tenantId, tokenHash: Buffer.from(name.padEnd(32)), address }, async () => {
          asked.push(name);
          await new Promise(setImmediate);
          return good.has(name) ? name : undefined;
        })
        .catch(({ code }) => code as string),
  };
}

test('an address has a few tries a minute, also all at once; others, and tokens that were good, are not slowed down', async () => {
  const { check, asked, pass } = startGuard(new Set(['good', 'new']));
  assert.equal(await check('good'), 'good');
  const many = await Promise.all(Array.from({ length: 50 }, (_, at) => check(`bad ${at}`)));
  assert.equal(many.filter((each) => each === undefined).length, 3);
  assert.equal(many.filter((each) => each === 'FH_TOKENS_LIMITED').length, 47);
  assert.equal(asked.length, 4);
  assert.equal(await check('good'), 'good');
  assert.equal(await check('new'), 'FH_TOKENS_LIMITED');
  assert.equal(await check('new', '198.51.100.1'), 'new');
  assert.equal(await check('bad 99', '127.0.0.1'), undefined);
  pass(60_000);
  assert.equal(await check('bad 98'), undefined);
});

test('one unknown token is one question, however often it comes; one good token is a question each time', async () => {
  const { check, asked, good, pass } = startGuard(new Set(['good']));
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 50 }, () => check('bad')))), new Set([undefined]));
  assert.equal(await check('bad'), undefined);
  assert.deepEqual(asked, ['bad']);
  asked.length = 0;
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 50 }, () => check('good')))), new Set(['good']));
  assert.equal(asked.length, 50);
  good.delete('good');
  assert.equal(await check('good'), undefined, 'what was good is asked about all the same');
  good.add('good');
  assert.equal(await check('good'), undefined);
  pass(10_000);
  assert.equal(await check('good'), 'good', 'what was not good may have become so');
  assert.equal(await check('bad'), undefined);
  assert.equal(asked.at(-1), 'bad');
});

test('a question that could not be asked is no refusal', async () => {
  const clock: Clock = { ...systemClock, monotonicMs: () => 0 };
  const guard = createTokenGuard({ failuresPerMinute: 1, unlimitedAddresses: [] }, clock);
  const presented = { tenantId: newId('ten'), tokenHash: Buffer.alloc(32), address: '192.0.2.1' };
  const broken = () =>
    guard.check(presented, async () => {
      throw new Error('no connection');
    });
  for (let at = 0; at < 3; at++) await assert.rejects(broken(), /no connection/);
  assert.equal(await guard.check(presented, async () => 'good'), 'good');
});
