import { readdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failpoint, isId, randomBytes } from '#src/kernel/index.ts';
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
import { formatKeyId, isKeyOwner, lastVersion, wrapContext } from './owners.ts';
import { createSealer, keyBytes } from './sealer.ts';
import { createTurns } from './turns.ts';
import type { KeyOwner, Sealer } from './types.ts';

/** A key whose destruction has begun: nobody reads it any more; opening the store finishes the work. */
const destroyedEnding = '.destroyed';
const keyFile = /^([1-9]\d{0,3})\.key$/;

/** Seals and opens the keys of owners; the same bytes lie in the key store and in the regions. */
export function createKeyWrapper(rootKey: Uint8Array): Sealer {
  return createSealer(deriveKey(rootKey, ['wrap-tenant-keys']));
}

/** Where the versions of one owner's key lie. Throws TypeError: the id becomes a path, so its shape is checked where the path is made. */
export function ownerFolder(storeFolder: string, owner: KeyOwner): string {
  if (!isKeyOwner(owner)) throw new TypeError('not an owner of keys');
  if (owner === 'installation') return join(storeFolder, 'installation');
  return join(storeFolder, isId('ten', owner) ? 'tenants' : 'clusters', owner);
}

/** The versions of every owner's key, each a file sealed under the root key for exactly this owner and version. */
export interface OwnerKeys {
  /** Ascending; none: there is no key, or no longer. */
  versionsOf(owner: KeyOwner): Promise<number[]>;
  /** Makes version 1 when there is none. FH_KEY_DESTROYED when there was one: an id of a key never means two keys. */
  create(owner: KeyOwner): Promise<void>;
  /** @returns the new version */
  rotate(owner: KeyOwner): Promise<number>;
  open(owner: KeyOwner, version: number): Promise<Buffer>;
  /** The file of this version, sealed. */
  readWrapped(owner: KeyOwner, version: number): Promise<Buffer>;
  destroy(owner: KeyOwner): Promise<void>;
  /** Every version of everyone. */
  all(): AsyncIterable<{ readonly owner: KeyOwner; readonly version: number }>;
  /** Everyone whose key was ever destroyed here. */
  destroyedOwners(): Promise<KeyOwner[]>;
}

/**
 *   tenants/<tenantId>/<n>.key, clusters/<clusterId>/<n>.key, installation/<n>.key
 *   destroyed/<owner>              empty, for ever: what has to go wherever a copy appears
 */
export async function openOwnerKeys(folder: string, wrapper: Sealer): Promise<OwnerKeys> {
  const inTurn = createTurns();
  const [tenantsFolder, clustersFolder] = [join(folder, 'tenants'), join(folder, 'clusters')];
  const tombstones = join(folder, 'destroyed');
  for (const path of [tenantsFolder, clustersFolder, tombstones]) await makePrivateFolder(path);
  await syncFolder(folder);

  const folderOf = (owner: KeyOwner) => ownerFolder(folder, owner);

  async function versionsOf(owner: KeyOwner): Promise<number[]> {
    const names = await namesIn(folderOf(owner));
    return names
      .flatMap((name) => keyFile.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  async function ownersWithFolder(): Promise<KeyOwner[]> {
    const names = [...(await namesIn(tenantsFolder)), ...(await namesIn(clustersFolder)), 'installation'];
    return names.filter(isKeyOwner);
  }

  async function isDestroyed(owner: KeyOwner): Promise<boolean> {
    folderOf(owner);
    return (await findPrivateFile(join(tombstones, owner))) !== undefined;
  }

  async function readWrapped(owner: KeyOwner, version: number): Promise<Buffer> {
    const sealed = await findPrivateFile(join(folderOf(owner), `${version}.key`));
    if (sealed) return sealed;
    const versions = await versionsOf(owner);
    if (versions.length === 0) throw keyErrors.FH_KEY_DESTROYED();
    const keyId = formatKeyId(owner, version);
    // Versions are made one after the other and go all at once: a hole is a loss. One beyond the last may be a forged id, or this store an old copy.
    if (version < versions.at(-1)!) throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `key ${keyId} is missing` });
    throw keyErrors.FH_KEY_UNSEAL({ detail: `there is no key ${keyId} in this key store` });
  }

  async function addVersion(owner: KeyOwner, version: number): Promise<void> {
    if (await isDestroyed(owner)) throw keyErrors.FH_KEY_DESTROYED();
    await makePrivateFolder(folderOf(owner));
    await syncFolder(dirname(folderOf(owner)));
    const sealed = wrapper.seal(randomBytes(keyBytes), wrapContext(owner, version));
    await writeDurably(join(folderOf(owner), `${version}.key`), sealed, { onlyOnce: true });
  }

  async function destroy(owner: KeyOwner): Promise<void> {
    const keysFolder = folderOf(owner);
    // The record comes first: from here on the destruction is finished whatever happens, here and in every region.
    await writeDurably(join(tombstones, owner), Buffer.alloc(0), { onlyOnce: true });
    // Then every name goes, so that a crash in the middle leaves a key that nobody can use, never one half overwritten.
    for (const version of await versionsOf(owner)) {
      const path = join(keysFolder, `${version}.key`);
      await rename(path, path + destroyedEnding);
    }
    await failpoint('keys.destroy.named');
    await finishDestroying(keysFolder);
  }

  async function finishInterrupted(): Promise<void> {
    await removeTemporary(tombstones);
    for (const owner of await ownersWithFolder()) {
      await removeTemporary(folderOf(owner));
      if (await isDestroyed(owner)) await destroy(owner);
      // Destroyed by a version that left no record of it.
      const names = await namesIn(folderOf(owner));
      if (names.some((name) => name.endsWith(destroyedEnding))) await finishDestroying(folderOf(owner));
    }
  }

  await finishInterrupted();
  return {
    versionsOf,
    readWrapped,
    async *all() {
      for (const owner of await ownersWithFolder())
        for (const version of await versionsOf(owner)) yield { owner, version };
    },
    create: (owner) =>
      inTurn(owner, async () => {
        if ((await versionsOf(owner)).length === 0) await addVersion(owner, 1);
      }),
    rotate: (owner) =>
      inTurn(owner, async () => {
        const newest = (await versionsOf(owner)).at(-1);
        if (!newest) throw keyErrors.FH_KEY_DESTROYED();
        if (newest === lastVersion) throw new RangeError(`a key has at most ${lastVersion} versions`);
        await addVersion(owner, newest + 1);
        return newest + 1;
      }),
    async open(owner, version) {
      const sealed = await readWrapped(owner, version);
      try {
        return wrapper.open(sealed, wrapContext(owner, version));
      } catch (cause) {
        throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `key ${formatKeyId(owner, version)}`, cause });
      }
    },
    destroy: (owner) => inTurn(owner, () => destroy(owner)),
    async destroyedOwners() {
      return (await readdir(tombstones)).filter(isKeyOwner);
    },
  };
}

/**
 * Overwrites, removes, forgets. Overwriting in place is no proof on flash or copy-on-write disks; what makes the key useless there
 * is that it was only ever stored sealed under the root key.
 */
async function finishDestroying(keysFolder: string): Promise<void> {
  const names = await namesIn(keysFolder);
  for (const name of names.filter((name) => name.endsWith(destroyedEnding))) {
    const path = join(keysFolder, name);
    await overwrite(path, randomBytes(1 + 12 + keyBytes + 16));
    await failpoint('keys.destroy.overwritten');
    await removeIfThere(path);
  }
  if (names.length > 0) await syncFolder(keysFolder);
  await rmdir(keysFolder).catch((error) => {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTEMPTY')) throw error;
  });
  await syncFolder(dirname(keysFolder));
}

async function removeTemporary(folder: string): Promise<void> {
  const names = await namesIn(folder);
  for (const name of names.filter((name) => name.endsWith(temporaryEnding))) await removeIfThere(join(folder, name));
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error) => {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  });
}
