/**
 * Tenants with a past, restored from one base backup by real recoveries: renamed, deleted, made again under the same name, cloned by copying files, made from
 * a template; while in the databases that are left out rows come and go, tables are rewritten and databases dropped.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { randomName, type TenantId } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { Operation, Tenant } from '#src/tenants/index.ts';
import { note, type RestoreInstallation, startRestoreInstallation } from './tenant-restores.fixture.ts';

/** Stands in every row of the neighbour. */
const marker = `neighbour-${randomName(20)}`;
let world: RestoreInstallation;
let meadow: Tenant;
let brook: Tenant;
let neighbour: Tenant;
let copyOfCopy: Tenant;
let young: Tenant;
let renaming: Operation;
/** Before everything below happened. */
let early: Date;
const restored: Tenant[] = [];

const done = async (operation: Promise<Operation>): Promise<Operation> => {
  const ended = await operation;
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
  return ended;
};
const clone = async (source: Tenant, newName: string): Promise<Tenant> => {
  await done(world.run('clone', source, { newName }));
  return world.lifecycle.getTenant(newName);
};
const find = (idOrName: string, time: Date) =>
  world.lifecycle.findRestoreSource(idOrName, { kind: 'time', time: time.toISOString() });

before(async () => {
  world = await startRestoreInstallation();
  const source = await world.create('source');
  [meadow, brook, neighbour] = [
    await world.create('meadow'),
    await world.create('brook'),
    await world.create('neighbour'),
  ];
  for (const tenant of [source, meadow, brook]) await world.write(tenant, note('n1', `${tenant.name} 1`));
  // Larger than what a clone sends through the WAL, at no cost to the WAL.
  const bulk =
    'CREATE UNLOGGED TABLE bulk AS SELECT i, repeat(md5(i::text), 30) AS filler FROM generate_series(1, 72000) AS i';
  await world.write(source, bulk);
  await world.takeBackup();
  early = await world.moment();

  const copy = await clone(source, 'copy');
  await world.write(copy, note('n2', 'copy 2'));
  copyOfCopy = await clone(copy, 'copy-of-copy');
  await world.write(copyOfCopy, 'DROP TABLE bulk', note('n3', 'copy of copy 3'));
  young = await world.create('young');
  await world.write(young, note('n1', 'young 1'));
  await disturb('first');
  renaming = await done(world.run('rename', meadow, { newName: 'glade' }));
  await world.write(meadow, note('n2', 'after the renaming'));
  await world.write(brook, note('n2', 'brook 2'));
  await done(world.run('delete', brook, {}));
  await disturb('second');
});
after(() => world?.remove());

/** What the field says breaks a restore when it happens in a database that was left out. */
async function disturb(round: string): Promise<void> {
  const rows = Array.from({ length: 50 }, (_, i) => note(`${round}${i}`, `${marker} ${round} ${i}`));
  await world.write(
    neighbour,
    ...rows,
    `CREATE TABLE ${round} AS SELECT * FROM notes`,
    `CREATE INDEX ON ${round} (text)`,
  );
  await world.write(neighbour, 'DELETE FROM notes', `TRUNCATE ${round}`, rows[0]!);
  const { database, app } = await world.directory.forLifecycle.getAccess(neighbour.tenantId);
  const target = { host: database.host, port: database.port, tls: database.tls, database: database.name, ...app };
  const connection = await openConnection(target, {
    applicationName: 'test',
    options: { default_transaction_read_only: 'off' },
  });
  await connection.query('VACUUM FULL notes');
  await connection.close();
  const passing = await world.create(`passing-${round}`);
  await world.write(passing, note('n1', marker));
  await done(world.run('delete', passing, { now: true }));
}

async function restore(...args: Parameters<RestoreInstallation['restore']>): Promise<Tenant> {
  const operation = await done(world.restore(...args));
  const tenant = (await world.lifecycle.findTenant(operation.tenantId))!;
  const strangers = await world.databases.platform.read(tenant.tenantId, (db) =>
    db.query('SELECT 1 FROM invitations UNION ALL SELECT 1 FROM sessions'),
  );
  assert.deepEqual(strangers, [], 'nobody is invited or signed in');
  restored.push(tenant);
  return tenant;
}

test('just before it was renamed: by its old name, its new one, its id, or the operation', async () => {
  const before = { kind: 'before', event: 'rename' } as const;
  const found = await world.lifecycle.findRestoreSource('meadow', before);
  assert.equal(found.tenantId, meadow.tenantId);
  for (const name of ['glade', meadow.tenantId])
    assert.deepEqual(await world.lifecycle.findRestoreSource(name, before), found);
  const byOperation = { kind: 'before', event: renaming.operationId } as const;
  const { moment } = await world.lifecycle.findRestoreSource('glade', byOperation);
  assert.deepEqual(moment, { ...found.moment, event: renaming.operationId });
  await assert.rejects(world.lifecycle.findRestoreSource('brook', byOperation), { code: 'FH_RESTORE_MOMENT_INVALID' });
  await assert.rejects(world.lifecycle.findRestoreSource('young', before), { code: 'FH_RESTORE_MOMENT_INVALID' });

  const then = await restore('meadow', before, 'meadow-then');
  assert.deepEqual(await world.notes(then), ['meadow 1']);
  assert.deepEqual(await world.notes(meadow), ['meadow 1', 'after the renaming']);
});

test('just before it was deleted: back at its own name; deleted again, its name means two', async () => {
  const before = { kind: 'before', event: 'delete' } as const;
  const again = await restore('brook', before);
  assert.deepEqual([again.name, again.tenantId === brook.tenantId], ['brook', false]);
  assert.deepEqual(await world.notes(again), ['brook 1', 'brook 2']);
  await world.write(again, note('n3', 'second life'));
  // Today's brook was not there then: whoever says its name and that time means the one that was.
  assert.equal((await find('brook', early)).tenantId, brook.tenantId);
  assert.equal((await find('brook', await world.moment())).tenantId, again.tenantId);

  await done(world.run('delete', again, {}));
  await assert.rejects(
    world.lifecycle.findRestoreSource('brook', before),
    (error: { code: string; detail: string }) => {
      assert.equal(error.code, 'FH_RESTORE_AMBIGUOUS');
      for (const { tenantId } of [brook, again]) assert.match(error.detail, new RegExp(`${tenantId} .*deleted 20`));
      return true;
    },
  );
  const third = await restore(again.tenantId, before);
  assert.deepEqual(await world.notes(third), ['brook 1', 'brook 2', 'second life']);
  await done(world.run('destroy', brook, {}));
  await assert.rejects(world.restore(brook.tenantId, before), { code: 'FH_KEY_DESTROYED' });
});

test('a clone of a clone, made by copying files after the base backup, and one made of a template', async () => {
  const now = await world.moment();
  const copy = await restore('copy-of-copy', { kind: 'time', time: now.toISOString() });
  assert.deepEqual(await world.notes(copy), ['source 1', 'copy 2', 'copy of copy 3']);
  assert.deepEqual(await world.notes(copyOfCopy), ['source 1', 'copy 2', 'copy of copy 3']);
  const born = await restore('young', { kind: 'time', time: now.toISOString() });
  assert.deepEqual(await world.notes(born), ['young 1']);
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
  await done(world.run('delete', copyOfCopy, { now: true }));
  const folderOf = async ({ tenantId }: { tenantId: TenantId }) => {
    const [row] = await world.pool.query<{ oid: string }>(
      'SELECT d.oid::text AS oid FROM pg_database d JOIN tenants t ON t.database_name = d.datname WHERE t.tenant_id = $1',
      [tenantId],
    );
    return path.join(world.own.cluster.options.dataDir, 'base', row!.oid);
  };
  assert.ok(await holdsMarker(await folderOf(neighbour)), 'the search finds what is there');
  const living = restored.filter(({ name }) => name !== 'brook').concat(await world.lifecycle.getTenant('brook'));
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
