import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId, randomBytes, silentLog, type TenantId, type UserId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import { createIdentity } from '../identity.ts';
import { cookieHeaderOf, createTwins, goodPassword, startTwoTenants, type TwoTenants } from '../two-tenants.fixture.ts';
import type { PresumedSession, Session } from '../types.ts';
import { sessionCookieName } from './cookie.ts';
import { createPresumedSessions, isSameSession } from './presumed.ts';

let two: TwoTenants;
before(async () => {
  two = await startTwoTenants();
});
after(() => two?.stop());

let nowMs = 0;
const clock = { now: () => Date.now(), monotonicMs: () => nowMs };
const someSession = (): Session => ({
  sessionId: newId('ses'),
  user: { userId: newId('usr') as UserId, email: 'a@example.com', name: 'A', role: 'member' },
  createdAt: new Date(1),
  expiresAt: new Date(2),
});

test('what is remembered belongs to one tenant and one token, for a minute', () => {
  const sessions = createPresumedSessions(clock);
  const [a, b] = [newId('ten'), newId('ten')];
  const [token, other] = [randomBytes(32), randomBytes(32)];
  const session = someSession();
  sessions.remember(a, token, session);
  assert.equal(sessions.find(a, token)?.session, session);
  assert.equal(sessions.find(a, Buffer.from(token))?.session, session);
  for (const [tenantId, hash] of [
    [a, other],
    [b, token],
  ] as const)
    assert.equal(sessions.find(tenantId, hash), undefined);
  nowMs += 59_999;
  assert.equal(sessions.find(a, token)?.session, session);
  nowMs += 1;
  assert.equal(sessions.find(a, token), undefined);

  for (const tenantId of [a, b]) for (const hash of [token, other]) sessions.remember(tenantId, hash, session);
  sessions.forget(a, token);
  assert.deepEqual([sessions.find(a, token), sessions.find(a, other)?.session], [undefined, session]);
  sessions.forget(a);
  assert.deepEqual([sessions.find(a, other), sessions.find(b, token)?.session], [undefined, session]);
  sessions.forget();
  assert.equal(sessions.find(b, token), undefined);
});

test('the memory is bounded, over all tenants', () => {
  const sessions = createPresumedSessions(clock);
  const session = someSession();
  const kept: (readonly [TenantId, Buffer])[] = [];
  for (let at = 0; at < 10_500; at++) {
    const one = [newId('ten'), randomBytes(32)] as const;
    sessions.remember(...one, session);
    kept.push(one);
  }
  const found = kept.filter(([tenantId, hash]) => sessions.find(tenantId, hash)).length;
  assert.ok(found > 0 && found <= 10_000, String(found));
  // Emptied one by one, it takes new ones as before.
  for (const [tenantId, hash] of kept) sessions.forget(tenantId, hash);
  for (const [tenantId, hash] of kept.slice(0, 100)) sessions.remember(tenantId, hash, session);
  assert.equal(kept.filter(([tenantId, hash]) => sessions.find(tenantId, hash)).length, 100);
});

test('two sessions are the same only when nothing differs', () => {
  const one = someSession();
  assert.equal(isSameSession(one, structuredClone(one)), true);
  const changes: Session[] = [
    { ...one, sessionId: newId('ses') },
    { ...one, createdAt: new Date(3) },
    { ...one, expiresAt: new Date(3) },
    { ...one, user: { ...one.user, userId: newId('usr') as UserId } },
    { ...one, user: { ...one.user, role: 'owner' } },
    { ...one, user: { ...one.user, name: 'B' } },
    { ...one, user: { ...one.user, email: 'b@example.com' } },
  ];
  for (const other of changes) assert.equal(isSameSession(one, other), false);
});

test('a session is presumed once it was confirmed, and its check tells what it is now', async () => {
  const email = 'presumed@example.com';
  const userId = await createTwins(two, email);
  const keys = new Map([two.a, two.b].map(({ tenantId, cookieKey }) => [tenantId, cookieKey]));
  const { databases } = two;
  const identity = createIdentity({
    databases,
    cookieKeyOf: (id) => keys.get(id)!,
    factorsKeyOf: (id) => keys.get(id)!,
    knownCookieKeyOf: (id) => keys.get(id),
    log: silentLog,
    clock,
  });
  const { tenantId } = two.a;
  const started = await two.identity.signIn(tenantId, { email, password: goodPassword }, { address: '192.0.2.9' });
  const header = cookieHeaderOf(started.setCookies);
  const presume = () => identity.presume(tenantId, header);
  const ask = async ({ check, read }: PresumedSession) =>
    read(await databases.app.read(tenantId, (db) => db.query(check.text, check.values)));
  const change = (text: string) =>
    databases.platform.transact(tenantId, (db) => db.query(`${text} WHERE user_id = $1`, [userId]));

  assert.equal(await presume(), undefined);
  const session = await identity.authenticate(tenantId, header);
  const presumed = (await presume())!;
  assert.equal(presumed.session, session);
  assert.equal(await ask(presumed), session);
  assert.equal(await identity.presume(tenantId, undefined), undefined);
  assert.equal(await identity.presume(tenantId, header.replace(/.;/, ';')), undefined);

  // The same token, sealed for the other tenant as well: it presumes nothing there.
  const token = createSealer(two.a.cookieKey).open(
    Buffer.from(header.split(/[=;]/)[1]!, 'base64url'),
    `${tenantId} ${sessionCookieName}`,
  );
  const resealed = createSealer(two.b.cookieKey).seal(token, `${two.b.tenantId} ${sessionCookieName}`);
  const elsewhere = `${sessionCookieName}=${resealed.toString('base64url')}`;
  assert.equal(await identity.presume(two.b.tenantId, elsewhere), undefined);

  await change(`UPDATE freehold.users SET name = 'New Name'`);
  const renamed = await ask((await presume())!);
  assert.deepEqual(renamed?.user.name, 'New Name');
  assert.equal((await presume())!.session, renamed);

  const before = (await presume())!;
  await change(`UPDATE freehold.users SET state = 'disabled'`);
  assert.equal(await ask(before), undefined);
  assert.equal(await presume(), undefined);

  await change(`UPDATE freehold.users SET state = 'active'`);
  assert.ok(await identity.authenticate(tenantId, header));
  identity.forgetPresumed(two.b.tenantId);
  assert.ok(await presume());
  identity.forgetPresumed(tenantId);
  assert.equal(await presume(), undefined);
  await identity.settle();
});
