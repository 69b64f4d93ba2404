import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { armFailpoints, type TenantId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import { createWorker } from '../sessions/browser.fixture.ts';
import { challengeCookieName } from '../sessions/cookie.ts';
import {
  cookieHeaderOf,
  createTwins,
  goodPassword,
  started,
  startTwoTenants,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import { FactorUser, gone, other } from './factor-user.fixture.ts';
import { hashRecoveryCode, newRecoveryCode, parseRecoveryCode } from './recovery-codes.ts';
import { spendRecoveryCode, spendTotpStep } from './second-factor-sql.ts';

const wrong = '000000';
let two: TwoTenants;
let user: FactorUser;
before(async () => {
  two = await startTwoTenants();
});
after(async () => {
  await two?.stop();
});
beforeEach(async () => {
  user = await FactorUser.create(two);
});

test('signing in takes two steps: no session after the password, one after the code, and nothing twice', async () => {
  await user.enrol();
  const before = await user.sessions();
  const result = await user.enter();
  assert.equal(result.session, undefined);
  assert.equal(await user.sessions(), before);
  assert.match(
    result.setCookies.join('\n'),
    /^__Host-freehold-challenge=[\w-]+; Max-Age=300; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
  );
  const header = cookieHeaderOf(result.setCookies);
  assert.equal(await two.identity.authenticate(two.a.tenantId, header), undefined);
  assert.ok(await two.identity.findAwaitedSignIn(two.a.tenantId, user.caller(header)));
  const [{ last_sign_in_at: lastBefore }] = (await user.query<{ last_sign_in_at: Date }>(
    two.a,
    'SELECT last_sign_in_at FROM freehold.users WHERE user_id = $1',
    [user.userId],
  )) as [{ last_sign_in_at: Date }];

  const code = await user.code();
  for (const typed of [other(code), '', 'x'.repeat(200), newRecoveryCode()])
    await assert.rejects(user.complete(header, typed), { code: 'FH_CODE_WRONG' });
  const done = await user.complete(header, ` ${code.slice(0, 3)} ${code.slice(3)} `);
  assert.equal(done.session.user.userId, user.userId);
  assert.match(done.setCookies.at(-1)!, /^__Host-freehold-challenge=; Max-Age=0;/);
  assert.ok(await two.identity.authenticate(two.a.tenantId, cookieHeaderOf(done.setCookies)));
  const [{ last_sign_in_at: lastAfter }] = (await user.query<{ last_sign_in_at: Date }>(
    two.a,
    'SELECT last_sign_in_at FROM freehold.users WHERE user_id = $1',
    [user.userId],
  )) as [{ last_sign_in_at: Date }];
  assert.ok(lastAfter > lastBefore);

  await assert.rejects(user.complete(header, code), gone);
  assert.equal(await two.identity.findAwaitedSignIn(two.a.tenantId, user.caller(header)), undefined);
  // The same code, from somebody who looked over a shoulder and knows the password.
  await assert.rejects(user.complete(await user.awaited(), code), { code: 'FH_CODE_WRONG' });
  assert.equal((await user.events('session.second_factor_awaited')).length, 2);
  assert.equal((await user.events('session.second_factor_failed')).length, 5);
});

test('one code, a hundred tries at once at two workers: exactly one session', async () => {
  await user.enrol();
  const workers = [two.identity, createWorker(two)];
  const browsers = [await user.awaited(), await user.awaited(user.caller(undefined, user.addressOf(2)))];
  const before = await user.sessions();
  const code = await user.code();
  const tries = Array.from({ length: 100 }, (_, number) =>
    workers[number % 2]!.completeSignIn(
      two.a.tenantId,
      { code },
      user.caller(browsers[Math.floor(number / 2) % 2]),
    ).then(
      () => 'in',
      (error) => error.code as string,
    ),
  );
  const answers = await Promise.all(tries);
  assert.equal(answers.filter((answer) => answer === 'in').length, 1);
  for (const answer of answers) assert.match(answer, /^(in|FH_CHALLENGE_NOT_FOUND|FH_CODE_(WRONG|THROTTLED))$/);
  assert.equal(await user.sessions(), before + 1);
});

test('each statement that uses something up succeeds once in a hundred', async () => {
  const { recoveryCodes } = await user.enrol();
  const hash = hashRecoveryCode(user.userId, parseRecoveryCode(recoveryCodes[0]!)!);
  await user.code();
  for (const spend of [
    (tenantId: TenantId) => two.databases.platform.transact(tenantId, (db) => spendTotpStep(db, user.userId, 77)),
    (tenantId: TenantId) => two.databases.platform.transact(tenantId, (db) => spendRecoveryCode(db, user.userId, hash)),
  ]) {
    const spent = await Promise.all(Array.from({ length: 100 }, () => spend(two.a.tenantId)));
    assert.equal(spent.filter(Boolean).length, 1);
    assert.equal(await spend(two.b.tenantId), false);
  }
});

test('a challenge is good in its browser, at its tenant, and nowhere else', async () => {
  await user.enrol(two.a);
  await user.enrol(two.b);
  const header = await user.awaited();
  const code = await user.code();
  await assert.rejects(user.complete(undefined, code), gone);
  await assert.rejects(user.complete(header, await user.code(two.b), two.b), gone);
  const value = header.slice(header.indexOf('=') + 1);
  const token = createSealer(two.a.cookieKey).open(
    Buffer.from(value, 'base64url'),
    `${two.a.tenantId} ${challengeCookieName}`,
  );
  const resealed = createSealer(two.b.cookieKey).seal(token, `${two.b.tenantId} ${challengeCookieName}`);
  const forged = `${challengeCookieName}=${resealed.toString('base64url')}`;
  await assert.rejects(user.complete(forged, await user.code(two.b), two.b), gone);
  // The code of the twin at the other tenant, who has the same id and password.
  const inB = await user.awaited(user.caller(), two.b);
  if (code !== (await user.code(two.b)))
    await assert.rejects(user.complete(inB, code, two.b), { code: 'FH_CODE_WRONG' });
  await assert.rejects(two.identity.completeSignIn(two.a.tenantId, { code }, user.caller(`${header}; ${header}`)), {
    code: 'FH_COOKIE_REFUSED',
  });
  assert.ok(await user.complete(header, await user.code()));
  assert.ok(await user.complete(inB, await user.code(two.b), two.b));
});

test('a challenge ends with time, and with whatever changes about the user', async () => {
  const { session, recoveryCodes } = await user.enrol();
  const owner = { session: { ...session, user: { ...session.user } } };
  const boss = `boss${user.serial}@example.com`;
  await createTwins(two, boss, { role: 'owner' });
  const actor = {
    session: (
      await started(two.identity.signIn(two.a.tenantId, { email: boss, password: goodPassword }, user.caller()))
    ).session,
  };
  const ends: Record<string, () => Promise<unknown>> = {
    time: () =>
      user.query(two.a, 'UPDATE freehold.sign_in_challenges SET expires_at = now() WHERE user_id = $1', [user.userId]),
    'another role': () => two.identity.setRole(two.a.tenantId, actor, user.userId, 'admin'),
    'sign-out everywhere': () => two.identity.signOutEverywhere(two.a.tenantId, owner),
    disabling: () => two.identity.setUserState(two.a.tenantId, actor, user.userId, 'disabled'),
  };
  for (const [what, end] of Object.entries(ends)) {
    const header = await user.awaited();
    await end();
    await assert.rejects(user.complete(header, await user.code()), gone, what);
  }
  await two.identity.setUserState(two.a.tenantId, actor, user.userId, 'active');
  const header = await user.awaited();
  await two.identity.resetSecondFactor(two.a.tenantId, actor, user.userId, { password: goodPassword });
  await assert.rejects(user.complete(header, recoveryCodes[0]!), gone);
  assert.ok((await user.enter()).session, 'the password is enough again');
});

test('whoever has the password gets few codes; the user goes on in a known browser, and nobody else counts', async () => {
  const { header: known } = await user.enrol();
  // Without the password nobody comes so far as to count.
  for (let number = 0; number < 4; number++)
    await assert.rejects(user.enter('wrong', user.caller(undefined, user.addressOf(3))));
  for (let number = 0; number < 20; number++)
    await assert.rejects(user.complete(undefined, wrong, two.a, user.addressOf(3)), gone);
  const counted = () =>
    user.query(
      two.a,
      `SELECT 1 FROM freehold.sign_in_failures WHERE scope ~ '^(second-factor|challenge)' AND subject = sha256($1::bytea)`,
      [user.userId],
    );
  assert.equal((await counted()).length, 0);

  const code = await user.code();
  const thief = await user.awaited(user.caller(undefined, user.addressOf(4)));
  const answers: string[] = [];
  for (let number = 0; number < 5; number++)
    answers.push(
      await user.complete(thief, other(code)).then(
        () => 'in',
        (error) => error.code,
      ),
    );
  assert.deepEqual(
    answers,
    Array.from({ length: 5 }, () => 'FH_CODE_WRONG'),
  );
  // The sixth is over the limit of its challenge: it ends, whatever the code.
  await assert.rejects(user.complete(thief, await user.code()), gone);
  await assert.rejects(
    user.complete(await user.awaited(user.caller(undefined, user.addressOf(5))), await user.code()),
    {
      code: 'FH_CODE_THROTTLED',
    },
  );
  assert.equal((await user.events('session.second_factor_throttled')).length, 1);
  assert.ok((await user.mail()).includes('second_factor_guessed'));

  await user.query(
    two.a,
    `UPDATE freehold.sign_in_failures SET blocked_until = now() + interval '15 minutes', consecutive = 99
     WHERE scope = 'second-factor'`,
  );
  const mine = await user.awaited(user.caller(known));
  assert.ok(await user.complete(mine, await user.code()));
});

test('after too many wrong codes no code is right from strange browsers, until the password is chosen anew', async () => {
  await user.enrol();
  await assert.rejects(user.complete(await user.awaited(), other(await user.code())), { code: 'FH_CODE_WRONG' });
  await user.query(
    two.a,
    `UPDATE freehold.sign_in_failures SET consecutive = 50, failures = 0 WHERE scope = 'second-factor' AND subject = sha256($1::bytea)`,
    [user.userId],
  );
  await assert.rejects(
    user.complete(await user.awaited(user.caller(undefined, user.addressOf(2))), await user.code()),
    {
      code: 'FH_CODE_WRONG',
    },
  );
  await two.identity.requestReset(two.a.tenantId, user.email, user.caller());
  await two.identity.settle();
  const { token } = two.mail.findLast(({ kind, to }) => kind === 'password_reset' && to === user.email) as {
    token: string;
  };
  const password = 'nine silver otters swim';
  const cookies = await two.identity.completeReset(two.a.tenantId, two.a.route, { token, password }, user.caller());
  // A new password signs nobody in, and the factor is asked for as before.
  assert.ok(!cookies.some((line) => line.startsWith('__Host-freehold=') && !line.includes('Max-Age=0')));
  const result = await user.enter(password, user.caller(cookieHeaderOf(cookies.slice(1))));
  assert.equal(result.session, undefined);
  assert.ok(await user.complete(cookieHeaderOf(result.setCookies), await user.code()));
});

test('a failure before the end of a step uses nothing up', async () => {
  await user.enrol();
  const header = await user.awaited();
  const code = await user.code();
  armFailpoints('identity.second_step.before_commit=error');
  try {
    await assert.rejects(user.complete(header, code));
  } finally {
    armFailpoints('');
  }
  assert.ok(await user.complete(header, code), 'the same code, the same challenge');
});
