import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ClusterId, newId, type TenantId } from '#src/kernel/index.ts';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import { createKeyEscrow, escrowTenantKeys, type KeyEscrow } from './escrow.ts';
import { keyIdOf, readKits, readWrappedKeys, recoverKeyStore } from './region-keys.ts';
import { openKeyStore } from './store.ts';
import type { KeyOwner } from './types.ts';

type OpenStore = Awaited<ReturnType<typeof openKeyStore>>;

interface World {
  readonly folder: string;
  readonly keysFolder: string;
  readonly keys: OpenStore;
  readonly regions: readonly [RegionStore, RegionStore];
  readonly escrow: KeyEscrow;
  leave(region: RegionStore): Promise<void>;
  comeBack(region: RegionStore): Promise<void>;
}

async function withWorld(use: (world: World) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freehold-escrow-'));
  try {
    const regions = [await openRegion(folder, 'east'), await openRegion(folder, 'west')] as const;
    const keysFolder = join(folder, 'keys');
    const keys = await openKeyStore(keysFolder);
    await use({
      folder,
      keysFolder,
      keys,
      regions,
      escrow: createKeyEscrow({ keys, regions }),
      leave: ({ region }) => rename(join(folder, region), join(folder, `${region}-away`)),
      comeBack: ({ region }) => rename(join(folder, `${region}-away`), join(folder, region)),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function openRegion(folder: string, region: string): Promise<RegionStore> {
  await mkdir(join(folder, region), { recursive: true });
  return createDiskRegion({ region, root: join(folder, region), initialise: true });
}

/** Everything that lies under keys/ and kits/ of a region, as the key store has it. */
async function contentOf(region: RegionStore): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const { keyId, bytes } of readWrappedKeys(region)) content.set(keyId, bytes.toString('hex'));
  for await (const { kitId, sealedRoot } of readKits(region))
    content.set(kitId, Buffer.from(sealedRoot as Uint8Array).toString('hex'));
  return content;
}

async function contentOfStore(keys: OpenStore): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const { keyId, bytes } of keys.wrappedKeys()) content.set(keyId, bytes.toString('hex'));
  for (const { kitId, sealedRoot } of await keys.recoveryKits()) content.set(kitId, sealedRoot.toString('hex'));
  return content;
}

const sorted = (content: Map<string, string>) => [...content].sort();
async function assertEqual(
  keys: OpenStore,
  regions: readonly RegionStore[],
  message = 'differs from the key store',
): Promise<void> {
  const expected = sorted(await contentOfStore(keys));
  for (const region of regions) assert.deepEqual(sorted(await contentOf(region)), expected, message);
}

const gone = { code: 'FH_KEY_DESTROYED' };
const clean = { conflicts: [], unknown: [] };

test('a published key lies in both regions as it is in the key store, and publishing again does nothing', () =>
  withWorld(async ({ keys, regions, escrow }) => {
    const [a, cluster] = [newId('ten'), newId('clu')];
    for (const owner of [a, cluster, 'installation'] as const) {
      const keyId = await keys.createKey(owner);
      assert.deepEqual(await escrow.publish(keyId), { owed: [] });
      assert.deepEqual(await escrow.publish(keyId), { owed: [] });
    }
    assert.deepEqual(await escrow.publish(await keys.rotateKey(a)), { owed: [] });
    await assertEqual(keys, regions);
    assert.deepEqual(
      (await escrow.reconcile()).map(({ published, removed }) => published + removed),
      [0, 0],
    );
    await assert.rejects(escrow.publish(`${a}.3`), { code: 'FH_KEY_UNSEAL' });
    await assert.rejects(escrow.publish('../x.1' as never), TypeError);
  }));

test('a region that is away is owed the key, also over a restart; with none, nothing is sealed under it', () =>
  withWorld(async ({ keys, keysFolder, regions, escrow, leave, comeBack }) => {
    const [east, west] = regions;
    const keyId = await keys.createKey(newId('ten'));
    await leave(east);
    await leave(west);
    await assert.rejects(escrow.publish(keyId), { code: 'FH_KEY_NOT_ESCROWED', retry: 'soon' });
    await comeBack(west);
    const { owed } = await escrow.publish(keyId);
    assert.deepEqual(
      owed.map(({ region, error }) => [region, error.code]),
      [['east', 'FH_REGION_UNAVAILABLE']],
    );
    const [awayReport] = await escrow.reconcile();
    assert.equal(awayReport!.owed?.code, 'FH_REGION_UNAVAILABLE');
    await comeBack(east);
    const restarted = createKeyEscrow({ keys: await openKeyStore(keysFolder), regions });
    assert.deepEqual(await restarted.reconcile(), [
      { region: 'east', published: 1, removed: 0, ...clean },
      { region: 'west', published: 0, removed: 0, ...clean },
    ]);
    await assertEqual(keys, regions);
  }));

test('forgetting takes every version of one owner from both regions; the other tenant keeps his', () =>
  withWorld(async ({ keys, regions, escrow }) => {
    const [a, b] = [newId('ten'), newId('ten')];
    for (const owner of [a, b]) {
      await escrow.publish(await keys.createKey(owner));
      await escrow.publish(await keys.rotateKey(owner));
    }
    assert.deepEqual(await escrow.forget(a), { owed: [] });
    assert.deepEqual(await escrow.forget(a), { owed: [] });
    await assert.rejects(keys.openKey(`${a}.1`), gone);
    await assert.rejects(escrow.publish(`${a}.1`), gone);
    for (const region of regions)
      assert.deepEqual([...(await contentOf(region)).keys()].sort(), [`${b}.1`, `${b}.2`].sort());
    await assert.rejects(escrow.forget('../x' as never), TypeError);
  }));

test('a region that is away when a key is forgotten is cleaned when it is back, whenever and however often', () =>
  withWorld(async ({ folder, keys, keysFolder, regions, escrow, leave, comeBack }) => {
    const [east, west] = regions;
    const [a, b] = [newId('ten'), newId('ten')];
    for (const owner of [a, b]) await escrow.publish(await keys.createKey(owner));
    await cp(join(folder, 'east'), join(folder, 'old-copy'), { recursive: true });
    await leave(east);
    const { owed } = await escrow.forget(a);
    assert.deepEqual(
      owed.map(({ region }) => region),
      ['east'],
    );
    assert.deepEqual([...(await contentOf(west)).keys()], [`${b}.1`]);
    const restarted = createKeyEscrow({ keys: await openKeyStore(keysFolder), regions });
    assert.equal((await restarted.reconcile())[0]!.owed?.code, 'FH_REGION_UNAVAILABLE');
    await comeBack(east);
    assert.deepEqual((await restarted.reconcile())[0], { region: 'east', published: 0, removed: 1, ...clean });
    await assertEqual(keys, regions);
    // A year later the region is put back from a copy of its own.
    await rm(join(folder, 'east'), { recursive: true });
    await rename(join(folder, 'old-copy'), join(folder, 'east'));
    assert.deepEqual((await restarted.reconcile())[0], { region: 'east', published: 0, removed: 1, ...clean });
    await assertEqual(keys, regions);
  }));

test('a key destroyed behind the back of the escrow goes from the regions with the next reconcile', () =>
  withWorld(async ({ keys, regions, escrow }) => {
    const a = newId('ten');
    await escrow.publish(await keys.createKey(a));
    await keys.destroyTenantKey(a);
    await assert.rejects(escrow.publish(`${a}.1`), gone);
    assert.deepEqual(
      (await escrow.reconcile()).map(({ removed }) => removed),
      [1, 1],
    );
    await assertEqual(keys, regions);
  }));

test('a copy that is lost is written again; other bytes and strange names are reported and not touched', () =>
  withWorld(async ({ folder, keys, regions, escrow }) => {
    const [east] = regions;
    const [a, b, stranger] = [newId('ten'), newId('ten'), newId('ten')];
    for (const owner of [a, b]) await escrow.publish(await keys.createKey(owner));
    await east.remove(`keys/${a}/1`);
    await east.remove(`keys/${b}/1`);
    await east.put(`keys/${b}/1`, Buffer.alloc(61, 1));
    await east.put(`keys/${stranger}/1`, Buffer.alloc(61, 2));
    await east.put('keys/readme', Buffer.alloc(100_000));
    const kit = newId('kit');
    await east.put(`kits/${kit}`, Buffer.alloc(61, 3));
    const restarted = createKeyEscrow({ keys, regions });
    assert.deepEqual((await restarted.reconcile())[0], {
      region: 'east',
      published: 1,
      removed: 0,
      conflicts: [`keys/${b}/1`],
      unknown: ['keys/readme', `keys/${stranger}/1`, `kits/${kit}`],
    });
    await assert.rejects(restarted.publish(`${b}.1`), { code: 'FH_KEY_ESCROW_CONFLICT' });
    assert.equal((await contentOf(east)).get(`${stranger}.1`), Buffer.alloc(61, 2).toString('hex'));
    // What the hint says: somebody looks, and removes the damaged object.
    await east.remove(`keys/${b}/1`);
    assert.equal((await restarted.reconcile())[0]!.published, 1);
    // The region of another installation: nothing of it is touched.
    const other = await openKeyStore(join(folder, 'other-keys'));
    await other.createKey(stranger);
    const others = createKeyEscrow({ keys: other, regions });
    const before = await contentOf(east);
    const [report] = await others.reconcile();
    assert.deepEqual(report!.conflicts, [`keys/${stranger}/1`]);
    assert.equal(report!.removed, 0);
    assert.deepEqual(await contentOf(east), before);
  }));

test('a copy that vanished while the process runs is written again, though it was there once', () =>
  withWorld(async ({ keys, regions, escrow }) => {
    const keyId = await keys.createKey(newId('ten'));
    await escrow.publish(keyId);
    await regions[1].remove(`keys/${keyId.replace('.', '/')}`);
    assert.deepEqual(
      (await escrow.reconcile()).map(({ published }) => published),
      [0, 1],
    );
    await assertEqual(keys, regions);
  }));

test('a region that may only be read, or is full, is owed; what has to go is not kept back by it', () =>
  withWorld(async ({ folder, keys, regions, leave, comeBack }) => {
    const [east, west] = regions;
    const full: RegionStore = {
      ...east,
      put: async () => {
        throw (await import('#src/objects/index.ts')).objectErrors.FH_STORAGE_FULL();
      },
    };
    const [a, b] = [newId('ten'), newId('ten')];
    const escrow = createKeyEscrow({ keys, regions: [east, west] });
    await escrow.publish(await keys.createKey(a));
    await leave(east);
    await escrow.forget(a);
    await comeBack(east);
    const later = createKeyEscrow({ keys, regions: [full, west] });
    const { owed } = await later.publish(await keys.createKey(b));
    assert.equal(owed[0]!.error.code, 'FH_STORAGE_FULL');
    const [report] = await later.reconcile();
    assert.deepEqual([report!.removed, report!.owed?.code], [1, 'FH_STORAGE_FULL']);
    // A mistake of ours is no region that is away.
    const broken: RegionStore = { ...west, put: () => Promise.reject(new TypeError('a bug')) };
    await assert.rejects(createKeyEscrow({ keys, regions: [broken, full] }).publish(`${b}.1`), TypeError);
    assert.throws(() => createKeyEscrow({ keys, regions: [] }), TypeError);
    assert.ok(folder);
  }));

test('publishing and forgetting at once: afterwards no region holds the key', () =>
  withWorld(async ({ keys, regions, escrow }) => {
    for (let round = 0; round < 10; round++) {
      const a = newId('ten');
      await keys.createKey(a);
      const rotated = await keys.rotateKey(a);
      await Promise.allSettled([
        escrow.publish(`${a}.1`),
        escrow.reconcile(),
        escrow.forget(a),
        escrow.publish(rotated),
        escrow.reconcile(),
      ]);
      for (const region of regions) assert.deepEqual([...(await contentOf(region)).keys()], []);
    }
  }));

test('tenant keys behind the escrow: in the regions before use, gone from them when destroyed', () =>
  withWorld(async ({ keys, regions, escrow, leave }) => {
    const tenantKeys = escrowTenantKeys(keys, escrow);
    const [a, b] = [newId('ten'), newId('ten')];
    await tenantKeys.createTenantKey(a);
    await tenantKeys.createTenantKey(b);
    await assertEqual(keys, regions);
    await tenantKeys.destroyTenantKey(a);
    await assert.rejects(tenantKeys.deriveTenantKey(a, 'files'), gone);
    await tenantKeys.deriveTenantKey(b, 'files');
    await assertEqual(keys, regions);
    for (const region of regions) await leave(region);
    await assert.rejects(tenantKeys.createTenantKey(newId('ten')), { code: 'FH_KEY_NOT_ESCROWED' });
  }));

test('either region alone and the page rebuild the key store; a replaced page opens nothing', () =>
  withWorld(async ({ folder, keys, regions, escrow, leave, comeBack }) => {
    const [east] = regions;
    const [a, b] = [newId('ten'), newId('clu')];
    for (const owner of [a, b, 'installation'] as const) await escrow.publish(await keys.createKey(owner));
    await escrow.publish(await keys.rotateKey(a));
    const old = await keys.createRecoveryKit(new Date(0));
    await escrow.publishKits();
    for (const region of regions) {
      const target = join(folder, `from-${region.region}`);
      assert.deepEqual(await recoverKeyStore({ folder: target, region, kit: old.text }), { keys: 4, damaged: [] });
      const rebuilt = await openKeyStore(target);
      for await (const keyId of keys.keyIds())
        assert.deepEqual(await rebuilt.openKey(keyId), await keys.openKey(keyId));
      await assert.rejects(recoverKeyStore({ folder: target, region, kit: old.text }), { code: 'FH_KEY_STORE_EXISTS' });
      // It goes on as the installation it was.
      const report = await createKeyEscrow({ keys: rebuilt, regions }).reconcile();
      assert.ok(report.every((one) => one.published + one.removed + one.conflicts.length + one.unknown.length === 0));
    }
    // The new page while a region is away: the old one goes there only when the new one is there.
    await leave(east);
    const fresh = await keys.createRecoveryKit(new Date(0));
    assert.equal((await escrow.publishKits()).owed.length, 1);
    await keys.retireKits(fresh.kitId);
    await escrow.reconcile();
    await comeBack(east);
    const recover = (region: RegionStore, kit: string) => {
      const target = join(folder, newId('req'));
      return recoverKeyStore({ folder: target, region, kit });
    };
    await recover(east, old.text);
    assert.deepEqual((await escrow.reconcile())[0], { region: 'east', published: 1, removed: 1, ...clean });
    await assertEqual(keys, regions);
    for (const region of regions) {
      await assert.rejects(recover(region, old.text), { code: 'FH_RECOVERY_KIT_UNKNOWN' });
      await recover(region, fresh.text);
    }
    await writeFile(join(folder, 'east', 'kits', fresh.kitId), Buffer.alloc(5_000));
    await assert.rejects(recover(east, fresh.text), { code: 'FH_KEY_UNSEAL' });
    await assert.rejects(recover(east, 'no page'), { code: 'FH_RECOVERY_KIT_MISTYPED' });
    // Nothing is left where nothing could be rebuilt.
    assert.ok(!(await readdir(folder)).some((name) => name.startsWith('req_') && name.endsWith('.tmp')));
  }));

/** Works in a process of its own, which a failpoint kills. */
function dieAt(point: string, folder: string, statement: string): void {
  const code = `
    import { join } from 'node:path';
    import { armFailpoints } from '#src/kernel/index.ts';
    import { createDiskRegion } from '#src/objects/index.ts';
    import { createKeyEscrow, openKeyStore } from '#src/keys/index.ts';
    const [point, folder] = process.argv.slice(1);
    const keys = await openKeyStore(join(folder, 'keys'));
    const regions = ['east', 'west'].map((region) => createDiskRegion({ region, root: join(folder, region) }));
    const escrow = createKeyEscrow({ keys, regions });
    armFailpoints(point);
    ${statement}`;
  const args = ['--input-type=module-typescript', '-e', code, point, folder];
  const ended = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(ended.signal, 'SIGKILL', `passed ${point} alive: ${ended.stderr}`);
}

test('killed while a key is rotated and published: never in a region only, and reconcile makes all equal', () =>
  withWorld(async ({ folder, keys, keysFolder, regions, escrow }) => {
    const cluster = newId('clu');
    await escrow.publish(await keys.createKey(cluster));
    for (const point of [
      'keys.file.named=kill',
      'region.read-back=kill',
      'objects.linked=kill',
      'keys.escrow.put=kill',
      'keys.escrow.put=kill@2',
    ]) {
      dieAt(point, folder, `await escrow.publish(await keys.rotateKey('${cluster}'));`);
      const reopened = await openKeyStore(keysFolder);
      const held = await contentOfStore(reopened);
      for (const region of regions)
        for (const [keyId, bytes] of await contentOf(region)) assert.equal(held.get(keyId), bytes, point);
      await createKeyEscrow({ keys: reopened, regions }).reconcile();
      await assertEqual(reopened, regions, point);
    }
  }));

test('killed while an owner is forgotten: from the record on, reconcile takes all of him from every region', () =>
  withWorld(async ({ folder, keysFolder, regions }) => {
    const kept = newId('ten');
    for (const point of [
      'keys.file.written=kill',
      'keys.file.named=kill',
      'keys.destroy.named=kill',
      'keys.destroy.overwritten=kill',
      'keys.escrow.destroyed=kill',
      'keys.escrow.removed=kill',
      'keys.escrow.removed=kill@3',
    ]) {
      const owner = newId('ten');
      const before = await openKeyStore(keysFolder);
      const escrow = createKeyEscrow({ keys: before, regions });
      await escrow.publish(await before.createKey(kept));
      await escrow.publish(await before.createKey(owner));
      await escrow.publish(await before.rotateKey(owner));
      dieAt(point, folder, `await escrow.forget('${owner}');`);
      const reopened = await openKeyStore(keysFolder);
      await createKeyEscrow({ keys: reopened, regions }).reconcile();
      await assertEqual(reopened, regions, point);
      const isRecorded = point !== 'keys.file.written=kill';
      const left = [...(await contentOf(regions[0])).keys()].filter((keyId) => keyId.startsWith(owner));
      assert.equal(left.length, isRecorded ? 0 : 2, point);
      await createKeyEscrow({ keys: reopened, regions }).forget(owner);
      assert.deepEqual([...(await contentOf(regions[1])).keys()], [`${kept}.1`], point);
    }
  }));

test('whatever happens in whatever order: what is back is equal, what is destroyed is nowhere', async () => {
  const owners: readonly (TenantId | ClusterId)[] = [newId('ten'), newId('ten'), newId('clu')];
  const owner = fc.nat(owners.length - 1);
  const step = fc.oneof(
    fc.record({ do: fc.constant('use' as const), owner }),
    fc.record({ do: fc.constant('rotate' as const), owner }),
    fc.record({ do: fc.constant('forget' as const), owner }),
    fc.record({ do: fc.constant('destroy' as const), owner }),
    fc.record({ do: fc.constantFrom('toggle', 'lose', 'kit', 'restart', 'reconcile'), owner: fc.nat(1) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), (steps) =>
      withWorld(async (world) => {
        const { regions, keysFolder } = world;
        let { keys, escrow } = world;
        const away = new Set<RegionStore>();
        const dead = new Set<KeyOwner>();
        const acceptable = /^FH_(KEY_DESTROYED|KEY_NOT_ESCROWED|REGION_UNAVAILABLE)$/;
        const attempt = async (work: () => Promise<unknown>) =>
          work().catch((error) => assert.match(String(error.code), acceptable, String(error.stack)));
        const sealedUnder = new Set<string>();
        const use = async (of: KeyOwner) =>
          attempt(async () => {
            await keys.createKey(of);
            const { keyId } = await keys.currentKey(of);
            await escrow.publish(keyId);
            sealedUnder.add(keyId);
          });
        for (const one of steps) {
          const of = owners[one.owner]!;
          const region = regions[one.owner % 2]!;
          if (one.do === 'use') await use(of);
          if (one.do === 'rotate') await attempt(() => keys.rotateKey(of));
          if (one.do === 'forget') await escrow.forget(of);
          if (one.do === 'destroy') await keys.destroyKey(of);
          if (one.do === 'forget' || one.do === 'destroy') dead.add(of);
          if (one.do === 'reconcile') await escrow.reconcile();
          if (one.do === 'lose' && !away.has(region))
            for (const name of await Array.fromAsync(region.list('keys/'))) await region.remove(name.name);
          if (one.do === 'kit') {
            const kit = await keys.createRecoveryKit(new Date(0));
            await attempt(() => escrow.publishKits());
            await keys.retireKits(kit.kitId);
          }
          if (one.do === 'restart') {
            keys = await openKeyStore(keysFolder);
            escrow = createKeyEscrow({ keys, regions });
          }
          if (one.do === 'toggle') {
            if (away.delete(region)) await world.comeBack(region);
            else {
              away.add(region);
              await world.leave(region);
            }
          }
          if (one.do === 'forget')
            for (const region of regions)
              if (!away.has(region)) assert.ok(![...(await contentOf(region)).keys()].some((id) => id.startsWith(of)));
        }
        for (const region of away) await world.comeBack(region);
        for (const report of await escrow.reconcile())
          assert.deepEqual({ ...report, published: 0, removed: 0 }, { ...report, ...clean, published: 0, removed: 0 });
        await assertEqual(keys, regions);
        for (const keyId of sealedUnder)
          assert.equal((await contentOf(regions[0])).has(keyId), !dead.has(keyId.split('.')[0] as KeyOwner));
      }),
    ),
    { numRuns: 60 },
  );
});

test('names of keys and nothing else', () => {
  const tenantId = newId('ten');
  assert.equal(keyIdOf(`keys/${tenantId}/12`), `${tenantId}.12`);
  assert.equal(keyIdOf('keys/installation/1'), 'installation.1');
  for (const name of [
    'keys/x/1',
    `keys/${tenantId}`,
    `keys/${tenantId}/0`,
    `keys/${tenantId}/1/2`,
    `kits/${tenantId}/1`,
  ])
    assert.equal(keyIdOf(name), undefined, name);
});
