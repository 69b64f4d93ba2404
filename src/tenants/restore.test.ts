import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { dropTestTenants, openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { parseMoment } from './moments.ts';
import type { Operation, RestoreMoment, Tenant } from './types.ts';

let cluster: TestCluster;
let folder: string;
let world: TestInstallation;
/** What the next recovery does before it gives its archive. */
let meanwhile: (moment: RestoreMoment) => Promise<void> = async () => {};
/** What happens when its content is loaded. */
let later: () => Promise<void> = async () => {};
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-restore-'));
  world = await openTestInstallation({
    control: cluster.control,
    folder,
    override: ({ restores }) => ({
      restores: {
        ...restores!,
        async recoverArchive(request, onProgress, signal) {
          await meanwhile(request.moment);
          return restores!.recoverArchive(request, onProgress, signal);
        },
        async removeArchive(operationId) {
          await later();
          await restores!.removeArchive(operationId);
        },
      },
    }),
  });
});
after(async () => {
  await dropTestTenants(world);
  await world.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

const moment = { kind: 'time', time: '2026-01-01T00:00:00Z' } as const;
async function create(name: string): Promise<Tenant> {
  const started = await world.lifecycle.startOperation(
    'create',
    undefined,
    { name, adminEmail: 'ada@example.com' },
    'os:test',
  );
  assert.equal((await world.lifecycle.waitForOperation(started.operationId)).state, 'succeeded');
  return world.lifecycle.getTenant(name);
}
async function restore(tenant: Tenant, newName: string, more: { inPlace?: boolean } = {}): Promise<Operation> {
  const input = { newName, moment, ...more };
  const started = await world.lifecycle.startOperation('restore', tenant.tenantId, input, 'os:test');
  return world.lifecycle.waitForOperation(started.operationId);
}
const invitations = async ({ tenantId }: Tenant) =>
  (await world.databases.platform.read(tenantId, (db) => db.query('SELECT invitation_id FROM invitations'))).length;

test('a restored tenant stands beside the old one, without its sessions and invitations', async () => {
  const source = await create('meadow');
  await world.databases.app.transact(source.tenantId, (db) =>
    db.query(`INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('n1', 'kept', 'usr_x', now())`),
  );
  const content = [Buffer.from('content')] as unknown as AsyncIterable<Uint8Array>;
  await world.files.put(source.tenantId, content, {
    name: 'a',
    mediaType: 'text/plain',
    maxBytes: 99,
    createdBy: 'system',
  });
  const seen: unknown[] = [];
  meanwhile = async (asked) => {
    seen.push(asked);
    // The old one is open while it is recovered, also to other operations.
    const other = await world.lifecycle.startOperation('export', source.tenantId, {}, 'os:test');
    assert.equal((await world.lifecycle.waitForOperation(other.operationId)).state, 'succeeded');
  };
  const operation = await restore(source, 'meadow-restored');
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  assert.deepEqual(seen, [{ kind: 'time', time: '2026-01-01T00:00:00.000Z' }]);
  assert.equal(operation.sourceTenantId, source.tenantId);
  assert.equal(operation.result.url, 'https://meadow-restored.localhost:8443');
  assert.match(String(operation.result.contentHash), /^[0-9a-f]{64}$/);

  const copy = await world.lifecycle.getTenant('meadow-restored');
  assert.deepEqual([copy.state, copy.title], ['active', 'meadow (restored)']);
  assert.deepEqual(await world.databases.app.read(copy.tenantId, (db) => db.query('SELECT text FROM notes')), [
    { text: 'kept' },
  ]);
  assert.deepEqual(await world.vault.findMissing(copy.tenantId), []);
  assert.deepEqual([await invitations(source), await invitations(copy)], [1, 0]);
  assert.equal((await world.lifecycle.getTenant('meadow')).state, 'active');
  const [event] = await world.pool.query(
    "SELECT subject, details->>'source' AS source FROM audit_events WHERE name = 'tenant.restored'",
  );
  assert.deepEqual(event, { subject: copy.tenantId, source: 'meadow' });
  assert.deepEqual(
    (await readdir(join(folder, 'exports'))).filter((name) => name.startsWith('restored-')),
    [],
  );
});

test('a moment that cannot be reached leaves nothing behind, and the name is free again', async () => {
  const source = await create('brook');
  meanwhile = async () => assert.fail('the WAL ends before');
  const operation = await restore(source, 'brook-restored');
  assert.equal(operation.state, 'undone');
  meanwhile = async () => {};
  assert.equal((await restore(source, 'brook-restored')).state, 'succeeded');
});

test('a restored tenant takes the place of the old one, and the same again takes it back', async () => {
  const source = await create('harbour');
  const started = await restore(source, 'harbour-before');
  const swap = async () => {
    const input = { otherTenantId: started.tenantId };
    const { operationId } = await world.lifecycle.startOperation('swap', source.tenantId, input, 'os:test');
    const operation = await world.lifecycle.waitForOperation(operationId);
    assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
    const route = async (name: string) => (await world.directory.findRoute(`${name}.localhost`))?.tenantId;
    return [await route('harbour'), await route('harbour-before')];
  };
  assert.deepEqual(await swap(), [started.tenantId, source.tenantId]);
  assert.equal((await world.lifecycle.getTenant('harbour')).tenantId, started.tenantId);
  assert.deepEqual(await swap(), [source.tenantId, started.tenantId]);
  const withItself = { otherTenantId: source.tenantId };
  await assert.rejects(world.lifecycle.startOperation('swap', source.tenantId, withItself, 'os:test'), {
    code: 'FH_TENANT_NAME_TAKEN',
  });
});

test('in place, the names are exchanged when the restored tenant goes live; what is told undoes it', async () => {
  const source = await create('quay');
  const operation = await restore(source, 'quay-before', { inPlace: true });
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  const { url, keptName, keptTenantId } = operation.result;
  assert.deepEqual([url, keptName, keptTenantId], ['https://quay.localhost:8443', 'quay-before', source.tenantId]);
  const route = async (name: string) => (await world.directory.findRoute(`${name}.localhost`))?.tenantId;
  assert.deepEqual([await route('quay'), await route('quay-before')], [operation.tenantId, source.tenantId]);
  assert.equal((await world.lifecycle.getTenant('quay')).title, source.title);

  const undo = { otherTenantId: source.tenantId };
  const { operationId } = await world.lifecycle.startOperation('swap', operation.tenantId, undo, 'os:test');
  const undone = await world.lifecycle.waitForOperation(operationId);
  assert.equal(undone.result.keptTenantId, source.tenantId);
  assert.deepEqual([await route('quay'), await route('quay-before')], [source.tenantId, operation.tenantId]);
});

test('an old tenant that is gone by then is not replaced: the restored one stands beside, and why is told', async () => {
  const source = await create('jetty');
  later = async () => {
    const { operationId } = await world.lifecycle.startOperation('delete', source.tenantId, {}, 'os:test');
    assert.equal((await world.lifecycle.waitForOperation(operationId)).state, 'succeeded');
    later = async () => {};
  };
  const operation = await restore(source, 'jetty-before', { inPlace: true });
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  assert.match(String(operation.result.notInPlace), /deleted/);
  assert.equal((await world.lifecycle.getTenant('jetty-before')).tenantId, operation.tenantId);
});

test('a moment is checked before anything begins', async () => {
  const now = Date.parse('2026-06-01T12:00:00Z');
  assert.deepEqual(parseMoment({ kind: 'time', time: '2026-06-01 14:00+02:00' }, now), {
    kind: 'time',
    time: '2026-06-01T12:00:00.000Z',
  });
  assert.deepEqual(parseMoment({ kind: 'lsn', lsn: '0/3000ab0' }, now), { kind: 'lsn', lsn: '0/3000AB0' });
  const after = '2026-05-01T00:00:00Z';
  assert.equal(parseMoment({ kind: 'name', name: 'before the import', after }, now).kind, 'name');
  assert.equal(parseMoment({ kind: 'xid', xid: '742', after }, now).kind, 'xid');
  for (const wrong of [
    undefined,
    {},
    { kind: 'time' },
    { kind: 'time', time: '2026-06-01T12:00:00' },
    { kind: 'time', time: '2026-06-01T12:00:01Z' },
    { kind: 'time', time: '2026-13-01T12:00:00Z' },
    { kind: 'time', time: 'yesterday' },
    { kind: 'name', name: '', after },
    { kind: 'name', name: 'x'.repeat(64), after },
    { kind: 'name', name: 'x' },
    { kind: 'xid', xid: '-1', after },
    { kind: 'lsn', lsn: 'zero' },
  ])
    assert.throws(() => parseMoment(wrong, now), { code: 'FH_RESTORE_MOMENT_INVALID' }, JSON.stringify(wrong));
});
