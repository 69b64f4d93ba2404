/**
 * A whole control side in one process, for tests: registry, lifecycle, keys, files and archives on a real server. Only the gateways
 * are missing. Several may stand on one server and on one registry, the way a process that was killed and its successor do.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { recordAudit } from '#src/audit/index.ts';
import { type Binaries, findBinaries } from '#src/clusters/index.ts';
import {
  clusterOf,
  createDatabaseAdmin,
  createPlacedAdmin,
  type DatabaseAdmin,
  migrate,
  newClusterName,
} from '#src/databases/index.ts';
import type { DatabaseKind, TenantDatabase, TenantDatabases } from '#src/databases/types.ts';
import { createFileVault, createTenantFiles, type FileVault } from '#src/files/index.ts';
import type { TenantFiles } from '#src/files/types.ts';
import { createFirstInvitation, stripClone } from '#src/identity/index.ts';
import { type Clock, type Log, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import { type KeyStore, openKeyStore } from '#src/keys/index.ts';
import { databaseTargets } from '#src/main/tenant-target.ts';
import { createPortability, type Portability } from '#src/portability/index.ts';
import { type ConnectionTarget, createPool, openConnection, type Pool } from '#src/postgres/index.ts';
import {
  type ControlDirectory,
  createControlDirectory,
  createTenantLifecycle,
  type TenantLifecycle,
  type TenantLifecycleOptions,
} from '#src/tenants/index.ts';

export interface TestInstallation {
  readonly pool: Pool;
  readonly admin: DatabaseAdmin;
  readonly keys: KeyStore;
  readonly directory: ControlDirectory;
  readonly databases: Pick<TenantDatabases, 'app' | 'platform'>;
  readonly files: TenantFiles;
  readonly vault: FileVault;
  readonly portability: Portability;
  readonly lifecycle: TenantLifecycle;
  /** Tenants in the order in which gateways were told of them. */
  readonly notified: TenantId[];
  stop(): Promise<void>;
}

export interface TestInstallationOptions {
  readonly control: ConnectionTarget;
  /** Keys, files and archives lie here. */
  readonly folder: string;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Folder of the app's migrations. Default: the sample app's. */
  readonly appMigrations?: string;
  /** `process`: the app has no migrations of ours. Default `sdk`. */
  readonly kind?: DatabaseKind;
  /** Parts to replace, for example to fail on purpose. */
  readonly override?: (deps: TenantLifecycleOptions) => Partial<TenantLifecycleOptions>;
  readonly preparedDatabases?: number;
  /** Longest time for loading the database of an archive. */
  readonly loadDeadlineMs?: number;
  /** Host label of the domain; default `localhost`. */
  readonly domain?: string;
}

const top = join(import.meta.dirname, '../..');
let binaries: Promise<Binaries> | undefined;
function findBinariesOnce(): Promise<Binaries> {
  binaries ??= findBinaries({ binDir: process.env.FREEHOLD_PG_BIN });
  return binaries;
}

export async function openTestInstallation(options: TestInstallationOptions): Promise<TestInstallation> {
  const { control, folder, clock = systemClock, domain = 'localhost', kind = 'sdk' } = options;
  const [filesFolder, exportsFolder] = [join(folder, 'files'), join(folder, 'exports')];
  for (const path of [filesFolder, exportsFolder]) await mkdir(path, { recursive: true, mode: 0o700 });
  await migrate(control, { schema: 'public', folder: join(top, 'migrations/control') });
  const pool = createPool(control, { max: 8, applicationName: 'test control' });
  const main = createDatabaseAdmin({ pool, target: control, log: silentLog });
  // One server plays all: what matters here is the order of things.
  const admin = createPlacedAdmin({ main, find: async () => ({ admin: main, flush: async () => {} }), list: () => [] });
  const keys = await openKeyStore(join(folder, 'keys'));
  const directory = createControlDirectory({
    db: pool,
    keys,
    serverOf: async () => admin.server,
    domain,
    log: silentLog,
    issueCertificate: async (host) => `certificate of ${host}`,
  });
  const targetOf = async (tenantId: TenantId, role: 'app' | 'platform'): Promise<ConnectionTarget> => {
    const { database, [role]: login } = await directory.forLifecycle.getAccess(tenantId);
    return { host: database.host, port: database.port, tls: database.tls, database: database.name, ...login };
  };
  const databases = connectTenants(targetOf);
  const filesKeyOf = async (tenantId: TenantId) => (await directory.forLifecycle.getAccess(tenantId)).filesKey;
  const filesDeps = { root: filesFolder, databases, filesKeyOf, clock };
  const vault = await createFileVault({
    ...filesDeps,
    filesKeyOf: (tenantId) => keys.deriveTenantKey(tenantId, 'files'),
  });
  const portability = createPortability({
    binaries: await findBinariesOnce(),
    exportsFolder,
    vault,
    openTarget: targetOf,
    ...databaseTargets(admin),
    kindOf: () => kind,
    appVersion: () => '1.0.0',
    createdBy: 'freehold test',
    clock,
    ...(options.loadDeadlineMs === undefined ? {} : { loadDeadlineMs: () => options.loadDeadlineMs! }),
  });
  const folders = {
    platform: join(top, 'migrations/tenant'),
    app: kind === 'process' ? undefined : (options.appMigrations ?? join(top, 'apps/sample/migrations')),
  };
  const notified: TenantId[] = [];
  const deps: TenantLifecycleOptions = {
    db: pool,
    keys,
    recordAudit,
    clock,
    log: options.log ?? silentLog,
    preparedDatabases: options.preparedDatabases ?? 0,
    settings: {
      apps: ['sample'],
      defaultApp: 'sample',
      tenantUrl: (name) => `https://${name}.${domain}:8443`,
      maxRetryDelayMs: 50,
    },
    databases: {
      ...admin,
      clusterOf,
      ensureTemplate: (app, cluster) => admin.ensureTemplate(app, folders, cluster),
      migrateDatabase: async (name) => void (await admin.migrateDatabase(name, folders)),
    },
    privateServers: { newName: newClusterName, make: async () => {}, remove: async () => {} },
    identity: {
      createInvitation: (tenantId, invitee) =>
        databases.platform.transact(tenantId, (db) => createFirstInvitation(db, invitee)),
      stripClone: (tenantId) => databases.platform.transact(tenantId, stripClone),
    },
    files: vault,
    portability,
    recoveryPoints: {
      hasRegions: true,
      set: (name, point) => admin.setCommitWaits(name, point === 'zero'),
      endSessions: (name, openedBefore) => admin.endSessions(name, openedBefore),
    },
    // An app that changes a row as soon as it starts: processes have tests of their own.
    appVersions: {
      listApps: async () => [],
      pinVersion: async () => undefined,
      async assign(tx, tenantId, version) {
        await tx.query('UPDATE tenant_apps SET version = $2 WHERE tenant_id = $1', [tenantId, version]);
      },
      hold: async () => {},
    },
    appProcesses: {
      async start(tenantId) {
        const [placed] = await pool.query<{ version: string }>('SELECT version FROM tenant_apps WHERE tenant_id = $1', [
          tenantId,
        ]);
        if (!placed) return;
        const migrated = `written by ${placed.version}`;
        await databases.app.transact(tenantId, (db) => db.query('UPDATE notes SET text = $1', [migrated]));
      },
      evict: async () => {},
      settle: async () => {},
      keepFolder: async () => {},
      remove: async () => {},
    },
    // What a scratch server would give, without going back in time: recovery has tests of its own.
    restores: {
      async findSource(idOrName, moment) {
        if (moment.kind === 'before') throw new TypeError('recovery has tests of its own');
        return { tenantId: (await lifecycle.getTenant(idOrName)).tenantId, moment };
      },
      async recoverArchive({ tenant, operationId }, onProgress) {
        const from = { target: await targetOf(tenant.tenantId, 'platform'), vault };
        const archivePath = await portability.writeRestored(tenant, operationId, from, onProgress);
        return { archivePath, lastCommitAt: undefined };
      },
      keepFiles: async () => {},
      removeArchive: portability.removeRestored,
    },
    notifyGateways: async (tenantId) => {
      notified.push(tenantId);
      await directory.changed(tenantId);
    },
    fillDemo: async () => {},
  };
  const lifecycle = createTenantLifecycle({ ...deps, ...options.override?.(deps) });
  return {
    pool,
    admin,
    keys,
    directory,
    databases,
    files: await createTenantFiles(filesDeps),
    vault,
    portability,
    lifecycle,
    notified,
    async stop() {
      await lifecycle.stop();
      await pool.stop();
    },
  };
}

/** Removes every tenant database and role of this installation from the server. */
export async function dropTestTenants({ pool, admin }: Pick<TestInstallation, 'pool' | 'admin'>): Promise<void> {
  const rows = await pool.query<{ name: string }>(
    `SELECT database_name AS name FROM tenants WHERE database_name IS NOT NULL
     UNION SELECT database_name FROM prepared_databases UNION SELECT database_name FROM tenant_snapshots`,
  );
  // As well as it goes: a failure here would keep the caller from closing what it opened, and the server goes with the run anyway.
  for (const { name } of rows) await admin.dropDatabase(name).catch(() => {});
}

/** One connection per callback: slow, and nothing to get wrong. */
function connectTenants(
  targetOf: (tenantId: TenantId, role: 'app' | 'platform') => Promise<ConnectionTarget>,
): Pick<TenantDatabases, 'app' | 'platform'> {
  const door = (role: 'app' | 'platform'): TenantDatabase => {
    const lease =
      (begin: string): TenantDatabase['read'] =>
      async (tenantId, fn) => {
        const connection = await openConnection(await targetOf(tenantId, role), { applicationName: 'test' });
        try {
          await connection.run(begin);
          const result = await fn({ tenantId, query: connection.query });
          await connection.run('COMMIT');
          return result;
        } finally {
          await connection.close();
        }
      };
    return { read: lease('BEGIN READ ONLY'), transact: lease('BEGIN READ WRITE') };
  };
  return { app: door('app'), platform: door('platform') };
}
