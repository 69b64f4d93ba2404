/** Control and the server die at the same moment while a tenant is made: what was committed without waiting for the disk is lost with them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import type { ChildOrder } from '../../test/support/operation-child.ts';
import { type OwnCluster, startOwnCluster } from '../../test/support/own-cluster.ts';

let own: OwnCluster;
let folder: string;
before(async () => {
  // So that nothing reaches the disk by itself meanwhile.
  own = await startOwnCluster({ settings: { wal_writer_delay: '10s', wal_writer_flush_after: '1GB' } });
  folder = await mkdtemp(join(tmpdir(), 'freehold-crash-'));
});
after(async () => {
  await own?.remove();
  await rm(folder, { recursive: true });
});

async function createAndDie(name: string, failpoint: string): Promise<void> {
  const order: ChildOrder = {
    installation: { control: own.control, folder },
    failpoints: `${failpoint}=kill`,
    kind: 'create',
    tenantId: undefined,
    input: { name, adminEmail: 'ada@example.com' },
  };
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '../../test/support/operation-child.ts'), JSON.stringify(order)],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const [problems, [, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  assert.equal(signal, 'SIGKILL', `${failpoint}: ${problems}`);
}

async function withInstallation(work: (world: TestInstallation) => Promise<void>): Promise<void> {
  const world = await openTestInstallation({ control: own.control, folder });
  await work(world).finally(() => world.stop());
}

const points = [
  'lifecycle.create.key.after',
  'databases.create.door',
  'lifecycle.create.open.after',
  'lifecycle.create.migrations.after',
  'lifecycle.create.administrator.after',
  'lifecycle.create.host.after',
];
test('whatever was lost with them, the creation is finished, and nothing else is there', async (context) => {
  // The template, which all copy.
  await withInstallation(async ({ lifecycle }) => {
    const input = { name: 'first', adminEmail: 'ada@example.com' };
    const { operationId } = await lifecycle.startOperation('create', undefined, input, 'os:test');
    assert.equal((await lifecycle.waitForOperation(operationId)).state, 'succeeded');
  });
  for (const [index, point] of points.entries()) {
    const name = `crash-${index}`;
    await createAndDie(name, point);
    await own.crash();
    await withInstallation(async ({ lifecycle, admin, databases, keys, pool }) => {
      const running = await lifecycle.listOperations({ states: ['running'] });
      const before = running.flatMap(({ steps }) => steps.map((step) => `${step.name} ${step.state}`));
      context.diagnostic(`${point}: ${before.join(', ')}`);
      assert.equal(await lifecycle.resumeAll(), 1, point);
      const ended = await lifecycle.waitForOperation(running[0]!.operationId);
      assert.equal(ended.state, 'succeeded', `${point}: ${JSON.stringify(ended.error)}`);
      const tenant = await lifecycle.getTenant(name);
      assert.ok(await keys.hasTenantKey(tenant.tenantId));
      assert.deepEqual(await databases.app.read(tenant.tenantId, (db) => db.query('SELECT FROM notes')), []);
      const known = await lifecycle.knownDatabases();
      assert.deepEqual(await admin.findOrphans(known), { databases: [], roles: [] }, point);
      const owners = await pool.query('SELECT FROM tenants');
      assert.equal(owners.length, index + 2, point);
    });
  }
});
