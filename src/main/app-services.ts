import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { recordAudit } from '#src/audit/index.ts';
import type { FileReplicator } from '#src/backups/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { createTenantFolders } from '#src/files/index.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { Pool } from '#src/postgres/index.ts';
import { type AppInstaller, type AppRegistry, createAppRegistry } from '#src/releases/index.ts';
import type { ControlDirectory, Tenant } from '#src/tenants/index.ts';
import { type AppProcesses, createAppProcesses } from './app-processes.ts';
import type { Folders } from './folders.ts';
import type { Program } from './program.ts';
import type { Shutdown } from './shutdown.ts';

export interface AppServices {
  /** Versions of apps that run as processes. `start` once the control database is up to date. */
  readonly apps: AppRegistry;
  readonly appProcesses: AppProcesses;
}

export async function createAppServices(of: {
  readonly folders: Folders;
  readonly program: Program;
  readonly pool: Pool;
  readonly databases: Pick<TenantDatabases, 'platform'>;
  readonly directory: Pick<ControlDirectory, 'forLifecycle'>;
  readonly getTenant: (tenantId: TenantId) => Promise<Tenant>;
  readonly tenantUrl: (name: string) => string;
  readonly filesKeyOf: (tenantId: TenantId) => Promise<Uint8Array>;
  /** Brings a content of the vault to every region. */
  readonly keepFile: (tenantId: TenantId, name: string) => Promise<void>;
  readonly replicator: Pick<FileReplicator, 'open'> | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
}): Promise<AppServices> {
  const { folders, program, pool, databases, replicator, clock, log, shutdown } = of;
  // The two need each other: to build a version, and to know which one a tenant runs.
  const installer: AppInstaller = {
    install: (order) => appProcesses.installer.install(order),
    remove: (version) => appProcesses.installer.remove(version),
    isInstalled: async ({ app, digest }) => existsSync(join(folders.apps, app, digest)),
  };
  const apps = createAppRegistry({
    db: pool,
    incomingFolder: folders.appsIncoming,
    ownApps: program.apps.map((app) => app.manifest.name),
    installer,
    recordAudit,
    clock,
    log,
  });
  shutdown.add('builds of apps', 2_000, () => apps.stop());
  const appProcesses = createAppProcesses({
    socketPath: folders.appSpecsSocket,
    streamsPath: folders.appStreamsSocket,
    registry: apps,
    getTenant: of.getTenant,
    getAccess: (tenantId) => of.directory.forLifecycle.getAccess(tenantId),
    databases,
    folders: await createTenantFolders({
      root: folders.files,
      databases,
      filesKeyOf: of.filesKeyOf,
      clock,
      keepInRegions: of.keepFile,
      ...(replicator && { openElsewhere: (name) => replicator.open(name) }),
    }),
    tenantUrl: of.tenantUrl,
    log,
  });
  return { apps, appProcesses };
}
