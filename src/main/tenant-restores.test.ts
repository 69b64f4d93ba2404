import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { systemClock } from '#src/kernel/index.ts';
import type { Operation, Tenant } from '#src/tenants/index.ts';
import { note, type RestoreInstallation, startRestoreInstallation } from './tenant-restores.fixture.ts';

let world: RestoreInstallation;
before(async () => {
  world = await startRestoreInstallation();
});
after(() => world?.remove());

const restore = (tenant: Tenant, newName: string, time: Date): Promise<Operation> =>
  world.restore(tenant.tenantId, { kind: 'time', time: time.toISOString() }, newName);

test('a tenant as it was a moment ago, rows and files, while one region is away and the old one goes on', async () => {
  const [meadow, brook] = [await world.create('meadow'), await world.create('brook')];
  await world.write(meadow, note('n1', 'meadow 1'));
  await world.write(brook, note('n1', 'brook 1'));
  await world.takeBackup();
  const content = [Buffer.from('the plan of the meadow')] as unknown as AsyncIterable<Uint8Array>;
  const file = { name: 'plan', mediaType: 'text/plain', maxBytes: 99, createdBy: 'system' };
  const { fileId } = await world.files.put(meadow.tenantId, content, file);
  await world.write(meadow, note('n2', 'meadow 2'));
  const then = await world.moment();
  await world.write(meadow, 'DELETE FROM notes', note('n3', 'meadow 3'));
  await world.write(brook, note('n2', 'brook 2'));
  await world.files.remove(meadow.tenantId, fileId);

  const { north } = world;
  await rename(north, `${north}-away`);
  const operation = await restore(meadow, 'meadow-then', then);
  await rename(`${north}-away`, north);
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  const copy = await world.lifecycle.getTenant('meadow-then');
  assert.deepEqual(await world.notes(copy), ['meadow 1', 'meadow 2']);
  assert.deepEqual(await world.notes(meadow), ['meadow 3']);
  assert.deepEqual(await world.notes(brook), ['brook 1', 'brook 2']);
  const restored = await world.files.open(copy.tenantId, fileId);
  assert.equal(Buffer.concat(await Array.fromAsync(restored!.content)).toString(), 'the plan of the meadow');
  assert.ok(new Date(String(operation.result.lastCommitAt)) <= then);
});

test('suspended at that moment, made after the base backup, and back to right now', async () => {
  const young = await world.create('young');
  await world.write(young, note('n1', 'young 1'));
  const suspended = await world.lifecycle.startOperation('suspend', young.tenantId, {}, 'os:test');
  assert.equal((await world.lifecycle.waitForOperation(suspended.operationId)).state, 'succeeded');
  const operation = await restore(young, 'young-then', new Date(systemClock.now()));
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  assert.deepEqual(await world.notes(await world.lifecycle.getTenant('young-then')), ['young 1']);
});

test('a moment before everything is refused with the first that there is', async () => {
  const operation = await restore(await world.lifecycle.getTenant('meadow'), 'too-early', new Date(0));
  assert.equal(operation.state, 'undone');
  assert.equal(operation.error?.code, 'FH_BACKUP_NOT_RESTORABLE');
  assert.match(operation.error?.text ?? '', /the first moment that region \w+ can restore is 20/);
});
