import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { createHttpApp } from '#src/http/index.ts';
import { silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { staffErrors } from '#src/staff/index.ts';
import { startTestStaff, type TestStaff } from '../staff/staff.fixture.ts';
import { createSignedIn } from './index.ts';

let world: TestStaff;
let app: ReturnType<typeof createHttpApp>;
/** Requests that were let in at the door. */
let seen = 0;
/** What handlers did. */
let acts: string[] = [];
before(async () => {
  world = await startTestStaff();
  app = createHttpApp({ name: 'console', log: silentLog, clock: systemClock });
  const signedIn = createSignedIn(async ({ headers }) => {
    const session = await world.staff.authenticate(headers.cookie);
    if (!session) throw staffErrors.FH_STAFF_SESSION_REQUIRED();
    return session;
  });
  await app.register(async (scope) => {
    signedIn.guard(scope);
    scope.addHook('onRequest', async () => {
      seen++;
    });
    scope.addContentTypeParser('application/x-tar', (_request, payload, done) => done(null, payload));
    scope.post('/parsed', async () => acts.push('parsed'));
    scope.post<{ Body: AsyncIterable<Uint8Array> }>('/streamed', async (request) => {
      for await (const _ of request.body);
      await signedIn.confirm(request);
      acts.push('streamed');
      return {};
    });
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(async () => {
  await app?.close();
  await world?.stop();
});
beforeEach(async () => {
  await world.clear();
  acts = [];
});

const ends: Readonly<Record<string, (cookie: string) => Promise<unknown>>> = {
  nothing: async () => {},
  'signing out': (cookie) => world.staff.signOut(cookie),
  'disabling the member': () => world.db.query('UPDATE staff SET disabled_at = now()'),
  'the end of the session': () => world.db.query('UPDATE staff_sessions SET expires_at = now()'),
};

/** Sends half of a body, lets something happen once the request is let in, and sends the rest. */
async function slowly(path: string, type: string, cookie: string, meanwhile: (cookie: string) => Promise<unknown>) {
  const before = seen;
  const { port } = app.server.address() as AddressInfo;
  const sending = request({ host: '127.0.0.1', port, path, method: 'POST', headers: { cookie, 'content-type': type } });
  const answered = once(sending, 'response');
  sending.write('{"a":');
  await waitFor('the request to be let in', async () => seen > before);
  await meanwhile(cookie);
  sending.end('1}');
  const [response] = await answered;
  response.resume();
  return response.statusCode;
}

for (const [event, happen] of Object.entries(ends))
  test(`a slow body: ${event} while it comes in counts`, async () => {
    for (const [path, type] of [
      ['/parsed', 'application/json'],
      ['/streamed', 'application/x-tar'],
    ] as const) {
      await world.clear();
      const cookie = await world.setUp();
      assert.equal(await slowly(path, type, cookie, happen), event === 'nothing' ? 200 : 401, path);
    }
    assert.deepEqual(acts, event === 'nothing' ? ['parsed', 'streamed'] : []);
  });
