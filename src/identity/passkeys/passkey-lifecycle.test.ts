import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { armFailpoints } from '#src/kernel/index.ts';
import { cookieHeaderOf, goodPassword, started, startTwoTenants, type TwoTenants } from '../two-tenants.fixture.ts';
import { stripClone } from '../users/lifecycle.ts';
import { PasskeyUser, partyOf } from './passkey-user.fixture.ts';
import { maxPasskeysPerUser } from './passkeys.ts';
import { SoftwareAuthenticator, type Tricks } from './software-authenticator.fixture.ts';

const failed = { code: 'FH_PASSKEY_SIGN_IN_FAILED' };
const refused = { code: 'FH_PASSKEY_REFUSED' };
let two: TwoTenants;
let user: PasskeyUser;
before(async () => {
  two = await startTwoTenants();
});
after(async () => {
  await two?.stop();
});
beforeEach(async () => {
  user = await PasskeyUser.create(two);
});

const challenges = (purpose: string, tenant = two.a) =>
  user.factor.query(tenant, 'SELECT 1 FROM freehold.passkey_challenges WHERE purpose = $1', [purpose]);
/** Shown at the sign-in page, in a browser of its own. */
const show = (assertion: ReturnType<SoftwareAuthenticator['get']>, header: string, tenant = two.a) =>
  two.identity.signInWithPasskey(tenant.tenantId, assertion, user.factor.caller(header));

test('whoever is disabled, and whatever was removed, signs nobody in', async () => {
  const owner = await PasskeyUser.create(two, 'owner');
  const { session: ownSession, recoveryCodes: ownCodes } = await owner.enrol();
  const { authenticator, session, header, recoveryCodes } = await user.enrol();
  const setState = (state: 'active' | 'disabled') =>
    two.identity.setUserState(two.a.tenantId, { session: ownSession }, user.factor.userId, state);
  await setState('disabled');
  await assert.rejects(user.signIn(authenticator), failed);
  await setState('active');
  const done = await user.signIn(authenticator);
  const actor = { session: done.session };
  const { passkeys } = await two.identity.getSecondFactor(two.a.tenantId, actor);
  const remove = async (shown: object) =>
    two.identity.removePasskey(
      two.a.tenantId,
      actor,
      passkeys[0]!.passkeyId,
      { password: goodPassword, ...shown },
      user.factor.caller(header),
    );
  await assert.rejects(remove({}), { code: 'FH_CODE_REQUIRED' });
  const own = () => two.identity.askOwnPasskey(two.a.tenantId, actor, partyOf(two.a));
  const options = await own();
  // Used up even where the password is wrong.
  await assert.rejects(remove({ password: 'wrong', passkey: authenticator.get(options) }), {
    code: 'FH_PASSWORD_WRONG',
  });
  await assert.rejects(remove({ passkey: authenticator.get(options) }), refused);
  await remove({ passkey: authenticator.get(await own()) });
  assert.equal((await two.identity.getSecondFactor(two.a.tenantId, actor)).recoveryCodesLeft, 0);
  assert.ok((await user.factor.enter()).session, 'the password is enough again');
  await assert.rejects(user.signIn(authenticator), failed);
  await assert.rejects(remove({ code: recoveryCodes[0] }), { code: 'FH_PASSKEY_NOT_FOUND' });
  assert.equal((await user.factor.events('user.passkey_removed')).length, 1);
  assert.ok((await user.factor.mail()).includes('passkey_removed'));
  assert.ok(session);
  // All of somebody's, by an administrator.
  const again = await user.enrol();
  await two.identity.resetSecondFactor(two.a.tenantId, { session: ownSession }, user.factor.userId, {
    password: goodPassword,
    code: ownCodes[0],
  });
  await assert.rejects(user.signIn(again.authenticator), failed);
});

test('a passkey that was made wrongly is not kept, and its challenge is used up', async () => {
  const entered = await started(user.factor.enter());
  const make = (tricks: Tricks, authenticator = new SoftwareAuthenticator(partyOf(two.a).origin)) =>
    user.add(entered.session, authenticator, user.factor.caller(cookieHeaderOf(entered.setCookies)), two.a, { tricks });
  for (const [what, tricks] of Object.entries({
    'another origin': { origin: partyOf(two.b).origin },
    'another host': { rpId: two.b.route.host },
    'an answer to a sign-in': { type: 'webauthn.get' },
    'a user who was not verified': { flags: 0x01 },
    'another challenge': { challenge: 'A'.repeat(43) },
    'a frame': { crossOrigin: true },
  } satisfies Record<string, Tricks>)) {
    await user.factor.query(two.a, 'DELETE FROM freehold.passkey_challenges');
    await user.factor.query(two.a, 'DELETE FROM freehold.sign_in_failures');
    await assert.rejects(make(tricks), refused, what);
    if (!('challenge' in tricks)) assert.deepEqual(await challenges('register'), [], what);
  }
  assert.ok((await user.factor.enter()).session);
  // The credential id of somebody else here.
  const other = await PasskeyUser.create(two);
  const { authenticator } = await other.enrol();
  const { credentialId } = authenticator;
  await assert.rejects(make({}, new SoftwareAuthenticator(partyOf(two.a).origin, { credentialId })), refused);
  // A statement about the make of the authenticator is not looked at, however wrong.
  const statement = { fmt: 'packed', attStmt: new Map<string, unknown>([['x5c', [new Uint8Array(8)]]]) };
  await make({ statement });
});

test('a password or sign-out meanwhile ends what was begun; ten are enough', async () => {
  const entered = await started(user.factor.enter());
  const actor = { session: entered.session };
  const authenticator = new SoftwareAuthenticator(partyOf(two.a).origin);
  const options = await two.identity.beginPasskey(two.a.tenantId, actor, partyOf(two.a), { password: goodPassword });
  await user.factor.query(two.a, 'UPDATE freehold.users SET epoch = epoch + 1 WHERE user_id = $1', [
    user.factor.userId,
  ]);
  const made = { name: 'x', attestation: authenticator.create(options) };
  await assert.rejects(two.identity.addPasskey(two.a.tenantId, actor, made, user.factor.caller()), {
    code: 'FH_SESSION_REQUIRED',
  });
  const { session, recoveryCodes } = await user.enrol();
  await user.factor.query(
    two.a,
    `INSERT INTO freehold.passkeys (passkey_id, user_id, credential_id, public_key, counter, transports, backup_eligible, backed_up, rp_id, name)
     SELECT 'pky_' || lpad(number::text, 26, '0'), user_id, sha256(number::text::bytea), public_key, 0, '{}', false, false, rp_id, name
     FROM freehold.passkeys, generate_series(2, $2) AS number WHERE user_id = $1`,
    [user.factor.userId, maxPasskeysPerUser],
  );
  await assert.rejects(
    two.identity.beginPasskey(two.a.tenantId, { session }, partyOf(two.a), {
      password: goodPassword,
      code: recoveryCodes[0],
    }),
    { code: 'FH_PASSKEY_LIMIT' },
  );
});

test('by policy a passkey is enough, for sessions and for the list of who has a factor', async () => {
  const owner = await PasskeyUser.create(two, 'owner');
  const { authenticator, header } = await owner.enrol();
  await user.factor.query(two.a, `INSERT INTO freehold.second_factor_policy (required_of) VALUES ('everyone')`);
  try {
    assert.equal((await two.identity.authenticate(two.a.tenantId, header))?.mustEnrol, undefined);
    const bare = await started(user.factor.enter());
    const seen = await two.identity.authenticate(two.a.tenantId, cookieHeaderOf(bare.setCookies));
    assert.equal(seen?.mustEnrol, true);
    const done = await owner.signIn(authenticator);
    const { enrolled } = await two.identity.getSecondFactorPolicy(two.a.tenantId, { session: done.session });
    assert.ok(enrolled.includes(owner.factor.userId as never) && !enrolled.includes(user.factor.userId as never));
  } finally {
    await user.factor.query(two.a, 'DELETE FROM freehold.second_factor_policy');
  }
});

test('passkeys of another host stay a factor and open nothing; recovery codes do', async () => {
  const { authenticator, recoveryCodes } = await user.enrol();
  await user.factor.query(two.a, `UPDATE freehold.passkeys SET rp_id = 'old.localhost' WHERE user_id = $1`, [
    user.factor.userId,
  ]);
  await assert.rejects(user.signIn(authenticator), failed);
  const header = await user.factor.awaited();
  await assert.rejects(two.identity.askSecondStepPasskey(two.a.tenantId, partyOf(two.a), user.factor.caller(header)), {
    code: 'FH_PASSKEY_NOT_FOUND',
  });
  assert.ok(await user.factor.complete(header, recoveryCodes[0]!));
});

test('a failure before the end adds nothing and removes nothing', async () => {
  const failing = async (failpoint: string, act: () => Promise<unknown>) => {
    armFailpoints(`${failpoint}=error`);
    try {
      await assert.rejects(act());
    } finally {
      armFailpoints('');
    }
  };
  await failing('identity.passkey.add.before_commit', () => user.enrol());
  assert.ok((await user.factor.enter()).session, 'no factor yet');
  const { authenticator, session, recoveryCodes } = await user.enrol();
  const actor = { session };
  const [passkey] = (await two.identity.getSecondFactor(two.a.tenantId, actor)).passkeys;
  const shown = { password: goodPassword, code: recoveryCodes[0] };
  await failing('identity.passkey.remove.before_commit', () =>
    two.identity.removePasskey(two.a.tenantId, actor, passkey!.passkeyId, shown, user.factor.caller()),
  );
  assert.ok(await user.signIn(authenticator));
  assert.equal((await two.identity.getSecondFactor(two.a.tenantId, actor)).recoveryCodesLeft, 10);
});

test('a failure before the end leaves the passkey and its challenge as the failpoint says; a clone has none', async () => {
  const { authenticator } = await user.enrol();
  const begun = await user.begin();
  const assertion = authenticator.get(begun.options);
  for (const failpoint of ['identity.passkey.spend.before_commit', 'identity.passkey.sign_in.before_commit']) {
    armFailpoints(`${failpoint}=error`);
    try {
      await assert.rejects(show(assertion, begun.header));
    } finally {
      armFailpoints('');
    }
  }
  // The challenge was used up by the second; the counter was not.
  await assert.rejects(show(assertion, begun.header), failed);
  const next = await user.begin();
  assert.ok(await show(authenticator.get(next.options, { counter: authenticator.counter }), next.header));
  await user.begin();
  await two.databases.platform.transact(two.a.tenantId, stripClone);
  for (const table of ['passkeys', 'passkey_users', 'passkey_challenges'])
    assert.deepEqual(await user.factor.query(two.a, `SELECT 1 FROM freehold.${table}`), [], table);
});
