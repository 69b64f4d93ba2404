/** Two regions that lie apart from the data folder, as on other machines: they outlive it, and can be away. */
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ensureOsUsers } from '#src/main/os-users.ts';
import { newFolder } from '../../acceptance/harness.ts';

export type RegionName = 'a' | 'b';
export const regionNames: readonly RegionName[] = ['a', 'b'];
export const otherThan = (region: RegionName): RegionName => (region === 'a' ? 'b' : 'a');

export interface Regions {
  readonly env: Readonly<Record<string, string>>;
  folderOf(region: RegionName): string;
  /** Nobody may read or write there any more. @returns how it comes back */
  deny(region: RegionName): () => void;
  /** The folder is not there any more. @returns how it comes back */
  unmount(region: RegionName): () => void;
  remove(): void;
}

export function createRegions(): Regions {
  const users = ensureOsUsers();
  const parent = newFolder();
  const folderOf = (region: RegionName) => join(parent, region);
  for (const region of regionNames) {
    mkdirSync(folderOf(region));
    if (users) chownSync(folderOf(region), users.shipper.uid, users.regionsGid);
    chmodSync(folderOf(region), users ? 0o2770 : 0o700);
  }
  return {
    env: { FREEHOLD_REGION_A: folderOf('a'), FREEHOLD_REGION_B: folderOf('b') },
    folderOf,
    deny(region) {
      const { mode } = statSync(folderOf(region));
      chmodSync(folderOf(region), 0);
      return () => chmodSync(folderOf(region), mode & 0o7777);
    },
    unmount(region) {
      const aside = `${folderOf(region)}-unmounted`;
      renameSync(folderOf(region), aside);
      return () => renameSync(aside, folderOf(region));
    },
    remove: () => rmSync(parent, { recursive: true, force: true }),
  };
}
