import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { armFailpoints, redact } from '#src/kernel/index.ts';
import { apiTokenPattern } from '../tokens/api-token.ts';
import { createTwins, goodPassword } from '../two-tenants.fixture.ts';
import { stripClone } from '../users/lifecycle.ts';
import { groupUrn, must, newUser, patch, type ScimWorld, startScim } from './scim.fixture.ts';
import { hashScimToken, newScimToken, scimTokenPattern } from './scim-token.ts';

let world: ScimWorld;
before(async () => {
  world = await startScim();
});
after(() => world?.stop());
afterEach(() => armFailpoints(''));

let serial = 0;
const fresh = (what = 'user') => `${what}${++serial}@example.com`;
const state = async (userId: string, tenant = world.two.a) =>
  (
    await world.query(tenant, 'SELECT state, role, email, name, epoch FROM freehold.users WHERE user_id = $1', [userId])
  )[0]!;
const create = async (userName = fresh(), more: object = {}, tenant = world.two.a) =>
  (await must(world, 201, 'POST', '/Users', { tenant, body: newUser(userName, more) })).body;
const signIn = (email: string, tenant = world.two.a) =>
  world.two.identity.signIn(tenant.tenantId, { email, password: goodPassword }, { address: '192.0.2.5' });
const events = async (subject: string, tenant = world.two.a) =>
  (
    await world.query(
      tenant,
      'SELECT name, actor, details FROM freehold.audit_events WHERE subject = $1 ORDER BY position',
      [subject],
    )
  ).map(({ name, actor, details }) => ({ name: String(name), actor: String(actor), details }));

test('only a good token of this tenant is answered, and all others alike', async () => {
  const { a, b } = world.two;
  const expired = await world.makeToken(a);
  await world.query(
    a,
    `UPDATE freehold.scim_tokens SET created_at = now() - interval '2 days', expires_at = now() - interval '1 s' WHERE token_id = $1`,
    [expired.tokenId],
  );
  const revoked = await world.makeToken(a);
  const { tenantId } = a;
  const owner = await world.actor(a);
  const { token: apiToken } = await world.two.identity.createApiToken(
    tenantId,
    owner,
    { name: 'x', scope: 'write', password: goodPassword },
    { address: '192.0.2.1' },
  );
  await must(world, 200, 'GET', '/Users', { token: revoked.token });
  await world.two.identity.revokeScimToken(tenantId, owner, revoked.tokenId);
  const answers = new Set<string>();
  for (const token of [
    '',
    newScimToken(),
    expired.token,
    revoked.token,
    world.tokens.get(b.tenantId)!,
    apiToken,
    'fhs_short',
  ])
    for (const [method, path] of [
      ['GET', '/Users'],
      ['POST', '/Users'],
      ['DELETE', `/Users/${world.ownerId}`],
      ['GET', '/ServiceProviderConfig'],
      ['GET', '/Nothing'],
    ] as const) {
      const answer = await must(world, 401, method, path, {
        token,
        ...(method === 'POST' && { body: newUser(fresh()) }),
      });
      answers.add(JSON.stringify({ ...answer.body, requestId: '' }));
    }
  assert.equal(answers.size, 1, [...answers].join('\n'));
  const summaries = await world.two.identity.getScimSettings(tenantId, owner);
  assert.ok(summaries.tokens.some(({ expired }) => expired));
});

test('a token is shown once, stored as a hash, of a kind of its own, and its last use is noted', async () => {
  const { token, tokenId } = await world.makeToken(world.two.a);
  assert.match(token, scimTokenPattern);
  assert.doesNotMatch(token, apiTokenPattern);
  assert.equal(
    hashScimToken(`${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`),
    undefined,
    'the checksum is looked at',
  );
  await must(world, 200, 'GET', '/Users', { token, headers: { 'user-agent': 'Okta SCIM Client 1.0.0' } });
  await world.two.identity.settle();
  const { tokens } = await world.two.identity.getScimSettings(world.two.a.tenantId, await world.actor(world.two.a));
  const found = tokens.find((one) => one.tokenId === tokenId)!;
  assert.ok(found.lastUsedAt);
  assert.equal(found.lastUsedAgent, 'Okta SCIM Client 1.0.0');
  assert.equal(found.byOwner, true);
  const everything = JSON.stringify([
    await world.query(world.two.a, 'SELECT t::text FROM freehold.scim_tokens t'),
    await world.query(world.two.a, 'SELECT e::text FROM freehold.audit_events e'),
    redact({ authorization: `Bearer ${token}`, other: token }),
  ]);
  assert.ok(!everything.includes(token.slice(4)), 'the text of a token is nowhere');
});

test('members make no tokens; a wrong password makes none and is recorded', async () => {
  const { a } = world.two;
  const email = fresh('member');
  await createTwins(world.two, email);
  await assert.rejects(world.makeToken(a, email), { code: 'FH_ROLE_REQUIRED' });
  const actor = await world.actor(a);
  await assert.rejects(world.two.identity.createScimToken(a.tenantId, actor, { name: 'x', password: 'wrong' }), {
    code: 'FH_PASSWORD_WRONG',
  });
  const [refused] = await world.query(
    a,
    `SELECT details FROM freehold.audit_events WHERE name = 'scim_token.refused' ORDER BY position DESC LIMIT 1`,
  );
  assert.deepEqual(refused?.details, { reason: 'FH_PASSWORD_WRONG' });
  const { groups } = await world.two.identity.getScimSettings(a.tenantId, actor);
  assert.ok(Array.isArray(groups));
  await assert.rejects(async () => world.two.identity.getScimSettings(a.tenantId, await world.actor(a, email)), {
    code: 'FH_ROLE_REQUIRED',
  });
});

test('a user is made without a password, found, changed, disabled, and never removed', async () => {
  const email = fresh();
  const mailed = world.two.mail.length;
  const made = await must(world, 201, 'POST', '/Users', {
    body: newUser(email, {
      externalId: 'x-1',
      name: { givenName: 'Ada', familyName: 'Lovelace' },
      emails: [{ value: email, primary: true }],
      active: true,
    }),
  });
  const { id, meta } = made.body;
  assert.equal(made.headers.location, meta.location);
  assert.equal(made.headers.etag, meta.version);
  assert.equal(made.body.displayName, 'Ada Lovelace');
  assert.equal(meta.location, `https://acme.localhost:8443/-/scim/v2/Users/${id}`);
  assert.equal(world.two.mail.length, mailed, 'nobody is told by mail');
  await assert.rejects(signIn(email), { code: 'FH_SIGN_IN_FAILED' });
  // What they can do where the tenant takes passwords.
  await world.two.identity.requestReset(world.two.a.tenantId, email, { address: '192.0.2.5' });
  await world.two.identity.settle();
  assert.equal(world.two.mail.at(-1)?.kind, 'password_reset');

  assert.deepEqual((await must(world, 200, 'GET', `/Users/${id}`)).body, made.body);
  const replaced = await must(world, 200, 'PUT', `/Users/${id}`, {
    body: newUser(email, { displayName: 'Ada King', externalId: 'x-2' }),
  });
  assert.equal(replaced.body.displayName, 'Ada King');
  assert.equal(replaced.body.externalId, 'x-2');
  assert.equal(replaced.body.active, true, 'a user who is not said to be disabled stays');
  assert.notEqual(replaced.body.meta.version, meta.version);
  await must(world, 204, 'DELETE', `/Users/${id}`);
  await must(world, 404, 'GET', `/Users/${id}`);
  assert.equal((await state(id)).state, 'disabled');
  assert.equal(
    (await must(world, 200, 'GET', `/Users?filter=${encodeURIComponent(`userName eq "${email}"`)}`)).body.totalResults,
    0,
  );
  // RFC 7644, 3.6: it is in nobody's way.
  const again = await create(email, { displayName: 'Somebody Else' });
  assert.equal(again.id, id, 'the row is the same');
  assert.equal((await state(id)).state, 'active');
  const ofScim = (await events(id)).filter(({ actor }) => /^scim:sct_/.test(actor)).map(({ name }) => name);
  assert.deepEqual(ofScim, [
    'user.provisioned',
    'user.provisioning_changed',
    'user.disabled',
    'user.provisioned',
    'user.provisioning_changed',
    'user.enabled',
  ]);
});

test('who comes back after a deletion has neither password, role, second factor nor provider of before', async () => {
  const email = fresh('back');
  const userId = await createTwins(world.two, email, { role: 'admin' });
  const { a, b } = world.two;
  for (const tenant of [a, b]) {
    await world.query(
      tenant,
      `INSERT INTO freehold.totp_factors (user_id, sealed_secret, confirmed_at) VALUES ($1, decode(repeat('00', 49), 'hex'), now())`,
      [userId],
    );
    await world.query(
      tenant,
      `INSERT INTO freehold.sign_on_connections (connection_id, kind, name, settings) VALUES ('con_' || right($1, 26), 'oidc', 'x', '{}')`,
      [userId],
    );
    await world.query(
      tenant,
      `INSERT INTO freehold.sign_on_identities (connection_id, subject, user_id) VALUES ('con_' || right($1, 26), 'x', $1)`,
      [userId],
    );
  }
  await must(world, 204, 'DELETE', `/Users/${userId}`);
  await create(email);
  await assert.rejects(signIn(email), { code: 'FH_SIGN_IN_FAILED' });
  assert.equal((await state(userId)).role, 'member');
  assert.equal((await state(userId, world.two.b)).role, 'admin', 'the other tenant is another world');
  for (const table of ['totp_factors', 'sign_on_identities'])
    for (const [tenant, left] of [
      [a, 0],
      [b, 1],
    ] as const) {
      const rows = await world.query(tenant, `SELECT 1 FROM freehold.${table} WHERE user_id = $1`, [userId]);
      assert.equal(rows.length, left, `${table} at ${tenant.route.name}`);
    }
  assert.ok((await events(userId)).some(({ name }) => name === 'user.second_factor_reset'));
});

test('two users never have one name or address', async () => {
  const [one, two] = [fresh(), fresh()];
  await create(one);
  const other = await create(two);
  for (const body of [newUser(one), newUser(one.toUpperCase()), newUser('other', { emails: [{ value: one }] })]) {
    const { body: error } = await must(world, 409, 'POST', '/Users', { body });
    assert.equal(error.scimType, 'uniqueness');
  }
  const { body: error } = await must(world, 409, 'PUT', `/Users/${other.id}`, { body: newUser(one) });
  assert.equal(error.scimType, 'uniqueness');
  const raced = await Promise.all(
    Array.from({ length: 8 }, () => world.send('POST', '/Users', { body: newUser('raced@example.com') })),
  );
  assert.deepEqual(raced.map(({ status }) => status).sort(), [201, ...Array.from({ length: 7 }, () => 409)]);
});

test('disabling ends sessions and tokens for the very next request', async () => {
  const email = fresh();
  const userId = await createTwins(world.two, email);
  const { tenantId } = world.two.a;
  const session = await world.actor(world.two.a, email);
  const { setCookies } = await signIn(email);
  const cookie = setCookies.map((line) => line.slice(0, line.indexOf(';'))).join('; ');
  assert.ok(await world.two.identity.authenticate(tenantId, cookie));
  const { tokenId } = await world.two.identity.createApiToken(
    tenantId,
    session,
    { name: 'x', scope: 'read', password: goodPassword },
    {},
  );
  assert.equal(await world.two.identity.isApiTokenLive(tenantId, tokenId), true);
  await must(world, 200, 'PATCH', `/Users/${userId}`, { body: patch({ op: 'replace', path: 'active', value: false }) });
  assert.equal(await world.two.identity.authenticate(tenantId, cookie), undefined);
  assert.equal(await world.two.identity.isApiTokenLive(tenantId, tokenId), false);
  assert.ok(await signIn(email, world.two.b), 'the same person at the other tenant goes on');
  const shown = (await must(world, 200, 'GET', `/Users/${userId}`)).body;
  assert.equal(shown.active, false, 'disabled is not deleted');
});

test('another address ends sessions, and links that were sent to the old one open nothing', async () => {
  const email = fresh();
  const userId = await createTwins(world.two, email);
  const { tenantId } = world.two.a;
  const { setCookies } = await signIn(email);
  const cookie = setCookies.map((line) => line.slice(0, line.indexOf(';'))).join('; ');
  const next = fresh();
  await world.two.identity.requestReset(tenantId, email, { address: '192.0.2.5' });
  await world.two.identity.settle();
  const sent = world.two.mail.at(-1)!;
  assert.ok(sent.kind === 'password_reset' && sent.to === email);
  await world.two.identity.getReset(tenantId, sent.token);
  await must(world, 200, 'PATCH', `/Users/${userId}`, {
    body: patch({ op: 'replace', path: 'emails[type eq "work"].value', value: next }),
  });
  assert.equal((await state(userId)).email, next);
  assert.equal(await world.two.identity.authenticate(tenantId, cookie), undefined);
  await assert.rejects(world.two.identity.getReset(tenantId, sent.token), { code: 'FH_RESET_NOT_FOUND' });
  assert.equal((await state(userId, world.two.b)).email, email);
});

test('the last active owner stays, owners keep their address, and only an owner’s token disables owners', async () => {
  const { a } = world.two;
  const off = { body: patch({ op: 'Replace', path: 'active', value: 'False' }) };
  for (const [method, options] of [
    ['PATCH', off],
    ['DELETE', {}],
    ['PUT', { body: newUser(world.ownerEmail, { active: false }) }],
  ] as const) {
    const { body } = await must(world, 403, method, `/Users/${world.ownerId}`, options);
    assert.match(body.detail, /last active owner/);
  }
  const second = fresh('owner');
  const secondId = await createTwins(world.two, second, { role: 'owner' });
  const moved = await must(world, 403, 'PATCH', `/Users/${secondId}`, {
    body: patch({ op: 'replace', path: 'emails', value: [{ value: fresh(), primary: true }] }),
  });
  assert.match(moved.body.detail, /address of an owner/);
  const adminEmail = fresh('admin');
  await createTwins(world.two, adminEmail, { role: 'admin' });
  const { token } = await world.makeToken(a, adminEmail);
  await must(world, 403, 'PATCH', `/Users/${secondId}`, { ...off, token });
  await must(world, 200, 'PATCH', `/Users/${secondId}`, off);
  await must(world, 403, 'PATCH', `/Users/${secondId}`, {
    body: patch({ op: 'replace', path: 'active', value: true }),
    token,
  });
  // Both at once: one of them is the last.
  await must(world, 200, 'PATCH', `/Users/${secondId}`, {
    body: patch({ op: 'replace', path: 'active', value: true }),
  });
  // While single sign-on is enforced, an owner who does not need it has to stay.
  await world.query(a, 'INSERT INTO freehold.sign_on_policy (enforced) VALUES (true)');
  const { body: needed } = await must(world, 409, 'DELETE', `/Users/${world.ownerId}`);
  assert.equal(needed.code, 'FH_BREAK_GLASS_REQUIRED');
  await world.query(a, 'DELETE FROM freehold.sign_on_policy');
  const both = await Promise.all([world.ownerId, secondId].map((id) => world.send('PATCH', `/Users/${id}`, off)));
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 403]);
  await world.query(a, `UPDATE freehold.users SET state = 'active' WHERE user_id = ANY ($1)`, [
    [world.ownerId, secondId],
  ]);
  await world.query(a, `UPDATE freehold.users SET role = 'member' WHERE user_id = $1`, [secondId]);
});

test('an act and its record are one transaction, and a revoked token writes nothing more', async () => {
  const email = fresh();
  armFailpoints('identity.scim.before_commit=error');
  await must(world, 500, 'POST', '/Users', { body: newUser(email) });
  const found = () => world.query(world.two.a, 'SELECT user_id FROM freehold.users WHERE email = $1', [email]);
  assert.equal((await found()).length, 0);
  armFailpoints('identity.scim.committed=error');
  await must(world, 500, 'POST', '/Users', { body: newUser(email) });
  const [{ user_id: userId } = {}] = await found();
  assert.equal(
    (await events(String(userId))).length,
    1,
    'it is there, with its record; the directory asks again and learns so',
  );
  await must(world, 409, 'POST', '/Users', { body: newUser(email) });
  const { a } = world.two;
  const { token, tokenId } = await world.makeToken(a);
  const use = (await world.two.identity.checkScimToken(a.tenantId, hashScimToken(token)!, {}))!;
  await world.two.identity.revokeScimToken(a.tenantId, await world.actor(a), tokenId);
  // The check was made before the revocation, the write comes after it.
  await assert.rejects(world.two.identity.createScimUser(a.tenantId, { use, base: '' }, newUser(fresh())), {
    code: 'FH_SCIM_TOKEN_REQUIRED',
  });
});

test('the same names, ids and groups at two tenants stay apart', async () => {
  const { a, b } = world.two;
  const email = fresh('twin');
  const userId = await createTwins(world.two, email);
  for (const tenant of [a, b]) {
    await must(world, 200, 'PUT', `/Users/${userId}`, {
      tenant,
      body: newUser(email, { externalId: 'same', displayName: `Of ${tenant.route.name}` }),
    });
    const group = { schemas: [groupUrn], displayName: 'Everybody', externalId: 'same', members: [{ value: userId }] };
    await must(world, 201, 'POST', '/Groups', { tenant, body: group });
  }
  for (const tenant of [a, b]) {
    const { body } = await must(world, 200, 'GET', `/Users?filter=${encodeURIComponent('externalId eq "same"')}`, {
      tenant,
    });
    assert.deepEqual(
      body.Resources.map(({ displayName }: { displayName: string }) => displayName),
      [`Of ${tenant.route.name}`],
    );
  }
  await must(world, 204, 'DELETE', `/Users/${userId}`, { tenant: b });
  assert.equal((await must(world, 200, 'GET', `/Users/${userId}`)).body.active, true);
  const onlyInB = await create(fresh(), {}, b);
  const foreign = await must(world, 404, 'GET', `/Users/${onlyInB.id}`);
  const unknown = await must(world, 404, 'GET', '/Users/usr_11111111111111111111111111');
  assert.deepEqual({ ...foreign.body, requestId: '' }, { ...unknown.body, requestId: '' });
  await must(world, 400, 'POST', '/Groups', {
    body: { schemas: [groupUrn], displayName: 'Mixed', members: [{ value: onlyInB.id }] },
  });
});

test('a copy of the database has no token', async () => {
  const { b } = world.two;
  await world.two.databases.platform.transact(b.tenantId, stripClone);
  assert.equal((await world.query(b, 'SELECT 1 FROM freehold.scim_tokens')).length, 0);
  await must(world, 401, 'GET', '/Users', { tenant: b });
});
