import type { RetentionHolds } from '#src/backups/index.ts';
import type { Binaries } from '#src/clusters/index.ts';
import type { Clock, Log } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import { contentHash, longJob, stableOutput, unexportedTables } from '#src/portability/index.ts';
import type { ConnectionTarget, Pool } from '#src/postgres/index.ts';
import type { BackupServices } from './backup-services.ts';
import type { BaseBackups } from './base-backups.ts';
import type { Canaries } from './canaries.ts';
import { createChecks } from './checks.ts';
import type { Config } from './config.ts';
import { createDumps } from './dumps.ts';
import type { Folders } from './folders.ts';
import type { Jobs } from './jobs.ts';
import { ledgerFolderOf, type PrivateClusters } from './private-clusters.ts';
import { createRetention } from './retention.ts';
import type { Shutdown } from './shutdown.ts';
import { findStandbySocket } from './standby-health.ts';
import type { OpenTenantReader } from './tenant-readers.ts';

/** What goes on around base backups: dumps, retention, verification and drills. */
export async function createBackupWork(of: {
  readonly config: Config;
  readonly folders: Folders;
  readonly backups: BackupServices;
  readonly privateClusters: PrivateClusters;
  readonly binaries: Binaries;
  /** Control's way to its own database. */
  readonly target: ConnectionTarget;
  readonly pool: Pool;
  /** `sealing`: gives out only keys that lie in a region. */
  readonly keys: {
    readonly own: BackupKeys & Parameters<typeof createRetention>[0]['keys'];
    readonly sealing: Parameters<typeof createChecks>[0]['keys'];
  };
  readonly canaries: Canaries;
  readonly baseBackups: BaseBackups;
  readonly holds: RetentionHolds;
  readonly openReader: OpenTenantReader;
  readonly vault: { readonly findUnneeded: Parameters<typeof createRetention>[0]['findUnneededFiles'] };
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}) {
  const { config, folders, backups, keys, vault } = of;
  const dumps = createDumps({
    ...of,
    keys: keys.sealing,
    content: {
      settings: { ...longJob, ...stableOutput },
      withoutRows: unexportedTables,
      read: (db) => contentHash(db, { unlogged: false }),
    },
    standbySocket: () => findStandbySocket(folders),
    scratchFolder: folders.scratch,
  });
  const retention = createRetention({
    ...of,
    clusterId: backups.clusterId,
    regions: backups.regions,
    shipping: () => backups.shipper.report,
    othersShipping: () => of.privateClusters.shippingReports(),
    days: config.retentionDays,
    keys: keys.own,
    findUnneededFiles: (tenantId, names) => vault.findUnneeded(tenantId, names),
  });
  const checks = await createChecks({
    ...of,
    control: of.target,
    keys: keys.sealing,
    scratchFolder: folders.scratch,
    ledgerFolder: ledgerFolderOf(folders, 'main'),
    domain: config.domain,
    recoveryTimeLimitMs: config.recoveryTimeLimitMs,
  });
  return { dumps, retention, checks };
}
