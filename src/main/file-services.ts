import { createFileReplicator, type FileReplicator, recordUnreferencedFiles } from '#src/backups/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { createFileVault, type FileVault } from '#src/files/index.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { KeyStore } from '#src/keys/index.ts';
import { createDiskStore } from '#src/objects/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import type { BackupServices } from './backup-services.ts';
import type { Folders } from './folders.ts';

/** Longest that a content may take to every region before who waits for it is told that it is not there. */
const keepFileMs = 20_000;

/** Contents of tenants' files: here, and in the regions where there are any. */
export async function createFileServices(of: {
  readonly folders: Folders;
  readonly databases: Pick<TenantDatabases, 'platform'>;
  readonly backups: Pick<BackupServices, 'regions'> | undefined;
  readonly keys: Pick<KeyStore, 'deriveTenantKey'>;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<{
  readonly replicator: FileReplicator | undefined;
  /** Brings a content to every region. */
  readonly keepFile: (tenantId: TenantId, name: string) => Promise<void>;
  readonly vault: FileVault;
}> {
  const { folders, databases, backups, keys, pool, clock, log } = of;
  const replicator =
    backups &&
    createFileReplicator({
      vault: await createDiskStore(folders.files),
      regions: backups.regions,
      log,
      monotonicMs: () => clock.monotonicMs(),
    });
  return {
    replicator,
    keepFile: async (tenantId, name) => replicator?.bring(tenantId, name, AbortSignal.timeout(keepFileMs)),
    vault: await createFileVault({
      root: folders.files,
      databases,
      // Of a deleted tenant as well, as long as it has a key: it can be restored.
      filesKeyOf: (tenantId) => keys.deriveTenantKey(tenantId, 'files'),
      clock,
      // A file that was removed since is there for a restore to the time when it was not.
      ...(replicator && {
        openElsewhere: (name) => replicator.open(name),
        onUnreferenced: (tenantId, names) => recordUnreferencedFiles(pool, tenantId, names, new Date(clock.now())),
      }),
    }),
  };
}
