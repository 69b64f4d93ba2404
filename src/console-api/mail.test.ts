import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createHttpApp } from '#src/http/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { mailStates } from '#src/mail/index.ts';
import { insertTenant, openMail } from '../mail/outbox.fixture.ts';
import { callerOf, password, startTestStaff, type TestStaff } from '../staff/staff.fixture.ts';
import { mailRoutes } from './index.ts';

let world: TestStaff;
before(async () => {
  world = await startTestStaff();
});
after(async () => {
  await world?.stop();
});

test('without a mail server a message shows its link only to a member who has shown who they are, and that is recorded', async () => {
  const { db, staff } = world;
  const { header } = await world.setUpEnrolled();
  const { outbox } = openMail({ db });
  const app = createHttpApp({ name: 'console', log: silentLog, clock: systemClock });
  await app.register(
    mailRoutes({
      outbox,
      states: mailStates,
      isConfigured: false,
      actorOf: () => 'staff:stf_a',
      requireStepUp: (request) => staff.requireStepUp(request.headers.cookie),
    }),
  );
  // Two tenants that write to the same address.
  const links = new Map<string, string>();
  for (const name of ['acme', 'brick']) {
    const token = name.repeat(12).slice(0, 43);
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const order = { kind: 'password_reset', to: 'ada@example.com', name: 'Ada', token, expiresAt };
    links.set(await outbox.queue(await insertTenant(db, name), order), token);
  }
  const open = async (mailId: string, cookie = header) => {
    const response = await app.inject({ method: 'POST', url: `/api/mail/${mailId}/open`, headers: { cookie } });
    return { code: response.json().code, body: response.body, cache: response.headers['cache-control'] };
  };
  const listed = await app.inject({ url: '/api/mail', headers: { cookie: header } });
  assert.equal(listed.json().mail.length, 2);
  for (const [mailId, token] of links) {
    assert.ok(!listed.body.includes(token), 'the list shows no links');
    const { code, body } = await open(mailId);
    assert.equal(code, 'FH_STEP_UP_REQUIRED');
    assert.ok(!body.includes(token));
  }
  assert.deepEqual(await world.events('mail.read'), []);

  await staff.confirmStepUp({ password, code: await world.code() }, callerOf(header));
  for (const [mailId, token] of links) {
    assert.equal((await open(mailId, '')).code, 'FH_STEP_UP_REQUIRED', 'another browser has not confirmed');
    const { body, cache } = await open(mailId);
    assert.ok(body.includes(token));
    assert.equal(cache, 'no-store');
  }
  assert.deepEqual(await world.events('mail.read'), [
    { kind: 'password_reset', state: 'kept' },
    { kind: 'password_reset', state: 'kept' },
  ]);
  await app.close();
});
