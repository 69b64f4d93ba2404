import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDiskRegion, type RegionStore } from '#src/objects/index.ts';
import { createKeyEscrow, type KeyEscrow } from './escrow.ts';
import { readKits, readWrappedKeys } from './region-keys.ts';
import { openKeyStore } from './store.ts';

export type OpenStore = Awaited<ReturnType<typeof openKeyStore>>;

export interface World {
  readonly folder: string;
  readonly keysFolder: string;
  readonly keys: OpenStore;
  readonly regions: readonly [RegionStore, RegionStore];
  readonly escrow: KeyEscrow;
  leave(region: RegionStore): Promise<void>;
  comeBack(region: RegionStore): Promise<void>;
}

/** A key store, two regions that are folders, and the escrow between them. */
export async function withWorld(use: (world: World) => Promise<void>): Promise<void> {
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
export async function contentOf(region: RegionStore): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const { keyId, bytes } of readWrappedKeys(region)) content.set(keyId, bytes.toString('hex'));
  for await (const { kitId, sealedRoot } of readKits(region))
    content.set(kitId, Buffer.from(sealedRoot as Uint8Array).toString('hex'));
  return content;
}

export async function contentOfStore(keys: OpenStore): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const { keyId, bytes } of keys.wrappedKeys()) content.set(keyId, bytes.toString('hex'));
  for (const { kitId, sealedRoot } of await keys.recoveryKits()) content.set(kitId, sealedRoot.toString('hex'));
  return content;
}

const sorted = (content: Map<string, string>) => [...content].sort();
export async function assertEqual(
  keys: OpenStore,
  regions: readonly RegionStore[],
  message = 'differs from the key store',
): Promise<void> {
  const expected = sorted(await contentOfStore(keys));
  for (const region of regions) assert.deepEqual(sorted(await contentOf(region)), expected, message);
}
