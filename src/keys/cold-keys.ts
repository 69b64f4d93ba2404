import type { RegionStore } from '#src/objects/index.ts';
import { deriveKey } from './derive.ts';
import { keyErrors } from './errors.ts';
import { createKeyWrapper } from './owner-keys.ts';
import { parseKeyId, wrapContext } from './owners.ts';
import { findSmallObject, keyObjectName } from './region-keys.ts';
import type { BackupKeys, ColdKeys, KeyOwner, KeyStore } from './types.ts';

/**
 * The keys as whoever has only this region and the root key (the recovery kit gives it) finds them: read from the region each time, never from the key
 * store. A backup that is checked with the keys at hand says nothing about the day on which they are gone (facts F17).
 */
export function openColdKeys(
  rootKey: Uint8Array,
  region: RegionStore,
  destroyedOwners: () => Promise<readonly KeyOwner[]>,
): ColdKeys {
  const wrapper = createKeyWrapper(rootKey);
  async function open(owner: KeyOwner, version: number): Promise<Buffer> {
    const name = keyObjectName(`${owner}.${version}`);
    const wrapped = await findSmallObject(region, name);
    if (!wrapped) {
      if ((await destroyedOwners()).includes(owner)) throw keyErrors.FH_KEY_DESTROYED();
      throw keyErrors.FH_KEY_NOT_IN_REGION({ detail: `${region.region}: ${name}` });
    }
    try {
      return wrapper.open(wrapped, wrapContext(owner, version));
    } catch (cause) {
      throw keyErrors.FH_KEY_COPY_DAMAGED({ detail: `${region.region}: ${name}`, cause });
    }
  }
  return {
    openKey: async (keyId) => {
      const { owner, version } = parseKeyId(keyId);
      return { keyId, key: deriveKey(await open(owner, version), ['backups', owner]) };
    },
    deriveTenantKey: async (tenantId, purpose) => deriveKey(await open(tenantId, 1), ['tenant', tenantId, purpose]),
  } satisfies Pick<BackupKeys, 'openKey'> & Pick<KeyStore, 'deriveTenantKey'>;
}
