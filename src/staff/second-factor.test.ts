import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, beforeEach, test } from 'node:test';
import { createHttpApp } from '#src/http/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { staffRoutes } from './index.ts';
import { callerOf, headerOf, other, password, person, startTestStaff, type TestStaff } from './staff.fixture.ts';

let world: TestStaff;
before(async () => {
  world = await startTestStaff();
});
after(() => world?.stop());
beforeEach(() => world.clear());

const wrong = { code: 'FH_CODE_WRONG' };
const gone = { code: 'FH_CHALLENGE_NOT_FOUND' };
const stepUpRequired = { code: 'FH_STEP_UP_REQUIRED' };
const count = async (table: string) =>
  (await world.db.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${table}`))[0]!.rows;

/** Does something to the same database in another process, which a failpoint kills. */
function die(failpoint: string, statement: string): void {
  const { host, port, user, password: secret, database } = world.cluster.control;
  const target = { host, port, user, password: secret, database };
  const keys = Object.entries(world.keys).map(([name, key]) => `${name}: Buffer.from('${key.toString('hex')}', 'hex')`);
  const code = `
    import { armFailpoints } from '#src/kernel/index.ts';
    import { createPool } from '#src/postgres/index.ts';
    import { createStaff } from '#src/staff/index.ts';
    const db = createPool(${JSON.stringify(target)}, { max: 2, applicationName: 'dies' });
    const staff = createStaff({ db, ${keys.join(', ')} });
    armFailpoints('${failpoint}=kill');
    await ${statement};`;
  const ended = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', code], { encoding: 'utf8' });
  assert.equal(ended.signal, 'SIGKILL', `passed ${failpoint} alive: ${ended.stderr}`);
}

test('without a second factor a session is good for setting one up; then every other session ends', async () => {
  const header = await world.setUp();
  const elsewhere = await world.staff.signIn(person, callerOf(undefined, '198.51.100.7'));
  assert.equal(elsewhere.session?.mustEnrol, true);
  assert.equal((await world.staff.authenticate(header))?.mustEnrol, true);
  await assert.rejects(world.staff.requireStepUp(header), stepUpRequired);
  await assert.rejects(world.staff.renewRecoveryCodes(callerOf(header)), stepUpRequired);
  await assert.rejects(world.staff.confirmTotp('123456', callerOf(header)), { code: 'FH_SECOND_FACTOR_NOT_FOUND' });
  const { secret, uri } = await world.staff.beginTotp(undefined, callerOf(header));
  assert.match(secret, /^[A-Z2-7]{32}$/);
  assert.ok(uri.startsWith('otpauth://totp/Freehold%20console:sam%40operator.example?secret='));
  await assert.rejects(world.staff.confirmTotp(other(await world.code()), callerOf(header)), wrong);
  assert.equal((await world.staff.authenticate(header))?.mustEnrol, true);
  const enrolled = await world.enrol(header);
  assert.equal(enrolled.recoveryCodes.length, 10);
  assert.equal((await world.staff.authenticate(enrolled.header))?.mustEnrol, undefined);
  for (const old of [header, headerOf(elsewhere.setCookies)])
    assert.equal(await world.staff.authenticate(old), undefined);
  await assert.rejects(world.staff.beginTotp(password, callerOf(enrolled.header)), { code: 'FH_SECOND_FACTOR_EXISTS' });
  const [row] = await world.db.query<{ text: string }>('SELECT f::text AS text FROM staff_totp_factors f');
  assert.ok(!row!.text.includes(secret), 'the secret is sealed');
});

test('who signed in long ago shows the password before an app is set up', async () => {
  const header = await world.setUp();
  await world.db.query(`UPDATE staff_sessions SET password_shown_at = NULL`);
  const begin = (shown?: string) => world.staff.beginTotp(shown, callerOf(header));
  await assert.rejects(begin(), { code: 'FH_PASSWORD_WRONG' });
  await assert.rejects(begin('wrong'), { code: 'FH_PASSWORD_WRONG' });
  await begin(password);
  await begin();
});

test('signing in takes two steps; a code is good once, in one browser of a hundred', async () => {
  await world.setUpEnrolled();
  const [one, two] = [await world.awaited(), await world.awaited('198.51.100.1')];
  assert.equal(await world.staff.authenticate(one), undefined);
  assert.ok(await world.staff.findAwaitedSignIn(one));
  await world.db.query('DELETE FROM staff_sessions');
  const code = await world.code();
  const tries = await Promise.allSettled(
    Array.from({ length: 100 }, (_, index) =>
      world.staff.completeSignIn(code, callerOf(index % 2 ? one : two, `192.0.2.${index + 1}`)),
    ),
  );
  const done = tries.filter((each) => each.status === 'fulfilled');
  assert.equal(done.length, 1);
  for (const each of tries)
    if (each.status === 'rejected')
      assert.match(each.reason.code, /^FH_(CODE_WRONG|CODE_THROTTLED|CHALLENGE_NOT_FOUND)$/);
  assert.equal(await count('staff_sessions'), 1);
  assert.ok(await world.staff.authenticate(headerOf(done[0]!.value.setCookies)));
  await assert.rejects(world.staff.completeSignIn(code, callerOf()), gone);
});

test('recovery codes are good once each', async () => {
  const { recoveryCodes } = await world.setUpEnrolled();
  const [code] = recoveryCodes;
  const typed = code!.toUpperCase().replaceAll('-', ' ');
  await world.staff.completeSignIn(typed, callerOf(await world.awaited()));
  await assert.rejects(world.staff.completeSignIn(code!, callerOf(await world.awaited())), wrong);
  assert.equal(await count('staff_recovery_codes'), 9);
  assert.deepEqual((await world.events('staff.recovery_code_used')).at(-1), { left: 9 });
});

test('wrong codes: five for a sign-in, then slower for the member; a new password forgets the count', async () => {
  await world.setUpEnrolled();
  const waiting = await world.awaited();
  const guess = async () => world.staff.completeSignIn(other(await world.code()), callerOf(waiting));
  for (let tries = 0; tries < 5; tries++) await assert.rejects(guess(), wrong);
  await assert.rejects(guess(), gone);
  await world.db.query(
    `UPDATE staff_sign_in_failures SET blocked_until = now() + interval '1 minute' WHERE scope = 'second-factor'`,
  );
  const next = await world.awaited();
  await assert.rejects(world.staff.completeSignIn(await world.code(), callerOf(next)), { code: 'FH_CODE_THROTTLED' });
  const { token } = await world.staff.createSetupLink({ email: person.email });
  const entered = await world.staff.completeSetup(
    { token, ...person, password: 'four green kettles whistle' },
    callerOf(),
  );
  assert.equal(entered.session, undefined, 'a new password does not take the place of the code');
  await assert.rejects(world.staff.completeSignIn(await world.code(), callerOf(next)), gone);
  const { session } = await world.staff.completeSignIn(await world.code(), callerOf(headerOf(entered.setCookies)));
  assert.equal(session.mustEnrol, undefined);
});

test('who has lost everything gets a link that removes the second factor when it is used, and not before', async () => {
  const { header, recoveryCodes } = await world.setUpEnrolled();
  const { token } = await world.staff.createSetupLink({ email: person.email, resetsFactor: true });
  assert.ok(await world.staff.authenticate(header));
  assert.equal((await world.staff.signIn(person, callerOf())).session, undefined);
  const renewed = { ...person, password: 'four green kettles whistle' };
  const { session, setCookies } = await world.staff.completeSetup({ token, ...renewed }, callerOf());
  assert.equal(session?.mustEnrol, true);
  assert.equal(await world.staff.authenticate(header), undefined);
  assert.deepEqual([await count('staff_totp_factors'), await count('staff_recovery_codes')], [0, 0]);
  assert.equal((await world.events('staff.second_factor_reset')).length, 1);
  const again = await world.enrol(headerOf(setCookies));
  assert.ok(!again.recoveryCodes.includes(recoveryCodes[0]!));
});

test('step-up: password and code, or a code where the password was shown just now; for five minutes, in this browser', async () => {
  const { header, recoveryCodes } = await world.setUpEnrolled();
  const { staff, db } = world;
  const at = callerOf(header);
  const confirm = async (shown: { password?: string }, code?: string) =>
    staff.confirmStepUp({ ...shown, code: code ?? (await world.code()) }, at);
  assert.deepEqual(await staff.getStepUp(header), { confirmedUntil: undefined, asksPassword: true });
  await assert.rejects(confirm({}), { code: 'FH_PASSWORD_WRONG' });
  await assert.rejects(confirm({ password: 'wrong' }), { code: 'FH_PASSWORD_WRONG' });
  await assert.rejects(confirm({ password }, other(await world.code())), wrong);
  await assert.rejects(staff.requireStepUp(header), stepUpRequired);
  const code = await world.code();
  const { confirmedUntil } = await confirm({ password }, code);
  assert.ok(Math.abs(confirmedUntil.getTime() - Date.now() - 300_000) < 60_000);
  await staff.requireStepUp(header);
  assert.equal((await staff.renewRecoveryCodes(at)).length, 10);
  await assert.rejects(confirm({ password }, code), wrong);
  await assert.rejects(confirm({ password }, recoveryCodes[0]), wrong, 'old recovery codes are worthless');

  const second = headerOf((await staff.completeSignIn(await world.code(), callerOf(await world.awaited()))).setCookies);
  await assert.rejects(staff.requireStepUp(second), stepUpRequired, 'another browser is another matter');
  assert.equal((await staff.getStepUp(second)).asksPassword, false);
  await staff.confirmStepUp({ code: await world.code() }, callerOf(second));
  await staff.requireStepUp(second);
  await db.query(`UPDATE staff_sessions SET confirmed_until = now()`);
  for (const each of [header, second]) await assert.rejects(staff.requireStepUp(each), stepUpRequired);
  await db.query(`UPDATE staff_sessions SET password_shown_at = now() - interval '301 seconds'`);
  await assert.rejects(confirm({}), { code: 'FH_PASSWORD_WRONG' });
  assert.ok((await world.events('staff.step_up_refused')).some(({ reason }) => reason === 'FH_CODE_WRONG'));
  assert.deepEqual(await world.events('staff.step_up_confirmed'), [{ method: 'totp' }, { method: 'totp' }]);
});

test('no call without a code makes the count of wrong codes begin anew, not even with the right password', async () => {
  const { header } = await world.setUpEnrolled();
  const at = callerOf(header);
  await world.db.query('UPDATE staff_sessions SET password_shown_at = now()');
  for (let tries = 0; tries < 5; tries++) {
    await assert.rejects(world.staff.confirmStepUp({ code: other(await world.code()) }, at), wrong);
    for (const shown of [undefined, password])
      await assert.rejects(world.staff.beginTotp(shown, at), { code: 'FH_SECOND_FACTOR_EXISTS' });
  }
  const throttled = { code: 'FH_SIGN_IN_THROTTLED' };
  await assert.rejects(world.staff.confirmStepUp({ code: other(await world.code()) }, at), throttled);
  await assert.rejects(world.staff.confirmStepUp({ password, code: await world.code() }, at), throttled);
});

test('one code confirms once, of a hundred at a time', async () => {
  const { header } = await world.setUpEnrolled();
  const code = await world.code();
  const tries = await Promise.allSettled(
    Array.from({ length: 100 }, () => world.staff.confirmStepUp({ password, code }, callerOf(header))),
  );
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('killed before the end of enrolment, second step or step-up: nothing is used up, and it works afterwards', async () => {
  const header = await world.setUp();
  await world.staff.beginTotp(undefined, callerOf(header));
  const act = (method: string, first: unknown, cookieHeader: string) =>
    `staff.${method}(${JSON.stringify(first)}, ${JSON.stringify(callerOf(cookieHeader))})`;
  die('staff.enrol.before_commit', act('confirmTotp', await world.code(), header));
  assert.equal((await world.staff.authenticate(header))?.mustEnrol, true);
  assert.equal(await count('staff_recovery_codes'), 0);
  const enrolled = await world.enrol(header);

  const waiting = await world.awaited();
  die('staff.second_step.before_commit', act('completeSignIn', enrolled.recoveryCodes[0], waiting));
  assert.equal(await count('staff_sessions'), 1);
  await world.staff.completeSignIn(enrolled.recoveryCodes[0]!, callerOf(waiting));

  const shown = { password, code: enrolled.recoveryCodes[1] };
  die('staff.step_up.before_commit', act('confirmStepUp', shown, enrolled.header));
  await assert.rejects(world.staff.requireStepUp(enrolled.header), stepUpRequired);
  await world.staff.confirmStepUp({ password, code: enrolled.recoveryCodes[1]! }, callerOf(enrolled.header));
});

test('the routes: 202 and a second step, enrolment, step-up', async () => {
  const app = createHttpApp({ name: 'console', log: silentLog, clock: systemClock });
  await app.register(staffRoutes(world.staff), { prefix: '/api' });
  const cookies = new Map<string, string>();
  const send = async (method: 'GET' | 'POST', url: string, payload?: object) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await app.inject({ method, url: `/api${url}`, headers: { cookie }, ...(payload && { payload }) });
    for (const { name, value } of response.cookies)
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    return { status: response.statusCode, json: response.json() };
  };
  try {
    const { token } = await world.staff.createSetupLink();
    const made = await send('POST', `/setup/${token}`, person);
    assert.deepEqual([made.status, made.json.mustEnrol], [201, true]);
    assert.equal((await send('POST', '/second-factor/totp', {})).status, 201);
    const first = await send('POST', '/second-factor/totp/confirm', { code: await world.code() });
    assert.deepEqual([first.status, first.json.recoveryCodes.length], [201, 10]);
    assert.equal((await send('GET', '/session')).json.mustEnrol, false);
    assert.equal((await send('GET', '/second-factor')).json.recoveryCodesLeft, 10);
    cookies.clear();
    assert.equal((await send('GET', '/session/second-factor')).json.expiresAt, null);
    const entered = await send('POST', '/session', { email: person.email, password });
    assert.deepEqual([entered.status, Object.keys(entered.json)], [202, ['secondFactor']]);
    assert.equal((await send('GET', '/session')).status, 401);
    assert.ok((await send('GET', '/session/second-factor')).json.expiresAt);
    assert.equal((await send('POST', '/session/second-factor', { code: first.json.recoveryCodes[0] })).status, 201);
    assert.deepEqual([...cookies.keys()], ['__Host-freehold-console', '__Host-freehold-console-device']);
    assert.deepEqual((await send('GET', '/session/step-up')).json, { confirmedUntil: null, asksPassword: false });
    assert.equal((await send('POST', '/second-factor/recovery-codes')).json.code, 'FH_STEP_UP_REQUIRED');
    assert.equal((await send('POST', '/session/step-up', { code: first.json.recoveryCodes[1] })).status, 200);
    assert.equal((await send('POST', '/second-factor/recovery-codes')).status, 201);
  } finally {
    await app.close();
  }
});
