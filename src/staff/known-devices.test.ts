import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { callerOf, headerOf, other, password, person, startTestStaff, type TestStaff } from './staff.fixture.ts';

let world: TestStaff;
before(async () => {
  world = await startTestStaff();
});
after(async () => {
  await world?.stop();
});
beforeEach(() => world.clear());

const failed = { code: 'FH_SIGN_IN_FAILED' };
const elsewhere = callerOf(undefined, '198.51.100.7');
/** So that a test need not wait until it may try again. */
const unblock = () => world.db.query('UPDATE staff_sign_in_failures SET blocked_until = NULL');
const deviceOf = (header: string) =>
  header.split('; ').find((each) => each.startsWith('__Host-freehold-console-device='))!;

/** As if this were the last of so many wrong passwords in a row. */
async function guessLastOf(count: number, caller: ReturnType<typeof callerOf>): Promise<void> {
  await guess(1, caller);
  await world.db.query(`UPDATE staff_sign_in_failures SET consecutive = $1 WHERE scope IN ('account', 'device')`, [
    count - 1,
  ]);
  await guess(1, caller);
}

async function guess(times: number, caller: ReturnType<typeof callerOf>): Promise<void> {
  for (let tries = 0; tries < times; tries++) {
    await unblock();
    await assert.rejects(world.staff.signIn({ ...person, password: 'wrong' }, caller), failed);
  }
}

test('whoever guesses a password ends after 50, and keeps its member out of no browser that the member used', async () => {
  const { staff } = world;
  const { header } = await world.setUpEnrolled();
  const known = callerOf(deviceOf(header));
  await guessLastOf(50, elsewhere);
  await unblock();
  await assert.rejects(staff.signIn(person, elsewhere), failed, 'not even the right password is taken from strangers');
  // The stranger is throttled at this moment, too.
  await world.db.query(`UPDATE staff_sign_in_failures SET blocked_until = now() + interval '1 minute'`);
  const entered = await staff.signIn(person, known);
  const waiting = `${headerOf(entered.setCookies)}; ${deviceOf(header)}`;
  const { session } = await staff.completeSignIn(await world.code(), callerOf(waiting));
  assert.equal(session.email, 'sam@operator.example');
  // Both factors were shown, so other browsers are open to the member again.
  await unblock();
  assert.equal((await staff.signIn(person, elsewhere)).session, undefined);
});

test('wrong codes elsewhere, by somebody with the password, keep the member out of no known browser', async () => {
  const { staff } = world;
  const { header } = await world.setUpEnrolled();
  for (let challenges = 0; challenges < 10; challenges++) {
    await unblock();
    const waiting = await world.awaited('198.51.100.7');
    for (let tries = 0; tries < 5; tries++) {
      await unblock();
      await assert.rejects(staff.completeSignIn(other(await world.code()), callerOf(waiting)));
    }
  }
  await unblock();
  const stranger = await world.awaited('198.51.100.7');
  await assert.rejects(staff.completeSignIn(await world.code(), callerOf(stranger)), { code: 'FH_CODE_WRONG' });
  const entered = await staff.signIn(person, callerOf(deviceOf(header)));
  const waiting = `${headerOf(entered.setCookies)}; ${deviceOf(header)}`;
  assert.ok((await staff.completeSignIn(await world.code(), callerOf(waiting))).session);
});

test('a known browser that guesses is a stranger after ten, and a link forgets all of them', async () => {
  const { staff, db } = world;
  const { header } = await world.setUpEnrolled();
  const known = callerOf(deviceOf(header));
  const devices = async () => (await db.query('SELECT 1 FROM staff_known_devices')).length;
  assert.equal(await devices(), 1);
  await guessLastOf(11, known);
  assert.equal(await devices(), 0);
  await guessLastOf(50, known);
  await unblock();
  await assert.rejects(staff.signIn(person, known), failed, '61 failures in a row: under the 100 of NIST SP 800-63B-4');

  const { token } = await staff.createSetupLink({ email: person.email });
  const renewed = await staff.completeSetup({ token, ...person }, callerOf());
  await staff.completeSignIn(await world.code(), callerOf(headerOf(renewed.setCookies)));
  assert.equal(await devices(), 1);
  await staff.completeSetup({ token: (await staff.createSetupLink({ email: person.email })).token, ...person }, known);
  assert.equal(await devices(), 0);
});

test('a browser is known to whom it signed in with both factors, and to nobody else', async () => {
  const { staff, db } = world;
  const first = await world.setUp();
  assert.equal((await db.query('SELECT 1 FROM staff_known_devices')).length, 0, 'the password alone makes none');
  const { header } = await world.enrol(first);
  const { token } = await staff.createSetupLink({ email: 'eve@operator.example' });
  const eve = { name: 'Eve', email: 'eve@operator.example', password };
  await staff.completeSetup({ token, ...eve }, callerOf(deviceOf(header)));
  await staff.signIn(eve, callerOf(deviceOf(header)));
  await guess(5, { ...callerOf(deviceOf(header)), address: '203.0.113.9' });
  const rows = await db.query<{ scope: string }>("SELECT scope FROM staff_sign_in_failures WHERE scope = 'device'");
  assert.equal(rows.length, 1);
  await assert.rejects(staff.signIn({ ...eve, password: 'wrong' }, callerOf(deviceOf(header))), failed);
  const { length } = await db.query("SELECT 1 FROM staff_sign_in_failures WHERE scope = 'account'");
  assert.equal(length, 1, "to Eve it is a stranger's");
});
