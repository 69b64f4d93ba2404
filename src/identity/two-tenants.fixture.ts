/** For tests: two tenants on a real server, each with its own database and roles, and an identity that serves both. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabaseAdmin } from '#src/databases/index.ts';
import type { TenantDatabase, TenantDatabases } from '#src/databases/types.ts';
import { newId, randomBytes, silentLog, type TenantId } from '#src/kernel/index.ts';
import { createPool, newPassword, type Pool } from '#src/postgres/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import { startTestCluster } from '../../test/support/cluster.ts';
import { createIdentity, type Identity } from './identity.ts';
import { createDemoUser } from './lifecycle.ts';
import type { Role } from './types.ts';

export interface TestTenant {
  readonly route: TenantRoute;
  readonly tenantId: TenantId;
  readonly databaseName: string;
  readonly cookieKey: Buffer;
}

export interface TwoTenants {
  readonly a: TestTenant;
  readonly b: TestTenant;
  readonly databases: TenantDatabases;
  readonly identity: Identity;
  stop(): Promise<void>;
}

export const goodPassword = 'seven purple lanterns drift';

export async function startTwoTenants(): Promise<TwoTenants> {
  const cluster = await startTestCluster();
  const emptyApp = await mkdtemp(join(tmpdir(), 'freehold-identity-'));
  const pool = createPool(cluster.control, { max: 4, applicationName: 'test control' });
  const admin = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
  const platform = new URL('../../migrations/tenant/', import.meta.url);
  const doors = new Map<TenantId, { app: Pool; platform: Pool }>();

  async function createTenant(name: string): Promise<TestTenant> {
    const { template } = await admin.ensureTemplate('test', { platform, app: emptyApp });
    const databaseName = admin.newDatabaseName();
    await admin.createDatabase(databaseName, { template });
    const [appPassword, platformPassword] = [newPassword(), newPassword()];
    await admin.openDatabase(databaseName, { appPassword, platformPassword });
    const tenantId = newId('ten');
    const { host, port } = cluster.control;
    const target = { host, port, database: databaseName };
    const readOnly = { default_transaction_read_only: 'on' };
    doors.set(tenantId, {
      app: createPool(
        { ...target, user: databaseName, password: appPassword },
        { max: 4, applicationName: 'test app', options: readOnly },
      ),
      platform: createPool(
        { ...target, user: `${databaseName}_p`, password: platformPassword },
        { max: 8, applicationName: 'test platform', options: { default_transaction_read_only: 'off' } },
      ),
    });
    const route: TenantRoute = {
      tenantId,
      name,
      title: `${name} works`,
      state: 'active',
      app: 'desk',
      host: `${name}.localhost`,
    };
    return { route, tenantId, databaseName, cookieKey: randomBytes(32) };
  }

  const a = await createTenant('acme');
  const b = await createTenant('brick');
  const door = (role: 'app' | 'platform'): TenantDatabase => {
    const poolOf = (tenantId: TenantId) => doors.get(tenantId)![role];
    return {
      read: (tenantId, fn) => fn({ tenantId, query: poolOf(tenantId).query }),
      transact: (tenantId, fn) => poolOf(tenantId).transaction((tx) => fn({ tenantId, query: tx.query })),
    };
  };
  const databases: TenantDatabases = {
    app: door('app'),
    platform: door('platform'),
    evict: async () => {},
    stats: () => ({ open: 0, leased: 0, waiting: 0, budget: 0 }),
    stop: async () => {},
  };
  const identity = createIdentity({
    databases,
    cookieKeyOf: (tenantId) => (tenantId === a.tenantId ? a : b).cookieKey,
    log: silentLog,
  });
  return {
    a,
    b,
    databases,
    identity,
    async stop() {
      await identity.settle();
      for (const { app, platform } of doors.values()) {
        await app.stop();
        await platform.stop();
      }
      for (const { databaseName } of [a, b]) await admin.dropDatabase(databaseName);
      await pool.stop();
      await cluster.stop();
      await rm(emptyApp, { recursive: true });
    },
  };
}

/** The same user, id included, in both tenants. */
export async function createTwins(
  { a, b, databases }: TwoTenants,
  email: string,
  { role = 'member', password = goodPassword }: { role?: Role; password?: string } = {},
): Promise<string> {
  const userId = await databases.platform.transact(a.tenantId, (db) =>
    createDemoUser(db, { email, name: 'Twin', role, password }),
  );
  await databases.platform.transact(b.tenantId, async (db) => {
    const made = await createDemoUser(db, { email, name: 'Twin', role, password });
    await db.query('UPDATE freehold.users SET user_id = $1 WHERE user_id = $2', [userId, made]);
  });
  return userId;
}

/** What a browser sends after it received these cookies. */
export function cookieHeaderOf(setCookies: readonly string[]): string {
  return setCookies.map((line) => line.slice(0, line.indexOf(';'))).join('; ');
}
