/**
 * The doors behind the gateway's door: identity's routes, an app's routes and the use cases themselves check session and role again, so that a
 * check forgotten in front opens nothing. Here each is asked directly, by somebody whom the gateway would never have let through.
 */
import type { FastifyInstance, InjectOptions } from 'fastify';
import type { App } from '#sdk';
import type { TenantDatabases } from '#src/databases/types.ts';
import { createHosting } from '#src/hosting/index.ts';
import { createHttpApp } from '#src/http/index.ts';
import { createDemoUser, createIdentity, type Identity, identityRoutes, type Session } from '#src/identity/index.ts';
import { newId, silentLog, systemClock } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { TestCluster } from '../../support/cluster.ts';
import { createTestTenants, type TestTenant } from '../../support/tenant.ts';
import type { Report } from '../report.ts';

export async function probeDoors(report: Report, cluster: TestCluster): Promise<void> {
  const tenants = createTestTenants(cluster);
  try {
    const tenant = await tenants.createTestTenant('quartz');
    const databases = tenants.createDatabases();
    const identity = createIdentity({
      databases,
      cookieKeyOf: () => tenant.access.cookieKey,
      factorsKeyOf: () => tenant.access.factorsKey,
      log: silentLog,
    });
    await probeIdentityDoor(report, identity, tenant);
    await probeUseCases(report, identity, databases, tenant);
    await probeAppDoor(report, databases, tenant);
  } finally {
    await tenants.stop();
  }
}

function routeOf({ tenantId, name }: TestTenant): TenantRoute {
  return { tenantId, name, title: name, state: 'active', app: 'probe', host: `${name}.localhost` };
}

function sessionOf(role: Session['user']['role'], userId = newId('usr')): Session {
  const user = { userId, email: 'x@example.com', name: 'X', role };
  return { sessionId: newId('ses'), user, createdAt: new Date(0), expiresAt: new Date(8e15) };
}

type Asking = InjectOptions & { readonly session?: Session | undefined; readonly isOutside?: boolean };

/** Fastify with what the gateway would have put on the request. */
async function ask(app: FastifyInstance, { session, isOutside = false, ...options }: Asking): Promise<number> {
  const headers = { ...options.headers, 'x-probe': JSON.stringify({ session, isOutside }) };
  return (await app.inject({ ...options, headers })).statusCode;
}

interface ProbedRequest {
  tenant?: TenantRoute;
  session?: Session | undefined;
}

function probedApp(tenant: TestTenant): FastifyInstance {
  const app = createHttpApp({ name: 'probe', log: silentLog, clock: systemClock, hsts: false });
  app.decorateRequest('tenant');
  app.decorateRequest('session');
  app.addHook('onRequest', async (request) => {
    const { session, isOutside } = JSON.parse(String(request.headers['x-probe'])) as Asking;
    const probed = request as unknown as ProbedRequest;
    probed.session = session;
    if (!isOutside) probed.tenant = routeOf(tenant);
  });
  return app;
}

async function probeIdentityDoor(report: Report, identity: Identity, tenant: TestTenant): Promise<void> {
  const app = probedApp(tenant);
  await app.register(identityRoutes(identity, { originOf: () => 'https://quartz.localhost' }), { prefix: '/-/api' });
  for (const url of [
    '/-/api/session',
    '/-/api/sessions',
    '/-/api/users',
    '/-/api/profile',
    '/-/api/invitations',
    '/-/api/security-log',
  ]) {
    const status = await ask(app, { url });
    report.check(`${url} without a session`, status === 401, String(status));
    const outside = await ask(app, { url, session: sessionOf('owner'), isOutside: true });
    report.check(`${url} without a tenant`, outside >= 400, String(outside));
  }
  for (const [method, url, payload] of [
    ['GET', '/-/api/invitations', undefined],
    ['GET', '/-/api/security-log', undefined],
    ['POST', '/-/api/invitations', { email: 'y@example.com', role: 'member' }],
    ['PATCH', `/-/api/users/${newId('usr')}`, { role: 'owner' }],
    ['DELETE', `/-/api/invitations/${newId('inv')}`, undefined],
  ] as const) {
    const status = await ask(app, { method, url, session: sessionOf('member'), ...(payload ? { payload } : {}) });
    report.check(`${method} ${url.replace(/_.*/, '_…')} as a member`, status === 403, String(status));
  }
  await app.close();
}

/** The acting user is read again: a session that says more than the database gets nothing. */
async function probeUseCases(
  report: Report,
  identity: Identity,
  databases: TenantDatabases,
  tenant: TestTenant,
): Promise<void> {
  const { tenantId } = tenant;
  const make = (email: string, role: 'owner' | 'admin' | 'member') =>
    databases.platform.transact(tenantId, (db) =>
      createDemoUser(db, { email, name: role, role, password: 'purple lantern drift 4711' }),
    );
  const [owner, admin, member] = [
    await make('o@example.com', 'owner'),
    await make('a@example.com', 'admin'),
    await make('m@example.com', 'member'),
  ];
  const refusals: Record<string, () => Promise<unknown>> = {
    'a member with a session of an admin invites': () =>
      identity.createInvitation(
        tenantId,
        { session: sessionOf('admin', member) },
        { email: 'n@example.com', role: 'member' },
      ),
    'a member with a session of an owner changes a role': () =>
      identity.setRole(tenantId, { session: sessionOf('owner', member) }, admin, 'member'),
    'an admin makes an owner': () =>
      identity.setRole(tenantId, { session: sessionOf('admin', admin) }, member, 'owner'),
    'an admin with a session of an owner disables the owner': () =>
      identity.setUserState(tenantId, { session: sessionOf('owner', admin) }, owner, 'disabled'),
    'somebody who is nobody invites': () =>
      identity.createInvitation(tenantId, { session: sessionOf('owner') }, { email: 'n@example.com', role: 'member' }),
  };
  for (const [what, act] of Object.entries(refusals)) {
    const code = await act().then(
      () => 'allowed',
      (error: { code?: string }) => error.code,
    );
    report.check(what, code === 'FH_ROLE_REQUIRED' || code === 'FH_SESSION_REQUIRED', code);
  }
  const foreign = await identity
    .revokeSession(tenantId, { session: sessionOf('member', member) }, newId('ses'))
    .catch((error: { code?: string }) => error.code);
  report.check("a session that is not one's own", foreign === 'FH_SESSION_NOT_FOUND', String(foreign));
}

async function probeAppDoor(report: Report, databases: TenantDatabases, tenant: TestTenant): Promise<void> {
  const handler = async () => ({ body: { reached: true } });
  const app: App = {
    manifest: {
      name: 'probe',
      title: 'Probe',
      version: '1.0.0',
      description: 'Routes to be asked without the gateway',
    },
    migrations: new URL('../../support/no-migrations/', import.meta.url),
    web: new URL('../../../dist/desk/', import.meta.url),
    routes: [
      { method: 'GET', path: '/api/open', operation: 'probe.open.get', summary: 'For every user', handler },
      {
        method: 'GET',
        path: '/api/closed',
        operation: 'probe.closed.get',
        summary: 'For admins',
        roles: ['owner', 'admin'],
        handler,
      },
    ],
  };
  const hosting = createHosting({
    apps: [app],
    databases,
    files: {} as never,
    users: { listUsers: async () => [] },
    identify: (request) => ({
      tenant: (request as unknown as { tenant: TenantRoute }).tenant,
      session: (request as unknown as ProbedRequest).session,
      requestId: request.id,
      signal: new AbortController().signal,
      isStillSignedIn: async () => true,
    }),
    publishEvent: () => {},
    urlOf: () => 'https://quartz.localhost',
    clock: systemClock,
    log: silentLog,
  });
  const server = probedApp(tenant);
  await server.register(hosting.plugin('probe'));
  for (const [what, url, session, expected] of [
    ['an app route without a session', '/api/open', undefined, 401],
    ['an app route of admins without a session', '/api/closed', undefined, 401],
    ['events without a session', '/api/events', undefined, 401],
    ['an app route of admins as a member', '/api/closed', sessionOf('member'), 403],
    ['an app route of admins as an admin', '/api/closed', sessionOf('admin'), 200],
    ['an app route as a member', '/api/open', sessionOf('member'), 200],
  ] as const) {
    const status = await ask(server, { url, session });
    report.check(what, status === expected, String(status));
  }
  await server.close();
  await hosting.stop(100);
}
