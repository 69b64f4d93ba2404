/** For tests: two tenants on a real server, each with its own database and roles, and an identity that serves both. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabaseAdmin } from '#src/databases/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { newId, randomBytes, silentLog, type TenantId } from '#src/kernel/index.ts';
import type { MailOrder } from '#src/mail/types.ts';
import { createPool, newPassword, type Pool } from '#src/postgres/index.ts';
import type { TenantAccess, TenantRoute } from '#src/tenants/types.ts';
import { startTestCluster } from '../../test/support/cluster.ts';
import { createIdentity, type Identity } from './identity.ts';
import type { AwaitedSignIn } from './second-factors/challenge.ts';
import type { StartedSession } from './sessions/session-start.ts';
import type { SignOnPorts } from './sso/index.ts';
import { openTestDatabases } from './test-databases.fixture.ts';
import type { Role } from './types.ts';
import { createDemoUser } from './users/lifecycle.ts';

export interface TestTenant {
  readonly route: TenantRoute;
  readonly tenantId: TenantId;
  readonly databaseName: string;
  readonly cookieKey: Buffer;
  readonly factorsKey: Buffer;
}

export interface TwoTenants {
  readonly a: TestTenant;
  readonly b: TestTenant;
  readonly databases: TenantDatabases;
  readonly identity: Identity;
  /** What users were told, in order. */
  readonly mail: ({ readonly tenantId: TenantId } & MailOrder)[];
  /** The server as control. */
  readonly control: Pool;
  /** With which another process serves the same tenants. */
  readonly accesses: ReadonlyMap<TenantId, TenantAccess>;
  stop(): Promise<void>;
}

export const goodPassword = 'seven purple lanterns drift';

export async function startTwoTenants({ signOn }: { signOn?: SignOnPorts } = {}): Promise<TwoTenants> {
  const cluster = await startTestCluster();
  const emptyApp = await mkdtemp(join(tmpdir(), 'freehold-identity-'));
  const pool = createPool(cluster.control, { max: 4, applicationName: 'test control' });
  const admin = createDatabaseAdmin({ pool, target: cluster.control, log: silentLog });
  const platform = new URL('../../migrations/tenant/', import.meta.url);
  const accesses = new Map<TenantId, TenantAccess>();

  async function createTenant(name: string): Promise<TestTenant> {
    const { template } = await admin.ensureTemplate('test', { platform, app: emptyApp });
    const databaseName = admin.newDatabaseName();
    await admin.createDatabase(databaseName, { template });
    const [appPassword, platformPassword] = [newPassword(), newPassword()];
    await admin.openDatabase(databaseName, { appPassword, platformPassword });
    const tenantId = newId('ten');
    const cookieKey = randomBytes(32);
    const factorsKey = randomBytes(32);
    accesses.set(tenantId, {
      tenantId,
      database: { ...admin.server, name: databaseName },
      app: { user: databaseName, password: appPassword },
      platform: { user: `${databaseName}_p`, password: platformPassword },
      cookieKey,
      filesKey: randomBytes(32),
      factorsKey,
      identityKey: randomBytes(32),
    });
    const title = `${name} works`;
    const route: TenantRoute = { tenantId, name, title, state: 'active', app: 'desk', host: `${name}.localhost` };
    return { route, tenantId, databaseName, cookieKey, factorsKey };
  }

  const a = await createTenant('acme');
  const b = await createTenant('brick');
  const databases = openTestDatabases(accesses);
  const mail: TwoTenants['mail'] = [];
  const identity = createIdentity({
    databases,
    queueMail: async (tenantId, order) => void mail.push({ tenantId, ...order }),
    cookieKeyOf: (tenantId) => accesses.get(tenantId)!.cookieKey,
    factorsKeyOf: (tenantId) => accesses.get(tenantId)!.factorsKey,
    signOn,
    log: silentLog,
  });
  return {
    a,
    b,
    databases,
    identity,
    mail,
    control: pool,
    accesses,
    async stop() {
      await identity.settle();
      await databases.stop();
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

/** For users without a second factor: the password is enough. */
export async function started(signingIn: Promise<StartedSession | AwaitedSignIn>): Promise<StartedSession> {
  const result = await signingIn;
  if (!result.session) throw new Error('a second factor is awaited');
  return result;
}

/** What a browser sends after it received these cookies. */
export function cookieHeaderOf(setCookies: readonly string[]): string {
  return setCookies.map((line) => line.slice(0, line.indexOf(';'))).join('; ');
}
