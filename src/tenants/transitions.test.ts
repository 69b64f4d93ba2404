import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newId, type TenantId } from '#src/kernel/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { moveTenant } from './sql.ts';
import { allowedStates, canMove, moves } from './transitions.ts';
import { operationKinds, type TenantState, tenantStates } from './types.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-transitions-'));
  world = await openTestInstallation({ control: cluster.control, folder });
});
after(async () => {
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

async function insertInState(state: TenantState): Promise<TenantId> {
  const tenantId = newId('ten');
  await world.pool.query(
    `INSERT INTO tenants (tenant_id, name, title, state, edition, app, admin_email, created_at, state_changed_at, key_due_at)
     VALUES ($1, $2, 'x', $3, 'standard', 'sample', 'a@example.com', now(), now(), CASE WHEN $3 = 'deleted' THEN now() END)`,
    [tenantId, `t-${tenantId.slice(4, 20)}`, state],
  );
  return tenantId;
}
/** Says of the tenant that its app is a process; there is no database behind it. */
async function runAsProcess(tenantId: TenantId): Promise<void> {
  await world.pool.query(
    `INSERT INTO app_versions (app, version, digest, manifest, notes, state, added_at, added_by)
     VALUES ('sample', '1', repeat('0', 64), '{}', '', 'ready', now(), 'test') ON CONFLICT DO NOTHING`,
  );
  await world.pool.query(`INSERT INTO tenant_apps (tenant_id, app, version) VALUES ($1, 'sample', '1')`, [tenantId]);
}
/** The name of one. */
async function giveDatabase(tenantId: TenantId): Promise<void> {
  await world.pool.query('UPDATE tenants SET database_name = $2 WHERE tenant_id = $1', [
    tenantId,
    world.admin.newDatabaseName(),
  ]);
}
const stateOf = async (tenantId: TenantId) => (await world.lifecycle.findTenant(tenantId))?.state;

test('every pair of states moves exactly as the table says', async () => {
  for (const from of tenantStates) {
    for (const to of tenantStates) {
      const tenantId = await insertInState(from);
      const moved = await world.pool
        .transaction((tx) => moveTenant(tx, tenantId, to, new Date()))
        .then(
          () => true,
          (error) => {
            assert.equal(error.code, 'FH_TENANT_STATE');
            return false;
          },
        );
      assert.equal(moved, from === to || moves[from].includes(to), `${from} to ${to}`);
      assert.equal(await stateOf(tenantId), moved ? to : from);
    }
  }
});

test('there is no way out of deleted, and none to active that skips the end of an operation', () => {
  assert.deepEqual(moves.deleted, []);
  assert.deepEqual(moves.deleting, ['deleted']);
  assert.deepEqual(
    tenantStates.filter((state) => canMove(state, 'active')),
    ['creating', 'migrating', 'suspended', 'restoring', 'moving'],
  );
});

test('every operation in every state begins exactly where the table allows it', async () => {
  const moment = { kind: 'time', time: '2026-01-01T00:00:00Z' };
  const otherTenantId = await insertInState('active');
  const inputs = { newName: 'other-name', moment, otherTenantId, version: '1', edition: 'private-cloud' };
  const deleted = await insertInState('deleted');
  await assert.rejects(world.lifecycle.startOperation('restore', deleted, { moment } as never, 'os:test'), {
    code: 'FH_KEY_DESTROYED',
  });
  for (const kind of operationKinds.filter((candidate) => candidate !== 'create' && candidate !== 'import')) {
    for (const state of tenantStates) {
      const tenantId = await insertInState(state);
      if (kind === 'restore') await world.keys.createTenantKey(tenantId);
      if (kind === 'update') await runAsProcess(tenantId);
      if (kind === 'update' || kind === 'move') await giveDatabase(tenantId);
      const isAllowed = allowedStates[kind].includes(state);
      const begun = world.lifecycle.startOperation(kind, tenantId, inputs as never, 'os:test');
      if (!isAllowed) {
        await assert.rejects(begun, { code: 'FH_TENANT_STATE' }, `${kind} of a ${state} tenant`);
        assert.equal(await stateOf(tenantId), state);
        continue;
      }
      // It has no database, so it fails or is taken back; that it began is what counts here.
      const ended = await world.lifecycle.waitForOperation((await begun).operationId);
      assert.notEqual(ended.state, 'running');
      await world.pool.query('DELETE FROM tenant_names');
    }
  }
});
