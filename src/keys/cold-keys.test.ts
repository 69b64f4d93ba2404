import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId } from '#src/kernel/index.ts';
import { createDiskRegion } from '#src/objects/index.ts';
import { createKeyEscrow, openKeyStore } from './index.ts';

test('keys from a region alone are those of the key store; a lost and a changed copy are named, a destroyed key is destroyed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fh-cold-keys-'));
  try {
    const root = join(folder, 'region');
    await mkdir(root);
    const region = createDiskRegion({ region: 'north', root, initialise: true });
    const keys = await openKeyStore(join(folder, 'keys'));
    const escrow = createKeyEscrow({ keys, regions: [region] });
    const [acme, globex, gone] = [newId('ten'), newId('ten'), newId('ten')];
    for (const tenantId of [acme, globex, gone]) await keys.createTenantKey(tenantId);
    await keys.rotateKey(acme);
    await escrow.reconcile();
    const cold = keys.keysIn(region);
    for (const keyId of [`${acme}.1`, `${acme}.2`, `${globex}.1`] as const)
      assert.deepEqual(await cold.openKey(keyId), await keys.openKey(keyId));
    assert.deepEqual(await cold.deriveTenantKey(acme, 'files'), await keys.deriveTenantKey(acme, 'files'));

    await escrow.forget(gone);
    await assert.rejects(cold.openKey(`${gone}.1`), { code: 'FH_KEY_DESTROYED' });
    await region.remove(`keys/${globex}/1`);
    await assert.rejects(cold.openKey(`${globex}.1`), {
      code: 'FH_KEY_NOT_IN_REGION',
      detail: `north: keys/${globex}/1`,
    });
    // One tenant's key under another's name.
    const other = await keys.wrappedKey(`${acme}.2`);
    await rm(join(root, `keys/${acme}/1`));
    await writeFile(join(root, `keys/${acme}/1`), other);
    await assert.rejects(cold.openKey(`${acme}.1`), { code: 'FH_KEY_COPY_DAMAGED' });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
