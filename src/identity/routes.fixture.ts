/** For tests: the routes of identity as the gateway serves them, for two tenants. */
import assert from 'node:assert/strict';
import type { InjectOptions } from 'fastify';
import { createHttpApp } from '#src/http/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { identityRoutes } from './routes.ts';
import { cookieHeaderOf, startTwoTenants, type TestTenant, type TwoTenants } from './two-tenants.fixture.ts';
import { createFirstInvitation } from './users/lifecycle.ts';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into, field by field.
  readonly body: any;
  readonly cookies: string[];
}

export interface SendOptions {
  readonly host?: string;
  readonly cookie?: string;
  readonly body?: unknown;
  readonly type?: string;
  readonly raw?: string;
}

export interface Routes {
  readonly two: TwoTenants;
  /** What each route says about who may call it, by method and path. */
  readonly declared: ReadonlyMap<string, { open: boolean; roles: unknown }>;
  send(method: InjectOptions['method'], path: string, options?: SendOptions): Promise<Answer>;
  /** Somebody who accepts an invitation; @returns what their browser sends */
  join(email: string, role?: 'owner' | 'member', tenant?: TestTenant): Promise<string>;
  stop(): Promise<void>;
}

export const password = 'seven purple lanterns drift';

export async function startRoutes(): Promise<Routes> {
  const two = await startTwoTenants();
  const declared = new Map<string, { open: boolean; roles: unknown }>();
  const app = createHttpApp({ name: 'test', log: silentLog, clock: systemClock });
  // What the gateway does: host → tenant, then the session unless the route does not want one.
  app.decorateRequest('tenant', null as never);
  app.decorateRequest('session', undefined);
  app.addHook('onRequest', async (request) => {
    const tenant = [two.a, two.b].find(({ route }) => route.host === request.headers.host)!;
    request.tenant = tenant.route;
    if (request.routeOptions.config.withoutSession !== 'allow')
      request.session = await two.identity.authenticate(tenant.tenantId, request.headers.cookie);
  });
  app.addHook('onRoute', ({ method, url, config }) => {
    if (method !== 'HEAD')
      declared.set(`${method} ${url}`, { open: config?.withoutSession === 'allow', roles: config?.roles });
  });
  await app.register(identityRoutes(two.identity, { originOf: ({ host }) => `https://${host}:8443` }), {
    prefix: '/-/api',
  });
  await app.ready();

  const send: Routes['send'] = async (method, path, options = {}) => {
    const { host = 'acme.localhost', cookie, body, type = 'application/json', raw } = options;
    const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await app.inject({
      method,
      url: `/-/api${path}`,
      headers: { host, ...(cookie ? { cookie } : {}), ...(payload === undefined ? {} : { 'content-type': type }) },
      payload,
      remoteAddress: '192.0.2.1',
    });
    const cookies = [response.headers['set-cookie'] ?? []].flat();
    return { status: response.statusCode, body: response.body === '' ? undefined : JSON.parse(response.body), cookies };
  };

  return {
    two,
    declared,
    send,
    async join(email, role = 'owner', tenant = two.a) {
      const { token } = await two.databases.platform.transact(tenant.tenantId, (db) =>
        createFirstInvitation(db, { email, role }),
      );
      const { status, cookies } = await send('POST', `/invitations/${token}`, {
        host: tenant.route.host,
        body: { name: 'Olga Ford', password },
      });
      assert.equal(status, 201);
      return cookieHeaderOf(cookies);
    },
    async stop() {
      await app.close();
      await two.stop();
    },
  };
}
