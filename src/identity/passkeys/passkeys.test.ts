import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { createWorker } from '../sessions/browser.fixture.ts';
import { cookieHeaderOf, goodPassword, started, startTwoTenants, type TwoTenants } from '../two-tenants.fixture.ts';
import { PasskeyUser, partyOf } from './passkey-user.fixture.ts';
import { type Algorithm, SoftwareAuthenticator, type Tricks } from './software-authenticator.fixture.ts';

const failed = { code: 'FH_PASSKEY_SIGN_IN_FAILED' };
const refused = { code: 'FH_PASSKEY_REFUSED' };
const gone = { code: 'FH_CHALLENGE_NOT_FOUND' };
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

test('a first passkey: recovery codes, everybody else signed out, told, listed; another one brings no new codes', async () => {
  const { tenantId } = two.a;
  const bystander = await started(user.factor.enter());
  const { session, recoveryCodes, header } = await user.enrol();
  assert.equal(new Set(recoveryCodes).size, 10);
  assert.equal(await two.identity.authenticate(tenantId, cookieHeaderOf(bystander.setCookies)), undefined);
  assert.ok(await two.identity.authenticate(tenantId, header));
  const state = await two.identity.getSecondFactor(tenantId, { session });
  assert.equal(state.enrolledAt, undefined);
  assert.equal(state.recoveryCodesLeft, 10);
  assert.deepEqual(
    state.passkeys.map(({ name, host, isBackedUp, lastUsedAt }) => [name, host, isBackedUp, lastUsedAt]),
    [['Laptop', two.a.route.host, false, null]],
  );
  assert.deepEqual(await user.factor.events('user.passkey_added'), [{ passkeyName: 'Laptop', backedUp: false }]);
  assert.ok((await user.factor.mail()).includes('passkey_added'));
  assert.equal((await user.factor.enter()).session, undefined, 'the password is not enough any more');
  assert.ok((await user.factor.enter(goodPassword, user.factor.caller(), two.b)).session, 'the twin has none');

  const shown = { password: goodPassword, code: recoveryCodes[0]! };
  const actor = { session };
  await assert.rejects(two.identity.beginPasskey(tenantId, actor, partyOf(two.a), { password: goodPassword }), {
    code: 'FH_CODE_REQUIRED',
  });
  const more = new SoftwareAuthenticator(partyOf(two.a).origin);
  const here = user.factor.caller(header);
  const added = await user.add(session, more, here, two.a, { shown, tricks: { flags: 0x1d } });
  assert.deepEqual(added.recoveryCodes, []);
  const [, second] = (await two.identity.getSecondFactor(tenantId, { session: added.session })).passkeys;
  assert.equal(second!.isBackedUp, true);
  // An app beside it, too.
  await two.identity.beginTotp(tenantId, { session: added.session }, two.a.route, {
    ...shown,
    code: recoveryCodes[1]!,
  });
  const app = await two.identity.confirmTotp(tenantId, { session: added.session }, await user.factor.code(), here);
  assert.deepEqual(app.recoveryCodes, []);
  assert.equal((await two.identity.getSecondFactor(tenantId, { session: app.session })).recoveryCodesLeft, 8);
});

test('what is asked of an authenticator names the tenant’s host and nobody; the challenge is stored as a hash', async () => {
  const { session } = await user.enrol();
  const { options } = await user.begin();
  assert.equal(options.rpId, two.a.route.host);
  assert.equal(options.userVerification, 'required');
  assert.deepEqual(options.allowCredentials, []);
  assert.equal(Buffer.from(options.challenge, 'base64url').length, 32);
  const rows = await user.factor.query<{ row: string }>(
    two.a,
    'SELECT t::text AS row FROM freehold.passkey_challenges t UNION ALL SELECT t::text FROM freehold.passkey_users t',
  );
  const stored = rows.map(({ row }) => row).join('\n');
  assert.ok(!stored.includes(Buffer.from(options.challenge, 'base64url').toString('hex')));
  assert.ok(!stored.includes(user.factor.email));
  const asked = await two.identity.askOwnPasskey(two.a.tenantId, { session }, partyOf(two.a));
  assert.equal(asked.allowCredentials?.length, 1);
  const twin = await started(user.factor.enter(goodPassword, user.factor.caller(), two.b));
  await assert.rejects(two.identity.askOwnPasskey(two.b.tenantId, { session: twin.session }, partyOf(two.b)), {
    code: 'FH_PASSKEY_NOT_FOUND',
  });
});

for (const algorithm of [-7, -8, -257] as const satisfies readonly Algorithm[])
  test(`a passkey alone signs in, algorithm ${algorithm}`, async () => {
    const { authenticator } = await user.enrol(two.a, { algorithm });
    const done = await user.signIn(authenticator);
    assert.equal(done.session.user.userId, user.factor.userId);
    assert.ok(await two.identity.authenticate(two.a.tenantId, cookieHeaderOf(done.setCookies)));
    assert.match(done.setCookies.at(-1)!, /^__Host-freehold-passkey=; Max-Age=0;/);
    const [passkey] = (await two.identity.getSecondFactor(two.a.tenantId, { session: done.session })).passkeys;
    assert.ok(passkey!.lastUsedAt instanceof Date);
    assert.ok((await user.factor.mail()).includes('new_sign_in'));
  });

test('every answer that is not what was asked for is refused, at every door, and uses up its challenge', async () => {
  const { authenticator, session, recoveryCodes } = await user.enrol();
  const other = await PasskeyUser.create(two);
  const { authenticator: others } = await other.enrol();
  const atB = await user.enrol(two.b);
  const attacks: Record<string, Tricks> = {
    'another origin': { origin: 'https://evil.example' },
    'the origin without its port': { origin: `https://${two.a.route.host}` },
    'the origin of the other tenant': { origin: partyOf(two.b).origin },
    'another host': { rpId: 'localhost' },
    'the host of the other tenant': { rpId: two.b.route.host },
    'an answer to a creation': { type: 'webauthn.create' },
    'a user who was not verified': { flags: 0x01 },
    'nobody present': { flags: 0x04 },
    'a frame of another site': { crossOrigin: true },
    'a frame, named': { topOrigin: 'https://evil.example' },
    'a passkey that may suddenly be copied': { flags: 0x0d },
    'another key': { signer: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey },
    "another user's key": { signer: others.privateKey },
    'client data that was changed': { changeClientData: (text) => text.replace('false', 'false ') },
    "another user's handle": { userHandle: others.userHandle },
  };
  for (const [what, tricks] of Object.entries(attacks)) {
    await two.databases.platform.transact(two.a.tenantId, (db) => db.query('DELETE FROM freehold.sign_in_failures'));
    await user.factor.query(two.a, 'DELETE FROM freehold.passkey_challenges');
    await assert.rejects(user.signIn(authenticator, tricks), failed, what);
    assert.deepEqual(await challenges('sign_in'), [], what);
    // As the second step.
    const header = await user.factor.awaited();
    const asked = await two.identity.askSecondStepPasskey(two.a.tenantId, partyOf(two.a), user.factor.caller(header));
    const passkey = authenticator.get(asked, tricks);
    const complete = two.identity.completeSignIn(two.a.tenantId, { passkey }, user.factor.caller(header));
    await assert.rejects(complete, refused, what);
    assert.deepEqual(await challenges('second_step'), [], what);
    // As a confirmation.
    const actor = { session };
    const own = await two.identity.askOwnPasskey(two.a.tenantId, actor, partyOf(two.a));
    const shown = { password: goodPassword, passkey: authenticator.get(own, tricks) };
    await assert.rejects(
      two.identity.renewRecoveryCodes(two.a.tenantId, actor, shown, user.factor.caller()),
      refused,
      what,
    );
    assert.deepEqual(await challenges('confirm'), [], what);
  }
  await user.factor.query(two.a, 'DELETE FROM freehold.sign_in_failures');
  for (const [what, tricks] of Object.entries({
    'no handle': { userHandle: null },
    'a challenge of nobody': { challenge: 'A'.repeat(43) },
    'no challenge': { challenge: '' },
  }))
    await assert.rejects(user.signIn(authenticator, tricks), failed, what);
  // Unknown: the twin's of the other tenant, and one that was never added.
  await assert.rejects(user.signIn(atB.authenticator), failed);
  await assert.rejects(user.signIn(new SoftwareAuthenticator(partyOf(two.a).origin)), failed);
  // Another user's, for this user's second step.
  const header = await user.factor.awaited();
  const asked = await two.identity.askSecondStepPasskey(two.a.tenantId, partyOf(two.a), user.factor.caller(header));
  for (const handle of [others.userHandle, authenticator.userHandle, null])
    await assert.rejects(
      two.identity.completeSignIn(
        two.a.tenantId,
        { passkey: others.get(asked, { userHandle: handle }) },
        user.factor.caller(header),
      ),
      refused,
    );
  assert.ok(await user.signIn(authenticator), 'the real one is none the worse for it');
  assert.ok(recoveryCodes.length === 10);
});

test('a challenge is for one purpose, one browser, one tenant, one use and five minutes', async () => {
  const { authenticator, session } = await user.enrol();
  const { authenticator: twin } = await user.enrol(two.b, { credentialId: authenticator.credentialId });
  const actor = { session };
  const own = await two.identity.askOwnPasskey(two.a.tenantId, actor, partyOf(two.a));
  const waiting = await user.factor.awaited();
  const step = await two.identity.askSecondStepPasskey(two.a.tenantId, partyOf(two.a), user.factor.caller(waiting));
  const page = await user.begin();
  await assert.rejects(show(authenticator.get(own), page.header), failed, 'for a confirmation');
  await assert.rejects(show(authenticator.get(step), page.header), failed, 'for a second step');
  for (const options of [own, page.options])
    await assert.rejects(
      two.identity.completeSignIn(
        two.a.tenantId,
        { passkey: authenticator.get(options) },
        user.factor.caller(`${waiting}; ${page.header}`),
      ),
      refused,
    );
  for (const options of [step, page.options])
    await assert.rejects(
      two.identity.renewRecoveryCodes(
        two.a.tenantId,
        actor,
        { password: goodPassword, passkey: authenticator.get(options) },
        user.factor.caller(page.header),
      ),
      refused,
    );
  // Another browser, no browser, and the other tenant, where the same credential id is known.
  const stranger = await user.begin();
  await assert.rejects(show(authenticator.get(page.options), stranger.header), failed);
  await assert.rejects(show(authenticator.get(page.options), ''), failed);
  const inB = await user.begin(two.b);
  await assert.rejects(show(twin.get(page.options), page.header, two.b), failed);
  await assert.rejects(show(authenticator.get(inB.options), inB.header, two.b), failed);
  assert.ok(await show(twin.get((await user.begin(two.b, inB.header)).options), inB.header, two.b));
  // Time.
  const late = await user.begin();
  await user.factor.query(two.a, 'UPDATE freehold.passkey_challenges SET expires_at = now()');
  await assert.rejects(show(authenticator.get(late.options), late.header), failed);
  // Windows of one browser side by side; each once.
  const first = await user.begin();
  const second = await user.begin(two.a, first.header);
  const again = authenticator.get(first.options);
  assert.ok(await show(again, first.header));
  await assert.rejects(show(again, first.header), failed);
  assert.ok(await show(authenticator.get(second.options), second.header));
});

test('one assertion, a hundred tries at once at two workers: exactly one session', async () => {
  const { authenticator } = await user.enrol();
  authenticator.counts = false;
  const workers = [two.identity, createWorker(two)];
  const { options, header } = await user.begin();
  const assertion = authenticator.get(options);
  const before = await user.factor.sessions();
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, number) =>
      workers[number % 2]!.signInWithPasskey(two.a.tenantId, assertion, user.factor.caller(header)).then(
        () => 'in',
        (error) => error.code as string,
      ),
    ),
  );
  assert.equal(answers.filter((answer) => answer === 'in').length, 1);
  for (const answer of answers) assert.match(answer, /^(in|FH_PASSKEY_SIGN_IN_FAILED|FH_SIGN_IN_THROTTLED)$/);
  assert.equal(await user.factor.sessions(), before + 1);
});

test('a counter that does not grow is refused, recorded and told', async () => {
  const { authenticator } = await user.enrol();
  await user.signIn(authenticator);
  await user.signIn(authenticator);
  for (const counter of [2, 1, 0]) await assert.rejects(user.signIn(authenticator, { counter }), failed);
  assert.deepEqual(await user.factor.events('user.passkey_counter_refused'), [
    { passkeyName: 'Laptop', stored: 2, shown: 2 },
    { passkeyName: 'Laptop', stored: 2, shown: 1 },
    { passkeyName: 'Laptop', stored: 2, shown: 0 },
  ]);
  assert.equal((await user.factor.mail()).filter((kind) => kind === 'passkey_copied').length, 3);
  assert.ok(await user.signIn(authenticator, { counter: 77 }));
});

test('the second step: a passkey, or a recovery code, whichever factor it was', async () => {
  const { authenticator, recoveryCodes } = await user.enrol();
  const header = await user.factor.awaited();
  const here = user.factor.caller(header);
  const awaited = await two.identity.findAwaitedSignIn(two.a.tenantId, here);
  assert.deepEqual([awaited?.app, awaited?.passkeys], [false, true]);
  const asked = await two.identity.askSecondStepPasskey(two.a.tenantId, partyOf(two.a), here);
  // Authenticators may leave out whose it is where they were told.
  const passkey = authenticator.get(asked, { userHandle: null });
  const done = await two.identity.completeSignIn(two.a.tenantId, { passkey }, here);
  assert.equal(done.session.user.userId, user.factor.userId);
  await assert.rejects(two.identity.completeSignIn(two.a.tenantId, { passkey }, here), gone);
  assert.ok(await user.factor.complete(await user.factor.awaited(), recoveryCodes[0]!));
  await assert.rejects(two.identity.askSecondStepPasskey(two.a.tenantId, partyOf(two.a), user.factor.caller()), gone);
});

test('wrong passkeys at the second step count like wrong codes', async () => {
  const { authenticator } = await user.enrol();
  const header = await user.factor.awaited();
  const here = user.factor.caller(header);
  const codes: string[] = [];
  for (let number = 0; number < 6; number++) {
    const asked = await two.identity.askSecondStepPasskey(two.a.tenantId, partyOf(two.a), here);
    const passkey = authenticator.get(asked, { origin: 'https://evil.example' });
    await two.identity.completeSignIn(two.a.tenantId, { passkey }, here).catch(({ code }) => codes.push(code));
  }
  assert.deepEqual(codes, [...Array(5).fill('FH_PASSKEY_REFUSED'), 'FH_CHALLENGE_NOT_FOUND']);
});

test('sign-ins by passkey are limited by network, and known browsers are not slowed down by it', async () => {
  const { authenticator, header: known } = await user.enrol();
  const stranger = await user.begin();
  const wrong = authenticator.get(stranger.options, { origin: 'https://evil.example' });
  for (let number = 0; number < 31; number++) await assert.rejects(show(wrong, stranger.header), failed);
  const blocked = await user.factor.query(
    two.a,
    `UPDATE freehold.sign_in_failures SET blocked_until = now() + interval '15 minutes'
     WHERE scope = 'passkey-range' AND blocked_until IS NOT NULL RETURNING 1`,
  );
  assert.equal(blocked.length, 1);
  await assert.rejects(show(wrong, stranger.header), { code: 'FH_SIGN_IN_THROTTLED' });
  const device = known.split('; ').find((each) => each.startsWith('__Host-freehold-device='))!;
  const mine = await user.begin();
  assert.ok(await show(authenticator.get(mine.options), `${mine.header}; ${device}`));
});
