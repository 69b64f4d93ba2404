import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { BackupManifest } from '../types.ts';
import { copyBackup, listBackups, restoreFiles, runBaseBackup } from './index.ts';
import { startWorld, type World } from './world.fixture.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world?.remove());

/** Does one thing in a process of its own, which a failpoint kills. Runs from the top of the repository. */
const script = `
  import { text } from 'node:stream/consumers';
  import { armFailpoints, silentLog } from '#src/kernel/index.ts';
  import { createDiskRegion } from '#src/objects/index.ts';
  import { copyBackup, restoreFiles, runBaseBackup } from '#src/backups/base/index.ts';
  import { createTestKeys } from './src/backups/base/world.fixture.ts';
  const { point, action, seed, regions, databases, ...input } = JSON.parse(await text(process.stdin));
  const stores = regions.map((region) => createDiskRegion(region));
  const keys = createTestKeys(seed);
  armFailpoints(point);
  const log = silentLog;
  if (action === 'backup') await runBaseBackup({ ...input, keys, log, regions: stores, listDatabases: async () => databases });
  if (action === 'copy') await copyBackup({ ...input, log, from: stores[0], to: stores[1] });
  if (action === 'restore') await restoreFiles({ ...input, keys, region: stores[0] });
`;

async function die(
  point: string,
  action: 'backup' | 'copy' | 'restore',
  stores: readonly RegionStore[],
  input: object,
) {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    cwd: path.join(import.meta.dirname, '../../..'),
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const regions = stores.map((store) => ({ region: store.region, root: world.folderOf(store) }));
  child.stdin.end(
    JSON.stringify({ ...input, point: point.replace(/@|$/, '=kill$&'), action, seed: world.seed, regions }),
  );
  const [problems, [, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  assert.equal(signal, 'SIGKILL', `the child passed ${point} alive: ${problems}`);
}

const namesIn = async (region: RegionStore) => (await Array.fromAsync(region.list(''))).map(({ name }) => name);

async function backup(regions: readonly RegionStore[]): Promise<BackupManifest> {
  return (await runBaseBackup(await world.options(regions))).manifest;
}

for (const [point, holdBytes] of [
  ['backups.base.started', undefined],
  ['backups.base.object_stored', undefined],
  ['backups.base.object_streamed', 1],
  ['objects.write', 1],
  ['region.read-back@5', undefined],
  ['objects.linked@4', undefined],
  ['backups.base.databases_stored', undefined],
  ['backups.base.shared_stored', undefined],
] as const) {
  test(`killed at ${point}: there is no backup, the names say what was left, and the next backup is whole`, async () => {
    const regions = await world.newRegions();
    const { regions: _, keys, log, listDatabases, ...options } = await world.options(regions);
    await die(point, 'backup', regions, { ...options, holdBytes, databases: await listDatabases() });
    const left = new Set<string>();
    for (const region of regions) {
      assert.deepEqual(await Array.fromAsync(listBackups(region, world.clusterId)), []);
      for (const name of await namesIn(region))
        left.add(/(?:^base\/clu_\w+\/|^data\/\w+\/)(bak_[^_/]+)/.exec(name)![1]!);
    }
    assert.ok(left.size <= 1, [...left].join());
    await waitFor('the sender of the killed process to be gone', async () => {
      const [row] = await world.control.query<{ count: string }>('SELECT count(*) AS count FROM pg_stat_replication');
      return Number(row!.count) === 0;
    });
    const manifest = await backup(regions);
    assert.ok(!left.has(manifest.backupId));
    const into = path.join(await world.newFolder(), 'data');
    await restoreFiles({ region: regions[1], manifest, keys: world.keys, into, databases: 'all', durable: false });
    await rm(into, { recursive: true });
  });
}

test('killed after the manifest: the backup is there', async () => {
  const regions = await world.newRegions();
  const { regions: _, keys, log, listDatabases, ...options } = await world.options(regions);
  await die('backups.base.manifest_stored', 'backup', regions, { ...options, databases: await listDatabases() });
  for (const region of regions) assert.equal((await Array.fromAsync(listBackups(region, world.clusterId))).length, 1);
});

for (const point of [
  'objects.staged',
  'backups.base.object_copied@2',
  'objects.published@3',
  'backups.base.manifest_copied',
]) {
  test(`a copy killed at ${point}: the backup is there only when it is whole, and the copy can be done again`, async () => {
    const regions = await world.newRegions();
    const [from, to] = regions;
    const manifest = await backup([from]);
    await die(point, 'copy', regions, { manifest });
    const wasWhole = (await Array.fromAsync(listBackups(to, world.clusterId))).length === 1;
    assert.equal(wasWhole, point === 'backups.base.manifest_copied');
    await copyBackup({ from, to, manifest, log: world.log });
    assert.deepEqual(await namesIn(to), await namesIn(from));
  });
}

for (const point of ['restored_shared', 'restored_databases', 'restored']) {
  test(`a restore killed at ${point}: the data folder is whole or absent, and the restore can be done again`, async () => {
    const [region] = await world.newRegions();
    const manifest = await backup([region]);
    const home = await world.newFolder();
    const input = { manifest, into: path.join(home, 'data'), databases: 'all' as const };
    await die(`backups.base.${point}`, 'restore', [region], input);
    const isThere = await stat(input.into).then(
      () => true,
      () => false,
    );
    assert.equal(isThere, point === 'restored');
    if (!isThere) await restoreFiles({ ...input, region, keys: world.keys });
    assert.deepEqual(await readdir(home), ['data']);
  });
}
