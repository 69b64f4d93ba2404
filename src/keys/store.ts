import { readdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failpoint, isId, randomBytes, type TenantId } from '#src/kernel/index.ts';
import { deriveKey } from './derive.ts';
import {
  findPrivateFile,
  hasCode,
  makePrivateFolder,
  overwrite,
  removeIfThere,
  syncFolder,
  temporaryEnding,
  writeDurably,
} from './durable-file.ts';
import { keyErrors } from './errors.ts';
import { createSealer, keyBytes } from './sealer.ts';
import type { KeyStore } from './types.ts';

/** A key whose destruction has begun: nobody reads it any more; opening the store finishes the work. */
const destroyedEnding = '.destroyed';
const keyFile = /^(\d{1,4})\.key$/;

/**
 * Opens the key store in a folder that only its owner may enter, and makes the root key on the first start.
 *
 *   root.key                       32 random bytes
 *   tenants/<tenantId>/<n>.key     version n of a tenant's key, sealed under the root key for exactly this tenant and version
 *
 * Keys are read from the disk each time: a destroyed key is gone at once, not when a cache forgets it.
 */
export async function openKeyStore(folder: string): Promise<KeyStore> {
  const tenantsFolder = join(folder, 'tenants');
  await makePrivateFolder(folder);
  await makePrivateFolder(tenantsFolder);
  const rootKey = await openRootKey(folder, tenantsFolder);
  const wrapper = createSealer(deriveKey(rootKey, ['wrap-tenant-keys']));
  await finishInterrupted(tenantsFolder);

  function folderOf(tenantId: TenantId): string {
    // The id becomes a path, so its shape is checked where the path is made.
    if (!isId('ten', tenantId)) throw new TypeError('not a tenant id');
    return join(tenantsFolder, tenantId);
  }

  async function versionsOf(tenantId: TenantId): Promise<number[]> {
    const names = await namesIn(folderOf(tenantId));
    return names.flatMap((name) => keyFile.exec(name)?.[1] ?? []).map(Number);
  }

  async function openTenantKey(tenantId: TenantId): Promise<Buffer> {
    const version = Math.max(0, ...(await versionsOf(tenantId)));
    const sealed = version > 0 ? await findPrivateFile(join(folderOf(tenantId), `${version}.key`)) : undefined;
    if (!sealed) throw keyErrors.FH_KEY_DESTROYED();
    try {
      return wrapper.open(sealed, wrapContext(tenantId, version));
    } catch (cause) {
      throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `key of ${tenantId}`, cause });
    }
  }

  return {
    async createTenantKey(tenantId) {
      if ((await versionsOf(tenantId)).length > 0) return;
      await makePrivateFolder(folderOf(tenantId));
      await syncFolder(tenantsFolder);
      const sealed = wrapper.seal(randomBytes(keyBytes), wrapContext(tenantId, 1));
      await writeDurably(join(folderOf(tenantId), '1.key'), sealed, { onlyOnce: true });
    },

    async deriveTenantKey(tenantId, purpose) {
      return deriveKey(await openTenantKey(tenantId), ['tenant', tenantId, purpose]);
    },

    async deriveInstallationKey(purpose) {
      if (!/^[a-z][a-z0-9-]{0,63}$/.test(purpose)) throw new TypeError('malformed purpose of a key');
      return deriveKey(rootKey, ['installation', purpose]);
    },

    async destroyTenantKey(tenantId) {
      const tenantFolder = folderOf(tenantId);
      // First every name goes, so that a crash in the middle leaves a key that nobody can use, never one half overwritten.
      for (const version of await versionsOf(tenantId)) {
        const path = join(tenantFolder, `${version}.key`);
        await rename(path, path + destroyedEnding);
      }
      await failpoint('keys.destroy.named');
      await finishDestroying(tenantsFolder, tenantId);
    },

    async hasTenantKey(tenantId) {
      return (await versionsOf(tenantId)).length > 0;
    },
  };
}

function wrapContext(tenantId: TenantId, version: number): string {
  return `tenant-key ${tenantId} ${version}`;
}

async function openRootKey(folder: string, tenantsFolder: string): Promise<Buffer> {
  const path = join(folder, 'root.key');
  if (!(await findPrivateFile(path))) {
    // A new root key beside old tenant keys would lose them silently: the folder was copied in part.
    if ((await readdir(tenantsFolder)).length > 0)
      throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `${path} is missing` });
    await writeDurably(path, randomBytes(keyBytes), { onlyOnce: true });
  }
  const rootKey = await findPrivateFile(path);
  if (rootKey?.length !== keyBytes) throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `${path} is not a key` });
  return rootKey;
}

async function finishInterrupted(tenantsFolder: string): Promise<void> {
  for (const tenantId of await readdir(tenantsFolder)) {
    const names = await namesIn(join(tenantsFolder, tenantId));
    for (const name of names.filter((name) => name.endsWith(temporaryEnding)))
      await removeIfThere(join(tenantsFolder, tenantId, name));
    if (names.some((name) => name.endsWith(destroyedEnding))) await finishDestroying(tenantsFolder, tenantId);
  }
}

/**
 * Overwrites, removes, forgets. Overwriting in place is no proof on flash or copy-on-write disks; what makes the key useless there
 * is that it was only ever stored sealed under the root key.
 */
async function finishDestroying(tenantsFolder: string, tenantId: string): Promise<void> {
  const tenantFolder = join(tenantsFolder, tenantId);
  const names = await namesIn(tenantFolder);
  for (const name of names.filter((name) => name.endsWith(destroyedEnding))) {
    const path = join(tenantFolder, name);
    await overwrite(path, randomBytes(1 + 12 + keyBytes + 16));
    await failpoint('keys.destroy.overwritten');
    await removeIfThere(path);
  }
  if (names.length > 0) await syncFolder(tenantFolder);
  await rmdir(tenantFolder).catch((error) => {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTEMPTY')) throw error;
  });
  await syncFolder(tenantsFolder);
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  });
}
