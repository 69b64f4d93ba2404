import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import { openTestFleet, type TestFleet, type TestSubject } from './fleet.fixture.ts';

let fleet: TestFleet;
before(async () => {
  const tenants = ['anna', 'bert', 'cleo', 'dora', 'emil', 'fred', 'gina', 'hugo'];
  fleet = await openTestFleet({ tenants, second: 'ALTER TABLE item ALTER COLUMN id SET NOT NULL;' });
});
after(() => fleet?.stop());

const named = (name: string): TestSubject => fleet.tenants.find((tenant) => tenant.name === name)!;
const poison = (subject: TestSubject) => fleet.inside(subject, 'INSERT INTO app.item (id) VALUES (NULL)');
const heal = (subject: TestSubject) => fleet.inside(subject, 'DELETE FROM app.item WHERE id IS NULL');

async function versions(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { name, databaseName } of fleet.tenants) {
    const [row] = await fleet.admin.readCatalogues(databaseName, (db) =>
      db.query<{ notNull: boolean }>(
        `SELECT a.attnotnull AS "notNull" FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE c.relname = 'item' AND a.attname = 'id'`,
      ),
    );
    found[name] = row!.notNull ? 2 : 1;
  }
  return found;
}

async function audited(): Promise<string[]> {
  const rows = await fleet.pool.query<{ name: string }>(
    "SELECT name FROM audit_events WHERE name ~ '^(fleet|tenant)[.]' ORDER BY event_id",
  );
  return rows.map((row) => row.name);
}

test('too many failures halt a run, and no start of the same program tries again by itself', async () => {
  for (const name of ['anna', 'bert', 'cleo']) await poison(named(name));
  // Those that were used last go first.
  await fleet.pool.query("UPDATE tenants SET last_used_at = now() WHERE name IN ('anna', 'bert', 'cleo')");
  const runs = fleet.open({ concurrency: 1 });
  await runs.start({ requestedBy: 'os:operator', maxFailedPercent: 10, minFailed: 3 });
  await runs.idle();
  const run = (await runs.latest())!;
  assert.equal(run.state, 'halted');
  assert.match(run.reason!, /^3 of the first 3 tenants failed, more than 10 %; 5 were not tried$/);
  assert.deepEqual(run.counts, { waiting: 5, running: 0, done: 0, failed: 3, skipped: 0 });
  assert.deepEqual(new Set(Object.values(await versions())), new Set([1]));
  assert.equal(await fleet.open().resume(), undefined);
  const names = await audited();
  assert.equal(names.filter((name) => name === 'tenant.migration_failed').length, 3);
  assert.ok(names.includes('fleet.migration_halted'));
});

test('one that fails is named with its error and left as it was; the others come forward, and one can be tried by itself', async () => {
  await heal(named('anna'));
  await heal(named('bert'));
  await fleet.pool.query("UPDATE tenants SET state = 'suspended' WHERE name = 'hugo'");
  const runs = fleet.open();
  await runs.start({ requestedBy: 'os:operator' });
  await runs.idle();
  const run = (await runs.latest())!;
  assert.equal(run.state, 'done');
  assert.deepEqual(run.counts, { waiting: 0, running: 0, done: 6, failed: 1, skipped: 1 });
  const [failed] = await runs.subjects(run.runId, { states: ['failed'] });
  assert.equal(failed!.name, 'cleo');
  assert.equal(failed!.error!.code, 'FH_DB_MIGRATION_FAILED');
  assert.match(failed!.error!.text, /0002_second\.sql: 23502/);
  assert.doesNotMatch(failed!.error!.text, /row|contains/, 'nothing of the rows is shown');
  const { cleo, hugo, ...others } = await versions();
  assert.deepEqual([cleo, hugo, ...new Set(Object.values(others))], [1, 1, 2]);
  assert.equal(await fleet.open().resume(), undefined, 'who failed waits for a person');
  assert.deepEqual(await runs.troubles(), { halted: undefined, failed: ['cleo'] });

  await heal(named('cleo'));
  const again = await runs.start({ requestedBy: 'os:operator', tenantId: named('cleo').tenantId });
  assert.equal(again!.isWhole, false);
  await runs.idle();
  assert.deepEqual(await runs.troubles(), { halted: undefined, failed: [] });
  assert.equal((await versions()).cleo, 2);
  assert.deepEqual((await runs.latest())!.counts, { waiting: 0, running: 0, done: 1, failed: 0, skipped: 0 });
  assert.equal(await fleet.open().resume(), undefined, 'the suspended one is its resumption’s');
  await fleet.pool.query("UPDATE tenants SET state = 'active' WHERE name = 'hugo'");
});

test('behind a long transaction a tenant waits in short tries, its own traffic goes on, and the others do not wait', async () => {
  const [slow, quick] = [await fleet.add('ines'), await fleet.add('jack')];
  const blocker = await openConnection(
    { ...fleet.cluster.superuser, database: slow.databaseName },
    { applicationName: 'long transaction' },
  );
  await blocker.query('BEGIN');
  await blocker.query('SELECT count(*) FROM app.item');
  const runs = fleet.open({ lockTimeoutMs: 50, attempts: 1_000 });
  await runs.start({ requestedBy: 'system' });
  const of = async (name: string) =>
    (await runs.subjects((await runs.latest())!.runId)).find((row) => row.name === name)!;
  await waitFor('the quick one', async () => (await of('jack')).state === 'done');
  await waitFor('a second turn of the slow one', async () => (await of('ines')).attempts > 1);
  // What queues behind the waiting ALTER TABLE is let through when that gives up.
  const startedMs = performance.now();
  for (let count = 0; count < 20; count++) await fleet.inside(slow, 'INSERT INTO app.item (id) VALUES (1)');
  assert.ok(performance.now() - startedMs < 20_000);
  assert.equal((await of('ines')).state === 'failed', false);
  await blocker.query('COMMIT');
  await blocker.close();
  await runs.idle();
  assert.equal((await of('ines')).state, 'done');
  assert.deepEqual([(await versions()).ines, (await versions()).jack], [2, 2]);
  assert.equal((await of('ines')).error, undefined);
  assert.ok(quick);
});

test('two programs at once: nobody is done twice, and both end', async () => {
  const added = await Promise.all(['karl', 'lena', 'mona', 'nils', 'olga', 'paul'].map((name) => fleet.add(name)));
  const [one, other] = [fleet.open({ concurrency: 3 }), fleet.open({ concurrency: 3 })];
  await one.start({ requestedBy: 'system' });
  await other.resume();
  await Promise.all([one.idle(), other.idle()]);
  const run = (await one.latest())!;
  assert.equal(run.state, 'done');
  assert.deepEqual(run.counts, { waiting: 0, running: 0, done: added.length, failed: 0, skipped: 0 });
  const now = await versions();
  assert.ok(added.every(({ name }) => now[name] === 2));
  const leftRoles = await fleet.pool.query(
    "SELECT rolname FROM pg_roles WHERE rolname ~ '_m$' AND left(rolname, -2) = ANY ($1)",
    [fleet.tenants.map((tenant) => tenant.databaseName)],
  );
  assert.deepEqual(leftRoles, []);
});

test('a tenant that an operation has is waited for, and passed over when the operation has stopped', async () => {
  const busy = await fleet.add('quin');
  const operationId = `opr_${'0'.repeat(26)}`;
  await fleet.pool.transaction(async (tx) => {
    await tx.query('INSERT INTO tenant_locks VALUES ($1, $2)', [busy.tenantId, operationId]);
    await tx.query(
      `INSERT INTO operations (operation_id, tenant_id, tenant_name, kind, state, input, requested_by, started_at)
       VALUES ($1, $2, 'quin', 'rename', 'running', '{}', 'test', now())`,
      [operationId, busy.tenantId],
    );
  });
  const runs = fleet.open();
  await assert.rejects(runs.start({ requestedBy: 'test', tenantId: busy.tenantId }), { code: 'FH_FLEET_TENANT_BUSY' });
  const other = await fleet.add('rosa');
  const { runId } = (await runs.start({ requestedBy: 'test' }))!;
  const states = async () => Object.fromEntries((await runs.subjects(runId)).map((row) => [row.name, row.state]));
  await waitFor('the other', async () => (await states()).rosa === 'done');
  assert.equal((await states()).quin, 'waiting');
  await fleet.pool.query("UPDATE operations SET state = 'failed' WHERE operation_id = $1", [operationId]);
  await runs.idle();
  assert.deepEqual(await states(), { rosa: 'done', quin: 'skipped' });
  await fleet.pool.query('DELETE FROM tenant_locks WHERE tenant_id = $1', [busy.tenantId]);
  await runs.start({ requestedBy: 'test' });
  await runs.idle();
  assert.equal((await versions()).quin, 2);
  assert.ok(other);
  assert.equal(await runs.start({ requestedBy: 'test' }), undefined, 'nobody is behind');
});
