import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ClusterId, newId, type TenantId } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { assertEqual, contentOf, contentOfStore, withWorld } from './escrow.fixture.ts';
import { createKeyEscrow } from './escrow.ts';
import { openKeyStore } from './store.ts';
import type { KeyOwner } from './types.ts';

const clean = { conflicts: [], unknown: [] };

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
