/** An SDK app behind plain HTTP on a free port, for two tenants; who asks is said by headers instead of a cookie. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { App, AppEvent, Role } from '#sdk';
import { createTenantFiles } from '#src/files/index.ts';
import { createHosting, type Hosting, type HostingDeps } from '#src/hosting/index.ts';
import { createHttpApp } from '#src/http/index.ts';
import type { TokenScope } from '#src/identity/types.ts';
import { newId, silentLog, systemClock, type TenantId, type UserId } from '#src/kernel/index.ts';
import { startTwoTenants, type TwoTenants } from './two-tenants.ts';

/** The same user id and e-mail address in both tenants. */
export const userId: UserId = newId('usr');
export const email = 'ada@example.com';

export interface HostedApp {
  readonly tenants: TwoTenants;
  readonly hosting: Hosting;
  /** Events that were handed to the other workers. */
  readonly published: (readonly [TenantId, AppEvent])[];
  /** Sessions end here for whoever is in the set. */
  readonly signedOut: Set<TenantId>;
  readonly url: string;
  /** As a member of acme in a session unless told; `role: null` is nobody, `token` an API token of that scope. */
  fetch(
    path: string,
    init?: RequestInit & { as?: 'acme' | 'globex'; role?: Role | null; token?: TokenScope },
  ): Promise<Response>;
  stop(): Promise<void>;
}

export async function startHostedApp(app: App, overrides: Partial<HostingDeps> = {}): Promise<HostedApp> {
  const started = new AsyncDisposableStack();
  try {
    return await start(app, overrides, started);
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

async function start(app: App, overrides: Partial<HostingDeps>, started: AsyncDisposableStack): Promise<HostedApp> {
  const tenants = await startTwoTenants({ app: app.manifest.name, appMigrations: fileURLToPath(app.migrations) });
  started.defer(tenants.stop);
  const root = await mkdtemp(join(tmpdir(), 'freehold-hosted-'));
  started.defer(() => rm(root, { recursive: true }));
  const published: [TenantId, AppEvent][] = [];
  const signedOut = new Set<TenantId>();
  const files = await createTenantFiles({
    root,
    databases: tenants.databases,
    filesKeyOf: async (tenantId) => Buffer.alloc(32, tenantId),
    clock: systemClock,
  });
  const hosting = createHosting({
    apps: [app],
    databases: tenants.databases,
    files,
    users: {
      listUsers: async (tenantId) => [
        { userId, email, name: tenantId === tenants.acme.tenantId ? 'Ada of Acme' : 'Ada of Globex', role: 'owner' },
      ],
    },
    identify(request) {
      const role = request.headers['x-role'] as Role | undefined;
      const scope = request.headers['x-token'] as TokenScope | undefined;
      const tenant = request.headers['x-tenant'] === 'globex' ? tenants.globex : tenants.acme;
      return {
        tenant,
        session: role && {
          ...(scope ? { tokenId: newId('tok'), scope } : { sessionId: newId('ses'), createdAt: new Date(0) }),
          user: { userId, email, name: 'Ada', role },
          expiresAt: new Date(8.64e15),
        },
        requestId: request.id,
        signal: signalOf(request.raw.socket),
        isStillSignedIn: async () => !signedOut.has(tenant.tenantId),
      };
    },
    publishEvent: (tenantId, event) => void published.push([tenantId, event]),
    urlOf: (route) => `https://${route.host}`,
    clock: systemClock,
    log: silentLog,
    ...overrides,
  });
  const server = createHttpApp({ name: 'test', log: silentLog, clock: systemClock, hsts: false });
  started.defer(() => server.close());
  started.defer(() => hosting.stop(1_000));
  await server.register(hosting.plugin(app.manifest.name));
  await server.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  return {
    tenants,
    hosting,
    published,
    signedOut,
    url,
    fetch(path, { as = 'acme', role = 'member', token, headers, ...init } = {}) {
      const who = { 'x-tenant': as, ...(role && { 'x-role': role }), ...(token && { 'x-token': token }) };
      return fetch(url + path, { ...init, headers: { ...(headers as Record<string, string>), ...who } });
    },
    stop: () => started.disposeAsync(),
  };
}

const signals = new WeakMap<Socket, AbortSignal>();

/** Aborts when the connection is closed. */
function signalOf(socket: Socket): AbortSignal {
  let signal = signals.get(socket);
  if (!signal) {
    const gone = new AbortController();
    signal = gone.signal;
    signals.set(socket, signal);
    socket.once('close', () => gone.abort(new Error('client gone')));
  }
  return signal;
}
