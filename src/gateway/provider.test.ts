/** The gateway's doors before a tenant as the OpenID provider of its app: who gets in, where browsers are led, and in what form it refuses. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Provider, ProviderRefusal, providerRoutes } from '#src/identity/provider/index.ts';
import { type Process, startProxiedWorld } from './proxied-world.fixture.ts';

const oidc: Process['identity'] = {
  kind: 'oidc',
  publicPaths: [],
  redirectPaths: ['/auth/callback'],
  signedOutPaths: ['/goodbye'],
};

/** What the routes have asked it, and what it answers. */
async function start(t: TestContext, identity: Process['identity'] = oidc) {
  const asked: unknown[][] = [];
  const answers: Partial<{ [Name in keyof Provider]: Awaited<ReturnType<Provider[Name]>> | Error }> = {};
  const answer = async (name: keyof Provider, ...about: unknown[]): Promise<never> => {
    asked.push([name, ...about]);
    if (answers[name] instanceof Error) throw answers[name];
    return answers[name] as never;
  };
  const provider: Provider = {
    authorize: (...about) => answer('authorize', ...about),
    exchange: (...about) => answer('exchange', ...about),
    describeUser: (...about) => answer('describeUser', ...about),
    endSession: (...about) => answer('endSession', ...about),
    listKeys: (...about) => answer('listKeys', ...about),
  };
  let origin = '';
  const world = await startProxiedWorld(t, {
    process: { identity },
    identity: { provider: providerRoutes(provider, { originOf: ({ host }) => origin.replace('HOST', host) }) } as never,
  });
  origin = `https://HOST:${world.port}`;
  return { world, asked, answers, issuer: `https://acme.localhost:${world.port}/-/oidc` };
}

test('only the apps that say so have a provider, and nothing else is below its address', async (t) => {
  for (const kind of ['none', 'headers'] as const) {
    const { world, asked } = await start(t, { kind, publicPaths: [] });
    for (const path of ['/.well-known/openid-configuration', '/jwks', '/authorize?client_id=desk', '/userinfo']) {
      const { status, body } = await world.request({ path: `/-/oidc${path}` });
      assert.deepEqual([status, JSON.parse(body).code], [404, 'FH_OIDC_NOT_OFFERED'], path);
    }
    assert.deepEqual(asked, []);
  }
  const { world } = await start(t);
  for (const path of ['/-/oidc', '/-/oidc/', '/-/oidc/x', '/-/oidc/.well-known/', '/-/oidc//jwks'])
    assert.equal((await world.request({ path })).status, 404, path);
});

test('addresses are those of the tenant and its manifest, whatever the request says', async (t) => {
  const { world, asked, answers, issuer } = await start(t);
  answers.authorize = { kind: 'redirect', location: 'https://app.example/' };
  const { origin } = new URL(issuer);
  await world.request({
    path: '/-/oidc/authorize?a=%41&b',
    headers: { 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' },
  });
  const [name, tenant, query, sessionId] = asked.at(-1)!;
  assert.deepEqual([name, query, sessionId], ['authorize', 'a=%41&b', undefined]);
  assert.deepEqual(tenant, {
    tenantId: world.tenants.get('acme.localhost')!.tenantId,
    issuer,
    client: { clientId: 'desk', redirectUris: [`${origin}/auth/callback`], signedOutUris: [`${origin}/goodbye`] },
  });
});

test('a stranger goes to the sign-in page and comes back to the same request', async (t) => {
  const { world, answers } = await start(t);
  const query = 'client_id=desk&state=a%26b';
  answers.authorize = { kind: 'sign-in', again: false, query };
  const { status, headers } = await world.request({ path: `/-/oidc/authorize?${query}` });
  assert.deepEqual([status, headers['cache-control']], [303, 'no-store']);
  const location = new URL(headers.location!, 'https://x');
  assert.equal(location.pathname, '/-/sign-in');
  assert.equal(location.searchParams.get('next'), `/-/oidc/authorize?${query}`);
  answers.authorize = { kind: 'sign-in', again: true, query };
  const again = await world.request({ path: `/-/oidc/authorize?${query}` });
  assert.equal(again.headers.location, headers.location!.replace('?next=', '?again=1&next='));
  answers.authorize = { kind: 'sign-in', again: false, query: `state=${'x'.repeat(7_000)}` };
  const long = await world.request({ path: `/-/oidc/authorize?state=${'x'.repeat(7_000)}` });
  assert.equal(long.headers.location, '/-/sign-in');
});

test('a form may be used in place of a query, by pages of the tenant alone', async (t) => {
  const { world, asked, answers, issuer } = await start(t);
  answers.authorize = { kind: 'redirect', location: '/auth/callback?code=c' };
  const post = (headers: Record<string, string>) =>
    world.request({
      path: '/-/oidc/authorize?from=address',
      method: 'POST',
      body: 'from=form',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });
  assert.equal((await post({ origin: 'https://evil.example' })).status, 403);
  assert.equal((await post({ 'sec-fetch-site': 'cross-site' })).status, 403);
  assert.deepEqual(asked, []);
  assert.equal((await post({ origin: new URL(issuer).origin })).status, 303);
  assert.equal(asked.at(-1)![2], 'from=form');
});

test('what may not be answered to an address is shown, and nobody is sent anywhere', async (t) => {
  const { world, answers } = await start(t);
  answers.authorize = { kind: 'shown', refusal: new ProviderRefusal('invalid_request', 'redirect_uri is <b>none</b>') };
  answers.endSession = new ProviderRefusal('invalid_request', 'post_logout_redirect_uri is none of the app');
  for (const path of ['/-/oidc/authorize', '/-/oidc/end-session']) {
    const { status, headers, body } = await world.request({ path, headers: { accept: 'text/html' } });
    assert.deepEqual([status, headers.location], [400, undefined]);
    assert.ok(!body.includes('<b>'), body);
  }
});

test('errors of the protocol have its own form, and name no session', async (t) => {
  const { world, answers } = await start(t);
  answers.exchange = new ProviderRefusal('invalid_client', 'no');
  answers.describeUser = new ProviderRefusal('invalid_token', 'no');
  for (const [path, method, challenge, error] of [
    ['/-/oidc/token', 'POST', 'Basic realm="token"', 'invalid_client'],
    ['/-/oidc/userinfo', 'GET', 'Bearer error="invalid_token"', 'invalid_token'],
  ] as const) {
    const answer = await world.request({ path, method, headers: { authorization: 'Bearer x' } });
    assert.deepEqual(
      [answer.status, answer.headers['www-authenticate'], answer.json().error, answer.headers['cache-control']],
      [401, challenge, error, 'no-store'],
    );
  }
  answers.exchange = new ProviderRefusal('invalid_grant', 'no');
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const token = (headers: Record<string, string>, body = 'code=x') =>
    world.request({ path: '/-/oidc/token', method: 'POST', headers, body });
  assert.equal((await token(form)).status, 400);
  assert.equal((await token({ 'content-type': 'application/json' }, '{}')).status, 415);
  assert.equal((await token(form, `code=${'x'.repeat(20_000)}`)).status, 413);
});

test('the session of the browser counts at its own tenant, and only the named one is signed out', async (t) => {
  const { world, asked, answers } = await start(t);
  world.addSession('acme', 'good');
  answers.authorize = { kind: 'sign-in', again: false, query: '' };
  await world.request({ path: '/-/oidc/authorize', cookie: 'good' });
  const sessionId = asked.at(-1)![3] as string;
  assert.match(sessionId, /^ses_/);
  await world.request({ path: '/-/oidc/authorize', cookie: 'good', tenant: 'globex' });
  assert.equal(asked.at(-1)![3], undefined);

  const leave = () => world.request({ path: '/-/oidc/end-session?state=x', cookie: 'good' });
  answers.endSession = { sessionId: undefined, location: '/goodbye' };
  assert.equal((await leave()).headers.location, '/-/account');
  answers.endSession = { sessionId: 'ses_of_somebody_else', location: '/goodbye' };
  const other = await leave();
  assert.deepEqual([other.headers.location, other.headers['set-cookie']], ['/-/account', undefined]);
  answers.endSession = { sessionId, location: '/goodbye' };
  const own = await leave();
  assert.equal(own.headers.location, '/goodbye');
  assert.match(own.headers['set-cookie']!, /^__Host-freehold=;.*Max-Age=0/i);
  answers.endSession = { sessionId, location: undefined };
  assert.equal((await leave()).headers.location, '/-/signed-out');
});

test('who has to set up a second factor first is led there, and has no session for the app until then', async (t) => {
  const { world, answers } = await start(t);
  world.addSession('acme', 'new', 'member', { mustEnrol: true });
  answers.authorize = { kind: 'sign-in', again: false, query: 'state=x' };
  const { headers } = await world.request({ path: '/-/oidc/authorize?state=x', cookie: 'new' });
  assert.equal(headers.location, `/-/second-factor?next=${encodeURIComponent('/-/oidc/authorize?state=x')}`);
});
