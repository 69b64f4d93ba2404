import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failpoint, isId, type KitId } from '#src/kernel/index.ts';
import {
  findPrivateFile,
  makePrivateFolder,
  removeIfThere,
  syncFolder,
  temporaryEnding,
  writeDurably,
} from './durable-file.ts';

const kitEnding = '.kit';
const retiredEnding = '.retired';

/** The sealed root of every kit that opens something, and the names of those that must not any more. The secrets are on paper only. */
export interface Kits {
  add(kitId: KitId, sealedRoot: Uint8Array): Promise<void>;
  find(kitId: KitId): Promise<Buffer | undefined>;
  list(): Promise<KitId[]>;
  retire(kitId: KitId): Promise<void>;
  listRetired(): Promise<KitId[]>;
}

/**
 *   kits/<kitId>.kit        root key sealed under the kit's secret
 *   kits/<kitId>.retired    empty, for ever: what has to go wherever a copy appears
 */
export async function openKits(storeFolder: string): Promise<Kits> {
  const folder = join(storeFolder, 'kits');
  await makePrivateFolder(folder);
  await syncFolder(storeFolder);
  const pathOf = (kitId: KitId, ending: string): string => {
    if (!isId('kit', kitId)) throw new TypeError('not the id of a recovery kit');
    return join(folder, kitId + ending);
  };

  async function listEnding(ending: string): Promise<KitId[]> {
    const names = (await readdir(folder)).filter((name) => name.endsWith(ending));
    return names.map((name) => name.slice(0, -ending.length)).filter((name) => isId('kit', name));
  }

  async function retire(kitId: KitId): Promise<void> {
    await writeDurably(pathOf(kitId, retiredEnding), Buffer.alloc(0), { onlyOnce: true });
    await failpoint('keys.kit.retired');
    await removeIfThere(pathOf(kitId, kitEnding));
    await syncFolder(folder);
  }

  for (const name of await readdir(folder)) if (name.endsWith(temporaryEnding)) await removeIfThere(join(folder, name));
  for (const kitId of await listEnding(retiredEnding)) await removeIfThere(pathOf(kitId, kitEnding));
  return {
    retire,
    list: () => listEnding(kitEnding),
    listRetired: () => listEnding(retiredEnding),
    find: (kitId) => findPrivateFile(pathOf(kitId, kitEnding)),
    async add(kitId, sealedRoot) {
      await writeDurably(pathOf(kitId, kitEnding), sealedRoot, { onlyOnce: true });
    },
  };
}
