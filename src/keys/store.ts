import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { idFrom, isId, randomBytes, type TenantId } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { openColdKeys } from './cold-keys.ts';
import { deriveKey } from './derive.ts';
import { findPrivateFile, makePrivateFolder, writeDurably } from './durable-file.ts';
import { keyErrors } from './errors.ts';
import { openKits } from './kits.ts';
import { createKeyWrapper, openOwnerKeys } from './owner-keys.ts';
import { formatKeyId, parseKeyId } from './owners.ts';
import { assertNoRebuild } from './rebuild.ts';
import { makeRecoveryKit } from './recovery-kit.ts';
import { keyBytes } from './sealer.ts';
import type { BackupKey, BackupKeys, ColdKeys, KeyOwner, KeyStore, RecoveryKits } from './types.ts';

/**
 * Cookies, credentials and files say nothing of a version, so they stay with the first, whatever is rotated (decision 0004). Versions go all at once,
 * so the first is there as long as any.
 */
const versionOfPurposes = 1;

export interface OpenKeyStore extends KeyStore, BackupKeys, RecoveryKits {
  /** The keys that this region and the root key give; for verification and drills. */
  keysIn(region: RegionStore): ColdKeys;
}

/**
 * Opens the key store in a folder that only its owner may enter, and makes the root key on the first start.
 *
 *   root.key                       32 random bytes
 *   tenants/, clusters/, …         versions of wrapped keys (`owner-keys.ts`)
 *   kits/                          recovery kits (`kits.ts`)
 *
 * Keys are read from the disk each time: a destroyed key is gone at once, not when a cache forgets it.
 */
export async function openKeyStore(folder: string): Promise<OpenKeyStore> {
  await makePrivateFolder(folder);
  await assertNoRebuild(folder);
  const rootKey = await openRootKey(folder);
  const keys = await openOwnerKeys(folder, createKeyWrapper(rootKey));
  const kits = await openKits(folder);

  async function openTenantKey(tenantId: TenantId): Promise<Buffer> {
    return keys.open(checkedTenant(tenantId), versionOfPurposes);
  }

  async function openBackupKey(owner: KeyOwner, version: number): Promise<BackupKey> {
    const key = deriveKey(await keys.open(owner, version), ['backups', owner]);
    return { keyId: formatKeyId(owner, version), key };
  }

  return {
    createTenantKey: async (tenantId) => keys.create(checkedTenant(tenantId)),

    async deriveTenantKey(tenantId, purpose) {
      return deriveKey(await openTenantKey(tenantId), ['tenant', tenantId, purpose]);
    },

    async deriveInstallationKey(purpose) {
      if (!/^[a-z][a-z0-9-]{0,63}$/.test(purpose)) throw new TypeError('malformed purpose of a key');
      return deriveKey(rootKey, ['installation', purpose]);
    },

    destroyTenantKey: async (tenantId) => keys.destroy(checkedTenant(tenantId)),
    hasTenantKey: async (tenantId) => (await keys.versionsOf(checkedTenant(tenantId))).length > 0,

    async createKey(owner) {
      await keys.create(owner);
      return formatKeyId(owner, 1);
    },

    async rotateKey(owner) {
      return formatKeyId(owner, await keys.rotate(owner));
    },

    async currentKey(owner) {
      const newest = (await keys.versionsOf(owner)).at(-1);
      if (!newest) throw keyErrors.FH_KEY_DESTROYED();
      return openBackupKey(owner, newest);
    },

    async openKey(keyId) {
      const { owner, version } = parseKeyId(keyId);
      return openBackupKey(owner, version);
    },

    destroyKey: (owner) => keys.destroy(owner),

    async wrappedKey(keyId) {
      const { owner, version } = parseKeyId(keyId);
      return keys.readWrapped(owner, version);
    },

    async *keyIds() {
      for await (const { owner, version } of keys.all()) yield formatKeyId(owner, version);
    },

    async *wrappedKeys() {
      for await (const { owner, version } of keys.all()) {
        const bytes = await keys.readWrapped(owner, version).catch(ignoreDestroyed);
        if (bytes) yield { keyId: formatKeyId(owner, version), bytes };
      }
    },

    destroyedOwners: () => keys.destroyedOwners(),

    installationId: () => idFrom('ins', deriveKey(rootKey, ['installation-id'])),

    async createRecoveryKit(date) {
      const installationId = idFrom('ins', deriveKey(rootKey, ['installation-id']));
      const kit = makeRecoveryKit(rootKey, { installationId, date });
      await kits.add(kit.kitId, kit.sealedRoot);
      return kit;
    },

    async recoveryKits() {
      const found = (await kits.list()).map(async (kitId) => ({ kitId, sealedRoot: await kits.find(kitId) }));
      return (await Promise.all(found)).flatMap(({ kitId, sealedRoot }) => (sealedRoot ? [{ kitId, sealedRoot }] : []));
    },

    async retireKits(except) {
      if (!(await kits.find(except))) throw new TypeError('there is no such recovery kit');
      for (const kitId of await kits.list()) if (kitId !== except) await kits.retire(kitId);
    },

    retiredKits: () => kits.listRetired(),

    keysIn: (region) => openColdKeys(rootKey, region, () => keys.destroyedOwners()),
  };
}

function checkedTenant(tenantId: TenantId): TenantId {
  if (!isId('ten', tenantId)) throw new TypeError('not a tenant id');
  return tenantId;
}

/** A key that was destroyed while others were read. */
function ignoreDestroyed(error: unknown): undefined {
  if ((error as { code?: unknown }).code !== 'FH_KEY_DESTROYED') throw error;
}

async function openRootKey(folder: string): Promise<Buffer> {
  const path = join(folder, 'root.key');
  if (!(await findPrivateFile(path))) {
    // A new root key beside old wrapped keys would lose them silently: the folder was copied in part.
    if (await holdsFiles(folder)) throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `${path} is missing` });
    await writeDurably(path, randomBytes(keyBytes), { onlyOnce: true });
  }
  const rootKey = await findPrivateFile(path);
  if (rootKey?.length !== keyBytes) throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `${path} is not a key` });
  return rootKey;
}

async function holdsFiles(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.some((entry) => entry.isFile() && !entry.name.startsWith('root.key.'));
}
