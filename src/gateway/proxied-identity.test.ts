import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { jwtVerify } from 'jose';
import type { ApiTokenUse } from '#src/identity/types.ts';
import { newId } from '#src/kernel/index.ts';
import { echo, echoedOf, valuesOf } from './proxied-echo.fixture.ts';
import { type ProxiedWorld, startProxiedWorld } from './proxied-world.fixture.ts';
import type { Answer } from './test-world.ts';

const process = { identity: { kind: 'headers', publicPaths: ['/hooks/', '/about'] } } as const;
/** Well formed (src/identity/tokens/api-token.test.ts); whose it is says the test. */
const apiToken = 'fhp_AbCdEfGhIj0123456789KlMnOpQrSt29O2RC';

async function startWithUsers(t: TestContext): Promise<ProxiedWorld> {
  const world = await startProxiedWorld(t, { process });
  for (const name of ['acme', 'globex']) await world.serve(name, echo);
  world.addSession('acme', 'token', 'admin');
  world.addSession('globex', 'other');
  return world;
}

function claimsOf(world: ProxiedWorld, answer: Answer, key = world.identityKey) {
  const [token, ...more] = valuesOf(echoedOf(answer), 'freehold-identity');
  assert.equal(more.length, 0);
  return jwtVerify(token!, key, {
    algorithms: ['HS256'],
    issuer: `https://acme.localhost:${world.port}`,
    audience: 'desk',
  });
}

test('who is signed in comes with each request, signed for this tenant and a minute', async (t) => {
  const world = await startWithUsers(t);
  const answer = await world.request({ path: '/', cookie: 'token', headers: { 'freehold-identity': 'forged' } });
  const { payload } = await claimsOf(world, answer);
  assert.deepEqual([payload.email, payload.role, payload.name], ['ann@example.com', 'admin', 'Ann of acme']);
  assert.equal(payload.exp! - payload.iat!, 60);
  assert.match(payload.sub!, /^usr_/);
  const again = await claimsOf(world, await world.request({ path: '/', cookie: 'token' }));
  assert.notEqual(again.payload.jti, payload.jti);
  assert.doesNotMatch(answer.body, /__Host-freehold/);
  await assert.rejects(claimsOf(world, answer, Buffer.alloc(32, 8)));
});

test('without a session nobody gets in: people are led to sign in, programs are refused, and nothing wakes', async (t) => {
  const world = await startWithUsers(t);
  const page = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  const led = await world.request({ path: '/a?b=c', headers: page });
  assert.deepEqual([led.status, led.headers.location], [303, '/-/sign-in?next=%2Fa%3Fb%3Dc']);
  assert.equal((await world.request({ path: '/a' })).json().code, 'FH_SESSION_REQUIRED');
  assert.equal((await world.request({ path: '/a', cookie: 'other' })).status, 401, "another tenant's session");
  for (const path of [
    '/hooks',
    '/hooks/../a',
    '/hooks/%2e%2e/a',
    '/hooks//a',
    '/about/',
    '/About',
    '/hooks/..%2fa',
    '/hooks/;/a',
  ])
    assert.equal((await world.request({ path })).status, 401, path);
  assert.deepEqual([...world.wakes], []);
});

test('public paths are open; who is signed in is named there as well, unless another site sent the request', async (t) => {
  const world = await startWithUsers(t);
  for (const path of ['/hooks/x', '/about', '/about?a=b'])
    assert.deepEqual(valuesOf(echoedOf(await world.request({ path })), 'freehold-identity'), [], path);
  await claimsOf(world, await world.request({ path: '/about', cookie: 'token' }));
  const foreign = { origin: 'https://globex.localhost', 'sec-fetch-site': 'same-site' };
  const posted = await world.request({ path: '/hooks/x', method: 'POST', cookie: 'token', headers: foreign });
  assert.deepEqual([posted.status, valuesOf(echoedOf(posted), 'freehold-identity')], [200, []]);
  assert.equal(
    (await world.request({ path: '/x', method: 'POST', cookie: 'token', headers: foreign })).json().code,
    'FH_CROSS_SITE',
  );
  assert.equal(
    (
      await world.request({
        path: '/x',
        method: 'POST',
        cookie: 'token',
        headers: { origin: `https://acme.localhost:${world.port}` },
      })
    ).status,
    200,
  );
});

test("an API token of the platform's stands for its user, reads only where it says so, and does not reach the app", async (t) => {
  const use: ApiTokenUse = {
    tokenId: newId('tok'),
    user: { userId: newId('usr'), email: 'bob@example.com', name: 'Bob', role: 'member' },
    scope: 'read',
  } as ApiTokenUse;
  const world = await startProxiedWorld(t, {
    process,
    identity: {
      authenticate: async () => undefined,
      checkToken: async () => use,
      routes: async () => {},
    },
  });
  await world.serve('acme', echo);
  const headers = { authorization: `Bearer ${apiToken}` };
  const answer = await world.request({ path: '/', headers });
  assert.equal((await claimsOf(world, answer)).payload.email, 'bob@example.com');
  assert.deepEqual(valuesOf(echoedOf(answer), 'authorization'), []);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND'])
    assert.equal((await world.request({ path: '/', method, headers })).json().code, 'FH_TOKEN_SCOPE', method);
  const own = { authorization: 'Bearer of-the-app' };
  assert.equal((await world.request({ path: '/', headers: own })).status, 401);
  assert.deepEqual(valuesOf(echoedOf(await world.request({ path: '/about', headers: own })), 'authorization'), [
    'Bearer of-the-app',
  ]);
});

test('an app that knows its own users protects itself: preflights, forms of other sites and its own tokens pass', async (t) => {
  const world = await startProxiedWorld(t);
  await world.serve('acme', echo);
  const foreign = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' };
  const preflight = { ...foreign, 'access-control-request-method': 'PUT' };
  assert.equal((await world.request({ path: '/', method: 'OPTIONS', headers: preflight })).status, 200);
  assert.equal((await world.request({ path: '/', method: 'POST', headers: foreign })).status, 200);
  const answer = await world.request({ path: '/', headers: { authorization: `Bearer ${apiToken}` }, cookie: 'token' });
  assert.deepEqual(valuesOf(echoedOf(answer), 'authorization'), [`Bearer ${apiToken}`]);
  assert.equal(world.asked.authenticate, 0);
});

test("the session's next key goes out with an app's answer that can carry it, and with no other", async (t) => {
  const renewed = '__Host-freehold=next; Path=/; Secure; HttpOnly; SameSite=Lax';
  const user = { userId: newId('usr'), email: 'ann@example.com', name: 'Ann', role: 'member' } as const;
  const session = { sessionId: newId('ses'), user, createdAt: new Date(0), expiresAt: new Date(0) };
  const cookies: (string | undefined)[] = [];
  const world = await startProxiedWorld(t, {
    process,
    identity: {
      authenticate: async ({ headers }) => {
        cookies.push(headers.cookie);
        return session;
      },
      renew: async () => renewed,
      routes: async () => {},
    },
  });
  await world.serve('acme', (request, response) => {
    const status = request.url === '/304' ? 304 : 200;
    response.writeHead(status, {
      'set-cookie': 'a=1',
      ...(request.url === '/public' && { 'cache-control': 'public' }),
    });
    response.end();
  });
  const setCookies = async (path: string) =>
    [
      ...(
        await world.raw(
          `GET ${path} HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\ncookie: app="quoted; value"; __Host-freehold=token\r\nconnection: close\r\n\r\n`,
        )
      ).matchAll(/^set-cookie: (.*)\r$/gim),
    ].map((match) => match[1]);
  assert.deepEqual(await setCookies('/'), ['a=1', renewed]);
  assert.deepEqual(await setCookies('/public'), ['a=1']);
  assert.deepEqual(await setCookies('/304'), ['a=1']);
  // Identity is strict about cookies, and an app's own are none of its business.
  assert.deepEqual(
    cookies,
    Array.from({ length: 3 }, () => '__Host-freehold=token'),
  );
});
