/** For tests: SCIM of two tenants over real HTTP, with the check of tokens that the gateway makes. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHttpApp } from '#src/http/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import type { Actor } from '../sessions/access.ts';
import {
  createTwins,
  goodPassword,
  started,
  startTwoTenants,
  type TestTenant,
  type TwoTenants,
} from '../two-tenants.fixture.ts';
import { hashScimToken, scimPath, scimRoutes } from './index.ts';

export interface ScimAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into, field by field.
  readonly body: any;
}

export interface ScimSendOptions {
  readonly tenant?: TestTenant;
  /** Default: the owner's token of that tenant; empty: none. */
  readonly token?: string;
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ScimWorld {
  readonly two: TwoTenants;
  /** Made by the owner of each tenant, by tenant id. */
  readonly tokens: ReadonlyMap<string, string>;
  readonly ownerId: string;
  readonly ownerEmail: string;
  /** A session of that user. */
  actor(tenant: TestTenant, email?: string): Promise<Actor>;
  makeToken(tenant: TestTenant, email?: string): Promise<{ token: string; tokenId: string }>;
  send(method: string, path: string, options?: ScimSendOptions): Promise<ScimAnswer>;
  query(tenant: TestTenant, text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
}

export const userUrn = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const groupUrn = 'urn:ietf:params:scim:schemas:core:2.0:Group';
export const patchUrn = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';
export const newUser = (userName: string, more: object = {}) => ({ schemas: [userUrn], userName, ...more });
export const patch = (...operations: object[]) => ({ schemas: [patchUrn], Operations: operations });

export async function startScim(): Promise<ScimWorld> {
  const two = await startTwoTenants();
  const app = createHttpApp({ name: 'test', log: silentLog, clock: systemClock });
  app.decorateRequest('tenant', null as never);
  app.decorateRequest('scimToken', undefined as never);
  app.addHook('onRequest', async (request) => {
    const tenant = [two.a, two.b].find(({ route }) => route.host === request.headers.host)!;
    request.tenant = tenant.route;
    const [, bearer = ''] = /^Bearer (.*)$/.exec(request.headers.authorization ?? '') ?? [];
    const hash = hashScimToken(bearer);
    const caller = { address: request.ip, userAgent: request.headers['user-agent'] };
    if (hash) request.scimToken = await two.identity.checkScimToken(tenant.tenantId, hash, caller);
  });
  const originOf = ({ host }: { host: string }) => `https://${host}:8443`;
  await app.register(scimRoutes(two.identity, { originOf, log: silentLog }), { prefix: scimPath });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;

  const ownerEmail = 'olga@example.com';
  const ownerId = await createTwins(two, ownerEmail, { role: 'owner' });
  const actor: ScimWorld['actor'] = async ({ tenantId }, email = ownerEmail) => {
    const { session } = await started(
      two.identity.signIn(tenantId, { email, password: goodPassword }, { address: '192.0.2.1' }),
    );
    return { session, address: '192.0.2.1' };
  };
  const makeToken: ScimWorld['makeToken'] = async (tenant, email) =>
    two.identity.createScimToken(tenant.tenantId, await actor(tenant, email), {
      name: 'Directory',
      password: goodPassword,
    });
  const tokens = new Map<string, string>();
  for (const tenant of [two.a, two.b]) tokens.set(tenant.tenantId, (await makeToken(tenant)).token);

  const send: ScimWorld['send'] = (method, path, options = {}) => {
    const { tenant = two.a, token = tokens.get(tenant.tenantId)!, body, headers } = options;
    const payload = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(
        {
          host: '127.0.0.1',
          port,
          method,
          path: scimPath + path,
          agent: false,
          headers: {
            host: tenant.route.host,
            ...(token && { authorization: `Bearer ${token}` }),
            ...(payload !== undefined && { 'content-type': 'application/scim+json' }),
            ...headers,
          },
        },
        async (incoming) => {
          let text = '';
          for await (const chunk of incoming.setEncoding('utf8')) text += chunk;
          const { statusCode = 0, headers: got } = incoming;
          resolve({ status: statusCode, headers: got, text, body: text === '' ? undefined : JSON.parse(text) });
        },
      );
      outgoing.on('error', reject).end(payload);
    });
  };

  return {
    two,
    tokens,
    ownerId,
    ownerEmail,
    actor,
    makeToken,
    send,
    query: (tenant, text, values) => two.databases.platform.transact(tenant.tenantId, (db) => db.query(text, values)),
    async stop() {
      await app.close();
      await two.stop();
    },
  };
}

/** Sends and insists on this status. */
export async function must(
  world: ScimWorld,
  status: number,
  ...request: Parameters<ScimWorld['send']>
): Promise<ScimAnswer> {
  const answer = await world.send(...request);
  assert.equal(answer.status, status, `${request[0]} ${request[1]}: ${answer.text}`);
  return answer;
}
