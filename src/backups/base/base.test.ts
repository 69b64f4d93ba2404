import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { RegionStore } from '#src/objects/index.ts';
import type { BackupManifest } from '../types.ts';
import { findManifest, listBackups, restoreFiles, runBaseBackup } from './index.ts';
import { startWorld, type World } from './world.fixture.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world?.remove());

const rowsSql =
  "SELECT count(*) AS count, md5(string_agg(item_id || text, ',' ORDER BY item_id)) AS digest FROM app.items";

async function namesIn(region: RegionStore): Promise<string[]> {
  return (await Array.fromAsync(region.list(''))).map(({ name }) => name);
}

test('a backup lies whole in both regions; restored from one of them it is a server with every row', async () => {
  const { acme, globex, keys, sql, own } = world;
  const regions = await world.newRegions();
  const { manifest, ...result } = await runBaseBackup(await world.options(regions));
  assert.deepEqual(result.regions, [
    { region: 'north', complete: true },
    { region: 'south', complete: true },
  ]);
  assert.equal(manifest.suspect, false);
  assert.equal(manifest.dataChecksums && manifest.fullPageWrites, true);
  const [north, south] = [await namesIn(regions[0]), await namesIn(regions[1])];
  assert.deepEqual(north, south);
  assert.equal(north.length, manifest.databases.length + 2);

  const ofAcme = manifest.databases.find(({ oid }) => oid === acme.oid)!;
  const ofGlobex = manifest.databases.find(({ oid }) => oid === globex.oid)!;
  assert.equal(ofAcme.keyId, `${acme.tenantId}.1`);
  assert.ok(ofAcme.object.startsWith(`data/${acme.tenantId}/`));
  assert.notEqual(ofAcme.storedSha256, ofGlobex.storedSha256);
  assert.ok(ofAcme.storedBytes < ofAcme.sizeBytes / 3, `${ofAcme.storedBytes} of ${ofAcme.sizeBytes}`);
  assert.equal(manifest.databases.find(({ name }) => name === 'postgres')?.keyId, `${world.clusterId}.1`);

  assert.deepEqual(await Array.fromAsync(listBackups(regions[1], world.clusterId)), [manifest.backupId]);
  const found = await findManifest(regions[1], manifest, keys.openKey);
  assert.deepEqual(found, manifest);

  const into = path.join(await world.newFolder(), 'data');
  const restored = await restoreFiles({
    region: regions[1],
    manifest: found!,
    keys,
    into,
    databases: 'all',
    owner: own.osUser,
  });
  assert.equal((await stat(into)).mode & 0o777, 0o700);
  assert.ok(restored.readBytes < restored.restoredBytes / 3);
  const expected = await sql(acme.database, rowsSql);
  await world.withRestored(into, async (restoredSql) => {
    for (const { database } of [acme, globex]) assert.deepEqual(await restoredSql(database, rowsSql), expected);
  });
});

test("one tenant's files alone: the server starts, its rows are there, nothing of the other tenant is", async () => {
  const { acme, globex, keys, sql, own } = world;
  const [region] = await world.newRegions();
  const { manifest } = await runBaseBackup(await world.options([region]));
  // WAL of the other tenant that finds no file when it is replayed.
  await sql(globex.database, "UPDATE app.items SET text = text || 'x'", 'VACUUM FULL app.items');
  await sql(acme.database, "INSERT INTO app.items VALUES (9001, 'after the backup')");
  keys.destroy(globex.tenantId);
  try {
    const into = path.join(await world.newFolder(), 'data');
    const unowned = manifest.databases.filter(({ tenantId }) => !tenantId).map(({ oid }) => oid);
    await restoreFiles({ region, manifest, keys, into, databases: [acme.oid, ...unowned], owner: own.osUser });
    assert.deepEqual(await readdir(path.join(into, 'base', String(globex.oid))), []);
    const expected = await sql(acme.database, rowsSql);
    await world.withRestored(into, async (restoredSql) => {
      assert.deepEqual(await restoredSql(acme.database, rowsSql), expected);
      await assert.rejects(restoredSql(globex.database, rowsSql));
    });
    const all = { region, manifest, keys, into: `${into}-all`, databases: 'all', durable: false } as const;
    await assert.rejects(restoreFiles({ ...all, databases: [globex.oid] }), { code: 'FH_KEY_DESTROYED' });
    await assert.rejects(stat(`${into}-all`), { code: 'ENOENT' });
    await assert.rejects(stat(`${into}-all.restoring`), { code: 'ENOENT' });
    // The whole server can still be restored when a tenant was deleted since.
    const { unreadable } = await restoreFiles(all);
    assert.deepEqual(
      unreadable.map(({ oid }) => oid),
      [globex.oid],
    );
    assert.deepEqual(await readdir(path.join(all.into, 'base', String(globex.oid))), []);
    await assert.rejects(restoreFiles({ ...all, databases: [1_234_567] }), { code: 'FH_BACKUP_UNKNOWN_DATABASE' });
    await assert.rejects(restoreFiles({ ...all, into }), { code: 'FH_RESTORE_FOLDER_IN_USE' });
  } finally {
    keys.restore(globex.tenantId);
  }
});

for (const [how, holdBytes] of [
  ['held in memory', undefined],
  ['streamed', 1],
] as const) {
  test(`what has not changed is not stored again (${how})`, async () => {
    const { acme, globex, keys, sql } = world;
    const regions = await world.newRegions();
    const objectOf = (manifest: BackupManifest, { oid }: { oid: number }) =>
      manifest.databases.find((database) => database.oid === oid)!.object;
    const first = await runBaseBackup(await world.options(regions, { holdBytes }));
    assert.equal(first.unchangedDatabases, 0);

    await sql(acme.database, "UPDATE app.items SET text = 'changed' WHERE item_id = 7");
    const next = await world.options(regions, { holdBytes, previous: first.manifest });
    const second = await runBaseBackup(next);
    assert.notEqual(objectOf(second.manifest, acme), objectOf(first.manifest, acme));
    assert.equal(objectOf(second.manifest, globex), objectOf(first.manifest, globex));
    assert.ok(second.unchangedDatabases >= 4, `${second.unchangedDatabases} unchanged`);
    for (const region of regions) {
      const names = await namesIn(region);
      const ofSecond = names.filter((name) => name.includes(second.manifest.backupId));
      assert.equal(ofSecond.length, second.storedDatabases + 2);
      assert.deepEqual(await readdir(path.join(world.folderOf(region), '.staging')), []);
    }
    const into = path.join(await world.newFolder(), 'data');
    await restoreFiles({ region: regions[0], manifest: second.manifest, keys, into, databases: 'all', durable: false });

    await regions[1].remove(objectOf(second.manifest, globex));
    const third = await runBaseBackup({ ...next, previous: second.manifest });
    assert.notEqual(objectOf(third.manifest, globex), objectOf(first.manifest, globex));
    assert.equal(objectOf(third.manifest, acme), objectOf(second.manifest, acme));

    keys.rotate(acme.tenantId);
    const fourth = await runBaseBackup({ ...next, previous: third.manifest });
    assert.equal(
      fourth.manifest.databases.find(({ oid }) => oid === acme.oid)?.keyId,
      (await keys.currentKey(acme.tenantId)).keyId,
    );
    assert.equal(objectOf(fourth.manifest, globex), objectOf(third.manifest, globex));
  });
}

test('databases that come and go while the backup runs', async () => {
  const { acme, globex, keys, own, clusterId } = world;
  const [region] = await world.newRegions();
  const gone = await world.createTenant();
  const options = await world.options([region]);
  let asked = 0;
  // A session of its own: DROP DATABASE waits for the sender of the backup, which may wait for a database to be looked up.
  const other = await own.connect();
  let dropped: Promise<unknown> | undefined;
  keys.destroy(gone.tenantId);
  const { manifest } = await runBaseBackup({
    ...options,
    // acme is seen only at the second look; globex never.
    listDatabases: async () =>
      (await options.listDatabases()).filter(({ oid }) => oid !== globex.oid && (oid !== acme.oid || asked++ > 0)),
    onProgress() {
      dropped ??= other.query(`DROP DATABASE ${gone.database}`);
    },
  });
  await dropped;
  await other.close();
  const keyOf = ({ oid }: { oid: number }) => manifest.databases.find((database) => database.oid === oid)?.keyId;
  assert.match(keyOf(acme)!, new RegExp(`^${acme.tenantId}\\.`));
  assert.equal(keyOf(globex), `${clusterId}.1`);
  assert.equal(keyOf(gone), undefined);
  const into = path.join(await world.newFolder(), 'data');
  await restoreFiles({ region, manifest, keys, into, databases: 'all', owner: own.osUser });
  await world.withRestored(into, async (restoredSql) => {
    assert.equal((await restoredSql(globex.database, rowsSql)).length, 1);
    await assert.rejects(restoredSql(gone.database, rowsSql), { code: '3D000' });
  });
});
