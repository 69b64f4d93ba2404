import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { removeScratchFolders } from '#src/clusters/index.ts';
import { silentLog } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { startWorld, type World } from '../base/world.fixture.ts';
import { dumpOptions, makeScratchParent } from './content.fixture.ts';
import { copyDump, dumpTenant, openDump } from './index.ts';
import { parseDumpName } from './names.ts';

let world: World;
before(async () => {
  world = await startWorld();
});
after(() => world?.remove());

/** Does one thing in a process of its own, which a failpoint kills. Runs from the top of the repository. */
const script = `
  import { text } from 'node:stream/consumers';
  import { armFailpoints, silentLog as log, systemClock as clock } from '#src/kernel/index.ts';
  import { createDiskRegion } from '#src/objects/index.ts';
  import { createScratchFolder, startEmptyServer } from '#src/clusters/index.ts';
  import { copyDump, dumpTenant, verifyDump } from '#src/backups/dumps/index.ts';
  import { createTestKeys } from './src/backups/base/world.fixture.ts';
  import { testContent as content } from './src/backups/dumps/content.fixture.ts';
  const { point, action, seed, regions, parent, osUser, ...input } = JSON.parse(await text(process.stdin));
  const stores = regions.map((region) => createDiskRegion(region));
  const keys = createTestKeys(seed);
  armFailpoints(point);
  if (action === 'dump') await dumpTenant({ ...input, keys, log, clock, content, regions: stores });
  if (action === 'copy') await copyDump({ ...input, keys, from: stores[0], to: stores[1] });
  if (action === 'verify') {
    const folder = await createScratchFolder(parent, osUser);
    const server = await startEmptyServer({ folder, binaries: input.binaries, log });
    await verifyDump({ ...input, keys, clock, content, server, region: stores[0] });
  }
`;

async function die(point: string, action: 'dump' | 'copy' | 'verify', stores: readonly RegionStore[], input: object) {
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

const dumpsIn = async (region: RegionStore) => (await Array.fromAsync(region.list('dumps/'))).map(({ name }) => name);

async function plainOptions(regions: readonly RegionStore[]) {
  const { keys, content, log, clock, regions: _, ...plain } = await dumpOptions(world, world.acme, regions);
  return plain;
}

for (const point of [
  'backups.dump.started',
  'backups.dump.streamed',
  'objects.write',
  'region.read-back@2',
  'objects.linked',
  'backups.dump.stored',
]) {
  test(`a dump killed at ${point}: what is listed is whole, and the next dump is too`, async () => {
    const regions = await world.newRegions();
    await die(point, 'dump', regions, await plainOptions(regions));
    for (const region of regions) {
      const names = await dumpsIn(region);
      if (point.startsWith('backups.dump.')) assert.equal(names.length, point === 'backups.dump.stored' ? 1 : 0);
      for (const name of names) {
        const { content } = await openDump(region, parseDumpName(name)!, world.keys);
        assert.ok((await Array.fromAsync(content)).length > 0);
      }
    }
    const again = await dumpTenant(await dumpOptions(world, world.acme, regions));
    assert.equal(again.outcome, 'stored');
    for (const region of regions) assert.ok((await dumpsIn(region)).some((name) => parseDumpName(name)));
  });
}

for (const point of ['backups.dump.copy_checked', 'objects.staged', 'objects.linked', 'backups.dump.copied']) {
  test(`a copy killed at ${point}: the dump is there whole or not at all, and the copy can be made again`, async () => {
    const regions = await world.newRegions();
    const [from, to] = regions;
    const stored = await dumpTenant(await dumpOptions(world, world.acme, [from]));
    assert.ok(stored.outcome === 'stored');
    await die(point, 'copy', regions, { dump: stored.header });
    await copyDump({ from, to, dump: stored.header, keys: world.keys });
    assert.deepEqual(await dumpsIn(to), await dumpsIn(from));
    const { content } = await openDump(to, stored.header, world.keys);
    assert.ok((await Array.fromAsync(content)).length > 0);
  });
}

for (const point of ['clusters.empty_server.started', 'backups.dump.verified']) {
  test(`a verification killed at ${point}: server and folder are taken away at the next start`, async () => {
    const regions = await world.newRegions();
    const stored = await dumpTenant(await dumpOptions(world, world.acme, regions));
    assert.ok(stored.outcome === 'stored');
    const parent = await makeScratchParent(world);
    const { binaries, osUser } = world.own.cluster.options;
    await die(point, 'verify', regions, { dump: stored.header, parent, binaries, osUser });
    assert.equal(await removeScratchFolders(parent, silentLog), 1);
    assert.deepEqual(await readdir(parent), []);
  });
}
