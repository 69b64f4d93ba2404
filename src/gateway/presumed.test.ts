import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyPluginAsync } from 'fastify';
import type { PresumedSession, Session } from '#src/identity/types.ts';
import { newId, type UserId } from '#src/kernel/index.ts';
import { startWorld } from './test-world.ts';

const session = (name: string, role: Session['user']['role'] = 'member'): Session => ({
  sessionId: newId('ses'),
  user: { userId: newId('usr') as UserId, email: 'ann@example.com', name, role },
  createdAt: new Date(0),
  expiresAt: new Date(0),
});

/** A gateway where everybody is presumed; the check says what `found` is. */
async function startPresuming(t: Parameters<typeof startWorld>[0], found: () => Session | undefined) {
  const asked = { authenticate: 0, presume: 0 };
  const ann = session('Ann');
  const presumed: PresumedSession = { session: ann, check: { text: 'SELECT 1', values: [] }, read: () => found() };
  const desk: FastifyPluginAsync = async (app) => {
    const config = { mayPresume: true };
    app.get('/api/careful', { config }, async (request) => {
      const one = request.unconfirmed?.accept([]) ?? request.session;
      return { name: one?.user.name, seen: request.session?.user.name };
    });
    app.get('/api/careless', { config }, async () => 'secret');
    app.get('/api/careless-error', { config }, async () => {
      throw Object.assign(new Error('secret'), { statusCode: 404 });
    });
    app.get('/api/admins', { config: { ...config, roles: ['admin'] } }, async (request) => {
      request.unconfirmed?.accept([]);
      return request.session?.user.role;
    });
    app.get('/api/enrol', { config: { whileEnrolling: true } }, async (request) => request.session?.user.name);
    app.get('/page', { config: { withoutSession: 'sign-in' } }, async () => 'page');
    app.post('/api/write', async (request) => ({ isPresumed: request.unconfirmed !== undefined }));
    app.get('/api/plain', async (request) => ({ isPresumed: request.unconfirmed !== undefined }));
  };
  const world = await startWorld(t, {
    identity: {
      authenticate: async () => {
        asked.authenticate++;
        return found();
      },
      presume: async () => {
        asked.presume++;
        return presumed;
      },
      routes: async () => {},
    },
    hosting: { plugin: () => desk },
    limits: { concurrentPerTenant: 1 },
  });
  return { world, asked, ann };
}

test('a presumed session is what the check confirms, or refused as if it had been checked first', async (t) => {
  let found: Session | undefined;
  const { world, asked, ann } = await startPresuming(t, () => found);
  const get = async () => {
    const answer = await world.request({ path: '/api/careful', cookie: 'x' });
    return [answer.status, answer.json().code ?? answer.json()];
  };
  assert.deepEqual(await get(), [401, 'FH_SESSION_REQUIRED']);
  found = ann;
  assert.deepEqual(await get(), [200, { name: 'Ann', seen: 'Ann' }]);
  found = session('Ann Lee');
  assert.deepEqual(await get(), [200, { name: 'Ann Lee', seen: 'Ann Lee' }]);
  assert.equal(asked.authenticate, 0);
});

test('an answer before the check is destroyed, a refusal of the platform is not', async (t) => {
  const { world } = await startPresuming(t, () => undefined);
  for (const path of ['/api/careless', '/api/careless-error']) {
    const answer = await world
      .request({ path, cookie: 'x' })
      .catch((error: Error) => ({ status: 0, body: String(error) }));
    assert.ok(!answer.body.includes('secret'), answer.body);
    assert.notEqual(answer.status, 200);
  }
});

test('a role that would not do is not presumed', async (t) => {
  let found: Session | undefined = session('Ann', 'admin');
  const { world, asked } = await startPresuming(t, () => found);
  const status = async () => (await world.request({ path: '/api/admins', cookie: 'x' })).status;
  assert.deepEqual([await status(), asked.authenticate], [200, 1]);
  found = session('Ann', 'member');
  assert.deepEqual([await status(), asked.authenticate], [403, 2]);
});

test('only what says so and has no body is presumed', async (t) => {
  const { world, asked } = await startPresuming(t, () => session('Ann'));
  const isPresumed = async (options: Parameters<typeof world.request>[0]) =>
    (await world.request({ cookie: 'x', ...options })).json().isPresumed;
  assert.equal(await isPresumed({ path: '/api/plain' }), false);
  assert.equal(await isPresumed({ path: '/api/write', method: 'POST', body: '{}' }), false);
  const bodies: Record<string, string>[] = [{ 'content-type': 'text/csv' }, { 'content-length': '0' }];
  for (const headers of bodies)
    assert.equal((await world.request({ path: '/api/careful', cookie: 'x', headers })).status, 200);
  assert.equal(asked.presume, 0);
});

test('that the tenant is busy is told to users only', async (t) => {
  let found: Session | undefined;
  const { world, ann } = await startPresuming(t, () => found);
  const get = async () => (await world.request({ path: '/api/careful', cookie: 'x' })).json().code;
  found = ann;
  const both = await Promise.all(Array.from({ length: 8 }, get));
  assert.ok(both.includes(undefined));
  found = undefined;
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 8 }, get))), new Set(['FH_SESSION_REQUIRED']));
});

test('who must set up a second factor first comes to that and nowhere else, presumed or not', async (t) => {
  let found: Session | undefined;
  const { world, ann } = await startPresuming(t, () => found);
  found = { ...ann, mustEnrol: true };
  const codeOf = async (path: string, method = 'GET') => {
    const answer = await world.request({ path, method, cookie: 'x' });
    return answer.status === 200 ? 200 : `${answer.status} ${answer.json().code}`;
  };
  for (const path of ['/api/careful', '/api/admins', '/api/plain', '/page'])
    assert.equal(await codeOf(path), '403 FH_SECOND_FACTOR_REQUIRED', path);
  assert.equal(await codeOf('/api/write', 'POST'), '403 FH_SECOND_FACTOR_REQUIRED');
  assert.equal(await codeOf('/api/enrol'), 200);
  const headers = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', accept: 'text/html' };
  const page = await world.request({ path: '/page?x=1', cookie: 'x', headers });
  assert.deepEqual([page.status, page.headers.location], [303, '/-/second-factor?next=%2Fpage%3Fx%3D1']);
  found = ann;
  assert.equal(await codeOf('/api/careful'), 200);
});
