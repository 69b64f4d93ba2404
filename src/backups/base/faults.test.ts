import assert from 'node:assert/strict';
import { chmod, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { BackupManifest } from '../types.ts';
import { copyBackup, damagedOf, findManifest, listBackups, restoreFiles, runBaseBackup } from './index.ts';
import { createTestKeys, startWorld, type World } from './world.fixture.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world?.remove());

async function restoreFrom(region: RegionStore, manifest: BackupManifest, keys = world.keys) {
  const into = path.join(await world.newFolder(), 'data');
  try {
    return await restoreFiles({ region, manifest, keys, into, databases: 'all', durable: false });
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

const backupsIn = (region: RegionStore) => Array.fromAsync(listBackups(region, world.clusterId));

/** A region of which some calls are answered by `change`. */
function changed(region: RegionStore, change: Partial<RegionStore>): RegionStore {
  return { ...region, ...change };
}

test('a page that fails its checksum: the backup is kept, suspect, and says whose page it is', async () => {
  const { own } = world;
  const regions = await world.newRegions();
  const victim = await world.createTenant();
  const [found] = await world.sql(victim.database, "SELECT pg_relation_filepath('app.items') AS file");
  const file = String(found!.file);
  // So that the page is on the disk, and no buffer writes over what we do to it.
  await own.cluster.stop({ smartMs: 0 });
  const handle = await open(path.join(own.cluster.options.dataDir, file), 'r+');
  await handle.write('not what was written', 4_000);
  await handle.close();
  await own.cluster.start();
  await world.reconnect();

  const { manifest, regions: results } = await runBaseBackup(await world.options(regions));
  assert.equal(manifest.suspect, true);
  assert.ok(results.every(({ complete }) => complete));
  assert.deepEqual(damagedOf(manifest), [{ name: victim.database, tenantId: victim.tenantId, files: [file] }]);
  await restoreFrom(regions[1], manifest);
  await world.control.query(`DROP DATABASE ${victim.database}`);
  const healthy = await runBaseBackup(await world.options(regions, { previous: manifest }));
  assert.equal(healthy.manifest.suspect, false);
});

test('a region goes away: the backup goes on in the other, and a copy brings what is missing', async () => {
  const [north, south] = await world.newRegions();
  const folder = world.folderOf(south);
  let puts = 0;
  const leaving = changed(south, {
    async put(...args) {
      if (++puts === 3) await rename(folder, `${folder}-away`);
      return south.put(...args);
    },
  });
  const { manifest, regions } = await runBaseBackup(await world.options([north, leaving]));
  assert.deepEqual(
    regions.map(({ region, complete }) => ({ region, complete })),
    [
      { region: 'north', complete: true },
      { region: 'south', complete: false },
    ],
  );
  assert.equal((regions[1]!.error as { code?: string }).code, 'FH_REGION_UNAVAILABLE');
  await restoreFrom(north, manifest);
  const copy = () => copyBackup({ from: north, to: south, manifest, log: world.log });
  await assert.rejects(copy(), { code: 'FH_REGION_UNAVAILABLE' });

  await rename(`${folder}-away`, folder);
  assert.deepEqual(await backupsIn(south), []);
  // The next one stores again what that region never got, and nothing else.
  const next = await runBaseBackup(await world.options([north, south], { previous: manifest }));
  assert.ok(next.storedDatabases > 0 && next.unchangedDatabases > 0);
  const result = await copy();
  assert.ok(result.copiedObjects > 0 && result.copiedObjects < manifest.databases.length + 2);
  assert.deepEqual(await findManifest(south, manifest, world.keys.openKey), manifest);
  await restoreFrom(south, manifest);
  assert.equal((await copy()).copiedObjects, 0);
});

test('a region that takes bytes no more is left behind; without any region there is no backup', async () => {
  const [north, south] = await world.newRegions();
  const stuck = changed(south, { put: () => new Promise(() => {}) });
  for (const holdBytes of [undefined, 1]) {
    const options = await world.options([north, stuck], { stallMs: 2_000, holdBytes });
    const { regions, manifest } = await runBaseBackup(options);
    assert.deepEqual(
      regions.map(({ complete }) => complete),
      [true, false],
    );
    await restoreFrom(north, manifest);
    const alone = { ...options, regions: [stuck] };
    await assert.rejects(runBaseBackup(alone), { code: 'FH_BASE_BACKUP_NO_REGION' });
  }
  assert.deepEqual(await backupsIn(south), []);
});

test('a copy of an object that was damaged in the one region never reaches the other', async () => {
  const [north, south] = await world.newRegions();
  const { manifest } = await runBaseBackup(await world.options([north]));
  await flipByte(north, manifest.shared.object);
  await assert.rejects(copyBackup({ from: north, to: south, manifest, log: world.log }), {
    code: 'FH_BACKUP_OBJECT_DAMAGED',
  });
  assert.deepEqual(await backupsIn(south), []);
  assert.equal(await south.stat(manifest.shared.object), undefined);
});

async function flipByte(region: RegionStore, name: string): Promise<void> {
  const file = path.join(world.folderOf(region), name);
  await chmod(file, 0o600);
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(file, bytes);
}

test('what is not the object that was stored is refused, by name: flipped, cut, swapped, gone, sealed under another key', async () => {
  const { acme, globex } = world;
  const [north] = await world.newRegions();
  const { manifest } = await runBaseBackup(await world.options([north]));
  const [object, other] = [acme, globex].map(({ oid }) => manifest.databases.find((one) => one.oid === oid)!.object);
  const file = path.join(world.folderOf(north), object!);
  const whole = await readFile(file);
  const refused = async (name: string) => {
    await assert.rejects(restoreFrom(north, manifest), (error: { code?: string; message: string }) => {
      assert.equal(error.code, 'FH_BACKUP_OBJECT_DAMAGED', String(error));
      assert.ok(error.message.includes(`north: ${name}`), error.message);
      return true;
    });
  };
  await flipByte(north, object!);
  await refused(object!);
  await writeFile(file, whole);
  await truncate(file, whole.length - 100);
  await refused(object!);
  await writeFile(file, await readFile(path.join(world.folderOf(north), other!)));
  await refused(object!);
  // An older object of the same database under the same key.
  const older = await runBaseBackup(await world.options([north]));
  const olderObject = older.manifest.databases.find(({ oid }) => oid === acme.oid)!.object;
  await writeFile(file, await readFile(path.join(world.folderOf(north), olderObject)));
  await refused(object!);
  await rm(file);
  await assert.rejects(restoreFrom(north, manifest), { code: 'FH_BACKUP_OBJECT_MISSING' });
  await writeFile(file, whole);
  await restoreFrom(north, manifest);

  const stranger = createTestKeys('another');
  await assert.rejects(restoreFrom(north, manifest, stranger), { code: 'FH_BACKUP_OBJECT_DAMAGED' });
  await assert.rejects(findManifest(north, manifest, stranger.openKey), { code: 'FH_KEY_UNSEAL' });
});

test('another server, a wrong password, a server that ends, a caller who gives up: no backup, and no process stays', async () => {
  const [north] = await world.newRegions();
  const options = await world.options([north]);
  const facts = { ...options.facts, systemIdentifier: '1' };
  await assert.rejects(runBaseBackup({ ...options, facts }), { code: 'FH_BASE_BACKUP_MISMATCH' });
  const target = { ...options.target, password: 'a wrong password' };
  await assert.rejects(runBaseBackup({ ...options, target }), (error: { code?: string; message: string }) => {
    assert.equal(error.code, 'FH_BASE_BACKUP_FAILED');
    assert.match(error.message, /password authentication failed/);
    assert.doesNotMatch(error.message, /a wrong password/);
    return true;
  });

  const cancel = new AbortController();
  const onProgress = () => cancel.abort(new Error('given up'));
  await assert.rejects(runBaseBackup({ ...options, signal: cancel.signal, onProgress }), /given up/);

  let ended: Promise<unknown> | undefined;
  const endSender = () => {
    ended ??= world.control.query('SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
  };
  // Fails unless the whole archive was on its way before the sender heard of its end.
  await runBaseBackup({ ...options, onProgress: endSender }).then(
    ({ manifest }) =>
      restoreFrom(north, manifest).then(() => north.remove(`base/${world.clusterId}/${manifest.backupId}/manifest`)),
    (error) => assert.equal(error.code, 'FH_BASE_BACKUP_FAILED', String(error)),
  );
  await ended;
  await waitFor('the senders to be gone', async () => {
    const [row] = await world.control.query<{ count: string }>('SELECT count(*) AS count FROM pg_stat_replication');
    return Number(row!.count) === 0;
  });
  assert.deepEqual(await backupsIn(north), []);
});
