import { isId, type KitId } from '#src/kernel/index.ts';
import type { ObjectName, RegionStore } from '#src/objects/index.ts';
import { keyErrors } from './errors.ts';
import { isKeyId, parseKeyId } from './owners.ts';
import { type RebuildResult, type RebuiltKit, rebuildKeyStore } from './rebuild.ts';
import { openRecoveryKit, parseRecoveryKit } from './recovery-kit.ts';
import type { KeyId, KeyOwner, WrappedKey } from './types.ts';

/** Names of keys and kits in a region: `keys/<ownerId>/<version>` and `kits/<kitId>`. */
export const keysPrefix = 'keys/';
export const kitsPrefix = 'kits/';
/** Wrapped keys and kits have 61 bytes; more is never read of what anybody may have put there. */
const longestBytes = 1_024;

export function keyObjectName(keyId: KeyId): ObjectName {
  const { owner, version } = parseKeyId(keyId);
  return `${keysPrefix}${owner}/${version}`;
}

export function kitObjectName(kitId: KitId): ObjectName {
  return `${kitsPrefix}${kitId}`;
}

export function ownerPrefix(owner: KeyOwner): string {
  return `${keysPrefix}${owner}/`;
}

/** undefined: not the name of a key. */
export function keyIdOf(name: ObjectName): KeyId | undefined {
  const keyId = name.slice(keysPrefix.length).replace('/', '.');
  return name.startsWith(keysPrefix) && isKeyId(keyId) ? keyId : undefined;
}

/** undefined: not the name of a kit. */
export function kitIdOf(name: ObjectName): KitId | undefined {
  const kitId = name.slice(kitsPrefix.length);
  return name.startsWith(kitsPrefix) && isId('kit', kitId) ? kitId : undefined;
}

/** A small object whole, empty when it is longer than any of ours; undefined: not there. */
export async function findSmallObject(region: RegionStore, name: ObjectName): Promise<Buffer | undefined> {
  const content = await region.get(name, { to: longestBytes + 1 });
  if (!content) return undefined;
  const bytes = Buffer.concat(await Array.fromAsync(content as AsyncIterable<Uint8Array>));
  return bytes.length > longestBytes ? Buffer.alloc(0) : bytes;
}

/** Every wrapped key that a region holds; what is not called like a key is passed over. */
export async function* readWrappedKeys(region: RegionStore): AsyncGenerator<WrappedKey> {
  for await (const { name } of region.list(keysPrefix)) {
    const keyId = keyIdOf(name);
    const bytes = keyId && (await findSmallObject(region, name));
    if (bytes) yield { keyId, bytes };
  }
}

export async function* readKits(region: RegionStore): AsyncGenerator<RebuiltKit> {
  for await (const { name } of region.list(kitsPrefix)) {
    const kitId = kitIdOf(name);
    const sealedRoot = kitId && (await findSmallObject(region, name));
    if (sealedRoot) yield { kitId, sealedRoot };
  }
}

/**
 * Makes the key store in `folder` from one region and the page of a recovery kit. FH_RECOVERY_KIT_MISTYPED, FH_RECOVERY_KIT_UNKNOWN (replaced, or
 * another installation's region), FH_KEY_UNSEAL (the object was changed), and what `rebuildKeyStore` throws.
 */
export async function recoverKeyStore(options: {
  folder: string;
  region: RegionStore;
  /** The page, or its groups. */
  kit: string;
}): Promise<RebuildResult> {
  const { kitId } = parseRecoveryKit(options.kit);
  const sealedRoot = await findSmallObject(options.region, kitObjectName(kitId));
  if (!sealedRoot) {
    const known = (await Array.fromAsync(readKits(options.region))).map((kit) => kit.kitId);
    throw keyErrors.FH_RECOVERY_KIT_UNKNOWN({
      detail: `${kitId}; region ${options.region.region} has ${known.join(', ') || 'none'}`,
    });
  }
  return rebuildKeyStore({
    folder: options.folder,
    rootKey: openRecoveryKit(options.kit, sealedRoot),
    wrapped: readWrappedKeys(options.region),
    kits: readKits(options.region),
  });
}
