/** Control killed in the middle of a release: its successor brings it to the end, forward or back. What a kill within a tenant's change does: src/tenants/kill.test.ts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { armFailpoints, type TenantId, waitFor } from '#src/kernel/index.ts';
import { startTestCluster, type TestCluster } from '../../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../../test/support/installation.ts';
import type { ReleaseOrder } from '../../../test/support/release-child.ts';
import { addVersions, openTestRollouts } from '../../../test/support/rollouts.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
const tenants: TenantId[] = [];
let version = 1;
/** What everybody runs. */
let runs = '1';

before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-killed-release-'));
  world = await openTestInstallation({ control: cluster.control, folder });
  await addVersions(world, '1');
  for (const ring of ['alpha', 'production']) {
    const order = { name: `in-${ring}`, adminEmail: 'ada@example.com' };
    const { tenantId, operationId } = await world.lifecycle.startOperation('create', undefined, order, 'os:test');
    await world.lifecycle.waitForOperation(operationId);
    await world.pool.query(`INSERT INTO tenant_apps (tenant_id, app, version, ring) VALUES ($1, 'sample', '1', $2)`, [
      tenantId,
      ring,
    ]);
    await world.databases.app.transact(tenantId, (db) =>
      db.query(
        `INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('n1', 'written by 1', 'usr_x', now())`,
      ),
    );
    tenants.push(tenantId);
  }
});
after(async () => {
  armFailpoints('');
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function textOf(tenantId: TenantId): Promise<string | undefined> {
  const [note] = await world.databases.app.read(tenantId, (db) => db.query<{ text: string }>('SELECT text FROM notes'));
  return note?.text;
}

const broken = 'lifecycle.update.start.after=error';
for (const [failpoint, failure] of [
  ['releases.started', ''],
  ['releases.rehearsal.cloned', ''],
  ['releases.checked', ''],
  ['releases.tenant.claimed', ''],
  ['releases.tenant.begun', ''],
  ['releases.ring.done', ''],
  ['releases.tenant.begun', broken],
  ['releases.halted', broken],
] as const)
  test(`killed at ${failpoint}${failure && ', of a version that does not start'}: the successor brings it to its end`, async () => {
    const next = String(++version);
    await addVersions(world, next);
    const order: ReleaseOrder = {
      installation: { control: cluster.control, folder },
      failpoints: [`${failpoint}=kill`, failure].filter(Boolean).join(','),
      version: next,
      isRehearsed: /rehearsal|checked/.test(failpoint),
    };
    const script = join(import.meta.dirname, '../../../test/support/release-child.ts');
    const child = spawn(process.execPath, [script, JSON.stringify(order)], { stdio: ['ignore', 'inherit', 'inherit'] });
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL', `${failpoint} was not reached`);

    armFailpoints(failure);
    const rollouts = openTestRollouts(world);
    await world.lifecycle.resumeAll();
    await rollouts.resumeAll();
    const ended = await waitFor('the release has ended', async () => {
      const release = await rollouts.latest('sample');
      return ['done', 'returned'].includes(release.state) ? release : undefined;
    });
    await rollouts.stop();
    armFailpoints('');
    assert.deepEqual([ended.version, ended.state], [next, failure ? 'returned' : 'done']);
    if (!failure) runs = next;
    for (const tenantId of tenants) {
      assert.equal((await world.lifecycle.getTenant(tenantId)).appVersion, runs);
      assert.equal(await textOf(tenantId), `written by ${runs}`);
    }
    assert.deepEqual(await world.pool.query('SELECT FROM tenant_locks'), []);
    const copies = `SELECT FROM tenants WHERE name LIKE 'rehearsal%' AND state <> 'deleted'`;
    assert.deepEqual(await world.pool.query(copies), []);
  });

for (const failpoint of ['releases.return.claimed', 'releases.return.begun'])
  test(`killed at ${failpoint}: everybody comes back all the same`, async () => {
    const next = String(++version);
    await addVersions(world, next);
    const first = openTestRollouts(world, { judge: async () => undefined });
    await first.start('sample', next, { soakSeconds: 0, isRehearsed: false, isManual: true }, 'os:test');
    await waitFor('alpha is watched', async () => (await first.latest('sample')).soaksSince);
    await first.stop();
    // The row says so; the process that would act on it is the one that is killed.
    await world.pool.query(`UPDATE releases SET state = 'returning', reason = 'test' WHERE version = $1`, [next]);
    const program = `
      const { armFailpoints } = await import('#src/kernel/index.ts');
      const { openTestInstallation } = await import('./test/support/installation.ts');
      const { openTestRollouts } = await import('./test/support/rollouts.ts');
      const world = await openTestInstallation(JSON.parse(process.argv[1]));
      armFailpoints('${failpoint}=kill');
      await openTestRollouts(world).resumeAll();
      setInterval(() => {}, 1000);`;
    const child = spawn(
      process.execPath,
      ['--input-type=module', '--eval', program, JSON.stringify({ control: cluster.control, folder })],
      { cwd: join(import.meta.dirname, '../../..'), stdio: ['ignore', 'inherit', 'inherit'] },
    );
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL');
    const rollouts = openTestRollouts(world);
    await world.lifecycle.resumeAll();
    await rollouts.resumeAll();
    await waitFor('it is taken back', async () => (await rollouts.latest('sample')).state === 'returned');
    await rollouts.stop();
    for (const tenantId of tenants) {
      assert.equal((await world.lifecycle.getTenant(tenantId)).appVersion, runs);
      assert.equal(await textOf(tenantId), `written by ${runs}`);
    }
  });
