import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { armFailpoints, systemClock } from '#src/kernel/index.ts';
import { createDiskRegion } from './index.ts';
import { read, testRegionStore } from './region-store.contract.ts';

async function withFolder(work: (root: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freehold-region-'));
  try {
    await mkdir(join(folder, 'mount'));
    await work(join(folder, 'mount'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

testRegionStore('folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'freehold-region-'));
  const another = () => createDiskRegion({ region: 'here', root, initialise: true });
  return { store: another(), another, close: () => rm(root, { recursive: true }) };
});

test('a folder away, or an empty mount point in its place, is FH_REGION_UNAVAILABLE, and the region is as before when it is back', () =>
  withFolder(async (root) => {
    await createDiskRegion({ region: 'here', root, initialise: true }).put('a/one', Buffer.from('one'));
    const store = createDiskRegion({ region: 'here', root });
    const unavailable = { code: 'FH_REGION_UNAVAILABLE', retry: 'soon' };
    for (const emptyMountPoint of [false, true]) {
      await rename(root, `${root}-away`);
      if (emptyMountPoint) await mkdir(root);
      await assert.rejects(store.put('a/two', Buffer.from('two')), unavailable);
      await assert.rejects(store.get('a/one'), unavailable);
      await assert.rejects(store.stat('a/one'), unavailable);
      await assert.rejects(Array.fromAsync(store.list('')), unavailable);
      await assert.rejects(store.remove('a/one'), unavailable);
      await assert.rejects(store.removeUnfinished(new Date(0)), unavailable);
      if (emptyMountPoint) assert.deepEqual(await readdir(root), []);
      await rm(root, { recursive: true, force: true });
      await rename(`${root}-away`, root);
      assert.equal(String(await read(store, 'a/one')), 'one');
    }
  }));

test('a folder that goes away while it is written to is an error, not an object that nobody finds', () =>
  withFolder(async (root) => {
    const store = createDiskRegion({ region: 'here', root, initialise: true });
    await store.put('a/one', Buffer.from('one'));
    async function* content() {
      yield Buffer.from('two');
      await rename(root, `${root}-away`);
      await mkdir(root);
    }
    await assert.rejects(store.put('a/two', content()), { code: 'FH_REGION_UNAVAILABLE' });
  }));

test('only an empty folder is made a region, and a region keeps its name', () =>
  withFolder(async (root) => {
    await mkdir(join(root, 'lost+found'));
    await writeFile(join(root, 'of_somebody'), 'x');
    const store = createDiskRegion({ region: 'here', root, initialise: true });
    await assert.rejects(store.stat('a'), { code: 'FH_REGION_UNAVAILABLE' });
    await rm(join(root, 'of_somebody'));
    // Two processes set it up at once.
    await Promise.all([store.stat('a'), createDiskRegion({ region: 'here', root, initialise: true }).stat('a')]);
    assert.deepEqual((await readdir(root)).sort(), ['.freehold-region', 'lost+found']);
    const other = createDiskRegion({ region: 'there', root, initialise: true });
    await assert.rejects(other.stat('a'), { code: 'FH_REGION_REFUSED', detail: /is the region here$/ });
  }));

test('a full disk is FH_STORAGE_FULL that names the region, and leaves nothing', () =>
  withFolder(async (root) => {
    const store = createDiskRegion({ region: 'here', root, initialise: true });
    for (const point of ['objects.write=enospc', 'objects.staged=enospc', 'objects.linked=enospc']) {
      armFailpoints(point);
      await assert.rejects(store.put('a/one', Buffer.from('one')), { code: 'FH_STORAGE_FULL', detail: 'region here' });
      assert.deepEqual(await readdir(join(root, '.staging')), []);
    }
  }));

test('bytes that come back changed are FH_REGION_DAMAGED, and nobody sees them', () =>
  withFolder(async (root) => {
    const store = createDiskRegion({ region: 'here', root, initialise: true });
    const content = Buffer.from('precious');
    async function* garbledAfterHashing() {
      yield content;
      // What the disk does to it, once it was written and before it is read back.
      for (const name of await readdir(join(root, '.staging'))) {
        const bytes = await readFile(join(root, '.staging', name));
        bytes[3]! ^= 1;
        await writeFile(join(root, '.staging', name), bytes);
      }
    }
    await assert.rejects(store.put('a/one', garbledAfterHashing()), { code: 'FH_REGION_DAMAGED' });
    assert.equal(await store.stat('a/one'), undefined);
    assert.equal(await store.removeUnfinished(new Date(8.64e15)), 0);
  }));

/** Puts one object in a process of its own, which a failpoint kills. Runs from the top of the repository. */
const script = `
  import { text } from 'node:stream/consumers';
  import { armFailpoints } from '#src/kernel/index.ts';
  import { createDiskRegion } from '#src/objects/index.ts';
  const { root, point } = JSON.parse(await text(process.stdin));
  armFailpoints(point + '=kill');
  await createDiskRegion({ region: 'here', root, initialise: true }).put('a/one', Buffer.from('precious'));
`;

for (const point of [
  'region.marker-written',
  'objects.write',
  'objects.staged',
  'region.read-back',
  'objects.linked',
  'objects.published',
])
  test(`killed at ${point}: the object is whole or not there, and what stays is swept`, () =>
    withFolder(async (root) => {
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
        cwd: join(import.meta.dirname, '../..'),
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      child.stdin.end(JSON.stringify({ root, point }));
      const [problems, [, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
      assert.equal(signal, 'SIGKILL', `the child passed ${point} alive: ${problems}`);
      const store = createDiskRegion({ region: 'here', root, initialise: true });
      const named = point === 'objects.linked' || point === 'objects.published';
      assert.equal((await store.stat('a/one')) !== undefined, named);
      await store.removeUnfinished(new Date(systemClock.now() + 60_000));
      assert.equal((await store.put('a/one', Buffer.from('precious'))).outcome, named ? 'exists' : 'created');
      assert.equal(String(await read(store, 'a/one')), 'precious');
      assert.deepEqual(await readdir(join(root, '.staging')), []);
    }));

test('a marker that is not ours is FH_REGION_REFUSED', () =>
  withFolder(async (root) => {
    await writeFile(join(root, '.freehold-region'), 'something else');
    await assert.rejects(createDiskRegion({ region: 'here', root }).stat('a'), { code: 'FH_REGION_REFUSED' });
  }));
