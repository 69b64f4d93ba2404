import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { TenantId } from '#src/kernel/index.ts';
import { TestBrowser } from '../sessions/browser.fixture.ts';
import { hashToken } from '../sessions/cookie.ts';
import { rotation } from '../sessions/session-key.ts';
import {
  cookieHeaderOf,
  createTwins,
  goodPassword,
  started,
  startTwoTenants,
  type TestTenant,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import { consumeReset } from './reset-sql.ts';

const newPassword = 'nine silver otters swim';
const olga = 'olga@example.com';
let two: TwoTenants;
before(async () => {
  two = await startTwoTenants();
});
after(async () => {
  await two?.stop();
});
let userId: string;
beforeEach(async () => {
  for (const { tenantId } of [two.a, two.b])
    await two.databases.platform.transact(tenantId, async (db) => {
      for (const table of ['users', 'sign_in_failures', 'password_resets'])
        await db.query(`DELETE FROM freehold.${table}`);
    });
  userId = await createTwins(two, olga, { role: 'owner' });
  two.mail.length = 0;
});

let lastAddress = 0;
/** Each from a network of its own. */
const stranger = () => ({
  address: `10.${(lastAddress >> 8) & 255}.${lastAddress++ & 255}.1`,
  userAgent: 'Test Browser',
});

async function ask(email = olga, caller: object = stranger(), tenant: TestTenant = two.a): Promise<void> {
  await two.identity.requestReset(tenant.tenantId, email, caller);
  await two.identity.settle();
}
const links = () => two.mail.flatMap((order) => (order.kind === 'password_reset' ? [order] : []));
async function newLink(): Promise<string> {
  await ask();
  return links().at(-1)!.token;
}
const complete = (token: string, password = newPassword, tenant: TestTenant = two.a, caller: object = stranger()) =>
  two.identity.completeReset(tenant.tenantId, tenant.route, { token, password }, caller);
const signIn = (password: string, caller: object = stranger()) =>
  started(two.identity.signIn(two.a.tenantId, { email: olga, password }, caller));
const query = <T>(tenantId: TenantId, text: string, values: readonly unknown[] = []): Promise<T[]> =>
  two.databases.platform.transact(tenantId, (db) => db.query(text, values) as Promise<T[]>);
const gone = { code: 'FH_RESET_NOT_FOUND' };
/** As if so much time had passed for every link. */
const age = (seconds: number) =>
  query(
    two.a.tenantId,
    `UPDATE freehold.password_resets SET created_at = created_at - make_interval(secs => $1), expires_at = expires_at - make_interval(secs => $1)`,
    [seconds],
  );

test('a link by mail sets a new password once, ends every session, signs nobody in and tells the user', async () => {
  const before = await signIn(goodPassword);
  const cookieHeader = cookieHeaderOf(before.setCookies);
  two.mail.length = 0;
  const token = await newLink();
  const [link] = links();
  assert.deepEqual([link!.tenantId, link!.to, link!.name], [two.a.tenantId, olga, 'Twin']);
  const ends = new Date(link!.expiresAt).getTime() - Date.now();
  assert.ok(ends > 10 * 60_000 && ends <= 15 * 60_000);
  assert.equal((await two.identity.getReset(two.a.tenantId, token)).email, olga);
  const [stored] = await query<{ row: string }>(
    two.a.tenantId,
    `SELECT r::text AS row FROM freehold.password_resets r`,
  );
  assert.ok(!stored!.row.includes(token) && !stored!.row.includes(Buffer.from(token, 'base64url').toString('hex')));

  await assert.rejects(complete(token, 'short'), { code: 'FH_PASSWORD_REFUSED' });
  const setCookies = await complete(token);
  assert.match(setCookies.join('\n'), /^__Host-freehold=; Max-Age=0/, 'nobody is signed in by it');
  await assert.rejects(complete(token), gone);
  await assert.rejects(two.identity.getReset(two.a.tenantId, token), gone);
  assert.equal(await two.identity.authenticate(two.a.tenantId, cookieHeader), undefined);
  await assert.rejects(signIn(goodPassword), { code: 'FH_SIGN_IN_FAILED' });
  await signIn(newPassword);
  await two.identity.settle();
  assert.ok(two.mail.some(({ kind, to }) => kind === 'password_was_reset' && to === olga));

  const events = await query<{ name: string; subject: string }>(
    two.a.tenantId,
    `SELECT name, subject FROM freehold.audit_events WHERE name LIKE 'user.password_reset%' AND subject = $1 ORDER BY position`,
    [userId],
  );
  assert.deepEqual(
    events.map(({ name }) => name),
    ['user.password_reset_requested', 'user.password_reset'],
  );
});

test('of 100 who present a link at once, exactly one sets the password', async () => {
  const token = await newLink();
  const tokenHash = hashToken(Buffer.from(token, 'base64url'));
  const all = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      two.databases.platform.transact(two.a.tenantId, (db) => consumeReset(db, tokenHash, `hash ${index}`)),
    ),
  );
  assert.equal(all.filter((user) => user !== undefined).length, 1);
  // The whole way, as many as are let in to hash.
  const other = await newLink();
  const ends = await Promise.allSettled(Array.from({ length: 20 }, () => complete(other)));
  assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const end of ends) if (end.status === 'rejected') assert.equal(end.reason.code, gone.code);
});

test('a link of one tenant opens nothing in another, where the same user has the same id', async () => {
  const token = await newLink();
  await assert.rejects(two.identity.getReset(two.b.tenantId, token), gone);
  await assert.rejects(complete(token, newPassword, two.b), gone);
  await complete(token);
  assert.equal((await query(two.b.tenantId, 'SELECT 1 FROM freehold.password_resets')).length, 0);
  await two.identity.signIn(two.b.tenantId, { email: olga, password: goodPassword }, stranger());
});

test('a link ends after 15 minutes, and when anything about the user changes', async () => {
  const old = await newLink();
  await age(901);
  await assert.rejects(complete(old), gone);
  for (const change of [`state = 'disabled'`, 'epoch = epoch + 1']) {
    const token = await newLink();
    await query(two.a.tenantId, `UPDATE freehold.users SET ${change} WHERE user_id = $1`, [userId]);
    await assert.rejects(complete(token), gone, change);
    await query(two.a.tenantId, `UPDATE freehold.users SET state = 'active' WHERE user_id = $1`, [userId]);
    await age(901);
  }
  for (const odd of ['', 'x', 'A'.repeat(43), `${'A'.repeat(42)}B`, `${await newLink()}=`])
    await assert.rejects(complete(odd), gone);
});

/** Counts what a request does; times are measured elsewhere. */
async function countWork(email: string): Promise<{ inAnswer: string[]; behind: string[] }> {
  const { databases } = two;
  const platform = databases.platform as { transact: typeof databases.platform.transact };
  const original = platform.transact;
  const statements: string[] = [];
  platform.transact = ((tenantId: TenantId, fn: (db: { query: (...args: unknown[]) => unknown }) => unknown) =>
    original(tenantId, async (db) =>
      fn({
        ...db,
        query: (text: unknown, ...rest: unknown[]) => {
          statements.push(String(text));
          return (db.query as (...args: unknown[]) => unknown)(text, ...rest);
        },
      } as never),
    )) as never;
  try {
    await two.identity.requestReset(two.a.tenantId, email, stranger());
    const inAnswer = statements.slice(0, 2);
    await two.identity.settle();
    return { inAnswer, behind: statements };
  } finally {
    platform.transact = original;
  }
}

test('asking does the same work whether the address is known, unknown or disabled, and says the same', async () => {
  await query(
    two.a.tenantId,
    `INSERT INTO freehold.users (user_id, email, email_key, name, role, state, password_hash)
     SELECT 'usr_' || repeat('0', 26), 'off@example.com', 'off@example.com', 'Off', 'member', 'disabled', password_hash FROM freehold.users LIMIT 1`,
  );
  const works = [];
  for (const email of [olga, 'nobody@example.com', 'off@example.com', 'no address at all', ''])
    works.push(await countWork(email));
  for (const work of works) assert.deepEqual(work, works[0], 'the same statements in the same order');
  assert.ok(works[0]!.behind.length > 3);
  assert.deepEqual(
    links().map(({ to }) => to),
    [olga],
  );
  const rows = await query<{ user_id: string | null }>(two.a.tenantId, 'SELECT user_id FROM freehold.password_resets');
  assert.equal(rows.length, works.length, 'one row each, whoever it is for');
});

test('whoever keeps asking in somebody’s name fills no mailbox, and keeps nobody from a link that is good', async () => {
  for (let index = 0; index < 3; index++) await ask();
  assert.equal(links().length, 1, 'one within a minute');
  await age(61);
  await ask();
  await age(61);
  for (let index = 0; index < 10; index++) await ask();
  assert.equal(links().length, 3, 'three that are good at the same time');
  // The owner has one of these in the mailbox; every one of them works, the attacker's newest included.
  assert.equal((await two.identity.getReset(two.a.tenantId, links()[0]!.token)).email, olga);
  await age(600);
  for (let index = 0; index < 5; index++) await ask();
  await complete(links().at(-1)!.token);

  // In every quarter of an hour of such an attack there is a good link.
  for (let quarter = 0; quarter < 8; quarter++) {
    const sent = links().length;
    for (let index = 0; index < 3; index++) await ask();
    assert.ok(links().length > sent || (await two.identity.getReset(two.a.tenantId, links().at(-1)!.token)));
    await age(450);
  }
});

test('a browser that the user signed in with has links of its own and is not slowed down by others', async () => {
  const { setCookies } = await signIn(goodPassword);
  const known = { address: '192.0.2.9', cookieHeader: cookieHeaderOf(setCookies) };
  two.mail.length = 0;
  for (let index = 0; index < 3; index++) {
    await ask();
    await age(61);
  }
  assert.equal(links().length, 3);
  // All of its network is used up by somebody else.
  const neighbour = { address: '192.0.2.77' };
  let refused = 0;
  for (let index = 0; index < 30; index++)
    await ask('nobody@example.com', neighbour).catch((error) => {
      assert.equal(error.code, 'FH_RESET_THROTTLED');
      assert.ok(error.retryAfterSeconds > 0);
      refused++;
    });
  assert.ok(refused > 0);
  // The first waits are short; the next request of a slow machine would come after them.
  await query(
    two.a.tenantId,
    `UPDATE freehold.sign_in_failures SET blocked_until = blocked_until + interval '10 minutes' WHERE blocked_until IS NOT NULL`,
  );
  await assert.rejects(ask(olga, { address: '192.0.2.9' }), { code: 'FH_RESET_THROTTLED' });
  await ask(olga, known);
  assert.equal(links().length, 4);
});

test('with a new password the user gets in again, however many wrong ones somebody else has typed', async () => {
  await query(
    two.a.tenantId,
    `INSERT INTO freehold.sign_in_failures (scope, subject, failures, consecutive, expires_at)
     SELECT 'account', sha256($1::bytea), 1, 99, now() + interval '1 day'`,
    [olga],
  );
  await assert.rejects(signIn(goodPassword), { code: 'FH_SIGN_IN_FAILED' });
  const setCookies = await complete(await newLink());
  const browser = { address: '192.0.2.40', cookieHeader: cookieHeaderOf(setCookies.slice(1)) };
  await query(
    two.a.tenantId,
    `INSERT INTO freehold.sign_in_failures (scope, subject, failures, consecutive, expires_at)
     SELECT 'account', sha256($1::bytea), 1, 99, now() + interval '1 day'
     ON CONFLICT (scope, subject) DO UPDATE SET consecutive = 99`,
    [olga],
  );
  await assert.rejects(signIn(newPassword), { code: 'FH_SIGN_IN_FAILED' });
  assert.equal((await signIn(newPassword, browser)).session.user.email, olga);
});

test('users are told of a changed password and of a browser that is new; invitations are mailed', async () => {
  const tess = 'tess@example.com';
  await createTwins(two, tess, { role: 'owner' });
  const signTessIn = () =>
    started(two.identity.signIn(two.a.tenantId, { email: tess, password: goodPassword }, stranger()));
  await signTessIn();
  const second = await signTessIn();
  await signTessIn();
  const actor = { session: second.session, address: '192.0.2.1' };
  await two.identity.createInvitation(two.a.tenantId, actor, { email: 'mia@example.com', role: 'member' });
  await two.identity.changePassword(
    two.a.tenantId,
    actor,
    two.a.route,
    { currentPassword: goodPassword, newPassword },
    { ...stranger(), userAgent: 'Evil\r\nBcc: x' },
  );
  await two.identity.settle();
  assert.deepEqual(
    two.mail.map(({ kind, to }) => `${kind} ${to}`),
    [`new_sign_in ${tess}`, 'invitation mia@example.com', `password_changed ${tess}`],
    'the first sign-in is no news, and of several new browsers within an hour one is told',
  );
  for (const order of two.mail) assert.ok(!/[\r\n]/.test(JSON.stringify(Object.values(order)).replaceAll('\\\\', '')));
});

test('the user is told by mail when a session ends because an old key of it came back', async () => {
  const { setCookies } = await signIn(goodPassword);
  const browser = new TestBrowser(two.a.tenantId, cookieHeaderOf(setCookies).split('; ')[0]!);
  const oldHeader = browser.header;
  const pass = (seconds: number) =>
    query(
      two.a.tenantId,
      `UPDATE freehold.sessions SET rotated_at = rotated_at - make_interval(secs => $1),
         key_used_at = key_used_at - make_interval(secs => $1)`,
      [seconds],
    );
  for (let round = 0; round < 2; round++) {
    await two.identity.settle();
    await pass(rotation.everySeconds + 1);
    assert.ok((await browser.request(two.identity)).setCookie);
    await browser.request(two.identity);
    await two.identity.settle();
  }
  await pass(rotation.graceSeconds + 1);
  const thief = new TestBrowser(two.a.tenantId, oldHeader);
  assert.equal((await thief.request(two.identity)).session, undefined);
  await two.identity.settle();
  const told = two.mail.filter(({ kind }) => kind === 'session_replayed');
  assert.deepEqual(
    told.map(({ to, tenantId }) => [to, tenantId]),
    [[olga, two.a.tenantId]],
  );
});
