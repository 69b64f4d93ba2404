import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { newId, silentLog, type TenantId } from '#src/kernel/index.ts';
import { createDiskRegion, createDiskStore, type ObjectStore } from '#src/objects/index.ts';
import { createFileReplicator } from './replicate.ts';

async function startWorld(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'fh-replicate-'));
  t.after(() => rm(folder, { recursive: true }));
  for (const name of ['vault', 'north', 'south']) await mkdir(join(folder, name));
  const vault = await createDiskStore(join(folder, 'vault'));
  const regions = ['north', 'south'].map((region) =>
    createDiskRegion({ region, root: join(folder, region), initialise: true }),
  );
  let nowMs = 0;
  const replicator = createFileReplicator({ vault, regions, log: silentLog, monotonicMs: () => nowMs });
  return { folder, vault, regions, replicator, pass: (ms: number) => (nowMs += ms) };
}

async function store(vault: ObjectStore, tenantId: TenantId, name: string, content: string): Promise<string> {
  async function* bytes() {
    yield Buffer.from(content);
  }
  const staged = await vault.stage(bytes());
  const full = `${tenantId}/${name.slice(0, 2)}/${name}`;
  await staged.publish(full);
  await staged.discard();
  return full;
}

test('what two tenants have is in both regions, once, and can be read back', async (t) => {
  const { vault, replicator } = await startWorld(t);
  const [acme, globex] = [newId('ten'), newId('ten')];
  const mine = await store(vault, acme, 'aa01', 'of acme');
  const theirs = await store(vault, globex, 'aa01', 'of globex');
  const first = await replicator.replicate([acme, globex]);
  assert.deepEqual(
    first.map(({ region, copied, copiedBytes }) => [region, copied, copiedBytes]),
    [
      ['north', 2, 16],
      ['south', 2, 16],
    ],
  );
  const again = await replicator.replicate([acme, globex]);
  assert.deepEqual(
    again.map(({ copied }) => copied),
    [0, 0],
  );
  assert.equal(await text((await replicator.open(mine))!), 'of acme');
  assert.equal(await text((await replicator.open(theirs))!), 'of globex');
  assert.equal(await replicator.open(`${acme}/zz/zz01`), undefined);
});

test('a region that is away is owed what it lacks, the other goes on, and it catches up', async (t) => {
  const { folder, vault, replicator } = await startWorld(t);
  const acme = newId('ten');
  await store(vault, acme, 'aa01', 'before');
  await replicator.replicate([acme]);
  await rename(join(folder, 'south'), join(folder, 'away'));
  const name = await store(vault, acme, 'bb02', 'meanwhile');
  const [north, south] = await replicator.replicate([acme]);
  assert.deepEqual([north!.copied, north!.owed, south!.copied], [1, undefined, 0]);
  assert.equal(south!.owed?.code, 'FH_REGION_UNAVAILABLE');
  assert.equal(await text((await replicator.open(name))!), 'meanwhile');
  await rename(join(folder, 'away'), join(folder, 'south'));
  const back = await replicator.replicate([acme]);
  assert.deepEqual(
    back.map(({ copied, owed }) => [copied, owed]),
    [
      [0, undefined],
      [1, undefined],
    ],
  );
});

test('what somebody removed from a region is brought again', async (t) => {
  const { vault, regions, replicator, pass } = await startWorld(t);
  const acme = newId('ten');
  const name = await store(vault, acme, 'aa01', 'kept');
  await replicator.replicate([acme]);
  await regions[0]!.remove(`files/${name}`);
  pass(16 * 60_000);
  const [north] = await replicator.replicate([acme]);
  assert.equal(north!.copied, 1);
});

test('one content is brought at once to every region, twice at a time as well; where a region is away, that is said and the other has it', async (t) => {
  const { folder, vault, regions, replicator } = await startWorld(t);
  const acme = newId('ten');
  const signal = () => AbortSignal.timeout(60_000);
  const first = await store(vault, acme, 'aa01', 'new');
  await Promise.all([1, 2, 3].map(() => replicator.bring(acme, first, signal())));
  for (const region of regions) assert.ok(await region.stat(`files/${first}`));
  // What is not in the vault any more needs no copy.
  await replicator.bring(acme, `${acme}/cc/cc03`, signal());
  await rename(join(folder, 'north'), join(folder, 'away'));
  const second = await store(vault, acme, 'bb02', 'newer');
  await assert.rejects(replicator.bring(acme, second, signal()), { code: 'FH_REGION_UNAVAILABLE' });
  assert.ok(await regions[1]!.stat(`files/${second}`));
  await rename(join(folder, 'away'), join(folder, 'north'));
  const [north, south] = await replicator.replicate([acme]);
  assert.deepEqual([north!.copied, south!.copied], [1, 0]);
});
