import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyPluginAsync } from 'fastify';
import { openEventStream } from '#src/http/index.ts';
import type { PresumedSession, Session } from '#src/identity/types.ts';
import { newId, type UserId } from '#src/kernel/index.ts';
import { startWorld } from './test-world.ts';

const ann: Session = {
  sessionId: newId('ses'),
  user: { userId: newId('usr') as UserId, email: 'ann@example.com', name: 'Ann', role: 'member' },
  createdAt: new Date(0),
  expiresAt: new Date(0),
};
const nextKey = '__Host-freehold=next; Path=/; Secure; HttpOnly; SameSite=Lax';

/** A gateway whose sessions are always due, and an app that answers in every way. */
async function startRenewing(t: Parameters<typeof startWorld>[0]) {
  const of = {
    session: ann as Session | undefined,
    renewed: 0,
    renew: async (): Promise<string | undefined> => nextKey,
  };
  const presumed: PresumedSession = {
    session: ann,
    check: { text: 'SELECT 1', values: [] },
    read: () => of.session,
  };
  const desk: FastifyPluginAsync = async (app) => {
    app.get('/api/data', async () => ({ fine: true }));
    app.get('/api/broken', async () => {
      throw new Error('broken');
    });
    app.get('/api/theme', (_request, reply) => reply.header('set-cookie', 'theme=dark').send({}));
    app.get('/api/out', (_request, reply) =>
      reply.header('set-cookie', ['a=b', '__Host-freehold=; Max-Age=0']).send({}),
    );
    app.get('/api/public', (_request, reply) => reply.header('cache-control', 'public, max-age=60').send({}));
    app.get('/api/same', (_request, reply) => reply.code(304).send());
    app.get('/api/open', { config: { withoutSession: 'allow' } }, async () => ({}));
    app.get('/api/events', (request, reply) => {
      const stream = openEventStream(request, reply);
      stream.close();
      return reply;
    });
    app.get('/api/presumed', { config: { mayPresume: true } }, async (request) => {
      request.unconfirmed?.accept([]);
      return { fine: true };
    });
    app.get('/page', { config: { withoutSession: 'sign-in' } }, (_request, reply) =>
      reply.type('text/html').send('<p>'),
    );
  };
  const world = await startWorld(t, {
    identity: {
      authenticate: async () => of.session,
      presume: () => presumed,
      renew: () => {
        of.renewed++;
        return of.renew();
      },
      routes: async () => {},
    },
    hosting: { plugin: () => desk },
  });
  const cookiesOf = async (path: string) => {
    const text = await world.raw(
      `GET ${path} HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\nconnection: close\r\n` +
        `cookie: __Host-freehold=x\r\naccept: text/html\r\n\r\n`,
    );
    const head = text.split('\r\n\r\n')[0]!.split('\r\n');
    return {
      status: Number(head[0]!.split(' ')[1]),
      cookies: head.flatMap((line) => (/^set-cookie: /i.test(line) ? [line.slice('set-cookie: '.length)] : [])),
    };
  };
  return { of, cookiesOf };
}

test('the next key goes out with every answer that can carry it: pages, data, errors, beside cookies of the app', async (t) => {
  const { cookiesOf } = await startRenewing(t);
  for (const path of ['/page', '/api/data', '/api/presumed'])
    assert.deepEqual(await cookiesOf(path), { status: 200, cookies: [nextKey] }, path);
  assert.deepEqual(await cookiesOf('/api/broken'), { status: 500, cookies: [nextKey] });
  assert.deepEqual((await cookiesOf('/api/theme')).cookies.sort(), [nextKey, 'theme=dark']);
});

test('no key is made for answers that could not carry it, or that say something else about the session', async (t) => {
  const { of, cookiesOf } = await startRenewing(t);
  assert.deepEqual(await cookiesOf('/api/events'), { status: 200, cookies: [] });
  assert.deepEqual(await cookiesOf('/api/same'), { status: 304, cookies: [] });
  assert.deepEqual(await cookiesOf('/api/public'), { status: 200, cookies: [] });
  assert.deepEqual(await cookiesOf('/api/open'), { status: 200, cookies: [] });
  assert.deepEqual((await cookiesOf('/api/out')).cookies, ['a=b', '__Host-freehold=; Max-Age=0']);
  assert.equal(of.renewed, 0);
});

test('a refusal takes no cookie away: another tab may have signed in meanwhile', async (t) => {
  const { of, cookiesOf } = await startRenewing(t);
  of.session = undefined;
  assert.deepEqual(await cookiesOf('/api/data'), { status: 401, cookies: [] });
  assert.deepEqual(await cookiesOf('/api/presumed'), { status: 401, cookies: [] });
  assert.deepEqual(await cookiesOf('/page'), { status: 303, cookies: [] });
});

test('without a next key the answer is what it was', async (t) => {
  const { of, cookiesOf } = await startRenewing(t);
  of.renew = async () => undefined;
  assert.deepEqual(await cookiesOf('/api/data'), { status: 200, cookies: [] });
});
