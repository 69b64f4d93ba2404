import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { armFailpoints } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { Identity } from '../identity.ts';
import { cookieHeaderOf, createTwins, goodPassword, startTwoTenants, type TwoTenants } from '../two-tenants.fixture.ts';
import type { PresumedSession, Session } from '../types.ts';
import { createWorker, keyIn, TestBrowser } from './browser.fixture.ts';
import { sessionCookieName } from './cookie.ts';
import { encodeSessionKey, rotation } from './session-key.ts';

let two: TwoTenants;
let workers: [Identity, Identity, Identity];
before(async () => {
  two = await startTwoTenants();
  workers = [createWorker(two), createWorker(two), createWorker(two)];
});
after(async () => {
  armFailpoints('');
  await settle();
  await two?.stop();
});

const settle = () => Promise.all((workers ?? []).map((worker) => worker.settle()));
const query = (text: string, values?: unknown[], tenant = two.a) =>
  two.databases.platform.transact(tenant.tenantId, (db) => db.query(text, values));
const signIn = async (tenant = two.a) => {
  const started = await two.identity.signIn(
    tenant.tenantId,
    { email, password: goodPassword },
    { address: `198.51.100.${serial}`, userAgent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140' },
  );
  return new TestBrowser(tenant.tenantId, cookieHeaderOf(started.setCookies).split('; ')[0]!);
};
const sessionIdOf = (browser: TestBrowser) => keyIn(two.a, browser.header).sessionId;
/** So much time goes by for all sessions of the user; less than nothing: what is in its grace has as much more, however slow the machine. */
const pass = async (seconds: number) => {
  await settle();
  await query(
    `UPDATE freehold.sessions SET rotated_at = rotated_at - make_interval(secs => $2),
       key_used_at = key_used_at - make_interval(secs => $2) WHERE user_id = $1`,
    [userId, seconds],
  );
};
const rotated = async (browser: TestBrowser) => {
  await pass(rotation.everySeconds);
  const { session, setCookie } = await browser.request(workers[0]);
  assert.ok(session && setCookie);
  return setCookie;
};
const events = async (tenant = two.a) =>
  (await two.identity.listAuditEvents(tenant.tenantId, { name: 'session.key_reused', limit: 50 })).events.filter(
    ({ subject }) => subject === userId,
  );

/** What the check says where the request began on a presumption. */
const askPresumed = async ({ check, read }: PresumedSession) =>
  read(await two.databases.app.read(two.a.tenantId, (db) => db.query(check.text, [...check.values])));
let serial = 0;
let email: string;
let userId: string;
beforeEach(async () => {
  email = `twin${++serial}@example.com`;
  userId = await createTwins(two, email);
});

test('the key is replaced once by many at the same time, and every loser is given the very same successor', async () => {
  const browser = await signIn();
  const sessionId = sessionIdOf(browser);
  for (let generation = 1; generation <= 3; generation++) {
    await pass(rotation.everySeconds);
    const { header } = browser;
    const tabs = Array.from({ length: 32 }, () => new TestBrowser(two.a.tenantId, header));
    const answers = await Promise.all(tabs.map((tab, at) => tab.request(workers[at % 3]!)));
    // Nobody is shown a sign-in page, and nobody is left without the successor.
    assert.deepEqual(
      answers.map(({ session }) => session?.sessionId),
      answers.map(() => sessionId),
    );
    const keys = answers.map(({ setCookie }) => keyIn(two.a, setCookie!));
    assert.equal(new Set(keys.map((key) => encodeSessionKey(key).toString('hex'))).size, 1);
    assert.equal(keys[0]!.generation, generation);
    assert.notEqual(tabs[0]!.header, header);
    browser.header = tabs[generation]!.header;
    assert.equal((await browser.request(workers[1])).setCookie, undefined);
  }
  const [row] = await query('SELECT generation FROM freehold.sessions WHERE session_id = $1', [sessionId]);
  assert.equal(row!.generation, 3);
  assert.deepEqual(await events(), []);
});

test('a key is not replaced before its time, and a request that replaces nothing writes nothing', async () => {
  const browser = await signIn();
  await pass(rotation.everySeconds - 200);
  const version = async () =>
    (
      await query('SELECT xmin::text AS version FROM freehold.sessions WHERE session_id = $1', [sessionIdOf(browser)])
    )[0];
  const before = await version();
  for (let round = 0; round < 20; round++)
    assert.equal((await browser.request(workers[round % 3]!)).setCookie, undefined);
  await settle();
  assert.deepEqual(await version(), before);
});

test('an answer that comes after the sign-out brings no key back', async () => {
  const browser = await signIn();
  const { header } = browser;
  await rotated(browser);
  assert.ok(await workers[1].authenticate(two.a.tenantId, header));
  await query('DELETE FROM freehold.sessions WHERE user_id = $1', [userId]);
  assert.equal(await workers[1].renew(two.a.tenantId, header), undefined);
});

test('a lost answer signs nobody out, however late its browser comes back (reload, tunnel, closed lid)', async () => {
  const browser = await signIn();
  await pass(rotation.everySeconds);
  const old = browser.header;
  const lost = await browser.request(workers[0], { isLost: true });
  assert.ok(lost.setCookie);
  await pass(3_600);
  assert.equal(browser.header, old);
  const { session, setCookie } = await browser.request(workers[1]);
  assert.ok(session && setCookie);
  assert.deepEqual(keyIn(two.a, setCookie), keyIn(two.a, lost.setCookie));
  assert.ok((await browser.request(workers[2])).session);
  assert.deepEqual(await events(), []);
});

test('within the grace the old key is good as often as it comes, and each answer brings the successor again', async () => {
  const browser = await signIn();
  const late = new TestBrowser(two.a.tenantId, browser.header);
  const successor = keyIn(two.a, await rotated(browser));
  await browser.request(workers[0]);
  await pass(-3_600);
  for (const worker of workers)
    for (let round = 0; round < 4; round++) {
      const { session, setCookie } = await new TestBrowser(two.a.tenantId, late.header).request(worker);
      assert.ok(session);
      assert.deepEqual(keyIn(two.a, setCookie!), successor);
    }
  // The tab that had that answer is as good as the one that won.
  await late.request(workers[2]);
  await pass(3_600 + rotation.graceSeconds);
  assert.ok((await late.request(workers[1])).session);
  assert.ok((await browser.request(workers[2])).session);
  assert.deepEqual(await events(), []);
});

test('answers that carry no cookies replace nothing and lose nothing: streams, downloads, polling', async () => {
  const browser = await signIn();
  await pass(rotation.everySeconds * 3);
  for (const worker of workers) assert.ok((await browser.request(worker, { cannotSet: true })).session);
  const key = keyIn(two.a, browser.header);
  const { setCookie } = await browser.request(workers[0]);
  assert.equal(keyIn(two.a, setCookie!).generation, key.generation + 1);
  // A poll that began with the old key and can set nothing, while the page has the new one.
  await browser.request(workers[1], { cannotSet: true });
  assert.ok((await browser.request(workers[2])).session);
});

test('a stream goes on through rotations, and ends with its session', async () => {
  const browser = await signIn();
  const sessionId = sessionIdOf(browser);
  for (let round = 0; round < 3; round++) {
    await rotated(browser);
    await browser.request(workers[1]);
    await pass(rotation.settleSeconds);
    for (const worker of workers) assert.equal(await worker.isSessionLive(two.a.tenantId, sessionId), true);
  }
  assert.equal(await workers[0].isSessionLive(two.b.tenantId, sessionId), false);
  const { session } = await browser.request(workers[0]);
  await two.identity.signOut(two.a.tenantId, { session: session! });
  for (const worker of workers) assert.equal(await worker.isSessionLive(two.a.tenantId, sessionId), false);
});

for (const age of [1, 2, 3])
  test(`a key that was replaced ${age} times ends the session on every worker, is audited and told`, async () => {
    const [browser, other, inB] = [await signIn(), await signIn(), await signIn(two.b)];
    const sessionId = sessionIdOf(browser);
    const thief = new TestBrowser(two.a.tenantId, browser.header);
    for (let round = 0; round < age; round++) {
      await rotated(browser);
      await browser.request(workers[1]);
      await pass(rotation.graceSeconds + 1);
    }
    assert.ok((await browser.request(workers[2])).session);
    // Of many at the same time one ends it.
    const replays = await Promise.all(
      Array.from({ length: 12 }, (_, at) => new TestBrowser(two.a.tenantId, thief.header).request(workers[at % 3]!)),
    );
    assert.ok(replays.every(({ session, setCookie }) => session === undefined && setCookie === undefined));
    for (const worker of workers) {
      assert.equal((await browser.request(worker)).session, undefined);
      assert.equal(await worker.isSessionLive(two.a.tenantId, sessionId), false);
    }
    const found = await events();
    assert.deepEqual(
      found.map(({ actor, address, details }) => ({ actor, address, details })),
      [{ actor: 'anonymous', address: '192.0.2.7', details: { sessionId, replacements: age } }],
    );
    // The other device and the twin of the other tenant know nothing of it.
    const told = (await other.request(workers[0])).session!;
    assert.ok((await inB.request(workers[0])).session);
    assert.deepEqual(await events(two.b), []);
    assert.equal((await two.identity.findSessionEnd(two.a.tenantId, browser.header))?.reason, 'key_reused');
    assert.equal(await two.identity.findSessionEnd(two.a.tenantId, other.header), undefined);
    const actor = { session: told };
    const [notice] = await two.identity.listNotices(two.a.tenantId, actor);
    assert.deepEqual([notice?.sessionId, notice?.address], [sessionId, '192.0.2.7']);
    assert.deepEqual(await two.identity.listNotices(two.b.tenantId, actor), []);
    await two.identity.dismissNotices(two.a.tenantId, actor);
    assert.deepEqual(await two.identity.listNotices(two.a.tenantId, actor), []);
  });

test('a session that is over in an ordinary way is not ended again by its old keys', async () => {
  for (const end of [
    `UPDATE freehold.sessions SET idle_expires_at = now() - interval '1 second' WHERE user_id = $1`,
    `UPDATE freehold.sessions SET expires_at = now() - interval '1 second' WHERE user_id = $1`,
    'UPDATE freehold.users SET epoch = epoch + 1 WHERE user_id = $1',
    'DELETE FROM freehold.sessions WHERE user_id = $1',
  ]) {
    const browser = await signIn();
    const old = new TestBrowser(two.a.tenantId, browser.header);
    await rotated(browser);
    await browser.request(workers[0]);
    await pass(rotation.graceSeconds + 1);
    await query(end, [userId]);
    for (const one of [old, browser]) assert.equal((await one.request(workers[1])).session, undefined, end);
    assert.equal(await two.identity.findSessionEnd(two.a.tenantId, browser.header), undefined);
  }
  assert.deepEqual(await events(), []);
});

test('a key from the future is nobody, and no theft: the server went back to an older copy of its data', async () => {
  const browser = await signIn();
  const before = browser.header;
  const [old] = await query('SELECT token_hash FROM freehold.sessions WHERE user_id = $1', [userId]);
  await rotated(browser);
  await query(
    'UPDATE freehold.sessions SET token_hash = $2, previous_token_hash = NULL, generation = 0, key_used_at = now() WHERE user_id = $1',
    [userId, old!.token_hash],
  );
  assert.equal((await browser.request(workers[0])).session, undefined);
  assert.deepEqual(await events(), []);
  assert.ok((await new TestBrowser(two.a.tenantId, before).request(workers[1])).session);
});

test('a key that a worker presumes is refused there as soon as its grace is over', async () => {
  const browser = await signIn();
  const { tenantId } = two.a;
  const old = browser.header;
  const [here, there] = workers;
  await browser.request(there);
  const ask = async () => {
    const presumed = there.presume(tenantId, old, '192.0.2.8');
    return presumed ? (await askPresumed(presumed))?.user.email : 'not presumed';
  };
  assert.equal(await ask(), email);
  await pass(rotation.everySeconds);
  await browser.request(here);
  await browser.request(here);
  await pass(-3_600);
  // In its grace; from here on nothing begins on it.
  assert.equal(await ask(), email);
  assert.equal(await ask(), 'not presumed');
  // As if this worker had not heard of the successor yet.
  const second = await signIn();
  const replaced = second.header;
  await second.request(there);
  const presumed = there.presume(tenantId, replaced, '192.0.2.8')!;
  await pass(rotation.everySeconds);
  await second.request(here);
  await second.request(here);
  await pass(rotation.graceSeconds + 1);
  assert.equal(await askPresumed(presumed), undefined);
  await settle();
  assert.equal((await second.request(here)).session, undefined);
  assert.deepEqual(
    (await events()).map(({ address }) => address),
    ['192.0.2.8'],
  );
});

test('what ends a session ends it for the very next request at every worker, whatever key it comes with', async () => {
  const { tenantId } = two.a;
  const boss = `boss${serial}@example.com`;
  await createTwins(two, boss, { role: 'owner' });
  const { session: bossSession } = await two.identity.signIn(tenantId, { email: boss, password: goodPassword }, {});
  assert.ok(bossSession);
  const owner = { session: bossSession };
  const fresh = 'four green kettles whistle';
  const ends: Record<string, (actor: { session: Session }, browser: TestBrowser) => Promise<unknown>> = {
    'sign-out': (actor) => two.identity.signOut(tenantId, actor),
    'sign-out everywhere': (actor) => two.identity.signOutEverywhere(tenantId, actor),
    'revocation from another device': async (actor) => {
      const other = (await (await signIn()).request(workers[0])).session!;
      await two.identity.revokeSession(tenantId, { session: other }, actor.session.sessionId);
    },
    'sign-out of all other devices': async () => {
      const other = (await (await signIn()).request(workers[0])).session!;
      await two.identity.signOutOthers(tenantId, { session: other });
      assert.equal((await two.identity.listSessions(tenantId, { session: other })).length, 1);
    },
    'another role': () => two.identity.setRole(tenantId, owner, userId, 'admin'),
    disabling: async () => {
      await two.identity.setUserState(tenantId, owner, userId, 'disabled');
      await two.identity.setUserState(tenantId, owner, userId, 'active');
    },
    'another password': (actor, { header }) =>
      two.identity.changePassword(
        tenantId,
        actor,
        two.a.route,
        { currentPassword: goodPassword, newPassword: fresh },
        { cookieHeader: header },
      ),
  };
  for (const [what, end] of Object.entries(ends)) {
    const browser = await signIn();
    const late = new TestBrowser(tenantId, browser.header);
    await rotated(browser);
    await browser.request(workers[0]);
    await pass(-3_600);
    const inB = await signIn(two.b);
    // Every worker has seen both keys, and presumes what it may.
    for (const worker of workers) {
      assert.ok((await browser.request(worker)).session, what);
      assert.ok((await late.request(worker, { isLost: true })).session, what);
    }
    const { session } = await browser.request(workers[0]);
    await end({ session: session! }, browser);
    for (const worker of workers)
      for (const one of [browser, late]) {
        const presumed = worker.presume(tenantId, one.header);
        if (presumed) assert.equal(await askPresumed(presumed), undefined, what);
        assert.deepEqual(await one.request(worker), { session: undefined, setCookie: undefined }, what);
      }
    assert.ok((await inB.request(workers[1])).session, what);
  }
  assert.deepEqual(await events(), []);
});

test('a rotation that fails before or after its commit costs nobody the session', async () => {
  const browser = await signIn();
  for (const [point, changed] of [
    ['identity.rotate.before_commit', 0],
    ['identity.rotate.done', 1],
  ] as const) {
    await pass(rotation.everySeconds);
    const { generation } = keyIn(two.a, browser.header);
    armFailpoints(`${point}=error`);
    const { session, setCookie } = await browser.request(workers[0]);
    assert.deepEqual([session?.user.email, setCookie], [email, undefined], point);
    armFailpoints('');
    const [row] = await query('SELECT generation FROM freehold.sessions WHERE user_id = $1', [userId]);
    assert.equal(row!.generation, generation + changed);
    assert.ok((await browser.request(workers[1])).setCookie);
    assert.equal(keyIn(two.a, browser.header).generation, generation + 1);
    await browser.request(workers[1]);
  }
});

test('a session that could not be ended yet is ended by the next replay', async () => {
  const browser = await signIn();
  const thief = new TestBrowser(two.a.tenantId, browser.header);
  await rotated(browser);
  await browser.request(workers[0]);
  await pass(rotation.graceSeconds + 1);
  armFailpoints('identity.reuse.before_commit=error');
  assert.equal((await thief.request(workers[0])).session, undefined);
  armFailpoints('');
  assert.ok((await browser.request(workers[0])).session);
  assert.deepEqual(await events(), []);
  assert.equal((await thief.request(workers[1])).session, undefined);
  assert.equal((await browser.request(workers[0])).session, undefined);
  assert.equal((await events()).length, 1);
});

test('neither the tables nor the key of the tenant make a successor of their own', async () => {
  const browser = await signIn();
  const key = keyIn(two.a, browser.header);
  // Whoever can seal for the tenant, but holds no token.
  const forged = encodeSessionKey({ ...key, token: Buffer.alloc(32), generation: 7 });
  const value = createSealer(two.a.cookieKey).seal(forged, `${two.a.tenantId} ${sessionCookieName}`);
  const forger = new TestBrowser(two.a.tenantId, `${sessionCookieName}=${value.toString('base64url')}`);
  assert.equal((await forger.request(workers[0])).session, undefined);
  assert.ok((await browser.request(workers[0])).session);
});

test('the function in the database and the statements count the same times', async () => {
  const [row] = await query(`SELECT pg_get_functiondef('freehold.check_session(bytea)'::regprocedure) AS text`);
  const intervals = [...String(row!.text).matchAll(/'([^']+)'::pg_catalog\.interval/g)].map(([, text]) => text);
  const [seconds] = await query(
    'SELECT array_agg(extract(epoch FROM i::interval)::int) AS all FROM unnest($1::text[]) i',
    [intervals],
  );
  assert.deepEqual(seconds!.all, [rotation.everySeconds, rotation.settleSeconds, rotation.graceSeconds]);
  assert.ok(rotation.everySeconds <= 300 && 2 * rotation.graceSeconds <= rotation.settleSeconds);
});
