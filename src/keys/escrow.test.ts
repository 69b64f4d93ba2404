import assert from 'node:assert/strict';
import { cp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import { objectErrors, type RegionStore } from '#src/objects/index.ts';
import { assertEqual, contentOf, withWorld } from './escrow.fixture.ts';
import { createKeyEscrow, escrowTenantKeys } from './escrow.ts';
import { keyIdOf, recoverKeyStore } from './region-keys.ts';
import { openKeyStore } from './store.ts';

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
  withWorld(async ({ keys, regions, leave, comeBack }) => {
    const [east, west] = regions;
    const full: RegionStore = {
      ...east,
      put: async () => {
        throw objectErrors.FH_STORAGE_FULL();
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

test('a replaced kit stays in a region that has no other', () =>
  withWorld(async ({ folder, keys, regions, escrow }) => {
    const [east] = regions;
    await keys.createKey(newId('ten'));
    const old = await keys.createRecoveryKit(new Date(0));
    await escrow.reconcile();
    const fresh = await keys.createRecoveryKit(new Date(0));
    await east.put(`kits/${fresh.kitId}`, Buffer.alloc(61));
    await keys.retireKits(fresh.kitId);
    const [report] = await escrow.reconcile();
    assert.deepEqual(report!.conflicts, [`kits/${fresh.kitId}`]);
    await recoverKeyStore({ folder: join(folder, 'elsewhere'), region: east, kit: old.text });
    await east.remove(`kits/${fresh.kitId}`);
    await escrow.reconcile();
    await assertEqual(keys, regions);
  }));

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
