import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { type FreeholdError, silentLog, waitFor } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { createIdentity, type Identity } from '../identity.ts';
import {
  cookieHeaderOf,
  createTwins,
  goodPassword,
  started,
  startTwoTenants,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import { type Attempt, attemptLimits, createAttemptLimiter } from './attempts.ts';

let two: TwoTenants;
/** Another worker of the gateway: shares nothing with the first but the database. */
let otherWorker: Identity;
before(async () => {
  two = await startTwoTenants();
  otherWorker = createIdentity({
    databases: two.databases,
    cookieKeyOf: (tenantId) => (tenantId === two.a.tenantId ? two.a : two.b).cookieKey,
    factorsKeyOf: (tenantId) => (tenantId === two.a.tenantId ? two.a : two.b).factorsKey,
    log: silentLog,
  });
});
after(() => two?.stop());

let serial = 0;
let email: string;
let userId: string;
beforeEach(async () => {
  email = `limits${++serial}@example.com`;
  userId = await createTwins(two, email);
  await query('DELETE FROM freehold.sign_in_failures');
});

const query = (text: string, values?: unknown[]) =>
  two.databases.platform.transact(two.a.tenantId, (db) => db.query(text, values));
type Outcome = { code: string; retryAfterSeconds?: number } | { code: 'ok'; setCookies: readonly string[] };
function tryTo(
  password: string,
  {
    address = '203.0.113.9',
    cookieHeader,
    worker = two.identity,
    tenant = two.a,
    as = email,
  }: {
    address?: string;
    cookieHeader?: string;
    worker?: Identity;
    tenant?: TwoTenants['a'];
    as?: string;
  } = {},
): Promise<Outcome> {
  return worker.signIn(tenant.tenantId, { email: as, password }, { address, cookieHeader }).then(
    ({ setCookies }) => ({ code: 'ok', setCookies }),
    (error) => error,
  );
}
const wait = (seconds: number) =>
  query('UPDATE freehold.sign_in_failures SET blocked_until = blocked_until - make_interval(secs => $1)', [seconds]);
const cookiesOf = (outcome: Outcome) => cookieHeaderOf((outcome as Extract<Outcome, { code: 'ok' }>).setCookies);

/** Six wrong passwords from one network; the wait that begins is made so long that a slow machine does not outlast it. */
async function useUpTries(as = email): Promise<void> {
  for (let tries = 0; tries < 6; tries++) assert.equal((await tryTo('wrong', { as })).code, 'FH_SIGN_IN_FAILED');
  await wait(-600);
}

test('after five wrong passwords from one network the wait doubles; the right one in time forgets them', async () => {
  await useUpTries();
  assert.equal((await tryTo(goodPassword)).code, 'FH_SIGN_IN_THROTTLED', 'the right password is not looked at');
  await query(`UPDATE freehold.sign_in_failures SET failures = 10, blocked_until = NULL WHERE scope = 'account-range'`);
  for (const expectedSeconds of [32, 64, 128]) {
    assert.equal((await tryTo('wrong')).code, 'FH_SIGN_IN_FAILED');
    const { code, retryAfterSeconds } = (await tryTo(goodPassword)) as { code: string; retryAfterSeconds: number };
    assert.equal(code, 'FH_SIGN_IN_THROTTLED');
    assert.ok(retryAfterSeconds <= expectedSeconds && retryAfterSeconds > expectedSeconds / 2, `${retryAfterSeconds}`);
    await wait(expectedSeconds);
  }
  assert.equal((await tryTo(goodPassword)).code, 'ok');
  for (let tries = 0; tries < 5; tries++) assert.equal((await tryTo('wrong')).code, 'FH_SIGN_IN_FAILED');
  assert.equal((await tryTo(goodPassword)).code, 'ok');
});

test('an unknown address is throttled exactly like a known one', async () => {
  const outcome = async (as: string) => {
    await query('DELETE FROM freehold.sign_in_failures');
    await useUpTries(as);
    const error = (await tryTo('wrong', { as })) as FreeholdError;
    return [error.code, error.message, error.hint];
  };
  assert.deepEqual(await outcome('nobody@example.com'), await outcome(email));
});

test('attempts side by side, on several workers, share the free ones', async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, index) => tryTo('wrong', { worker: index % 2 === 0 ? two.identity : otherWorker })),
  );
  const failed = outcomes.filter(({ code }) => code === 'FH_SIGN_IN_FAILED').length;
  const throttled = outcomes.filter(({ code }) => code === 'FH_SIGN_IN_THROTTLED').length;
  assert.equal(failed + throttled, 40);
  // Five free ones, the one that starts the wait, and perhaps one after a second of waiting per hash on a slow machine.
  assert.ok(failed >= 6 && failed <= 9, `${failed} passwords were looked at`);
});

test('one tenant’s failures are not another’s', async () => {
  await useUpTries();
  assert.equal((await tryTo(goodPassword)).code, 'FH_SIGN_IN_THROTTLED');
  assert.equal((await tryTo(goodPassword, { tenant: two.b })).code, 'ok');
});

test('an attacker on many networks slows strangers down, and never the user in a browser that is known', async () => {
  const known = cookiesOf(await tryTo(goodPassword));
  let throttled = 0;
  for (let network = 0; network < 16; network++)
    if ((await tryTo('wrong', { address: `198.51.${network}.1` })).code === 'FH_SIGN_IN_THROTTLED') throttled++;
  assert.ok(throttled > 0);
  await wait(-600);
  assert.equal((await tryTo(goodPassword, { address: '192.0.2.200' })).code, 'FH_SIGN_IN_THROTTLED');
  assert.equal((await tryTo(goodPassword, { address: '192.0.2.200', cookieHeader: known })).code, 'ok');
});

test('after fifty wrong passwords in a row no stranger gets in, with the same answer; a known browser and an administrator help', async () => {
  const known = cookiesOf(await tryTo(goodPassword));
  await tryTo('wrong');
  await query(
    `UPDATE freehold.sign_in_failures SET consecutive = 50, failures = 0, expires_at = now() + interval '1 hour'`,
  );
  const answer = await tryTo(goodPassword, { address: '192.0.2.7' });
  assert.equal(answer.code, 'FH_SIGN_IN_FAILED');
  assert.equal((await tryTo(goodPassword, { cookieHeader: known })).code, 'ok');

  await query(`UPDATE freehold.users SET role = 'owner' WHERE user_id = $1`, [userId]);
  const { session } = await started(
    two.identity.signIn(two.a.tenantId, { email, password: goodPassword }, { cookieHeader: known }),
  );
  assert.equal((await tryTo(goodPassword, { address: '192.0.3.7' })).code, 'FH_SIGN_IN_FAILED');
  await two.identity.setUserState(two.a.tenantId, { session }, userId, 'active');
  assert.equal((await tryTo(goodPassword, { address: '192.0.4.7' })).code, 'ok');
});

test('a known browser that guesses becomes a stranger after ten', async () => {
  const known = cookiesOf(await tryTo(goodPassword));
  for (let tries = 0; tries < 11; tries++) {
    await wait(3600);
    assert.equal((await tryTo('wrong', { cookieHeader: known })).code, 'FH_SIGN_IN_FAILED');
  }
  const [{ devices } = {}] = await query(
    'SELECT count(*)::int AS devices FROM freehold.known_devices WHERE user_id = $1',
    [userId],
  );
  assert.equal(devices, 0);
  await wait(3600);
  assert.equal(
    (await tryTo(goodPassword, { cookieHeader: known })).code,
    'ok',
    'as a stranger with no failures of its own',
  );
});

test('a flood that fills the queue keeps out strangers, and nobody in a browser that is known or who is signed in', async () => {
  const accessOf = (tenantId: string) => (tenantId === two.a.tenantId ? two.a : two.b);
  const flooded = createIdentity({
    databases: two.databases,
    cookieKeyOf: (tenantId) => accessOf(tenantId).cookieKey,
    factorsKeyOf: (tenantId) => accessOf(tenantId).factorsKey,
    passwords: { concurrency: 1, maxAdmitted: 8 },
    log: silentLog,
  });
  const known = cookiesOf(await tryTo(goodPassword));
  const { session } = await started(
    two.identity.signIn(two.a.tenantId, { email, password: goodPassword }, { cookieHeader: known }),
  );
  // Each from a network of its own and for an account of its own, so that nothing but the queue is in their way.
  const flood = Array.from({ length: 40 }, (_, network) =>
    tryTo('wrong', { worker: flooded, address: `10.7.${network}.1`, as: `flood${network}@example.com` }),
  );
  const [signedIn, confirmed] = await Promise.all([
    tryTo(goodPassword, { worker: flooded, cookieHeader: known }),
    flooded
      .confirmOwner(
        two.a.tenantId,
        { session },
        { password: goodPassword },
        {
          confirmed: 'backup.download_confirmed',
          refused: 'backup.download_refused',
        },
      )
      .catch((error) => error),
  ]);
  const codes = (await Promise.all(flood)).map(({ code }) => code);
  assert.ok(codes.includes('FH_BUSY'), codes.join());
  assert.equal(signedIn.code, 'ok');
  // Not an owner: refused for that, not for want of a place.
  assert.equal(confirmed.code, 'FH_ROLE_REQUIRED');
});

test('another tenant’s device cookie makes nobody known', async () => {
  const inB = cookiesOf(await tryTo(goodPassword, { tenant: two.b }));
  await useUpTries();
  assert.equal((await tryTo(goodPassword, { cookieHeader: inB })).code, 'FH_SIGN_IN_THROTTLED');
});

test('the beginning of throttling is in the security log once, and nothing that was typed is stored', async () => {
  const typed = 'my-secret-password-typed-into-the-wrong-field';
  for (let tries = 0; tries < 9; tries++) await tryTo('wrong', { as: typed });
  const { events } = await two.identity.listAuditEvents(two.a.tenantId, { name: 'session.login_throttled', limit: 2 });
  assert.equal(events[0]!.subject, 'unknown');
  assert.equal(events[0]!.details.limits, 'account-range');
  assert.notEqual(events[1]?.recordedAt.getTime(), events[0]!.recordedAt.getTime());
  for (const table of ['audit_events', 'sign_in_failures']) {
    const [{ found } = {}] = await query(
      `SELECT count(*)::int AS found FROM freehold.${table} t WHERE position('secret-password' in t::text) > 0`,
    );
    assert.equal(found, 0, table);
  }
});

test('an unknown address takes as long as a known one', async () => {
  // A coarse guard only, over interleaved pairs and in processor time, which is the process's own; bench/ measures with thousands of samples.
  const timed = async (as: string, network: number) => {
    const before = process.cpuUsage();
    await tryTo('wrong', { as, address: `10.${serial}.${network}.1` });
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  };
  const differences: number[] = [];
  const totals: number[] = [];
  for (let pair = 0; pair < 10; pair++) {
    // Fresh addresses and fresh failures each time, so that no throttle is measured.
    await query('DELETE FROM freehold.sign_in_failures');
    const first = await timed(pair % 2 === 0 ? email : 'nobody@example.com', pair * 2);
    const second = await timed(pair % 2 === 0 ? 'nobody@example.com' : email, pair * 2 + 1);
    differences.push(pair % 2 === 0 ? first - second : second - first);
    totals.push(first, second);
  }
  const median = (list: number[]) => list.toSorted((a, b) => a - b)[list.length >> 1]!;
  // Without the hash an unknown address would take a tenth of the time.
  assert.ok(Math.abs(median(differences)) < median(totals) * 0.6, `${median(differences)} of ${median(totals)} ms`);
});

test('a clock that was a year ahead and was set back keeps nobody out for a year', async () => {
  await useUpTries();
  await query(
    `UPDATE freehold.sign_in_failures SET blocked_until = blocked_until + interval '1 year', expires_at = expires_at + interval '1 year'`,
  );
  assert.equal((await tryTo(goodPassword)).code, 'ok');
  // The limits count from here as they always do.
  await useUpTries();
  assert.equal((await tryTo(goodPassword)).code, 'FH_SIGN_IN_THROTTLED');
});

test('who signs in while others do never waits for them in a circle', async () => {
  const limiter = createAttemptLimiter('freehold.sign_in_failures');
  const account = { limit: attemptLimits.account, subject: email };
  const range = { limit: attemptLimits.range, subject: '203.0.113.9' };
  const begin = (...attempts: Attempt[]) =>
    two.databases.platform.transact(two.a.tenantId, (db) => limiter.begin(db, attempts));
  // The account's counter is not there when the counters are locked: another sign-in that went well has just forgotten it.
  await begin(range);
  let other: ReturnType<typeof begin> | undefined;
  await two.databases.platform.transact(two.a.tenantId, async (db) => {
    const query: Queryable['query'] = async (text, values) => {
      const rows = await db.query(text, values);
      if (other) return rows as never;
      // Right behind the lock somebody makes it anew, and somebody else has it locked and waits for the range's.
      await begin(account);
      other = begin(account, range);
      const isWaiting = async () => {
        const waiting = await two.control.query(
          `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'`,
          [two.a.databaseName],
        );
        return waiting.length > 0;
      };
      await waitFor('the other to wait', isWaiting, { deadlineMs: 60_000 });
      return rows as never;
    };
    await limiter.succeed({ query }, [account, range]);
  });
  assert.deepEqual((await other)?.reached, []);
});
