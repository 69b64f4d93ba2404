import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { armFailpoints } from '#src/kernel/index.ts';
import { createDiskStore } from './disk.ts';
import { testObjectStore } from './object-store.contract.ts';

testObjectStore('disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'freehold-objects-'));
  return { store: await createDiskStore(root), close: () => rm(root, { recursive: true }) };
});

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'freehold-objects-'));
});
after(() => rm(root, { recursive: true }));

async function* bytes(): AsyncIterable<Uint8Array> {
  yield Buffer.from('first');
  yield Buffer.from('second');
}

test('a full disk is FH_STORAGE_FULL and leaves nothing', async () => {
  const store = await createDiskStore(root);
  for (const point of ['objects.write=enospc@2', 'objects.staged=enospc']) {
    armFailpoints(point);
    await assert.rejects(store.stage(bytes()), { code: 'FH_STORAGE_FULL', status: 507 });
    assert.deepEqual(await readdir(join(root, '.staging')), []);
  }
});

test('folders and files follow the permissions of the root, whatever the umask', async () => {
  await chmod(root, 0o2770);
  const store = await createDiskStore(root);
  const staged = await store.stage(bytes());
  await staged.publish('a/b/c');
  await staged.discard();
  assert.equal((await stat(join(root, 'a/b'))).mode & 0o7777, 0o2770);
  assert.equal((await stat(join(root, 'a/b/c'))).mode & 0o7777, 0o660);
});
