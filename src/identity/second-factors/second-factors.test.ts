import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createSealer } from '#src/keys/index.ts';
import { createAccessReset } from '../passwords/access-reset.ts';
import { cookieHeaderOf, goodPassword, started, startTwoTenants, type TwoTenants } from '../two-tenants.fixture.ts';
import type { Session } from '../types.ts';
import { stripClone } from '../users/lifecycle.ts';
import { FactorUser, other } from './factor-user.fixture.ts';
import { newRecoveryCode } from './recovery-codes.ts';

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

test('setting up: after the password, and it counts after a first right code; everybody else is signed out', async () => {
  const { tenantId, route } = two.a;
  const bystander = await started(user.enter());
  const here = await started(user.enter());
  const actor = { session: here.session };
  await assert.rejects(two.identity.beginTotp(tenantId, actor, route, { password: 'wrong' }), {
    code: 'FH_PASSWORD_WRONG',
  });
  const first = await two.identity.beginTotp(tenantId, actor, route, { password: goodPassword });
  const { secret, uri } = await two.identity.beginTotp(tenantId, actor, route, { password: goodPassword });
  assert.notEqual(first.secret, secret);
  assert.match(secret, /^[A-Z2-7]{32}$/);
  assert.equal(new URL(uri).searchParams.get('secret'), secret);
  assert.ok((await started(user.enter())).session, 'not yet in the way of anybody');

  const code = await user.code();
  // Its body came after the session had ended: at the door it was still there.
  const ended = (await started(user.enter())).session;
  await two.identity.revokeSession(tenantId, actor, ended.sessionId);
  await assert.rejects(two.identity.confirmTotp(tenantId, { session: ended }, code, user.caller()), {
    code: 'FH_SESSION_REQUIRED',
  });
  await assert.rejects(two.identity.confirmTotp(tenantId, actor, other(code), user.caller()), {
    code: 'FH_CODE_WRONG',
  });
  await assert.rejects(two.identity.confirmTotp(tenantId, actor, newRecoveryCode(), user.caller()), {
    code: 'FH_CODE_WRONG',
  });
  assert.equal((await two.identity.getSecondFactor(tenantId, actor)).enrolledAt, undefined);
  const done = await two.identity.confirmTotp(tenantId, actor, code, user.caller(cookieHeaderOf(here.setCookies)));
  assert.equal(done.recoveryCodes.length, 10);
  assert.equal(new Set(done.recoveryCodes).size, 10);
  const state = await two.identity.getSecondFactor(tenantId, { session: done.session });
  assert.ok(state.enrolledAt instanceof Date);
  assert.equal(state.recoveryCodesLeft, 10);
  for (const { setCookies } of [bystander, here])
    assert.equal(await two.identity.authenticate(tenantId, cookieHeaderOf(setCookies)), undefined);
  assert.ok(await two.identity.authenticate(tenantId, cookieHeaderOf(done.setCookies)));
  await assert.rejects(two.identity.beginTotp(tenantId, { session: done.session }, route, { password: goodPassword }), {
    code: 'FH_SECOND_FACTOR_EXISTS',
  });
  await assert.rejects(two.identity.confirmTotp(tenantId, { session: done.session }, code, user.caller()), {
    code: 'FH_SECOND_FACTOR_EXISTS',
  });
  assert.equal((await user.events('user.second_factor_enrolled')).length, 1);
  assert.ok((await user.mail()).includes('second_factor_enrolled'));
  // The twin at the other tenant, with the same id, has none.
  assert.ok((await user.enter(goodPassword, user.caller(), two.b)).session);
});

test('what was begun is over after 15 minutes, and what is stored tells no secret and no code', async () => {
  const { tenantId, route } = two.a;
  const actor = { session: (await started(user.enter())).session };
  await assert.rejects(two.identity.confirmTotp(tenantId, actor, wrong, user.caller()), {
    code: 'FH_SECOND_FACTOR_NOT_FOUND',
  });
  const { secret } = await two.identity.beginTotp(tenantId, actor, route, { password: goodPassword });
  const code = await user.code();
  await user.query(
    two.a,
    `UPDATE freehold.totp_factors SET created_at = now() - interval '16 minutes' WHERE user_id = $1`,
    [user.userId],
  );
  await assert.rejects(two.identity.confirmTotp(tenantId, actor, code, user.caller()), {
    code: 'FH_SECOND_FACTOR_NOT_FOUND',
  });
  const { recoveryCodes } = await user.enrol();
  const stored: string[] = [];
  for (const table of ['totp_factors', 'recovery_codes', 'sign_in_challenges', 'audit_events', 'users'])
    for (const { row } of await user.query<{ row: string }>(two.a, `SELECT t::text AS row FROM freehold.${table} t`))
      stored.push(row.toLowerCase());
  const text = stored.join('\n');
  for (const each of [secret, ...recoveryCodes, ...recoveryCodes.map((one) => one.replaceAll('-', ''))])
    assert.ok(!text.includes(each.toLowerCase()));
  // Sealed for this user of this tenant: moved to another row, or read with another tenant's key, it is no secret at all.
  const [{ sealed }] = (await user.query<{ sealed: Buffer }>(
    two.a,
    'SELECT sealed_secret AS sealed FROM freehold.totp_factors WHERE user_id = $1',
    [user.userId],
  )) as [{ sealed: Buffer }];
  for (const [key, context] of [
    [two.b.factorsKey, `${tenantId} totp ${user.userId}`],
    [two.a.cookieKey, `${tenantId} totp ${user.userId}`],
    [two.a.factorsKey, `${two.b.tenantId} totp ${user.userId}`],
    [two.a.factorsKey, `${tenantId} totp usr_other`],
  ] as const)
    assert.throws(() => createSealer(key).open(sealed, context), { code: 'FH_KEY_UNSEAL' });
});

test('another password takes the old one and a code, and signs everybody else out', async () => {
  const { session, header } = await user.enrol();
  const fresh = 'four green kettles whistle';
  const change = (factor: { code?: string }, currentPassword = goodPassword) =>
    two.identity.changePassword(
      two.a.tenantId,
      { session },
      two.a.route,
      { currentPassword, newPassword: fresh, ...factor },
      user.caller(header),
    );
  await assert.rejects(change({}), { code: 'FH_CODE_REQUIRED' });
  await assert.rejects(change({ code: wrong }), { code: 'FH_CODE_WRONG' });
  await assert.rejects(change({ code: await user.code() }, 'wrong wrong wrong wrong'), {
    code: 'FH_PASSWORD_WRONG',
    fields: { currentPassword: 'This is not your current password.' },
  });
  assert.deepEqual(
    (await user.events('user.password_change_refused')).map(({ reason }) => reason),
    ['FH_CODE_REQUIRED', 'FH_CODE_WRONG', 'FH_PASSWORD_WRONG'],
  );
  const changed = await change({ code: await user.code() });
  assert.equal(await two.identity.authenticate(two.a.tenantId, header), undefined);
  assert.ok(await two.identity.authenticate(two.a.tenantId, cookieHeaderOf(changed.setCookies)));
  await assert.rejects(user.enter(), { code: 'FH_SIGN_IN_FAILED' });
  assert.equal((await user.enter(fresh)).session, undefined, 'the second step follows');
});

test('a link of the operator removes factors when it is used, once, for this user of this tenant', async () => {
  const { tenantId, route } = two.a;
  user = await FactorUser.create(two, 'owner');
  const { header } = await user.enrol();
  await user.enrol(two.b);
  const fresh = 'four green kettles whistle';
  const make = (email: string) =>
    two.databases.platform.transact(tenantId, (db) => createAccessReset(db, email, 'os:operator'));
  await assert.rejects(make('nobody@example.com'), { code: 'FH_USER_NOT_FOUND' });
  const replaced = await make(user.email);
  const { token, email } = await make(user.email.toUpperCase());
  assert.equal(email, user.email);
  assert.ok(await two.identity.authenticate(tenantId, header), 'nothing changes before it is used');
  const use = (which: string, tenant = two.a) =>
    two.identity.completeReset(tenant.tenantId, route, { token: which, password: fresh }, user.caller());
  for (const [which, tenant] of [
    [replaced.token, two.a],
    [token, two.b],
  ] as const)
    await assert.rejects(use(which, tenant), { code: 'FH_RESET_NOT_FOUND' });
  // Nobody else could sign in without a provider.
  await user.query(two.a, 'INSERT INTO freehold.sign_on_policy (enforced) VALUES (true)');
  const tries = await Promise.allSettled(Array.from({ length: 20 }, () => use(token)));
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.equal(await two.identity.authenticate(tenantId, header), undefined);
  const here = await started(user.enter(fresh));
  assert.equal((await two.identity.getSecondFactor(tenantId, { session: here.session })).enrolledAt, undefined);
  assert.equal((await user.events('user.access_reset_created')).length, 2);
  assert.equal((await user.events('user.second_factor_reset')).length, 1);
  assert.deepEqual(await user.events('sign_on.policy_changed'), [{ from: 'enforced', to: 'optional' }]);
  assert.equal((await user.enter(goodPassword, user.caller(), two.b)).session, undefined, 'the twin keeps theirs');
});

test('recovery codes: each once, told, counted; new ones make the old worthless', async () => {
  const { recoveryCodes } = await user.enrol();
  two.mail.length = 0;
  const spoken = recoveryCodes[0]!.toUpperCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l');
  const done = await user.complete(await user.awaited(), spoken);
  const actor = { session: done.session, address: user.addressOf() };
  assert.equal((await two.identity.getSecondFactor(two.a.tenantId, actor)).recoveryCodesLeft, 9);
  assert.deepEqual(await user.events('user.recovery_code_used'), [{ left: 9 }]);
  assert.deepEqual(await user.mail(), ['recovery_code_used']);
  await assert.rejects(user.complete(await user.awaited(), recoveryCodes[0]!), { code: 'FH_CODE_WRONG' });
  // A hundred at once, in a browser each as far as it goes.
  const before = await user.sessions();
  const headers = [await user.awaited(), await user.awaited()];
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, number) =>
      user.complete(headers[number % 2], recoveryCodes[1]!).then(
        () => 'in',
        (error) => error.code as string,
      ),
    ),
  );
  assert.equal(answers.filter((answer) => answer === 'in').length, 1);
  assert.equal(await user.sessions(), before + 1);
  assert.equal((await two.identity.getSecondFactor(two.a.tenantId, actor)).recoveryCodesLeft, 8);

  const renew = (password: string, code: string) =>
    two.identity.renewRecoveryCodes(two.a.tenantId, actor, { password, code }, user.caller());
  await assert.rejects(renew('wrong', await user.code()), { code: 'FH_PASSWORD_WRONG' });
  await assert.rejects(renew(goodPassword, other(await user.code())), { code: 'FH_CODE_WRONG' });
  await user.query(two.a, 'DELETE FROM freehold.sign_in_failures');
  const fresh = await renew(goodPassword, await user.code());
  assert.equal(fresh.length, 10);
  await user.query(two.a, 'DELETE FROM freehold.sign_in_failures');
  await assert.rejects(user.complete(await user.awaited(), recoveryCodes[2]!), { code: 'FH_CODE_WRONG' });
  assert.ok(await user.complete(await user.awaited(), fresh[2]!));
  assert.equal((await user.events('user.recovery_codes_replaced')).length, 1);
  assert.equal((await user.events('user.second_factor_refused')).length, 2);
  // The twin at the other tenant knows none of them.
  await user.enrol(two.b);
  await assert.rejects(user.complete(await user.awaited(user.caller(), two.b), fresh[3]!, two.b), {
    code: 'FH_CODE_WRONG',
  });
});

test('turning it off takes password and code; what was refused is recorded and limited', async () => {
  const { session, recoveryCodes } = await user.enrol();
  const actor = { session, address: user.addressOf() };
  const remove = (password: string, code: string) =>
    two.identity.removeSecondFactor(two.a.tenantId, actor, { password, code }, user.caller());
  await assert.rejects(remove('wrong', await user.code()), { code: 'FH_PASSWORD_WRONG' });
  // A code beside a wrong password is not used up by it.
  for (let number = 0; number < 4; number++)
    await assert.rejects(remove(goodPassword, other(await user.code())), { code: 'FH_CODE_WRONG' });
  await remove(goodPassword, recoveryCodes[9]!).catch(({ code }) => assert.equal(code, 'unexpected'));
  assert.equal((await two.identity.getSecondFactor(two.a.tenantId, actor)).enrolledAt, undefined);
  assert.equal((await two.identity.getSecondFactor(two.a.tenantId, actor)).recoveryCodesLeft, 0);
  assert.ok((await user.enter()).session);
  assert.equal((await user.events('user.second_factor_refused')).length, 5);
  assert.equal((await user.events('user.second_factor_removed')).length, 1);
  assert.ok((await user.mail()).includes('second_factor_removed'));
  await assert.rejects(remove(goodPassword, recoveryCodes[8]!), { code: 'FH_SECOND_FACTOR_NOT_FOUND' });
});

test('whoever has a second factor shows it for whatever a session is not enough for, and each code is good for one act', async () => {
  const { tenantId } = two.a;
  const owner = await FactorUser.create(two, 'owner');
  const { session, recoveryCodes } = await owner.enrol();
  const actor = { session, address: owner.addressOf(), userAgent: 'test' };
  const events = { confirmed: 'backup.download_confirmed', refused: 'backup.download_refused' } as const;
  const acts: ((code?: string) => Promise<unknown>)[] = [
    (code) =>
      two.identity.createApiToken(
        tenantId,
        actor,
        { name: 'nightly', scope: 'read', password: goodPassword, code },
        owner.caller(),
      ),
    (code) => two.identity.confirmOwner(tenantId, actor, { password: goodPassword, code }, events),
    (code) => two.identity.setSecondFactorPolicy(tenantId, actor, 'admins', { password: goodPassword, code }),
  ];
  for (const [index, act] of acts.entries()) {
    await assert.rejects(act(), { code: 'FH_CODE_REQUIRED' });
    await assert.rejects(act(other(await owner.code())), { code: 'FH_CODE_WRONG' });
    const code = await owner.code();
    await act(code);
    await assert.rejects(act(code), { code: 'FH_CODE_WRONG' });
    await act(recoveryCodes[index]!);
    await assert.rejects(act(recoveryCodes[index]!), { code: 'FH_CODE_WRONG' });
    // What was refused is counted, and forgotten by the next right one.
    await act(await owner.code());
  }
  assert.equal((await owner.mail()).filter((kind) => kind === 'recovery_code_used').length, 3);
  // The twin at the other tenant has none, and is asked for none.
  const twin = await started(owner.enter(goodPassword, owner.caller(), two.b));
  await two.identity.confirmOwner(two.b.tenantId, { session: twin.session }, { password: goodPassword }, events);
  await owner.query(two.a, 'DELETE FROM freehold.second_factor_policy');
});

test('an administrator resets the factor of a member, an owner that of an owner, nobody their own', async () => {
  const person = async (role: 'owner' | 'admin') => {
    const made = await FactorUser.create(two, role);
    return { userId: made.userId, code: () => made.code(), ...(await made.enrol()) };
  };
  const [owner, second, admin] = [await person('owner'), await person('owner'), await person('admin')];
  const member = { userId: user.userId, code: () => user.code(), ...(await user.enrol()) };
  type By = { session: Session; code: () => Promise<string> };
  const reset = async (by: By, whose: string, shown?: { password: string; code?: string }) =>
    two.identity.resetSecondFactor(
      two.a.tenantId,
      { session: by.session, address: user.addressOf() },
      whose,
      shown ?? { password: goodPassword, code: await by.code() },
    );
  await assert.rejects(reset(member, admin.userId), { code: 'FH_ROLE_REQUIRED' });
  await assert.rejects(reset(admin, owner.userId), { code: 'FH_ROLE_REQUIRED' });
  await assert.rejects(reset(owner, owner.userId), { code: 'FH_ROLE_REQUIRED' });
  await assert.rejects(reset(admin, 'usr_nobody'), { code: 'FH_USER_NOT_FOUND' });
  assert.ok(await two.identity.authenticate(two.a.tenantId, member.header));
  // The session alone, or the password alone, removes nobody's factor.
  const wrong = { password: 'not the password of anybody', code: await admin.code() };
  await assert.rejects(reset(admin, member.userId, wrong), { code: 'FH_PASSWORD_WRONG' });
  await assert.rejects(reset(admin, member.userId, { password: goodPassword }), { code: 'FH_CODE_REQUIRED' });
  assert.ok(await two.identity.authenticate(two.a.tenantId, member.header));
  await reset(admin, member.userId);
  assert.equal(await two.identity.authenticate(two.a.tenantId, member.header), undefined, 'signed out at once');
  await assert.rejects(reset(admin, member.userId), { code: 'FH_SECOND_FACTOR_NOT_FOUND' });
  await reset(owner, second.userId);
  assert.equal((await user.events('user.second_factor_reset')).length, 1);
  assert.ok((await user.mail()).includes('second_factor_reset'));
});

test('a clone has no factors; a secret that another key sealed leaves recovery codes and the reset', async () => {
  const { recoveryCodes } = await user.enrol();
  await user.query(
    two.a,
    `UPDATE freehold.totp_factors SET sealed_secret = sha256('x') || '\\x0011223344556677889900112233445566' WHERE user_id = $1`,
    [user.userId],
  );
  const header = await user.awaited();
  await assert.rejects(user.complete(header, '123456'), { code: 'FH_CODE_WRONG' });
  assert.ok(await user.complete(header, recoveryCodes[0]!));
  await user.awaited();
  await two.databases.platform.transact(two.a.tenantId, stripClone);
  for (const table of ['totp_factors', 'recovery_codes', 'sign_in_challenges'])
    assert.deepEqual(await user.query(two.a, `SELECT 1 FROM freehold.${table}`), [], table);
  assert.ok((await user.enter()).session);
});
