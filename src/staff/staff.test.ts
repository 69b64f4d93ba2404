import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { controlAuditLog } from '#src/audit/index.ts';
import { createHttpApp } from '#src/http/index.ts';
import { randomBytes, silentLog, systemClock } from '#src/kernel/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import { createStaff, type Staff, staffRoutes } from './index.ts';
import { callerOf, headerOf, password, person, startTestStaff, type TestStaff } from './staff.fixture.ts';

const caller = callerOf();

let world: TestStaff;
let db: Pool;
let staff: Staff;
let app: FastifyInstance;
before(async () => {
  world = await startTestStaff();
  ({ db, staff } = world);
  app = createHttpApp({ name: 'console', log: silentLog, clock: systemClock });
  await app.register(staffRoutes(staff), { prefix: '/api' });
});
after(async () => {
  await app?.close();
  await world?.stop();
});
beforeEach(() => world.clear());

const setUp = () => world.setUp();
const gone = { code: 'FH_STAFF_SETUP_NOT_FOUND' };

test('the set-up link makes the first member, once', async () => {
  assert.equal(await staff.needsSetup(), true);
  const { token, expiresAt } = await staff.createSetupLink();
  assert.ok(Math.abs(expiresAt.getTime() - Date.now() - 86_400_000) < 60_000);
  assert.equal((await staff.getSetup(token)).email, undefined);
  await assert.rejects(staff.completeSetup({ token, ...person, password: 'x' }, caller), {
    code: 'FH_PASSWORD_REFUSED',
  });
  const results = await Promise.allSettled(
    Array.from({ length: 12 }, (_, index) =>
      staff.completeSetup({ token, ...person, email: `s${index}@operator.example` }, caller),
    ),
  );
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.code, gone.code);
  assert.equal(await staff.needsSetup(), false);
  await assert.rejects(staff.getSetup(token), gone);
});

test('a new link replaces the old; old, expired and malformed ones answer alike', async () => {
  const first = await staff.createSetupLink();
  const second = await staff.createSetupLink();
  await assert.rejects(staff.getSetup(first.token), gone);
  await staff.getSetup(second.token);
  await db.query(`UPDATE staff_setup_tokens SET expires_at = now() - interval '1 second'`);
  for (const token of [second.token, '', 'x', `${first.token}A`]) {
    await assert.rejects(staff.getSetup(token), gone);
    await assert.rejects(staff.completeSetup({ token, ...person }, caller), gone);
  }
  const [{ stored } = {}] = await db.query(
    'SELECT count(*)::int AS stored FROM staff_setup_tokens t WHERE t::text LIKE $1',
    [`%${Buffer.from(second.token, 'base64url').toString('hex')}%`],
  );
  assert.equal(stored, 0);
});

test('only a link for an address gives its member a new password', async () => {
  const old = await setUp();
  const open = await staff.createSetupLink();
  await assert.rejects(staff.completeSetup({ token: open.token, ...person }, caller), { code: 'FH_STAFF_EXISTS' });
  const bound = await staff.createSetupLink({ email: 'sam@operator.example' });
  await assert.rejects(staff.completeSetup({ token: bound.token, ...person, email: 'x@operator.example' }, caller), {
    code: 'FH_STAFF_EMAIL_FIXED',
  });
  const renewed = 'four green kettles whistle';
  await staff.completeSetup({ token: bound.token, ...person, password: renewed }, caller);
  assert.equal(await staff.authenticate(old), undefined);
  await assert.rejects(staff.signIn(person, caller), { code: 'FH_SIGN_IN_FAILED' });
  await staff.signIn({ ...person, password: renewed }, caller);
});

test('sign-in, sign-out; unknown and disabled members answer alike', async () => {
  await setUp();
  const { session, setCookies } = await staff.signIn({ email: 'SAM@OPERATOR.EXAMPLE', password }, caller);
  assert.ok(session);
  assert.match(
    setCookies[0]!,
    /^__Host-freehold-console=[A-Za-z0-9_-]{82}; Max-Age=43200; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
  );
  assert.deepEqual(await staff.authenticate(headerOf(setCookies)), session);
  assert.match(await staff.signOut(headerOf(setCookies)), /Max-Age=0/);
  assert.equal(await staff.authenticate(headerOf(setCookies)), undefined);
  assert.match(await staff.signOut(undefined), /Max-Age=0/);
  const refusals = [
    await staff.signIn({ email: person.email, password: 'wrong' }, caller).catch((error) => error),
    await staff.signIn({ email: 'nobody@operator.example', password }, caller).catch((error) => error),
  ];
  await db.query('UPDATE staff SET disabled_at = now()');
  refusals.push(await staff.signIn(person, caller).catch((error) => error));
  for (const { code, message, hint } of refusals)
    assert.deepEqual([code, message, hint], ['FH_SIGN_IN_FAILED', refusals[0].message, refusals[0].hint]);
  const { events } = await controlAuditLog.list(db, { name: 'staff.login_failed', limit: 3 });
  assert.deepEqual(
    events.map(({ subject }) => subject === session.staffId),
    [true, false, true],
  );
});

test('a session locks after 30 minutes without use; polling is no use; it ends after 12 hours and with its member', async () => {
  const header = await setUp();
  const idle = (minutes: number) =>
    db.query('UPDATE staff_sessions SET last_used_at = now() - make_interval(mins => $1)', [minutes]);
  await idle(20);
  assert.ok(await staff.authenticate(header, { background: true }));
  const lastUse = async () =>
    (await db.query("SELECT now() - last_used_at > interval '10 minutes' AS old FROM staff_sessions"))[0]!.old;
  assert.equal(await lastUse(), true);
  assert.ok(await staff.authenticate(header));
  assert.equal(await lastUse(), false);
  await idle(31);
  assert.equal(await staff.authenticate(header), undefined);
  await idle(0);
  assert.ok(await staff.authenticate(header));
  await db.query('UPDATE staff SET disabled_at = now()');
  assert.equal(await staff.authenticate(header), undefined);
  await db.query('UPDATE staff SET disabled_at = NULL');
  await db.query('UPDATE staff_sessions SET expires_at = now()');
  assert.equal(await staff.authenticate(header), undefined);
});

test('a cookie with any character changed, and one of another installation, is nobody', async () => {
  const header = await setUp();
  const start = header.indexOf('=') + 1;
  for (let at = start; at < header.length; at++) {
    const changed = header.slice(0, at) + (header[at] === 'A' ? 'B' : 'A') + header.slice(at + 1);
    assert.equal(await staff.authenticate(changed), undefined);
  }
  assert.equal(await createStaff({ ...world.keys, db, sessionKey: randomBytes(32) }).authenticate(header), undefined);
  await assert.rejects(staff.authenticate(`${header}; ${header}`), { code: 'FH_COOKIE_REFUSED' });
});

test('wrong passwords are slowed down', async () => {
  await setUp();
  for (let tries = 0; tries < 6; tries++)
    await assert.rejects(staff.signIn({ ...person, password: 'wrong' }, caller), { code: 'FH_SIGN_IN_FAILED' });
  await db.query(
    `UPDATE staff_sign_in_failures SET blocked_until = now() + interval '1 minute' WHERE blocked_until IS NOT NULL`,
  );
  await assert.rejects(staff.signIn(person, caller), { code: 'FH_SIGN_IN_THROTTLED' });
  await staff.signIn(person, { ...caller, address: '198.51.100.1' });
});

test('the routes: set up, who am I, sign out, sign in', async () => {
  const send = async (
    method: 'GET' | 'POST' | 'DELETE',
    url: string,
    { cookie, body }: { cookie?: string; body?: object } = {},
  ) => {
    const response = await app.inject({ method, url: `/api${url}`, payload: body, headers: cookie ? { cookie } : {} });
    const json = response.body === '' ? undefined : response.json();
    return { status: response.statusCode, json, setCookies: [response.headers['set-cookie'] ?? []].flat() };
  };
  const { token } = await staff.createSetupLink();
  assert.deepEqual((await send('GET', `/setup/${token}`)).json.email, null);
  assert.equal((await send('GET', '/setup/nonsense')).json.code, gone.code);
  assert.equal((await send('POST', `/setup/${token}`, { body: { ...person, admin: true } })).status, 400);
  const weak = await send('POST', `/setup/${token}`, { body: { ...person, password: 'sam ode sam ode 1' } });
  assert.equal(weak.status, 422);
  assert.ok(weak.json.fields.password);
  const done = await send('POST', `/setup/${token}`, { body: person });
  assert.equal(done.status, 201);
  assert.deepEqual(Object.keys(done.json.staff), ['staffId', 'email', 'name']);
  const cookie = headerOf(done.setCookies);
  assert.equal((await send('GET', '/session', { cookie })).json.staff.name, 'Sam Ode');
  assert.equal((await send('GET', '/session')).json.code, 'FH_STAFF_SESSION_REQUIRED');
  assert.equal((await send('DELETE', '/session', { cookie })).status, 204);
  assert.equal((await send('GET', '/session', { cookie })).status, 401);
  assert.equal((await send('POST', '/session', { body: { email: person.email, password } })).status, 201);
  assert.equal((await send('POST', '/password-check', { body: { password: 'x' } })).json.accepted, false);
});
