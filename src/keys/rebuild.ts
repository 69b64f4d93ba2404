import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failpoint, type KitId } from '#src/kernel/index.ts';
import {
  findPrivateFile,
  hasCode,
  makePrivateFolder,
  removeIfThere,
  syncFolder,
  temporaryEnding,
  writeDurably,
} from './durable-file.ts';
import { keyErrors } from './errors.ts';
import { openKits } from './kits.ts';
import { createKeyWrapper, ownerFolder } from './owner-keys.ts';
import { parseKeyId, wrapContext } from './owners.ts';
import { assertKey } from './sealer.ts';
import type { KeyId, Sealer, WrappedKey } from './types.ts';

/** Lies in a folder that is being rebuilt, from the first to the last step. */
const markerName = 'rebuilding';

export interface RebuildOptions {
  /** Of the key store; is made, or must be empty but for what an interrupted rebuild left. */
  readonly folder: string;
  /** From `openRecoveryKit`. */
  readonly rootKey: Uint8Array;
  /** Every `keys/<owner>/<version>` of a region. */
  readonly wrapped: AsyncIterable<WrappedKey> | Iterable<WrappedKey>;
  /** The `kits/<kitId>` of the region, so that they can be replaced later. */
  readonly kits?: AsyncIterable<RebuiltKit> | Iterable<RebuiltKit>;
}

export interface RebuildResult {
  readonly keys: number;
  /** Keys that do not open under this root key: damaged in this region, so take them from the other. */
  readonly damaged: readonly KeyId[];
}

export interface RebuiltKit {
  readonly kitId: KitId;
  readonly sealedRoot: Uint8Array;
}

/**
 * Makes a key store out of what a region holds. Every key is opened before it is taken; FH_KEY_STORE_DAMAGED when none opens under this root key.
 * FH_KEY_STORE_EXISTS when there is anything in the folder. Killed at any point, it can be run again, and until it has ended nothing opens the folder.
 */
export async function rebuildKeyStore({ folder, rootKey, wrapped, kits = [] }: RebuildOptions): Promise<RebuildResult> {
  assertKey(rootKey);
  const wrapper = createKeyWrapper(rootKey);
  await makePrivateFolder(folder);
  await begin(folder, rootKey);
  let keys = 0;
  const damaged: KeyId[] = [];
  for await (const { keyId, bytes } of wrapped) {
    const { owner, version } = parseKeyId(keyId);
    if (!opens(wrapper, bytes, wrapContext(owner, version))) {
      damaged.push(keyId);
      continue;
    }
    const path = ownerFolder(folder, owner);
    await makePrivateFolder(dirname(path));
    await makePrivateFolder(path);
    await syncFolder(dirname(path));
    await writeDurably(join(path, `${version}.key`), bytes);
    keys++;
  }
  if (keys === 0 && damaged.length > 0)
    throw keyErrors.FH_KEY_STORE_DAMAGED({
      detail: 'no key of the region opens under this root key',
      hint: 'The recovery kit is of another installation, or the keys of this region are damaged: try the other region.',
    });
  const kitFolder = await openKits(folder);
  for await (const { kitId, sealedRoot } of kits) await kitFolder.add(kitId, sealedRoot);
  await syncFolder(folder);
  await failpoint('keys.rebuild.filled');
  await removeIfThere(join(folder, markerName));
  await failpoint('keys.rebuild.ended');
  await syncFolder(folder);
  return { keys, damaged };
}

/** Throws FH_KEY_STORE_DAMAGED when a rebuild of this folder did not end: keys may be missing. */
export async function assertNoRebuild(folder: string): Promise<void> {
  if (await isThere(join(folder, markerName)))
    throw keyErrors.FH_KEY_STORE_DAMAGED({
      detail: `rebuilding ${folder} from a region did not end`,
      hint: 'Run the rebuild again; it goes on where it was.',
    });
}

async function begin(folder: string, rootKey: Uint8Array): Promise<void> {
  const marker = join(folder, markerName);
  const rootPath = join(folder, 'root.key');
  if (!(await isThere(marker))) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const isForeign = entries.some((entry) => !entry.isDirectory() && !entry.name.startsWith(`${markerName}.`));
    if (isForeign) throw keyErrors.FH_KEY_STORE_EXISTS({ detail: folder });
    await writeDurably(marker, Buffer.alloc(0), { onlyOnce: true });
  }
  await failpoint('keys.rebuild.begun');
  for (const name of await readdir(folder)) if (name.endsWith(temporaryEnding)) await removeIfThere(join(folder, name));
  await writeDurably(rootPath, rootKey, { onlyOnce: true });
  const held = await findPrivateFile(rootPath);
  // A rebuild with another kit was interrupted here: its keys would be mixed with ours.
  if (!held?.equals(rootKey))
    throw keyErrors.FH_KEY_STORE_EXISTS({ detail: `${folder} was begun with another root key` });
}

function opens(wrapper: Sealer, bytes: Uint8Array, context: string): boolean {
  try {
    wrapper.open(bytes, context);
    return true;
  } catch {
    return false;
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error) => {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    },
  );
}
