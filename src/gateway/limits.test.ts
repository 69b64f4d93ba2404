import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { newId, waitFor } from '#src/kernel/index.ts';
import { createLimitGuard } from './limits.ts';
import { parseAnswer, startWorld } from './test-world.ts';
import { defaultLimits } from './types.ts';

test('limits: 404, 405, 413, 415, forbidden keys, long addresses, many headers', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const post = (body: string, headers: Record<string, string> = {}) =>
    world.request({ path: '/api/items', method: 'POST', cookie: 'token', body, headers });
  const status = async (answer: Promise<{ status: number; json(): Record<string, unknown> }>) => {
    const got = await answer;
    return [got.status, got.json().code];
  };
  assert.deepEqual(await status(post(`"${'x'.repeat(300_000)}"`)), [413, 'FH_BODY_TOO_LARGE']);
  assert.deepEqual(await status(post('a=b', { 'content-type': 'application/x-www-form-urlencoded' })), [
    415,
    'FH_MEDIA_TYPE',
  ]);
  assert.deepEqual(await status(post('{}', { 'content-type': 'text/plain' })), [415, 'FH_MEDIA_TYPE']);
  assert.deepEqual(await status(post('{"__proto__":{"a":1}}')), [400, 'FH_INVALID_REQUEST']);
  assert.deepEqual(await status(post('{"a":')), [400, 'FH_INVALID_REQUEST']);
  const request = (path: string, more: object = {}) => world.request({ path, cookie: 'token', ...more });
  assert.deepEqual(await status(request('/api/nothing')), [404, 'FH_NOT_FOUND']);
  assert.deepEqual(await status(request('/api/items', { method: 'DELETE' })), [405, 'FH_METHOD_NOT_ALLOWED']);
  for (const method of ['TRACE', 'PROPFIND', 'SEARCH'])
    assert.deepEqual(await status(request('/api/whoami', { method })), [405, 'FH_METHOD_NOT_ALLOWED'], method);
  assert.deepEqual(await status(request(`/${'a'.repeat(9_000)}`)), [414, 'FH_URL_TOO_LONG']);
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`x-${index}`, '1']));
  assert.deepEqual(await status(request('/api/whoami', { headers: many })), [431, 'FH_HEADERS_TOO_LARGE']);
  assert.deepEqual(await status(request('/api/whoami', { headers: { 'x-long': 'a'.repeat(20_000) } })), [
    431,
    'FH_HEADERS_TOO_LARGE',
  ]);
  assert.equal((await request('/api/whoami', { headers: { __proto__x: '1', ['__proto__']: '2' } })).status, 200);
  assert.equal(
    (await world.request({ path: '/api/whoami', headers: { cookie: '__proto__=1; __Host-freehold=token' } })).status,
    200,
  );
  const connect = await world.raw(`CONNECT acme.localhost:443 HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\n\r\n`);
  assert.equal(parseAnswer(connect).status, 405);
});

test('too many requests of one address or one tenant are told when to come back', async (t) => {
  const world = await startWorld(t, {
    limits: { unlimitedAddresses: [], requestsPerAddress: 1, requestsPerTenant: 0, concurrentPerTenant: 1 },
  });
  world.addSession('acme', 'token');
  const slow = world.request({ path: '/api/slow', cookie: 'token' });
  await waitFor('the slow request', () => world.slowSignals.length === 1);
  const second = await world.request({ path: '/api/whoami', cookie: 'token' });
  assert.deepEqual(
    [second.status, second.json().code, second.headers['retry-after']],
    [503, 'FH_TENANT_OVERLOADED', '1'],
  );
  assert.equal(
    (await world.request({ tenant: 'globex', path: '/api/whoami' })).status,
    401,
    'the other tenant is served',
  );
  world.releaseSlow();
  assert.equal((await slow).status, 200);
  const limited = await waitFor('the limit', async () => {
    const answer = await world.request({ path: '/api/whoami', cookie: 'token' });
    return answer.status === 429 ? answer : undefined;
  });
  assert.equal(limited.json().code, 'FH_RATE_LIMITED');
  assert.ok(Number(limited.headers['retry-after']) >= 1);
});

test('a request whose client leaves while its tenant is looked up takes no place for ever', async (t) => {
  const world = await startWorld(t, { limits: { concurrentPerTenant: 2, strangersPerTenant: 2 } });
  world.addSession('acme', 'token');
  assert.equal((await world.request({ path: '/api/whoami', cookie: 'token' })).status, 200);
  const held = Promise.withResolvers<void>();
  world.holdRoutes(held.promise);
  const before = world.asked.findRoute.length;
  for (let index = 0; index < 6; index++) {
    const cookie = index % 2 === 0 ? 'cookie: __Host-freehold=token\r\n' : '';
    const socket = connectTls({ port: world.port, host: '127.0.0.1', servername: 'acme.localhost', ca: world.ca });
    socket.on('error', () => {});
    socket.write(`GET /api/whoami HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\n${cookie}\r\n`);
    await waitFor('the question', () => world.asked.findRoute.length === before + index + 1);
    socket.destroy();
  }
  await waitFor('the clients to be gone', () => world.gateway.stats.requests === 0);
  held.resolve();
  for (let index = 0; index < 4; index++) {
    assert.equal((await world.request({ path: '/api/whoami', cookie: 'token' })).status, 200);
    assert.equal((await world.request({ path: '/api/whoami' })).status, 401);
  }
  const numbers = JSON.stringify(await world.gateway.metrics.json());
  assert.doesNotMatch(numbers, /"value":[2-9],"labels":\{"app":"desk"\}/, 'nothing is counted as still being answered');
});

test('strangers who send their bodies slowly keep out strangers, and no user', async (t) => {
  const world = await startWorld(t, { limits: { strangersPerTenant: 3 } });
  world.addSession('acme', 'token');
  const host = `acme.localhost:${world.port}`;
  const session = connectHttp2(`https://${host}`, {
    ca: world.ca,
    lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  t.after(() => session.destroy());
  const refused: number[] = [];
  for (let index = 0; index < 5; index++) {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/-/api/session',
      'content-type': 'application/json',
      'content-length': '1000',
    });
    stream.on('error', () => {});
    stream.on('response', ({ ':status': status }) => refused.push(status!));
    stream.write('{');
  }
  await waitFor('those that are too many', () => refused.length === 2);
  assert.deepEqual(refused, [503, 503]);
  assert.equal((await world.request({ path: '/api/whoami', cookie: 'token' })).status, 200);
  assert.equal((await world.request({ tenant: 'globex', path: '/-/api/tenant' })).status, 200);
});

test('one address does not take all places of the strangers', async (t) => {
  const guard = createLimitGuard({ ...defaultLimits, strangersPerAddress: 2, strangersPerTenant: 3 });
  const acme = newId('ten');
  const stranger = (address: string) => () => guard.takePlace(acme, { address });
  const first = stranger('192.0.2.1')();
  stranger('192.0.2.1')();
  assert.throws(stranger('192.0.2.1'), { code: 'FH_TENANT_OVERLOADED' });
  stranger('192.0.2.2')();
  assert.throws(stranger('192.0.2.3'), { code: 'FH_TENANT_OVERLOADED' }, 'all of them are full');
  first.leave();
  first.leave();
  stranger('192.0.2.1')();
  assert.throws(stranger('192.0.2.1'), { code: 'FH_TENANT_OVERLOADED' });
  guard.takePlace(acme).leave();
  t.diagnostic('users have places of their own');
});
