import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import { parseAnswer, startWorld } from './test-world.ts';

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
