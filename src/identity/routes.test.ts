import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InjectOptions } from 'fastify';
import { password, type Routes, startRoutes } from './routes.fixture.ts';
import { cookieHeaderOf, type TwoTenants } from './two-tenants.fixture.ts';
import { createFirstInvitation } from './users/lifecycle.ts';

let routes: Routes;
let two: TwoTenants;
let declared: Routes['declared'];
before(async () => {
  routes = await startRoutes();
  ({ two, declared } = routes);
});
after(() => routes?.stop());

const send: Routes['send'] = (...call) => routes.send(...call);
const join: Routes['join'] = (...person) => routes.join(...person);

test('a user’s first hour: invitation, session, profile, another invitation, sign-out', async () => {
  const { token } = await two.databases.platform.transact(two.a.tenantId, (db) =>
    createFirstInvitation(db, { email: 'olga@example.com', role: 'owner' }),
  );
  const shown = await send('GET', `/invitations/${token}`);
  assert.equal(shown.status, 200);
  assert.deepEqual(Object.keys(shown.body).sort(), ['email', 'expiresAt', 'invitedBy', 'name', 'role']);

  const weak = await send('POST', `/invitations/${token}`, { body: { name: 'Olga Ford', password: 'x' } });
  assert.equal(weak.status, 422);
  assert.equal(weak.body.code, 'FH_PASSWORD_REFUSED');
  assert.match(weak.body.fields.password, /1 character; 15 are needed/);

  const accepted = await send('POST', `/invitations/${token}`, { body: { name: 'Olga Ford', password } });
  assert.equal(accepted.status, 201);
  assert.deepEqual(accepted.body.user.role, 'owner');
  for (const line of accepted.cookies)
    assert.match(line, /^__Host-freehold(-device)?=.*; Path=\/; Secure; HttpOnly; SameSite=(Lax|Strict)$/);
  const cookie = cookieHeaderOf(accepted.cookies);

  const session = await send('GET', '/session', { cookie });
  assert.deepEqual(session.body.user, {
    userId: session.body.user.userId,
    email: 'olga@example.com',
    name: 'Olga Ford',
    role: 'owner',
  });
  assert.equal((await send('GET', '/session', { cookie, host: 'brick.localhost' })).status, 401);

  const renamed = await send('PATCH', '/profile', { cookie, body: { name: ' Olga  F. ' } });
  assert.equal(renamed.body.name, 'Olga F.');
  assert.ok(!Number.isNaN(Date.parse(renamed.body.lastSignInAt)), 'accepting an invitation is a sign-in');
  const invited = await send('POST', '/invitations', { cookie, body: { email: 'mia@example.com', role: 'member' } });
  assert.equal(invited.status, 201);
  assert.match(invited.body.url, /^https:\/\/acme\.localhost:8443\/-\/invitations\/[A-Za-z0-9_-]{43}$/);
  assert.equal(invited.body.invitedBy, 'Olga F.');
  const listed = await send('GET', '/invitations', { cookie });
  assert.equal(listed.body.invitations[0].email, 'mia@example.com');
  assert.equal(listed.body.invitations[0].url, undefined);
  assert.equal(
    (await send('DELETE', `/invitations/${listed.body.invitations[0].invitationId}`, { cookie })).status,
    204,
  );

  const log = await send('GET', '/security-log?limit=3', { cookie });
  assert.equal(log.status, 200);
  assert.equal(log.body.events[0].name, 'user.invitation_revoked');
  assert.equal(log.body.events[0].actorName, 'Olga F.');
  assert.ok(log.body.nextBefore);
  assert.equal(
    (await send('GET', `/security-log?before=${log.body.nextBefore}&event=session.created`, { cookie })).status,
    200,
  );

  const signedOut = await send('DELETE', '/session', { cookie });
  assert.equal(signedOut.status, 204);
  assert.match(signedOut.cookies[0]!, /^__Host-freehold=; Max-Age=0;/);
  assert.equal((await send('GET', '/session', { cookie })).status, 401);

  const again = await send('POST', '/session', { body: { email: 'Olga@Example.com', password } });
  assert.equal(again.status, 201);
  assert.equal((await send('DELETE', '/sessions', { cookie: cookieHeaderOf(again.cookies) })).status, 204);
  assert.equal((await send('GET', '/session', { cookie: cookieHeaderOf(again.cookies) })).status, 401);
});

/** As a browser answers, and worth nothing. */
const credential = (response: object) => ({
  id: 'AA',
  rawId: 'AA',
  type: 'public-key',
  response: { clientDataJSON: 'AA', ...response },
});

test('every route says who may call it; signed out, other roles and the other tenant’s people are refused', async () => {
  const owner = await join('owner@example.com');
  const member = await join('member@example.com', 'member');
  const foreign = await join('owner@example.com', 'owner', two.b);
  const guarded: [InjectOptions['method'], string, unknown, boolean][] = [
    ['GET', '/session', undefined, false],
    ['DELETE', '/session', undefined, false],
    ['POST', '/session/sign-out', undefined, false],
    ['GET', '/sessions', undefined, false],
    ['DELETE', '/sessions', undefined, false],
    ['DELETE', '/sessions/ses_x', undefined, false],
    ['DELETE', '/sessions/others', undefined, false],
    ['GET', '/session-notices', undefined, false],
    ['DELETE', '/session-notices', undefined, false],
    ['GET', '/users', undefined, false],
    ['PATCH', '/users/usr_x', { role: 'member' }, true],
    ['PUT', '/password', { currentPassword: 'x', newPassword: password }, false],
    ['GET', '/profile', undefined, false],
    ['PATCH', '/profile', { name: 'x' }, false],
    ['GET', '/invitations', undefined, true],
    ['POST', '/invitations', { email: 'a@b', role: 'member' }, true],
    ['DELETE', '/invitations/inv_x', undefined, true],
    ['GET', '/security-log', undefined, true],
    ['POST', '/passkeys/options', { password: 'x' }, false],
    ['POST', '/passkeys', { name: 'x', passkey: credential({ attestationObject: 'AA' }) }, false],
    ['POST', '/passkeys/confirmation', undefined, false],
    ['POST', '/passkeys/pky_x/remove', { password: 'x' }, false],
    ['GET', '/second-factor', undefined, false],
    ['POST', '/second-factor/totp', { password: 'x' }, false],
    ['POST', '/second-factor/totp/confirm', { code: 'x' }, false],
    ['POST', '/second-factor/remove', { password: 'x', code: 'x' }, false],
    ['POST', '/second-factor/recovery-codes', { password: 'x', code: 'x' }, false],
    ['POST', '/users/usr_x/second-factor/remove', { password: 'x' }, true],
    ['GET', '/second-factor-policy', undefined, true],
    ['GET', '/tokens', undefined, false],
    ['POST', '/tokens', { name: 'x', scope: 'read', password }, false],
    ['DELETE', '/tokens/tok_x', undefined, false],
    ['GET', '/users/tokens', undefined, true],
    ['DELETE', '/users/tokens/tok_x', undefined, true],
    ['GET', '/sign-on/settings', undefined, true],
    ['GET', '/scim', undefined, true],
    ['POST', '/scim/tokens', { name: 'x', days: 30, password }, true],
    ['DELETE', '/scim/tokens/sct_x', undefined, true],
    ['PUT', '/scim/groups/grp_x/role', { role: 'member' }, true],
    ['GET', '/security-log/export?format=csv', undefined, true],
  ];
  for (const [method, path, body, forAdministrators] of guarded) {
    const where = `${method} ${path}`;
    assert.equal((await send(method, path, { body })).body.code, 'FH_SESSION_REQUIRED', where);
    assert.equal((await send(method, path, { body, cookie: foreign })).body.code, 'FH_SESSION_REQUIRED', where);
    if (forAdministrators)
      assert.equal((await send(method, path, { body, cookie: member })).body.code, 'FH_ROLE_REQUIRED', where);
  }
  assert.equal((await send('GET', '/session', { cookie: owner })).status, 200);
  // No route is missing from the list above, and what each declares for the gateway is what was seen.
  const pattern = (path: string) =>
    `/-/api${path.replace(/\?.*/, '').replace(/(ses|usr|inv|tok|pky|sct|grp)_x(?=$|\/)/, ':id')}`;
  const expected = new Map<string, { open: boolean; roles: unknown }>();
  for (const [method, path, , forAdministrators] of guarded)
    expected.set(`${method} ${pattern(path)}`, {
      open: false,
      roles: forAdministrators ? ['owner', 'admin'] : undefined,
    });
  // For owners alone (120: nobody else sets up a provider).
  const oidc = { kind: 'oidc', name: 'x', issuer: 'https://idp.example', clientId: 'x', clientSecret: 'x' };
  const forOwners: [InjectOptions['method'], string, object | undefined][] = [
    ['PUT', '/second-factor-policy', { requiredOf: 'off' }],
    ['POST', '/sign-on/connections', oidc],
    ['PATCH', '/sign-on/connections/:id', { name: 'x' }],
    ['PUT', '/sign-on/connections/:id/state', { state: 'on' }],
    ['POST', '/sign-on/connections/:id/remove', {}],
    ['POST', '/sign-on/connections/:id/test', undefined],
    ['POST', '/sign-on/domains', { domain: 'example.com', connectionId: 'x' }],
    ['POST', '/sign-on/domains/:domain/prove', undefined],
    ['POST', '/sign-on/domains/:domain/remove', {}],
    ['PUT', '/sign-on/policy', { enforced: false, breakGlass: [] }],
    ['POST', '/users/:id/unlink', {}],
  ];
  const admin = await join('admin@example.com', 'member');
  await two.databases.platform.transact(two.a.tenantId, (db) =>
    db.query(`UPDATE freehold.users SET role = 'admin' WHERE email = 'admin@example.com'`),
  );
  for (const [method, path, more] of forOwners) {
    const where = `${method} ${path}`;
    const asked = { body: more && { ...more, password } };
    const at = path.replace(/:(id|domain)/, 'x');
    assert.equal((await send(method, at, asked)).body.code, 'FH_SESSION_REQUIRED', where);
    assert.equal((await send(method, at, { ...asked, cookie: foreign })).body.code, 'FH_SESSION_REQUIRED', where);
    for (const cookie of [member, admin])
      assert.equal((await send(method, at, { ...asked, cookie })).body.code, 'FH_ROLE_REQUIRED', where);
    expected.set(`${method} /-/api${path}`, { open: false, roles: ['owner'] });
  }
  for (const open of [
    'POST /session',
    'GET /session-end',
    'GET /session/second-factor',
    'POST /session/second-factor',
    'POST /session/second-factor/passkey',
    'POST /session/passkey/options',
    'POST /session/passkey',
    'GET /invitations/:token',
    'POST /invitations/:token',
    'POST /password-check',
    'POST /password-resets',
    'POST /password-resets/check',
    'POST /password-resets/complete',
    'GET /sign-on',
    'POST /sign-on/discover',
    'POST /sign-on/start',
    'POST /sign-on/oidc',
    'POST /sign-on/saml',
    'POST /sign-on/saml/log-out/:id',
    'GET /sign-on/saml/metadata',
    'GET /sign-on/saml/metadata/:id',
  ])
    expected.set(open.replace(' ', ' /-/api'), { open: true, roles: undefined });
  assert.deepEqual(new Map([...declared].sort()), new Map([...expected].sort()));
});

test('bad bodies are refused and change nothing', async () => {
  const cookie = await join('bodies@example.com');
  const users = (await send('GET', '/users', { cookie })).body.users.length;
  const bad: [InjectOptions['method'], string, Parameters<typeof send>[2], number][] = [
    ['POST', '/session', { raw: '{"email":"a@b","password":"x","__proto__":{"admin":true}}' }, 400],
    ['POST', '/session', { raw: '{"email":"a@b","password":"x","constructor":{"prototype":{"admin":true}}}' }, 400],
    ['POST', '/session', { raw: '{"email":' }, 400],
    ['POST', '/session', { raw: '' }, 400],
    ['POST', '/session', { body: { email: 'a@b' } }, 400],
    ['POST', '/session', { body: { email: 'a@b', password: 'x', role: 'owner' } }, 400],
    ['POST', '/session', { body: { email: { $ne: '' }, password: 'x' } }, 400],
    ['POST', '/session', { body: { email: 'x'.repeat(1001), password: 'x' } }, 400],
    ['POST', '/session', { body: [] }, 400],
    ['POST', '/session', { raw: 'email=a@b&password=x', type: 'application/x-www-form-urlencoded' }, 415],
    ['POST', '/session', { raw: '{"email":"a@b","password":"x"}', type: 'text/plain' }, 415],
    ['POST', '/session', { body: { email: 'a@b', password: 'x'.repeat(2_500_000) } }, 413],
    ['POST', '/invitations', { cookie, body: { email: 'no address', role: 'member' } }, 422],
    ['POST', '/invitations', { cookie, body: { email: 'a@b', role: 'root' } }, 400],
    ['POST', '/invitations', { cookie, body: { email: 'a@b', role: 'member', name: '\u202e' } }, 422],
    ['PATCH', '/users/usr_x', { cookie, body: {} }, 400],
    ['PATCH', '/users/usr_x', { cookie, body: { role: 'member', state: 'active' } }, 400],
    ['PATCH', '/users/usr_x', { cookie, body: { role: 'member' } }, 404],
    ['DELETE', '/invitations/%00', { cookie }, 400],
    ['PATCH', '/profile', { cookie, body: { name: '' } }, 422],
    ['PUT', '/password', { cookie, body: { currentPassword: password, newPassword: 'x'.repeat(1_000_000) } }, 422],
    ['GET', '/security-log?before=x', { cookie }, 400],
    ['GET', '/security-log?limit=100000', { cookie }, 400],
    ['GET', '/security-log?event=DROP%20TABLE', { cookie }, 400],
    ['POST', '/tokens', { cookie, body: { name: 'x', scope: 'admin', password } }, 400],
    ['POST', '/tokens', { cookie, body: { name: 'x', scope: 'read', days: 367, password } }, 400],
    ['POST', '/tokens', { cookie, body: { name: 'x', scope: 'read', days: 0, password } }, 400],
    ['POST', '/tokens', { cookie, body: { name: 'x', scope: 'read', expiresAt: '2099-01-01', password } }, 400],
    ['POST', '/tokens', { cookie, body: { name: '\u202e', scope: 'read', password } }, 422],
    ['DELETE', '/tokens/tok_x', { cookie }, 404],
    ['DELETE', '/users/tokens/tok_x', { cookie }, 404],
    ['DELETE', '/sessions?tokens=x', { cookie }, 400],
    ['GET', `/session`, { cookie: `${cookie}; ${cookie}` }, 400],
  ];
  for (const [method, path, options, status] of bad) {
    const answer = await send(method, path, options);
    assert.equal(
      answer.status,
      status,
      `${method} ${path} ${options?.raw ?? JSON.stringify(options?.body)?.slice(0, 60)}: ${JSON.stringify(answer.body)}`,
    );
    assert.match(answer.body.code, /^FH_/);
    assert.notEqual(answer.body.code, 'FH_INTERNAL');
    assert.deepEqual(answer.cookies, []);
  }
  assert.equal((await send('GET', '/users', { cookie })).body.users.length, users);
  assert.equal(({} as { admin?: boolean }).admin, undefined);
});

test('the password hint answers without a session, and not endlessly', async () => {
  const check = (text: string) =>
    send('POST', '/password-check', { body: { password: text, email: 'a@acme.example' } });
  assert.deepEqual((await check('seven purple lanterns drift')).body, { accepted: true, score: 4, problems: [] });
  const refused = (await check('Acme Works 2026!!')).body;
  assert.equal(refused.accepted, false);
  assert.equal(refused.problems[0].rule, 'context');
  let limited = 0;
  for (let number = 0; number < 70; number++)
    if ((await check('x')).body.code === 'FH_PASSWORD_CHECK_LIMITED') limited++;
  assert.ok(limited > 0);
});

test('a forgotten password over HTTP: one answer for everybody, the token in bodies only, no session at the end', async () => {
  await join('forgetful@example.com');
  two.mail.length = 0;
  const answers = [];
  for (const email of ['forgetful@example.com', 'unknown@example.com', 'not an address'])
    answers.push(await send('POST', '/password-resets', { body: { email } }));
  for (const answer of answers) assert.deepEqual(answer, { status: 202, body: {}, cookies: [] });
  await two.identity.settle();
  const [order, ...others] = two.mail;
  assert.deepEqual([order?.kind, order?.to, others.length], ['password_reset', 'forgetful@example.com', 0]);
  const { token } = order as { token: string };
  const shown = await send('POST', '/password-resets/check', { body: { token } });
  assert.deepEqual([shown.status, shown.body.email, shown.body.name], [200, 'forgetful@example.com', 'Olga Ford']);
  const foreign = await send('POST', '/password-resets/check', { host: 'brick.localhost', body: { token } });
  assert.deepEqual([foreign.status, foreign.body.code], [404, 'FH_RESET_NOT_FOUND']);
  const weak = await send('POST', '/password-resets/complete', { body: { token, password: 'olga ford olga ford' } });
  assert.equal(weak.body.code, 'FH_PASSWORD_REFUSED');
  const done = await send('POST', '/password-resets/complete', {
    body: { token, password: 'nine silver otters swim' },
  });
  assert.equal(done.status, 204);
  assert.match(done.cookies[0]!, /^__Host-freehold=; Max-Age=0/);
  assert.match(done.cookies[1]!, /^__Host-freehold-device=.+; Secure; HttpOnly; SameSite=Strict$/);
  const cookie = cookieHeaderOf(done.cookies.slice(1));
  assert.equal((await send('GET', '/session', { cookie })).status, 401);
  const again = await send('POST', '/password-resets/complete', {
    body: { token, password: 'nine silver otters swim' },
  });
  assert.equal(again.status, 404);
  for (const answer of [shown, weak, done, again]) assert.ok(!JSON.stringify(answer).includes(token));
});

test('an API token over HTTP: shown once, listed without its text, revoked by its user or an owner', async () => {
  const owner = await join('token-owner@example.com');
  const member = await join('token-member@example.com', 'member');
  const wrong = await send('POST', '/tokens', {
    cookie: member,
    body: { name: 'Report', scope: 'read', password: 'seven purple lanterns drown' },
  });
  assert.deepEqual([wrong.status, wrong.body.code], [403, 'FH_PASSWORD_WRONG']);
  const make = async () =>
    send('POST', '/tokens', { cookie: member, body: { name: 'Report', scope: 'read', days: 7, password } });
  const made = await make();
  assert.equal(made.status, 201);
  assert.deepEqual(Object.keys(made.body).sort(), ['token', 'tokenId']);
  assert.match(made.body.token, /^fhp_[0-9A-Za-z]{36}$/);

  const listed = await send('GET', '/tokens', { cookie: member });
  assert.deepEqual(
    listed.body.tokens.map(({ tokenId, name, scope, expired, lastUsedAt }: Record<string, unknown>) => [
      tokenId,
      name,
      scope,
      expired,
      lastUsedAt,
    ]),
    [[made.body.tokenId, 'Report', 'read', false, null]],
  );
  assert.deepEqual((await send('GET', '/tokens', { cookie: owner })).body.tokens, []);
  const all = await send('GET', '/users/tokens', { cookie: owner });
  assert.ok(all.body.tokens.some(({ tokenId }: { tokenId: string }) => tokenId === made.body.tokenId));
  const log = await send('GET', '/security-log?event=token.created', { cookie: owner });
  assert.equal(log.body.events[0].details.tokenId, made.body.tokenId);
  for (const answer of [listed, all, log])
    assert.ok(!JSON.stringify(answer.body).includes(made.body.token.slice(4, 30)));

  const other = await make();
  assert.equal(
    (await send('DELETE', `/tokens/${made.body.tokenId}`, { cookie: owner })).status,
    404,
    'not the own one',
  );
  assert.equal((await send('DELETE', `/tokens/${made.body.tokenId}`, { cookie: member })).status, 204);
  assert.equal((await send('DELETE', `/users/tokens/${other.body.tokenId}`, { cookie: owner })).status, 204);
  assert.deepEqual((await send('GET', '/tokens', { cookie: member })).body.tokens, []);
  await make();
  assert.equal((await send('DELETE', '/sessions?tokens=keep', { cookie: member })).status, 204);
  assert.equal((await send('GET', '/users/tokens', { cookie: owner })).body.tokens.length, 1);
});

test('answers of SAML providers are judged so many times a minute for one network', async () => {
  const body = { samlResponse: 'bm9uZQ==', relayState: 'x'.repeat(43) };
  const answers = await Promise.all(Array.from({ length: 301 }, () => send('POST', '/sign-on/saml', { body })));
  const codes = new Set(answers.map((answer) => answer.body.code));
  assert.deepEqual([...codes].sort(), ['FH_SIGN_ON_NOT_FOUND', 'FH_SIGN_ON_TOO_OFTEN']);
});

test('which organisation an address belongs to is told so many times a minute, the same for everybody, and sign-ins can be begun meanwhile', async () => {
  const ask = (number: number) =>
    send('POST', '/sign-on/discover', {
      body: { email: number % 2 ? 'olga@example.com' : `nobody${number}@x.example` },
    });
  const answers = await Promise.all(Array.from({ length: 121 }, (_, number) => ask(number)));
  const told = (status: number) => new Set(answers.filter((one) => one.status === status).map(({ body }) => body));
  assert.deepEqual([...new Set([...told(200)].map((body) => JSON.stringify(body)))], ['{"connectionId":null}']);
  assert.equal(answers.filter(({ status }) => status === 200).length, 120);
  assert.deepEqual(
    [...told(429)].map(({ code }) => code),
    ['FH_SIGN_ON_TOO_OFTEN'],
  );
  const begun = await send('POST', '/sign-on/start', { body: { connectionId: `con_${'0'.repeat(26)}` } });
  assert.equal(begun.body.code, 'FH_CONNECTION_NOT_FOUND');
});
