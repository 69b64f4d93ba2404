import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { readClusterFacts, readDatabases, runBaseBackup, type Shipper, startShipper } from '#src/backups/index.ts';
import { newId, silentLog, systemClock, type TenantId, waitFor } from '#src/kernel/index.ts';
import type { BackupKeys, KeyStore } from '#src/keys/types.ts';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import type { Operation, Tenant } from '#src/tenants/index.ts';
import { openTestInstallation, type TestInstallation } from '../../test/support/installation.ts';
import { type OwnCluster, startOwnCluster } from '../../test/support/own-cluster.ts';
import { createTenantRestores, type TenantRestores } from './tenant-restores.ts';

const top = path.join(import.meta.dirname, '../..');
const clusterId = newId('clu');
let own: OwnCluster;
let world: TestInstallation;
let shipper: Shipper;
let regions: RegionStore[];
let restores: TenantRestores;
let scratchFolder: string;

before(async () => {
  own = await startOwnCluster();
  const folder = path.join(own.folder, 'control');
  await mkdir(folder);
  world = await openTestInstallation({
    control: own.control,
    folder,
    override: () => ({
      restores: {
        findSource: (...args) => restores.findSource(...args),
        recoverArchive: (...args) => restores.recoverArchive(...args),
        removeArchive: (operationId) => restores.removeArchive(operationId),
      },
    }),
  });
  const keys = world.keys as KeyStore & BackupKeys;
  await keys.createKey(clusterId);
  regions = [];
  for (const region of ['north', 'south']) {
    const root = path.join(own.folder, region);
    await mkdir(root);
    regions.push(createDiskRegion({ region, root, initialise: true }));
  }
  shipper = await startShipper({
    clusterId,
    regions,
    findPrimary: async () => own.replication,
    key: await keys.currentKey(clusterId),
    findKey: async (keyId) => (await keys.openKey(keyId)).key,
    spoolDir: path.join(own.folder, 'spool'),
    log: silentLog,
  });
  scratchFolder = path.join(own.folder, 'scratch');
  await mkdir(scratchFolder);
  await chmod(scratchFolder, 0o711);
  if (own.osUser) await chown(scratchFolder, own.osUser.uid, own.osUser.gid);
  restores = makeRestores();
});
after(async () => {
  await shipper?.stop();
  await world?.stop();
  await own?.remove();
});

function makeRestores(): TenantRestores {
  return createTenantRestores({
    backups: { clusterId, regions },
    binaries: own.cluster.options.binaries,
    pool: world.pool,
    control: own.control,
    keys: world.keys as KeyStore & BackupKeys,
    portability: world.portability,
    vault: world.vault,
    migrationsOf: () => ({
      platform: path.join(top, 'migrations/tenant'),
      app: path.join(top, 'apps/sample/migrations'),
    }),
    scratchFolder,
    osUser: own.osUser,
    clock: systemClock,
    log: silentLog,
    shippingDeadlineMs: 20_000,
  });
}

async function takeBackup(): Promise<void> {
  const keys = world.keys as KeyStore & BackupKeys;
  await runBaseBackup({
    clusterId,
    facts: await readClusterFacts(world.pool),
    binaries: own.cluster.options.binaries,
    target: own.replication,
    regions,
    keys,
    listDatabases: async () => {
      const tenants = await world.pool.query<{ name: string; tenantId: TenantId }>(
        'SELECT database_name AS name, tenant_id AS "tenantId" FROM tenants WHERE database_name IS NOT NULL',
      );
      const owners = new Map(tenants.map(({ name, tenantId }) => [name, tenantId]));
      return (await readDatabases(world.pool)).map(({ oid, name }) => ({ oid, name, tenantId: owners.get(name) }));
    },
    checkpoint: 'fast',
    log: silentLog,
  });
}

async function create(name: string): Promise<Tenant> {
  const input = { name, adminEmail: 'ada@example.com' };
  const started = await world.lifecycle.startOperation('create', undefined, input, 'os:test');
  assert.equal((await world.lifecycle.waitForOperation(started.operationId)).state, 'succeeded');
  return world.lifecycle.getTenant(name);
}
async function restore(tenant: Tenant, newName: string, time: Date): Promise<Operation> {
  const moment = { kind: 'time', time: time.toISOString() } as const;
  const started = await world.lifecycle.startOperation('restore', tenant.tenantId, { newName, moment }, 'os:test');
  const ended = await world.lifecycle.waitForOperation(started.operationId);
  assert.deepEqual(await readdir(scratchFolder), []);
  return ended;
}
const write = ({ tenantId }: Tenant, ...statements: string[]) =>
  world.databases.app.transact(tenantId, async (db) => {
    for (const statement of statements) await db.query(statement);
  });
const note = (id: string, text: string) =>
  `INSERT INTO notes (note_id, text, author_id, created_at) VALUES ('${id}', '${text}', 'usr_x', now())`;
const notes = async ({ tenantId }: Tenant): Promise<string[]> => {
  const rows = await world.databases.app.read(tenantId, (db) =>
    db.query<{ text: string }>('SELECT text FROM notes ORDER BY note_id'),
  );
  return rows.map(({ text }) => text);
};
async function moment(): Promise<Date> {
  const clock = async () =>
    (await world.pool.query<{ now: Date }>('SELECT clock_timestamp() AS now'))[0]!.now.getTime();
  const later = (than: number) =>
    waitFor('the next millisecond', async () => ((await clock()) > than + 1 ? clock() : undefined));
  const found = await later(await clock());
  await later(found);
  return new Date(found);
}

test('a tenant as it was a moment ago, rows and files, while one region is away and the old one goes on', async () => {
  const [meadow, brook] = [await create('meadow'), await create('brook')];
  await write(meadow, note('n1', 'meadow 1'));
  await write(brook, note('n1', 'brook 1'));
  await takeBackup();
  const content = [Buffer.from('the plan of the meadow')] as unknown as AsyncIterable<Uint8Array>;
  const file = { name: 'plan', mediaType: 'text/plain', maxBytes: 99, createdBy: 'system' };
  const { fileId } = await world.files.put(meadow.tenantId, content, file);
  await write(meadow, note('n2', 'meadow 2'));
  const then = await moment();
  await write(meadow, 'DELETE FROM notes', note('n3', 'meadow 3'));
  await write(brook, note('n2', 'brook 2'));
  await world.files.remove(meadow.tenantId, fileId);

  const north = path.join(own.folder, 'north');
  await rename(north, `${north}-away`);
  const operation = await restore(meadow, 'meadow-then', then);
  await rename(`${north}-away`, north);
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  const copy = await world.lifecycle.getTenant('meadow-then');
  assert.deepEqual(await notes(copy), ['meadow 1', 'meadow 2']);
  assert.deepEqual(await notes(meadow), ['meadow 3']);
  assert.deepEqual(await notes(brook), ['brook 1', 'brook 2']);
  const restored = await world.files.open(copy.tenantId, fileId);
  assert.equal(Buffer.concat(await Array.fromAsync(restored!.content)).toString(), 'the plan of the meadow');
  assert.ok(new Date(String(operation.result.lastCommitAt)) <= then);
});

test('suspended at that moment, made after the base backup, and back to right now', async () => {
  const young = await create('young');
  await write(young, note('n1', 'young 1'));
  const suspended = await world.lifecycle.startOperation('suspend', young.tenantId, {}, 'os:test');
  assert.equal((await world.lifecycle.waitForOperation(suspended.operationId)).state, 'succeeded');
  const operation = await restore(young, 'young-then', new Date(systemClock.now()));
  assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
  assert.deepEqual(await notes(await world.lifecycle.getTenant('young-then')), ['young 1']);
});

test('a moment before everything is refused with the first that there is', async () => {
  const operation = await restore(await world.lifecycle.getTenant('meadow'), 'too-early', new Date(0));
  assert.equal(operation.state, 'undone');
  assert.equal(operation.error?.code, 'FH_BACKUP_NOT_RESTORABLE');
  assert.match(operation.error?.text ?? '', /the first moment that region \w+ can restore is 20/);
});
