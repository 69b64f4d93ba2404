import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { csvField } from '#src/audit/index.ts';
import type { ExportFormat } from '#src/audit/types.ts';
import { armFailpoints } from '#src/kernel/index.ts';
import { type Routes, startRoutes } from '../routes.fixture.ts';
import { createTwins, goodPassword, started, type TestTenant } from '../two-tenants.fixture.ts';

let routes: Routes;
let userId: string;
const email = 'twin@example.com';
before(async () => {
  routes = await startRoutes();
  userId = await createTwins(routes.two, email, { role: 'admin' });
});
after(() => routes?.stop());
afterEach(() => armFailpoints(''));

const signIn = async (tenant: TestTenant = routes.two.a) => {
  const { session } = await started(
    routes.two.identity.signIn(tenant.tenantId, { email, password: goodPassword }, { address: '192.0.2.8' }),
  );
  return { session, address: '192.0.2.8' };
};
const exported = async (format: ExportFormat, filter = {}, tenant = routes.two.a) => {
  const actor = await signIn(tenant);
  let text = '';
  for await (const piece of await routes.two.identity.exportAuditEvents(tenant.tenantId, actor, filter, format))
    text += piece;
  return text;
};

test('the log is asked for by event, person and time, page by page', async () => {
  const cookie = await routes.join('log-owner@example.com');
  const list = async (query: Record<string, string>) => {
    const { status, body } = await routes.send('GET', `/security-log?${new URLSearchParams(query)}`, { cookie });
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  for (let at = 0; at < 3; at++) await signIn();
  await signIn(routes.two.b);
  const ofTwin = await list({ person: userId, event: 'session.created' });
  assert.equal(ofTwin.events.length, 3, 'those of the same id at the other tenant are not among them');
  assert.ok(ofTwin.events.every(({ actorName }: { actorName: string }) => actorName === 'Twin'));
  const first = await list({ person: userId, limit: '2' });
  const second = await list({ person: userId, limit: '200', before: first.nextBefore });
  const all = await list({ person: userId, limit: '200' });
  assert.deepEqual([...first.events, ...second.events], all.events);
  const middle = all.events[1].recordedAt as string;
  const since = await list({ person: userId, from: middle });
  assert.deepEqual(
    since.events.map(({ eventId }: { eventId: string }) => eventId),
    all.events.slice(0, 2).map(({ eventId }: { eventId: string }) => eventId),
  );
  const until = await list({ person: userId, to: middle });
  assert.ok(until.events.every(({ recordedAt }: { recordedAt: string }) => recordedAt < middle));
  assert.deepEqual((await list({ person: 'usr_00000000000000000000000000' })).events, []);
  for (const query of ['from=yesterday', `person=usr_' OR 1=1`, 'event=nothing', 'before=0', 'other=1']) {
    const { status } = await routes.send('GET', `/security-log?${encodeURI(query)}`, { cookie });
    assert.equal(status, 400, query);
  }
});

test('an export has everything that fits, as CSV or JSON lines, and is recorded itself', async () => {
  const { a } = routes.two;
  // More than one page of them, one with a name that a spreadsheet would run.
  await routes.two.databases.platform.transact(a.tenantId, async (db) => {
    await db.query(`UPDATE freehold.users SET name = '=HYPERLINK("https://evil.example","x")' WHERE user_id = $1`, [
      userId,
    ]);
    await db.query(
      `INSERT INTO freehold.audit_events (event_id, name, actor, subject, details)
       SELECT 'aud_' || lpad(n::text, 26, '0'), 'mail.read', 'staff:stf_1', $1, jsonb_build_object('n', n) FROM generate_series(1, 450) AS n`,
      [userId],
    );
  });
  const lines = (await exported('jsonl', { name: 'mail.read' }))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ details }) => details.n),
    Array.from({ length: 450 }, (_, at) => 450 - at),
  );
  assert.deepEqual(Object.keys(lines[0]), [
    'recordedAt',
    'name',
    'meaning',
    'actor',
    'actorName',
    'subject',
    'subjectName',
    'address',
    'details',
    'eventId',
  ]);
  const csv = (await exported('csv', { name: 'mail.read', person: userId })).split('\r\n');
  assert.equal(csv.length, 452, 'a head, the lines, and the end of the last');
  assert.ok(csv[1]!.includes(`"'=HYPERLINK(""https://evil.example"",""x"")"`), csv[1]!);
  assert.equal(await exported('jsonl', { name: 'mail.read' }, routes.two.b), '', 'the other tenant has none of them');
  const { events } = await routes.two.identity.listAuditEvents(a.tenantId, { name: 'security_log.exported', limit: 1 });
  assert.deepEqual(
    [events[0]!.actor, events[0]!.details],
    [`user:${userId}`, { format: 'csv', event: 'mail.read', person: userId, from: null, to: null }],
  );
});

test('nothing leaves before it is recorded; members take nothing', async () => {
  const { identity, a } = routes.two;
  const actor = await signIn();
  armFailpoints('identity.security_log.export.before_commit=error');
  await assert.rejects(identity.exportAuditEvents(a.tenantId, actor, {}, 'csv'));
  const member = await routes.join('log-member@example.com', 'member');
  for (const path of ['/security-log', '/security-log/export?format=csv']) {
    const { status } = await routes.send('GET', path, { cookie: member });
    assert.equal(status, 403, path);
  }
  await routes.two.databases.platform.transact(a.tenantId, (db) =>
    db.query(`UPDATE freehold.users SET role = 'member' WHERE user_id = $1`, [userId]),
  );
  await assert.rejects(identity.exportAuditEvents(a.tenantId, actor, {}, 'csv'), { code: 'FH_ROLE_REQUIRED' });
});

test('a spreadsheet takes no field for a formula', () => {
  for (const text of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '＝1', '\u00a0=1'])
    assert.ok(csvField(text).startsWith(`"'`), JSON.stringify(text));
  for (const text of ['', 'Olga', 'a=b', '{"a":-1}', '2026-01-31']) assert.ok(!csvField(text).startsWith(`"'`), text);
  assert.equal(csvField('a "b"\r\nc'), '"a ""b""\r\nc"');
});
