import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { newId, type TenantId } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { Connection } from '#src/postgres/types.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { auditEvents, controlAuditLog, recordAudit } from './index.ts';

let cluster: TestCluster;
let db: Connection;
before(async () => {
  cluster = await startTestCluster();
  db = await openConnection(cluster.control, { applicationName: 'test' });
  const folder = new URL('../../migrations/control/', import.meta.url);
  for (const name of (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort())
    await db.script(await readFile(new URL(name, folder), 'utf8'));
});
after(async () => {
  await db?.close();
  await cluster?.stop();
});

test('docs/events.md lists exactly the events of the catalogue', async () => {
  const text = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8');
  const listed = Object.fromEntries(
    [...text.matchAll(/^\| `([a-z_.]+)` \| (.+) \|$/gm)].map(([, name, meaning]) => [name, meaning]),
  );
  assert.deepEqual(listed, auditEvents);
});

test('events come back newest first, page by page, per tenant', async () => {
  const [a, b] = [newId('ten'), newId('ten')];
  for (let number = 1; number <= 5; number++)
    for (const tenantId of [a, b])
      await recordAudit(db, {
        name: 'tenant.created',
        actor: 'system',
        subject: tenantId,
        tenantId,
        details: { number },
      });
  const seen: unknown[] = [];
  for (let before: string | undefined, pages = 0; pages < 3; pages++) {
    const page = await controlAuditLog.list(db, { tenantId: a, limit: 2, before });
    seen.push(...page.events.map(({ tenantId, details }) => [tenantId, details.number]));
    before = page.nextBefore;
    assert.equal(before === undefined, pages === 2);
  }
  assert.deepEqual(
    seen,
    [5, 4, 3, 2, 1].map((number) => [a, number]),
  );
});

test('an event is there if and only if the act was committed', async () => {
  const tenantId: TenantId = newId('ten');
  await db.run('BEGIN');
  await recordAudit(db, { name: 'tenant.suspended', actor: 'system', subject: tenantId, tenantId });
  await db.run('ROLLBACK');
  assert.deepEqual((await controlAuditLog.list(db, { tenantId })).events, []);
});

test('nobody changes or removes an event, not even the owner of the table', async () => {
  await recordAudit(db, { name: 'staff.created', actor: 'system', subject: 'stf_1' });
  for (const statement of [
    "UPDATE audit_events SET actor = 'nobody'",
    'DELETE FROM audit_events',
    'TRUNCATE audit_events',
  ])
    await assert.rejects(db.query(statement), { code: '42501' }, statement);
});

test('hostile text is stored harmlessly, unknown events and page marks are refused', async () => {
  await recordAudit(db, {
    name: 'staff.login_failed',
    actor: 'system',
    subject: 'a\u0000b\r\n\ud800'.padEnd(5000, 'x'),
  });
  const [event] = (await controlAuditLog.list(db, { limit: 1 })).events;
  assert.equal(event!.subject.length, 500);
  assert.ok(event!.subject.startsWith('a b  \ufffdx'));
  for (const name of ['tenant.exploded', '__proto__', 'constructor'])
    await assert.rejects(recordAudit(db, { name: name as never, actor: 'system', subject: 's' }), TypeError);
  for (const before of ['0', '-1', 'x', '1e3', '99999999999999999999'])
    await assert.rejects(controlAuditLog.list(db, { before }), { code: 'FH_INVALID_REQUEST' });
});
