/**
 * Restores by real recoveries, from one base backup: to a moment, from one region, and of tenants with a past, renamed, deleted, made again under the same name,
 * cloned by copying files; while in the databases that are left out rows come and go, tables are rewritten and databases dropped.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { readdir, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { randomName, systemClock, type TenantId, waitFor } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { Operation, Tenant } from '#src/tenants/index.ts';
import { note, type RestoreInstallation, startRestoreInstallation } from './tenant-restores.fixture.ts';

/** Stands in every row of the neighbour. */
const marker = `neighbour-${randomName(20)}`;
let world: RestoreInstallation;
let meadow: Tenant;
let neighbour: Tenant;
let source: Tenant;
const remade: Tenant[] = [];

before(async () => {
  world = await startRestoreInstallation();
  [source, meadow, neighbour] = [
    await world.create('source'),
    await world.create('meadow'),
    await world.create('neighbour'),
  ];
  for (const tenant of [source, meadow]) await world.write(tenant, note('n1', `${tenant.name} 1`));
  // Larger than what a clone sends through the WAL, at no cost to the WAL.
  const bulk =
    'CREATE UNLOGGED TABLE bulk AS SELECT i, repeat(md5(i::text), 30) AS filler FROM generate_series(1, 66000) AS i';
  await world.write(source, bulk);
});
after(() => world?.remove());

let branch: Tenant;
let young: Tenant;
let renaming: Operation;

const done = async (operation: Promise<Operation>): Promise<Operation> => {
  const ended = await operation;
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
  return ended;
};
const clone = async (from: Tenant, newName: string): Promise<Tenant> => {
  await done(world.run('clone', from, { newName }));
  return world.lifecycle.getTenant(newName);
};
const find = (idOrName: string, time: Date) =>
  world.lifecycle.findRestoreSource(idOrName, { kind: 'time', time: time.toISOString() });

async function remake(...args: Parameters<RestoreInstallation['restore']>): Promise<Tenant> {
  const operation = await done(world.restore(...args));
  const tenant = (await world.lifecycle.findTenant(operation.tenantId))!;
  const strangers = await world.databases.platform.read(tenant.tenantId, (db) =>
    db.query('SELECT 1 FROM invitations UNION ALL SELECT 1 FROM sessions'),
  );
  assert.deepEqual(strangers, [], 'nobody is invited or signed in');
  remade.push(tenant);
  return tenant;
}

/** What the field says breaks a restore when it happens in a database that was left out. */
async function disturb(): Promise<void> {
  const rows = Array.from({ length: 50 }, (_, i) => note(`n${i}`, `${marker} ${i}`));
  await world.write(neighbour, ...rows, 'CREATE TABLE more AS SELECT * FROM notes', 'CREATE INDEX ON more (text)');
  await world.write(neighbour, 'DELETE FROM notes', 'TRUNCATE more', rows[0]!);
  const { database, app } = await world.directory.forLifecycle.getAccess(neighbour.tenantId);
  const target = { host: database.host, port: database.port, tls: database.tls, database: database.name, ...app };
  const connection = await openConnection(target, {
    applicationName: 'test',
    options: { default_transaction_read_only: 'off' },
  });
  await connection.query('VACUUM FULL notes');
  await connection.close();
  const passing = await world.create('passing');
  await world.write(passing, note('n1', marker));
  await done(world.run('delete', passing, { now: true }));
}

test('just before it was renamed, rows and files, while one region is away, and the old one goes on', async () => {
  await world.takeBackup();
  const content = [Buffer.from('the plan of the meadow')] as unknown as AsyncIterable<Uint8Array>;
  const file = { name: 'plan', mediaType: 'text/plain', maxBytes: 99, createdBy: 'system' };
  const { fileId } = await world.files.put(meadow.tenantId, content, file);
  await world.write(meadow, note('n2', 'meadow 2'));
  await disturb();
  renaming = await done(world.run('rename', meadow, { newName: 'glade' }));
  await world.write(meadow, 'DELETE FROM notes', note('n3', 'meadow 3'));
  await world.files.remove(meadow.tenantId, fileId);

  const { north } = world;
  await rename(north, `${north}-away`);
  const copy = await remake('meadow', { kind: 'before', event: 'rename' }, 'meadow-then');
  await rename(`${north}-away`, north);
  assert.deepEqual(await world.notes(copy), ['meadow 1', 'meadow 2']);
  assert.deepEqual(await world.notes(meadow), ['meadow 3']);
  const restored = await world.files.open(copy.tenantId, fileId);
  assert.equal(Buffer.concat(await Array.fromAsync(restored!.content)).toString(), 'the plan of the meadow');
});

test('the same moment by its old name, its new one, its id, or the operation', async () => {
  const before = { kind: 'before', event: 'rename' } as const;
  const found = await world.lifecycle.findRestoreSource('meadow', before);
  assert.equal(found.tenantId, meadow.tenantId);
  for (const name of ['glade', meadow.tenantId])
    assert.deepEqual(await world.lifecycle.findRestoreSource(name, before), found);
  const byOperation = { kind: 'before', event: renaming.operationId } as const;
  const { moment } = await world.lifecycle.findRestoreSource('glade', byOperation);
  assert.deepEqual(moment, { ...found.moment, event: renaming.operationId });
  for (const [name, wanted] of [
    ['source', byOperation],
    ['source', before],
  ] as const)
    await assert.rejects(world.lifecycle.findRestoreSource(name, wanted), { code: 'FH_RESTORE_MOMENT_INVALID' });
});

test('suspended at that moment, made of the template after the base backup, and back to right now', async () => {
  young = await world.create('young');
  await world.write(young, note('n1', 'young 1'));
  await done(world.run('suspend', young, {}));
  const now = new Date(systemClock.now());
  const copy = await remake('young', { kind: 'time', time: now.toISOString() });
  assert.equal(copy.name, 'young-restored');
  assert.deepEqual(await world.notes(copy), ['young 1']);
});

test('a moment just now, while the region has nothing of the time after yet: waited for, not tried in vain', async () => {
  await world.write(meadow, note('n60', 'the last one'));
  const now = await world.moment();
  const hasIt = async () =>
    (await readdir(world.north, { recursive: true, withFileTypes: true })).some(
      (entry) => entry.isFile() && statSync(path.join(entry.parentPath, entry.name)).mtimeMs > now.getTime(),
    );
  await waitFor('the last one to be shipped', hasIt, { deadlineMs: 60_000 });
  await world.holdBack();
  const copy = await remake('glade', { kind: 'time', time: now.toISOString() }, 'glade-now');
  assert.deepEqual(await world.notes(copy), ['meadow 3', 'the last one']);
});

test('a moment before everything is refused with the first that there is', async () => {
  const operation = await world.restore('glade', { kind: 'time', time: new Date(0).toISOString() }, 'too-early');
  assert.equal(operation.state, 'undone');
  assert.equal(operation.error?.code, 'FH_BACKUP_NOT_RESTORABLE');
  assert.match(operation.error?.text ?? '', /no database yet at this moment; it has one since 20/);
});

test('just before it was deleted, a clone of a clone: back at its own name; deleted again, its name means two', async () => {
  const copy = await clone(source, 'copy');
  await world.write(copy, note('n2', 'copy 2'));
  branch = await clone(copy, 'branch');
  await world.write(branch, 'DROP TABLE bulk', note('n3', 'branch 3'));
  const early = await world.moment();
  await done(world.run('delete', branch, {}));

  const before = { kind: 'before', event: 'delete' } as const;
  const again = await remake('branch', before);
  assert.deepEqual([again.name, again.tenantId === branch.tenantId], ['branch', false]);
  assert.deepEqual(await world.notes(again), ['source 1', 'copy 2', 'branch 3']);
  await world.write(again, note('n4', 'second life'));
  // Today's branch was not there then: whoever says its name and that time means the one that was.
  assert.equal((await find('branch', early)).tenantId, branch.tenantId);
  assert.equal((await find('branch', await world.moment())).tenantId, again.tenantId);

  await done(world.run('delete', again, {}));
  await assert.rejects(
    world.lifecycle.findRestoreSource('branch', before),
    (error: { code: string; detail: string }) => {
      assert.equal(error.code, 'FH_RESTORE_AMBIGUOUS');
      for (const { tenantId } of [branch, again]) assert.match(error.detail, new RegExp(`${tenantId} .*deleted 20`));
      return true;
    },
  );
  const third = await remake(again.tenantId, before);
  assert.deepEqual(await world.notes(third), ['source 1', 'copy 2', 'branch 3', 'second life']);
  await done(world.run('destroy', branch, {}));
  await assert.rejects(world.restore(branch.tenantId, before), { code: 'FH_KEY_DESTROYED' });
});

test('names that were exchanged: then and now are two, and an id is one', async () => {
  const moment = await world.moment();
  await done(world.run('swap', meadow, { otherTenantId: young.tenantId }));
  await assert.rejects(find('young', moment), { code: 'FH_RESTORE_AMBIGUOUS' });
  assert.equal((await find('young', await world.moment())).tenantId, meadow.tenantId);
  for (const { tenantId } of [meadow, young]) assert.equal((await find(tenantId, moment)).tenantId, tenantId);
  await assert.rejects(find('nobody', moment), { code: 'FH_TENANT_NOT_FOUND' });
});

test("nothing of the neighbour's is on the disk outside of its own database", async () => {
  // Dropping a database writes a checkpoint: what is in memory is in the files then.
  await done(world.run('delete', source, { now: true }));
  const folderOf = async ({ tenantId }: { tenantId: TenantId }) => {
    const [row] = await world.pool.query<{ oid: string }>(
      'SELECT d.oid::text AS oid FROM pg_database d JOIN tenants t ON t.database_name = d.datname WHERE t.tenant_id = $1',
      [tenantId],
    );
    return path.join(world.own.cluster.options.dataDir, 'base', row!.oid);
  };
  assert.ok(await holdsMarker(await folderOf(neighbour)), 'the search finds what is there');
  const living = [...remade.filter(({ name }) => name !== 'branch'), await world.lifecycle.getTenant('branch')];
  for (const tenant of living) assert.equal(await holdsMarker(await folderOf(tenant)), false, tenant.name);
  for (const folder of [world.scratchFolder, path.join(world.own.folder, 'control')])
    assert.equal(await holdsMarker(folder), false, folder);
  assert.deepEqual(await readdir(world.scratchFolder), []);
});

async function holdsMarker(folder: string): Promise<boolean> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && (await readFile(path.join(entry.parentPath, entry.name))).includes(marker)) return true;
  return false;
}
