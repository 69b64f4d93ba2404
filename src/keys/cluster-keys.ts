import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClusterId, isId } from '#src/kernel/index.ts';
import { deriveKey } from './derive.ts';
import { findPrivateFile } from './durable-file.ts';
import { keyErrors } from './errors.ts';
import { createKeyWrapper, ownerFolder } from './owner-keys.ts';
import { parseKeyId, wrapContext } from './owners.ts';
import { keyBytes } from './sealer.ts';
import type { BackupKeys } from './types.ts';

export interface ClusterKeys extends Pick<BackupKeys, 'openKey'> {
  /** Every cluster that has a key. */
  clusters(): Promise<ClusterId[]>;
}

/**
 * The keys of clusters, and of nobody else, in a key store that another process owns: nothing is made, finished or removed. For a failover, which must open what was
 * shipped when control may not be there. Errors: FH_KEY_STORE_DAMAGED, FH_KEY_STORE_UNSAFE, FH_KEY_DESTROYED.
 */
export async function readClusterKeys(folder: string): Promise<ClusterKeys> {
  const rootKey = await findPrivateFile(join(folder, 'root.key'));
  if (rootKey?.length !== keyBytes) throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: 'root.key is missing or no key' });
  const wrapper = createKeyWrapper(rootKey);
  return {
    async clusters() {
      const names = await readdir(join(folder, 'clusters'));
      return names.filter((name): name is ClusterId => isId('clu', name));
    },
    async openKey(keyId) {
      const { owner, version } = parseKeyId(keyId);
      if (!isId('clu', owner)) throw new TypeError('not the key of a cluster');
      const sealed = await findPrivateFile(join(ownerFolder(folder, owner), `${version}.key`));
      if (!sealed) throw keyErrors.FH_KEY_DESTROYED();
      try {
        return { keyId, key: deriveKey(wrapper.open(sealed, wrapContext(owner, version)), ['backups', owner]) };
      } catch (cause) {
        throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `key ${keyId}`, cause });
      }
    },
  };
}
