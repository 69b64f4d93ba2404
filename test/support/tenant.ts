/** A tenant's database for tests, made by the same code as in production, without a registry around it. */
import { fileURLToPath } from 'node:url';
import {
  createDatabaseAdmin,
  createTenantDatabases,
  type DatabaseAdmin,
  type TenantDatabases,
  type TenantDatabasesOptions,
} from '#src/databases/index.ts';
import { newId, silentLog, type TenantId } from '#src/kernel/index.ts';
import { type ConnectionTarget, createPool, newPassword } from '#src/postgres/index.ts';
import type { TenantAccess, TenantDirectory } from '#src/tenants/types.ts';
import type { TestCluster } from './cluster.ts';

export interface TestTenant {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly databaseName: string;
  readonly access: TenantAccess;
  readonly appTarget: ConnectionTarget;
  readonly platformTarget: ConnectionTarget;
}

export interface TestTenants {
  readonly admin: DatabaseAdmin;
  /** Makes a tenant; its keys are 32 bytes of its own. */
  createTestTenant(name: string): Promise<TestTenant>;
  /** Answers for the tenants made so far; `change` and `flush` fire its events. */
  readonly directory: TestDirectory;
  /** The gateway's side over all of them; stopped by `stop`. */
  createDatabases(options?: Partial<TenantDatabasesOptions>): TenantDatabases;
  /** Closes everything and drops what was made. */
  stop(): Promise<void>;
}

export interface TestDirectory extends TenantDirectory {
  /** Replaces the answer of getAccess; undefined: refused from now on. */
  setAccess(tenantId: TenantId, access: TenantAccess | undefined): void;
  change(tenantId: TenantId): Promise<void>;
  flush(): Promise<void>;
}

const platformMigrations = fileURLToPath(new URL('../../migrations/tenant', import.meta.url));
const noMigrations = fileURLToPath(new URL('no-migrations', import.meta.url));

/** @param appMigrations folder of the app's migrations; default: none, so that schema `app` is empty */
export function createTestTenants(cluster: TestCluster, appMigrations: string | URL = noMigrations): TestTenants {
  const pool = createPool(cluster.control, { max: 4, applicationName: 'test' });
  const admin = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
  const tenants: TestTenant[] = [];
  const opened: TenantDatabases[] = [];
  const directory = createTestDirectory();
  return {
    admin,
    directory,
    async createTestTenant(name) {
      const { template } = await admin.ensureTemplate('test', { platform: platformMigrations, app: appMigrations });
      const databaseName = admin.newDatabaseName();
      const passwords = { appPassword: newPassword(), platformPassword: newPassword() };
      await admin.createDatabase(databaseName, { template });
      const tenant = describe(cluster, name, databaseName, passwords);
      tenants.push(tenant);
      await admin.openDatabase(databaseName, passwords);
      directory.setAccess(tenant.tenantId, tenant.access);
      return tenant;
    },
    createDatabases(options = {}) {
      const databases = createTenantDatabases({
        directory,
        budget: 10,
        perTenantMax: 5,
        statementTimeoutMs: 60_000,
        lockTimeoutMs: 30_000,
        waitTimeoutMs: 60_000,
        log: silentLog,
        ...options,
      });
      opened.push(databases);
      return databases;
    },
    async stop() {
      for (const databases of opened) await databases.stop();
      for (const { databaseName } of tenants) await admin.dropDatabase(databaseName);
      // Templates stay for the other test files of a shared server and go with it.
      await pool.stop();
    },
  };
}

function describe(
  cluster: TestCluster,
  name: string,
  databaseName: string,
  passwords: { appPassword: string; platformPassword: string },
): TestTenant {
  const tenantId = newId('ten');
  const app = { user: databaseName, password: passwords.appPassword };
  const platform = { user: `${databaseName}_p`, password: passwords.platformPassword };
  const { socketDir: host, port } = cluster;
  return {
    tenantId,
    name,
    databaseName,
    access: {
      tenantId,
      database: { host, port, name: databaseName, tls: 'off' },
      app,
      platform,
      cookieKey: Buffer.from(newPassword(), 'base64url'),
      filesKey: Buffer.from(newPassword(), 'base64url'),
      factorsKey: Buffer.from(newPassword(), 'base64url'),
      identityKey: Buffer.from(newPassword(), 'base64url'),
    },
    appTarget: { host, port, database: databaseName, ...app },
    platformTarget: { host, port, database: databaseName, ...platform },
  };
}

function createTestDirectory(): TestDirectory {
  const accesses = new Map<TenantId, TenantAccess>();
  const changed: ((tenantId: TenantId) => Promise<void>)[] = [];
  const flushed: (() => Promise<void>)[] = [];
  return {
    setAccess(tenantId, access) {
      if (access) accesses.set(tenantId, access);
      else accesses.delete(tenantId);
    },
    async change(tenantId) {
      for (const listener of changed) await listener(tenantId);
    },
    async flush() {
      for (const listener of flushed) await listener();
    },
    findRoute: async () => undefined,
    async getAccess(tenantId) {
      const access = accesses.get(tenantId);
      if (!access) throw Object.assign(new Error('the tenant is not active'), { code: 'FH_TENANT_NOT_ACTIVE' });
      return access;
    },
    findCertificate: async () => undefined,
    onChanged: (listener) => changed.push(listener),
    onFlush: (listener) => flushed.push(listener),
  };
}
