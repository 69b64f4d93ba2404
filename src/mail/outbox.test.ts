import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { migrate } from '#src/databases/index.ts';
import { type TenantId, waitFor } from '#src/kernel/index.ts';
import { createPool, type Pool } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { deleteOldMail, holdAllMail } from './index.ts';
import {
  destroyed,
  headersOf,
  insertTenant,
  openMail,
  startTestMailServer,
  type TestMailServer,
  textsOf,
} from './outbox.fixture.ts';
import { pauseAfter } from './sender.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;
let cluster: TestCluster;
let db: Pool;
let server: TestMailServer;
/** Two tenants that write to the same address. */
let acme: TenantId;
let brick: TenantId;
let nowMs = Date.now();
const clock = { now: () => nowMs, monotonicMs: () => performance.now() };
before(async () => {
  cluster = await startTestCluster();
  await migrate(cluster.control, { schema: 'public', folder: new URL('../../migrations/control/', import.meta.url) });
  db = createPool(cluster.control, { max: 6, applicationName: 'test' });
  server = await startTestMailServer();
  acme = await insertTenant(db, 'acme', 'Acme & Söhne <b>"x"</b>');
  brick = await insertTenant(db, 'brick');
});
after(async () => {
  await server?.stop();
  await db?.stop();
  await cluster?.stop();
});
beforeEach(async () => {
  await db.query('DELETE FROM mail');
  (server.received as unknown[]).length = 0;
  nowMs = Date.now();
});

const smtpUrl = () => `smtp://127.0.0.1:${server.port}`;
const configured = () => openMail({ db, smtpUrl: smtpUrl(), clock });
const token = 'Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm8';
const later = (ms: number) => new Date(nowMs + ms).toISOString();
const invitation = (to = 'mia@example.com') => ({
  kind: 'invitation',
  to,
  invitedBy: 'Ada Ford',
  token,
  expiresAt: later(7 * dayMs),
});
const reset = () => ({
  kind: 'password_reset',
  to: 'mia@example.com',
  name: 'Mia',
  token,
  expiresAt: later(15 * minuteMs),
});
const actor = 'staff:stf_00000000000000000000000000';

test('a message goes to the mail server in the name of its tenant, once, and its text is forgotten', async () => {
  const { outbox, sender } = configured();
  const mailId = await outbox.queue(acme, invitation());
  const stored = await db.query<{ row: string }>(
    `SELECT encode(sealed, 'escape') || kind || tenant_name AS row FROM mail`,
  );
  for (const hidden of ['mia@', token, 'Ada'])
    assert.ok(!stored[0]!.row.includes(hidden), 'nothing of it lies in the clear');
  assert.equal(await sender!.sendDue(), 1);
  assert.equal(await sender!.sendDue(), 0);
  assert.equal(server.received.length, 1);
  const [{ from, to, raw }] = server.received as [TestMailServer['received'][0]];
  assert.equal(from, 'no-reply@operator.example');
  assert.deepEqual(to, ['mia@example.com']);
  const headers = headersOf(raw);
  assert.deepEqual(headers.get('message-id'), [`<${mailId}@operator.example>`]);
  assert.match(headers.get('from')![0]!, /<no-reply@operator\.example>$/);
  assert.deepEqual(headers.get('auto-submitted'), ['auto-generated']);
  const texts = textsOf(raw);
  assert.ok(texts.includes(`https://acme.example.com/-/invitations/${token}`));
  assert.ok(texts.includes('Ada Ford invites you to Acme & Söhne'));
  assert.ok(
    texts.includes('Acme &amp; Söhne &lt;b&gt;&quot;x&quot;&lt;/b&gt;') &&
      !texts.includes('to Acme & Söhne <b>"x"</b></p>'),
  );

  const { mail } = await outbox.list();
  assert.deepEqual([mail.length, mail[0]!.state, mail[0]!.to, mail[0]!.attempts], [1, 'sent', 'mia@example.com', 1]);
  assert.equal((await outbox.read(mailId, actor)).text, undefined);
});

test('without a mail server a message is kept and read in the console, which is recorded; one is set up later and it can be sent', async () => {
  const { outbox, sender } = openMail({ db, clock });
  assert.equal(sender, undefined);
  const mailId = await outbox.queue(acme, reset());
  const kept = await outbox.read(mailId, actor);
  assert.ok(kept.text?.includes(`https://acme.example.com/-/reset-password#token=${token}`));
  assert.deepEqual([kept.state, kept.maySend, kept.isMasked], ['kept', false, false]);
  const [event] = await db.query<{ name: string; actor: string; tenant_id: string }>(
    `SELECT name, actor, tenant_id FROM audit_events WHERE subject = $1`,
    [mailId],
  );
  assert.deepEqual(event, { name: 'mail.read', actor, tenant_id: acme });
  await assert.rejects(outbox.sendAgain(mailId, actor), { code: 'FH_MAIL_NOT_SENDABLE' });
  const others = [await outbox.queue(acme, invitation()), await outbox.queue(brick, invitation())];
  await outbox.withdraw(acme, 'invitation');
  assert.deepEqual((await outbox.list()).mail.map((mail) => mail.mailId).sort(), [mailId, others[1]].sort());

  const now = configured();
  assert.equal(await now.sender!.sendDue(), 0, 'not by itself');
  const masked = await now.outbox.read(mailId, actor);
  assert.ok(
    masked.isMasked && masked.text && !masked.text.includes(token),
    'with a mail server a link is its recipient’s alone',
  );
  assert.equal((await now.outbox.sendAgain(mailId, actor)).state, 'queued');
  assert.equal(await now.sender!.sendDue(), 1);
  assert.ok(textsOf(server.received[0]!.raw).includes(token));
  await assert.rejects(now.outbox.sendAgain(mailId, actor), { code: 'FH_MAIL_NOT_SENDABLE' });
  await assert.rejects(now.outbox.read('mai_00000000000000000000000000', actor), { code: 'FH_MAIL_NOT_FOUND' });
});

test('what cannot be sent is tried again after growing pauses under the same Message-ID, for five days; then it is shown and can be sent again', async () => {
  const { outbox, sender } = configured();
  const mailId = await outbox.queue(acme, invitation());
  let attempts = 0;
  for (let guard = 0; guard < 100; guard++) {
    server.refuseNext(451);
    const made = await sender!.sendDue();
    attempts += made;
    const [{ state, nextAttemptAt, problem }] = (await outbox.list()).mail as [
      Awaited<ReturnType<typeof outbox.list>>['mail'][0],
    ];
    if (state === 'failed') break;
    assert.equal(state, 'queued');
    assert.equal(problem, 'The mail server answered 451 to the message.', 'nothing of what the server said is kept');
    assert.equal(nextAttemptAt!.getTime() - nowMs, pauseAfter(attempts));
    assert.equal(await sender!.sendDue(), 0);
    nowMs = nextAttemptAt!.getTime();
  }
  const failed = await outbox.read(mailId, actor);
  assert.equal(failed.state, 'failed');
  assert.ok(attempts > 30 && attempts < 50, `${attempts} attempts in five days`);
  assert.ok(nowMs - failed.createdAt.getTime() > 4 * dayMs && nowMs - failed.createdAt.getTime() < 5 * dayMs);
  assert.equal(server.received.length, 0);
  assert.ok(failed.maySend);
  await outbox.sendAgain(mailId, actor);
  // The refusal that nobody has taken yet.
  while (server.received.length === 0) {
    await sender!.sendDue();
    nowMs += 4 * 3_600_000;
    if (nowMs - failed.createdAt.getTime() > 7 * dayMs) break;
  }
  assert.deepEqual(headersOf(server.received[0]!.raw).get('message-id'), [`<${mailId}@operator.example>`]);
});

test('a refusal for good ends the attempts at once; a message whose link has expired is never sent', async () => {
  const { outbox, sender } = configured();
  await outbox.queue(acme, invitation());
  server.refuseNext(550);
  await sender!.sendDue();
  assert.deepEqual(
    (await outbox.list()).mail.map(({ state }) => state),
    ['failed'],
  );
  await db.query('DELETE FROM mail');
  const mailId = await outbox.queue(acme, reset());
  nowMs += 16 * minuteMs;
  assert.equal(await sender!.sendDue(), 0);
  assert.equal((await outbox.read(mailId, actor)).maySend, false);
  await assert.rejects(outbox.sendAgain(mailId, actor), { code: 'FH_MAIL_NOT_SENDABLE' });
});

test('nobody listens at the mail server: the message stays', async () => {
  // Not one that was free a moment ago: a neighbour may have it by now.
  const { outbox, sender } = openMail({ db, smtpUrl: 'smtp://127.0.0.1:1', clock });
  await outbox.queue(acme, invitation());
  assert.equal(await sender!.sendDue(), 1);
  const [{ state, problem }] = (await outbox.list()).mail as unknown as [{ state: string; problem: string }];
  assert.equal(state, 'queued');
  assert.match(problem, /could not be/);
  assert.equal(sender!.trouble(), problem);
});

test('messages that the mail server is slow with hold up no other tenant’s, however many wait before them', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let seen = 0;
  const slow = await startTestMailServer({
    onRcptTo({ address }, _session, done) {
      if (address === 'slow@example.com' && ++seen > 1) void released.then(() => done());
      else done();
    },
  });
  const { outbox, sender } = openMail({ db, smtpUrl: `smtp://127.0.0.1:${slow.port}`, clock });
  try {
    for (let index = 0; index < 8; index++) await outbox.queue(acme, invitation('slow@example.com'));
    nowMs += 1;
    await outbox.queue(brick, invitation());
    sender!.start();
    await waitFor('the other', () => slow.received.some(({ to }) => to[0] === 'mia@example.com'), {
      deadlineMs: 60_000,
    });
    assert.equal(slow.received.length, 2);
    release();
    await waitFor('all', async () => (await outbox.list({ state: 'sent' })).mail.length === 9, { deadlineMs: 60_000 });
  } finally {
    release();
    await sender!.stop();
    await slow.stop();
  }
});

test('what expires or is renamed while others are sent does not go out', async () => {
  const server = await startTestMailServer({
    onRcptTo(_address, _session, done) {
      // As long as the first takes, the others are waiting for a place.
      nowMs += minuteMs;
      db.query(`UPDATE tenants SET name = 'brick-before' WHERE tenant_id = $1`, [brick]).then(() => done(), done);
    },
  });
  try {
    const { outbox, sender } = openMail({ db, smtpUrl: `smtp://127.0.0.1:${server.port}`, clock });
    for (let index = 0; index < 4; index++) await outbox.queue(acme, invitation(`first${index}@example.com`));
    nowMs += 1;
    await outbox.queue(acme, { ...invitation('expired@example.com'), expiresAt: later(minuteMs) });
    await outbox.queue(brick, invitation('renamed@example.com'));
    assert.equal(await sender!.sendDue(), 4);
    assert.equal(server.received.length, 4);
    assert.equal(await sender!.sendDue(), 0);
    const states = new Map((await outbox.list()).mail.map(({ to, state }) => [to, state]));
    assert.deepEqual([states.get('expired@example.com'), states.get('renamed@example.com')], ['failed', 'held']);
  } finally {
    await db.query(`UPDATE tenants SET name = 'brick' WHERE tenant_id = $1`, [brick]);
    await server.stop();
  }
});

for (const [name, atServer] of [
  ['mail.claimed', 0],
  ['mail.sent', 1],
] as const)
  test(`killed at ${name}, the message is sent by the next process, under the same Message-ID`, async () => {
    const { outbox, sender } = configured();
    const mailId = await outbox.queue(acme, invitation());
    const order = { control: cluster.control, smtpUrl: smtpUrl(), failpoints: `${name}=kill` };
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('outbox.fixture.ts', import.meta.url)), JSON.stringify(order)],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL');
    assert.equal(server.received.length, atServer);
    assert.equal((await outbox.list()).mail[0]!.state, 'sending');
    assert.equal(await sender!.sendDue(), 0, 'a claim is not taken over while whoever made it could still be there');
    sender!.start();
    await waitFor('the message', async () => (await outbox.list()).mail[0]!.state === 'sent', {
      deadlineMs: 60_000,
    }).finally(() => sender!.stop());
    assert.equal(server.received.length, atServer + 1);
    assert.equal((await outbox.list()).mail[0]!.attempts, 2);
    for (const { raw } of server.received)
      assert.deepEqual(headersOf(raw).get('message-id'), [`<${mailId}@operator.example>`]);
  });

test('nothing goes out for a tenant that is not active, and by itself nothing for one that was renamed or after a restore', async () => {
  const { outbox, sender } = configured();
  await outbox.queue(acme, invitation());
  await db.query(`UPDATE tenants SET state = 'suspended' WHERE tenant_id = $1`, [acme]);
  assert.equal(await sender!.sendDue(), 0);
  await db.query(`UPDATE tenants SET state = 'active', name = 'acme-before' WHERE tenant_id = $1`, [acme]);
  assert.equal(await sender!.sendDue(), 0);
  assert.equal((await outbox.list()).mail[0]!.state, 'held');
  await assert.rejects(outbox.sendAgain((await outbox.list()).mail[0]!.mailId, actor), {
    code: 'FH_MAIL_NOT_SENDABLE',
  });
  await db.query(`UPDATE tenants SET name = 'acme' WHERE tenant_id = $1`, [acme]);

  await outbox.queue(brick, invitation());
  assert.equal(await holdAllMail(db, 'The installation was restored.'), 1);
  assert.equal(await sender!.sendDue(), 0);
  assert.deepEqual(
    (await outbox.list()).mail.map(({ state }) => state),
    ['held', 'held'],
  );
});

test('of a deleted tenant nothing can be read, and nothing stays', async () => {
  const { outbox, sender } = configured();
  const gone = await insertTenant(db, `gone-${Date.now()}`);
  const mailId = await outbox.queue(gone, invitation());
  destroyed.add(gone);
  const [shown] = (await outbox.list()).mail;
  assert.deepEqual([shown!.to, shown!.subject, shown!.maySend], [undefined, undefined, false]);
  assert.equal((await outbox.read(mailId, actor)).text, undefined);
  assert.equal(await sender!.sendDue(), 1);
  assert.equal(server.received.length, 0);
  await db.query(`UPDATE tenants SET state = 'deleted' WHERE tenant_id = $1`, [gone]);
  await outbox.queue(acme, invitation());
  assert.equal(await deleteOldMail(db, new Date(nowMs - 30 * dayMs)), 1);
  nowMs += 31 * dayMs;
  assert.equal(await deleteOldMail(db, new Date(nowMs - 30 * dayMs)), 1);
});

test('a letter that is moved to another row or tenant does not open, and hides and holds up no other', async () => {
  const { outbox, sender } = configured();
  const one = await outbox.queue(acme, invitation('one@example.com'));
  const two = await outbox.queue(brick, invitation('two@example.com'));
  await db.query('UPDATE mail SET sealed = (SELECT sealed FROM mail WHERE mail_id = $1) WHERE mail_id = $2', [
    one,
    two,
  ]);
  await assert.rejects(outbox.read(two, actor), { code: 'FH_KEY_UNSEAL' });
  assert.equal(await sender!.sendDue(), 2);
  const shown = (await outbox.list()).mail.map(({ to, state }) => `${to} ${state}`);
  assert.deepEqual(shown.sort(), ['one@example.com sent', 'undefined failed']);
});

test('pages go on where the one before ended', async () => {
  const { outbox } = configured();
  for (let index = 0; index < 5; index++) {
    nowMs += index % 2;
    await outbox.queue(index % 2 ? acme : brick, invitation(`p${index}@example.com`));
  }
  const first = await outbox.list({ limit: 3 });
  const second = await outbox.list({ limit: 3, before: first.nextBefore });
  assert.equal(new Set([...first.mail, ...second.mail].map(({ mailId }) => mailId)).size, 5);
  assert.equal(second.nextBefore, undefined);
  assert.equal((await outbox.list({ state: 'sent' })).mail.length, 0);
});

test('whoever holds a gateway can neither write a text nor lead a link elsewhere nor smuggle a header', async () => {
  const { outbox, sender } = configured();
  const bad: object[] = [
    { ...invitation(), kind: 'advertisement' },
    { ...invitation(), subject: 'Win' },
    { ...invitation(), url: 'https://evil.example' },
    { ...invitation(), token: '../../evil' },
    { ...invitation(), token: 'short' },
    { ...invitation(), expiresAt: 'tomorrow' },
    { ...invitation(), expiresAt: '2026-99-99T99Z' },
    { ...invitation(), invitedBy: 'A\r\nBcc: x@example.com' },
    { ...invitation(), invitedBy: 'A\u2028B' },
    { ...invitation(), invitedBy: 'x'.repeat(201) },
    { ...invitation(), invitedBy: { toString: 'x' } },
    ...[
      'a@example.com\r\nBcc: b@example.com',
      'a@example.com,b@example.com',
      'a@example.com b@example.com',
      '<a@example.com>',
      'a@b@example.com',
      'a',
      '',
      7,
      `${'a'.repeat(250)}@example.com`,
    ].map((to) => ({ ...invitation(), to })),
  ];
  for (const order of [...bad, null, 'x', []])
    await assert.rejects(outbox.queue(acme, order), { code: 'FH_MAIL_REFUSED' }, JSON.stringify(order));

  await db.query(`UPDATE tenants SET title = $2 WHERE tenant_id = $1`, [
    brick,
    'Brick"\r\nBcc: c@example.com <d@example.com>',
  ]);
  const names = ['Visit https://evil.example now', 'evil.example', 'www.evil', 'a@evil.example', '<b>x</b>'];
  for (const name of names) await outbox.queue(brick, { ...invitation(), name, invitedBy: name });
  await sender!.sendDue();
  assert.equal(server.received.length, names.length);
  for (const { to, raw } of server.received) {
    assert.deepEqual(to, ['mia@example.com']);
    assert.equal(headersOf(raw).get('bcc'), undefined);
    assert.equal(headersOf(raw).get('from')!.length, 1);
    assert.ok(!/evil|<b>x/.test(textsOf(raw)), 'a name that looks like an address is not repeated');
  }
});

test('one tenant cannot order more than 500 messages an hour, and another is not held up by it', async () => {
  const { outbox } = configured();
  await outbox.queue(acme, invitation());
  await db.query(
    `INSERT INTO mail (mail_id, tenant_id, tenant_name, kind, state, sealed, created_at, expires_at)
     SELECT 'mai_' || lpad(translate(n::text, 'ilou', 'abcd'), 26, '0'), tenant_id, tenant_name, kind, 'kept', sealed, created_at, expires_at
     FROM mail, generate_series(1, 499) n`,
  );
  await assert.rejects(outbox.queue(acme, invitation()), { code: 'FH_MAIL_LIMITED' });
  await outbox.queue(brick, invitation());
});
