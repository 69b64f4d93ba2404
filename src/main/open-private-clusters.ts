import type { RetentionHolds } from '#src/backups/index.ts';
import type { Binaries } from '#src/clusters/index.ts';
import type { Clock, Log } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import type { BackupServices } from './backup-services.ts';
import { createBaseBackups } from './base-backups.ts';
import type { Config } from './config.ts';
import type { Folders } from './folders.ts';
import type { Jobs } from './jobs.ts';
import { createPrivateClusters, type PrivateClusters } from './private-clusters.ts';
import type { Program } from './program.ts';
import { readReplicationTarget } from './secrets.ts';
import type { Shutdown } from './shutdown.ts';
import { createTenantRestores, type TenantRestoresOptions } from './tenant-restores.ts';

/** Private servers with the same backups and restores as the main one. */
export function openPrivateClusters(of: {
  readonly config: Config;
  readonly folders: Folders;
  readonly program: Program;
  readonly backups: BackupServices | undefined;
  readonly binaries: Binaries;
  /** Control's own database. */
  readonly pool: Pool;
  readonly keys: BackupKeys;
  readonly holds: RetentionHolds;
  readonly jobs: Jobs;
  /** What restores from all servers have in common; asked for when a server is opened. */
  readonly restoreOptions: () => Omit<TenantRestoresOptions, 'backups' | 'pool' | 'registry' | 'control' | 'canaries'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}): PrivateClusters {
  const { config, backups, pool, shutdown } = of;
  const clusters = createPrivateClusters({
    ...of,
    channel: process.send && !config.externalDatabase ? process : undefined,
    db: pool,
    controlMigrations: of.program.controlMigrations,
    openBackups(cluster, shipping, canaries) {
      const regions = backups!.regions;
      const baseBackups = createBaseBackups({
        ...of,
        backups: { ...shipping, regions },
        target: () => readReplicationTarget(cluster.folders, 'control'),
        server: cluster.books,
        cluster: cluster.name,
        canaries,
      });
      const restores = createTenantRestores({
        ...of.restoreOptions(),
        backups: { clusterId: shipping.clusterId, regions },
        pool: cluster.books,
        registry: pool,
        control: cluster.target,
        canaries,
      });
      return { baseBackups, restores };
    },
  });
  shutdown.add('private servers', 15_000, () => clusters.stop());
  return clusters;
}
