import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Authenticator } from '../../../test/acceptance/authenticator.ts';
import { password, type Routes, startRoutes } from '../routes.fixture.ts';
import { cookieHeaderOf } from '../two-tenants.fixture.ts';

let routes: Routes;
before(async () => {
  routes = await startRoutes();
});
after(() => routes?.stop());
const send: Routes['send'] = (...call) => routes.send(...call);

test('a second factor over HTTP: asked for by policy, set up, shown at the sign-in, and no secret where none belongs', async () => {
  const cookie = await routes.join('factor@example.com');
  const owner = await routes.join('chooser@example.com');
  const choose = (requiredOf: string) =>
    send('PUT', '/second-factor-policy', { cookie: owner, body: { requiredOf, password } });
  assert.equal((await choose('everyone')).status, 204);
  for (const [method, path] of [
    ['GET', '/users'],
    ['GET', '/sessions'],
    ['PATCH', '/profile'],
    ['GET', '/second-factor-policy'],
  ] as const)
    assert.equal(
      (await send(method, path, { cookie, ...(method === 'PATCH' && { body: { name: 'x' } }) })).body.code,
      'FH_SECOND_FACTOR_REQUIRED',
    );
  assert.equal((await send('GET', '/session', { cookie })).body.session.mustEnrol, true);
  assert.deepEqual((await send('GET', '/second-factor', { cookie })).body, {
    enrolledAt: null,
    recoveryCodesLeft: 0,
    passkeys: [],
  });
  const begun = await send('POST', '/second-factor/totp', { cookie, body: { password } });
  assert.deepEqual([begun.status, Object.keys(begun.body)], [201, ['secret', 'uri']]);
  assert.equal((await send('POST', '/second-factor/totp/confirm', { cookie, body: { code: 'x' } })).status, 403);
  const app = new Authenticator(begun.body.secret);
  const confirmed = await send('POST', '/second-factor/totp/confirm', { cookie, body: { code: app.code() } });
  assert.equal(confirmed.status, 201);
  const inside = cookieHeaderOf(confirmed.cookies);
  assert.equal((await send('GET', '/users', { cookie: inside })).status, 200);
  assert.equal((await send('GET', '/session', { cookie: inside })).body.session.mustEnrol, undefined);

  const entered = await send('POST', '/session', { body: { email: 'factor@example.com', password } });
  assert.equal(entered.status, 202);
  assert.deepEqual(Object.keys(entered.body), ['secondFactor']);
  const waiting = cookieHeaderOf(entered.cookies);
  assert.match(waiting, /^__Host-freehold-challenge=[\w-]+$/);
  assert.ok((await send('GET', '/session/second-factor', { cookie: waiting })).body.expiresAt);
  assert.equal((await send('GET', '/session/second-factor')).body.expiresAt, null);
  const code = app.code();
  const elsewhere = await send('POST', '/session/second-factor', {
    cookie: waiting,
    host: 'brick.localhost',
    body: { code },
  });
  assert.deepEqual([elsewhere.status, elsewhere.body.code], [401, 'FH_CHALLENGE_NOT_FOUND']);
  const done = await send('POST', '/session/second-factor', { cookie: waiting, body: { code } });
  assert.equal(done.status, 201);
  assert.equal(done.body.user.email, 'factor@example.com');
  const again = await send('POST', '/session/second-factor', { cookie: waiting, body: { code } });
  assert.equal(again.body.code, 'FH_CHALLENGE_NOT_FOUND');
  for (const answer of [confirmed, entered, done]) assert.ok(!JSON.stringify(answer).includes(begun.body.secret));
  // The one who chose must as well, so the way back leads through it.
  assert.equal((await choose('off')).body.code, 'FH_SECOND_FACTOR_REQUIRED');
  const off = { requiredOf: 'off', password };
  const unshown = await send('PUT', '/second-factor-policy', { cookie: inside, body: off });
  assert.equal(unshown.body.code, 'FH_CODE_REQUIRED');
  const shown = { ...off, code: confirmed.body.recoveryCodes[0] };
  assert.equal((await send('PUT', '/second-factor-policy', { cookie: inside, body: shown })).status, 204);
  assert.equal((await send('GET', '/users', { cookie: owner })).status, 200);
});
