import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { randomBytes } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import { createWorker, TestBrowser } from './sessions/browser.fixture.ts';
import { sessionCookieName } from './sessions/cookie.ts';
import type { StartedSession } from './sessions/session-start.ts';
import {
  cookieHeaderOf,
  createTwins,
  goodPassword,
  started,
  startTwoTenants,
  type TestTenant,
  type TwoTenants,
} from './two-tenants.fixture.ts';

let two: TwoTenants;
before(async () => {
  two = await startTwoTenants();
});
after(() => two?.stop());

let serial = 0;
let email: string;
let userId: string;
beforeEach(async () => {
  email = `twin${++serial}@example.com`;
  userId = await createTwins(two, email);
});

const signIn = (tenant: TestTenant, password = goodPassword, cookieHeader?: string, address = `192.0.${serial}.1`) =>
  started(two.identity.signIn(tenant.tenantId, { email, password }, { cookieHeader, address, userAgent: 'test' }));
const authenticate = (tenant: TestTenant, cookieHeader: string) =>
  two.identity.authenticate(tenant.tenantId, cookieHeader);
const query = (tenant: TestTenant, text: string, values?: unknown[]) =>
  two.databases.platform.transact(tenant.tenantId, (db) => db.query(text, values));
const actorOf = ({ session }: StartedSession) => ({ session });
const failed = { code: 'FH_SIGN_IN_FAILED' };

test('a session is good in its tenant and nowhere else', async () => {
  const inA = await signIn(two.a);
  const header = cookieHeaderOf(inA.setCookies);
  const session = await authenticate(two.a, header);
  assert.deepEqual(session, inA.session);
  assert.deepEqual(session?.user, { userId, email, name: 'Twin', role: 'member' });
  assert.equal(await authenticate(two.b, header), undefined);

  // Even with the cookie sealed anew under B's key, the token is not in B's database.
  const value = header.split(/[=;]/)[1]!;
  const token = createSealer(two.a.cookieKey).open(
    Buffer.from(value, 'base64url'),
    `${two.a.tenantId} ${sessionCookieName}`,
  );
  const resealed = createSealer(two.b.cookieKey).seal(token, `${two.b.tenantId} ${sessionCookieName}`);
  assert.equal(await authenticate(two.b, `${sessionCookieName}=${resealed.toString('base64url')}`), undefined);
});

test('a cookie with any byte changed is no session, nor is a cookie of the other kind', async () => {
  const { setCookies } = await signIn(two.a);
  const [sessionPair, devicePair] = cookieHeaderOf(setCookies).split('; ') as [string, string];
  const [name, value] = sessionPair.split('=') as [string, string];
  for (let at = 0; at < value.length; at++) {
    const other = value[at] === 'A' ? 'B' : 'A';
    const changed = value.slice(0, at) + other + value.slice(at + 1);
    assert.equal(await authenticate(two.a, `${name}=${changed}`), undefined, `position ${at}`);
  }
  for (const wrong of ['', value.slice(1), `${value}A`, value.toUpperCase(), randomBytes(61).toString('base64url')])
    assert.equal(await authenticate(two.a, `${name}=${wrong}`), undefined);
  assert.equal(await authenticate(two.a, devicePair.replace('-device', '')), undefined);
});

test('the token is stored as a hash only', async () => {
  const { setCookies } = await signIn(two.a);
  const value = cookieHeaderOf(setCookies).split(/[=;]/)[1]!;
  const context = `${two.a.tenantId} ${sessionCookieName}`;
  const token = createSealer(two.a.cookieKey).open(Buffer.from(value, 'base64url'), context);
  const [row] = await query(
    two.a,
    `SELECT count(*)::int AS found FROM freehold.sessions s WHERE position($1::text in s::text) > 0`,
    [token.subarray(0, 32).toString('hex')],
  );
  assert.equal(row!.found, 0);
});

test('unknown address, wrong password, disabled user: one answer, one trail', async () => {
  const wrong = await signIn(two.a, 'not the password at all').catch((error) => error);
  const unknown = await two.identity
    .signIn(two.a.tenantId, { email: 'nobody@example.com', password: goodPassword }, { address: '192.0.2.1' })
    .catch((error) => error);
  await query(two.a, `UPDATE freehold.users SET state = 'disabled' WHERE user_id = $1`, [userId]);
  const disabled = await signIn(two.a).catch((error) => error);
  for (const error of [wrong, unknown, disabled]) {
    assert.equal(error.code, 'FH_SIGN_IN_FAILED');
    assert.equal(error.message, wrong.message);
    assert.equal(error.hint, wrong.hint);
    assert.equal(error.retryAfterSeconds, undefined);
  }
  const { events } = await two.identity.listAuditEvents(two.a.tenantId, { name: 'session.login_failed', limit: 3 });
  assert.deepEqual(
    events.map(({ subject }) => subject),
    [userId, 'unknown', userId],
  );
  await signIn(two.b);
});

test('passwords that can be nobody’s fail like any other', async () => {
  for (const password of ['', 'x', 'x'.repeat(1_000_000), '\ud800'.repeat(20), '\u0000'.repeat(20)])
    await assert.rejects(signIn(two.b, password, undefined, `198.51.${password.length % 250}.1`), failed);
});

test('sign-out ends this session, sign-out everywhere ends all, in this tenant only', async () => {
  const [first, second, inB] = [await signIn(two.a), await signIn(two.a), await signIn(two.b)];
  const headers = [first, second, inB].map(({ setCookies }) => cookieHeaderOf(setCookies));
  await two.identity.signOut(two.a.tenantId, actorOf(first));
  assert.equal(await authenticate(two.a, headers[0]!), undefined);
  assert.ok(await authenticate(two.a, headers[1]!));
  const third = await signIn(two.a);
  await two.identity.signOutEverywhere(two.a.tenantId, actorOf(third));
  assert.equal(await authenticate(two.a, headers[1]!), undefined);
  assert.equal(await authenticate(two.a, cookieHeaderOf(third.setCookies)), undefined);
  assert.ok(await authenticate(two.b, headers[2]!));
});

test('a new sign-in in the same browser ends the session it replaces', async () => {
  const first = await signIn(two.a);
  const header = cookieHeaderOf(first.setCookies);
  const second = await signIn(two.a, goodPassword, header);
  assert.equal(await authenticate(two.a, header), undefined);
  assert.ok(await authenticate(two.a, cookieHeaderOf(second.setCookies)));
});

test('a session ends when idle, when old, and when the epoch moves', async () => {
  for (const change of [
    `UPDATE freehold.sessions SET idle_expires_at = now() - interval '1 second' WHERE user_id = $1`,
    `UPDATE freehold.sessions SET expires_at = now() - interval '1 second' WHERE user_id = $1`,
    'UPDATE freehold.users SET epoch = epoch + 1 WHERE user_id = $1',
    `UPDATE freehold.users SET state = 'disabled' WHERE user_id = $1`,
  ]) {
    const header = cookieHeaderOf((await signIn(two.a)).setCookies);
    assert.ok(await authenticate(two.a, header));
    await query(two.a, change, [userId]);
    assert.equal(await authenticate(two.a, header), undefined, change);
  }
});

test('the last use is written once in five minutes, and not on the way of the request', async () => {
  const started = await signIn(two.a);
  const header = cookieHeaderOf(started.setCookies);
  const { sessionId } = started.session;
  const lastUse = async () =>
    (
      await query(two.a, 'SELECT last_used_at, xmin::text AS version FROM freehold.sessions WHERE session_id = $1', [
        sessionId,
      ])
    )[0]!;
  const first = await lastUse();
  await authenticate(two.a, header);
  await two.identity.settle();
  assert.deepEqual(await lastUse(), first);
  await query(
    two.a,
    `UPDATE freehold.sessions SET last_used_at = now() - interval '6 minutes', idle_expires_at = now() + interval '1 minute'
     WHERE session_id = $1`,
    [sessionId],
  );
  await Promise.all(Array.from({ length: 20 }, () => authenticate(two.a, header)));
  await two.identity.settle();
  const written = await lastUse();
  assert.ok((written.last_used_at as Date).getTime() >= (first.last_used_at as Date).getTime());
  const [{ extended } = {}] = await query(
    two.a,
    `SELECT idle_expires_at > now() + interval '23 hours' AS extended FROM freehold.sessions WHERE session_id = $1`,
    [sessionId],
  );
  assert.equal(extended, true);
});

test('the app role can ask about a session and nothing else', async () => {
  await signIn(two.a);
  for (const statement of [
    'SELECT token_hash FROM freehold.sessions',
    'SELECT email FROM freehold.users',
    'SELECT 1 FROM freehold.audit_events',
    'SELECT 1 FROM freehold.invitations',
    'SELECT freehold.refuse_change()',
    `SELECT pg_get_functiondef('freehold.check_session(bytea)'::regprocedure) FROM freehold.known_devices`,
  ])
    await assert.rejects(
      two.databases.app.read(two.a.tenantId, (db) => db.query(statement)),
      { code: '42501' },
      statement,
    );
  const rows = await two.databases.app.read(two.a.tenantId, (db) =>
    db.query('SELECT * FROM freehold.check_session($1)', [randomBytes(32)]),
  );
  assert.deepEqual(new Set(rows.flatMap((row) => Object.values(row))), new Set([null]));
});

test('nothing of the app in front of ours changes what check_session reads or is called by it', async () => {
  const started = await signIn(two.a);
  const header = cookieHeaderOf(started.setCookies);
  const { sessionId } = started.session;
  const old = randomBytes(32);
  await query(
    two.a,
    'UPDATE freehold.sessions SET previous_token_hash = $2, key_used_at = NULL WHERE session_id = $1',
    [sessionId, old],
  );
  const inTheWay = (schema: string) => [
    `CREATE TABLE ${schema}.users AS SELECT 1 AS user_id`,
    `CREATE TABLE ${schema}.sessions AS SELECT 1 AS token_hash`,
    `CREATE FUNCTION ${schema}.now() RETURNS pg_catalog.timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.timestamptz '2000-01-01' $$`,
    ...Object.entries({ bytea: '=', text: '=', int4: '=', timestamptz: '>' }).flatMap(([type, operator]) => [
      `CREATE FUNCTION ${schema}.never(pg_catalog.${type}, pg_catalog.${type}) RETURNS pg_catalog.bool LANGUAGE sql AS 'SELECT false'`,
      `CREATE OPERATOR ${schema}.${operator} (LEFTARG = pg_catalog.${type}, RIGHTARG = pg_catalog.${type}, FUNCTION = ${schema}.never)`,
    ]),
    `CREATE OPERATOR ${schema}.<= (LEFTARG = pg_catalog.timestamptz, RIGHTARG = pg_catalog.timestamptz, FUNCTION = ${schema}.never)`,
    ...['text', 'bytea', 'timestamptz', 'interval'].map((type) => `CREATE DOMAIN ${schema}.${type} AS pg_catalog.int4`),
  ];
  // Without this right, which no product gives, there is no pg_temp at all.
  await two.control.query(`GRANT TEMP ON DATABASE ${two.a.databaseName} TO ${two.a.databaseName}`);
  class Undone extends Error {}
  for (const schema of ['app', 'pg_temp']) {
    const path = `SET LOCAL search_path = ${schema}, freehold, pg_catalog`;
    const attempt = two.databases.app.transact(two.a.tenantId, async (db) => {
      for (const statement of [...inTheWay(schema), path]) await db.query(statement);
      assert.deepEqual(await two.identity.authenticate(two.a.tenantId, header, { db }), started.session);
      const [replaced] = await db.query('SELECT session_id, key_state FROM freehold.check_session($1)', [old]);
      assert.deepEqual(replaced, { session_id: sessionId, key_state: 'replaced' });
      const [live] = await db.query('SELECT freehold.is_session_live($1) AS live', [sessionId]);
      assert.equal(live!.live, true);
      throw new Undone();
    });
    await assert.rejects(attempt, Undone, schema);
  }
});

test('nobody changes the tenant’s security log', async () => {
  for (const statement of ['DELETE FROM freehold.audit_events', 'TRUNCATE freehold.audit_events'])
    await assert.rejects(query(two.a, statement), { code: '42501' });
});

test('password change needs the current one, ends every other session and starts a new one', async () => {
  const [first, second] = [await signIn(two.a), await signIn(two.a)];
  const change = (currentPassword: string, newPassword: string) =>
    two.identity.changePassword(
      two.a.tenantId,
      actorOf(first),
      two.a.route,
      { currentPassword, newPassword },
      { cookieHeader: cookieHeaderOf(first.setCookies) },
    );
  const next = 'four green kettles whistle';
  await assert.rejects(change('wrong wrong wrong wrong', next), { code: 'FH_PASSWORD_WRONG' });
  await assert.rejects(change(goodPassword, 'short'), { code: 'FH_PASSWORD_REFUSED' });
  const changed = await change(goodPassword, next);
  for (const old of [first, second]) assert.equal(await authenticate(two.a, cookieHeaderOf(old.setCookies)), undefined);
  assert.ok(await authenticate(two.a, cookieHeaderOf(changed.setCookies)));
  await assert.rejects(signIn(two.a), failed);
  await signIn(two.a, next);
  await signIn(two.b);
});

test('a stolen session cannot be used to guess the password', async () => {
  const started = await signIn(two.a);
  const guess = () =>
    two.identity.changePassword(
      two.a.tenantId,
      actorOf(started),
      two.a.route,
      { currentPassword: 'guess', newPassword: 'four green kettles whistle' },
      {},
    );
  for (let tries = 0; tries < 6; tries++) await assert.rejects(guess(), { code: 'FH_PASSWORD_WRONG' });
  // The first wait is short; the next guess of a slow machine would come after it.
  await query(
    two.a,
    `UPDATE freehold.sign_in_failures SET blocked_until = blocked_until + interval '10 minutes' WHERE blocked_until IS NOT NULL`,
  );
  await assert.rejects(guess(), { code: 'FH_SIGN_IN_THROTTLED' });
});

test('users list and revoke their own sessions, and no others', async () => {
  const [first, second] = [await signIn(two.a), await signIn(two.a)];
  const listed = await two.identity.listSessions(two.a.tenantId, actorOf(second));
  assert.deepEqual(
    listed.map(({ sessionId, current }) => [sessionId, current]),
    [
      [second.session.sessionId, true],
      [first.session.sessionId, false],
    ],
  );
  const inB = await signIn(two.b);
  for (const foreign of [inB.session.sessionId, 'ses_x', ''])
    await assert.rejects(two.identity.revokeSession(two.a.tenantId, actorOf(second), foreign), {
      code: 'FH_SESSION_NOT_FOUND',
    });
  await two.identity.revokeSession(two.a.tenantId, actorOf(second), first.session.sessionId);
  assert.equal(await authenticate(two.a, cookieHeaderOf(first.setCookies)), undefined);
});

test('an old hash is replaced at the next sign-in', async () => {
  const weak = `$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$`;
  const { argon2Sync } = await import('node:crypto');
  const tag = argon2Sync('argon2id', {
    message: goodPassword,
    nonce: 'somesaltsomesalt',
    memory: 8192,
    passes: 1,
    parallelism: 1,
    tagLength: 32,
  });
  await query(two.a, 'UPDATE freehold.users SET password_hash = $2 WHERE user_id = $1', [
    userId,
    weak + tag.toString('base64').replaceAll('=', ''),
  ]);
  await signIn(two.a);
  const [{ password_hash } = {}] = await query(two.a, 'SELECT password_hash FROM freehold.users WHERE user_id = $1', [
    userId,
  ]);
  assert.match(String(password_hash), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  await signIn(two.a);
});

test('signing in where the cookie is a copy of long ago ends that session, and says so', async () => {
  const worker = createWorker(two);
  const header = cookieHeaderOf((await signIn(two.a)).setCookies).split('; ')[0]!;
  const browser = new TestBrowser(two.a.tenantId, header);
  const age = async () => {
    await worker.settle();
    await query(
      two.a,
      `UPDATE freehold.sessions SET rotated_at = rotated_at - interval '1 day', key_used_at = key_used_at - interval '1 day'
       WHERE user_id = $1`,
      [userId],
    );
  };
  await age();
  assert.ok((await browser.request(worker)).setCookie, 'replaced');
  await browser.request(worker);
  await age();
  const started = await signIn(two.a, goodPassword, header);
  await worker.settle();
  assert.equal((await browser.request(worker)).session, undefined);
  const { events } = await two.identity.listAuditEvents(two.a.tenantId, { name: 'session.key_reused', limit: 50 });
  assert.equal(events.filter(({ subject }) => subject === userId).length, 1);
  assert.equal((await two.identity.listNotices(two.a.tenantId, actorOf(started))).length, 1);
  assert.deepEqual(await two.identity.listNotices(two.b.tenantId, actorOf(started)), []);
});
