import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createRawServer, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type AppProcesses, createProxied } from '#src/hosting/index.ts';
import { type Log, silentLog, systemClock, type TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { GatewayOptions } from './gateway.ts';
import { startWorld, type World } from './test-world.ts';

export type Process = NonNullable<TenantRoute['process']>;

/** A gateway whose tenants' apps are processes: real HTTP servers on unix sockets, one per tenant. */
export interface ProxiedWorld extends World {
  readonly folder: string;
  /** What the app of a tenant is, from now on. */
  serve(name: string, app: RequestListener): Promise<Server>;
  /** What answers in place of an app: bytes. */
  serveRaw(name: string, app: (socket: Socket) => void): Promise<NetServer>;
  /** How often each tenant was asked to wake. */
  readonly wakes: Map<string, number>;
  readonly visits: { count: number };
  readonly forgotten: string[];
  /** Names of tenants whose users are not signed in any more, if a stream asks. */
  readonly signedOut: Set<string>;
  readonly identityKey: Uint8Array;
  recheck(name: string): Promise<void>;
  /** No app can be entered from now on. */
  failVisits(error: Error): void;
  /** Runs before the first, second, … visit from now on is answered. */
  beforeVisit(act: (count: number) => Promise<void>): void;
}

export async function startProxiedWorld(
  t: TestContext,
  {
    process: process_ = {},
    log = silentLog,
    ...options
  }: Partial<GatewayOptions> & { readonly process?: Partial<Process>; readonly log?: Log } = {},
): Promise<ProxiedWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'fh-prx-'));
  const wakes = new Map<string, number>();
  const visits = { count: 0 };
  const forgotten: string[] = [];
  const signedOut = new Set<string>();
  const awake = new Set<TenantId>();
  let failure: Error | undefined;
  let before = async (_count: number) => {};
  let asked = 0;
  const sockets = new Set<Socket>();
  const servers = new Map<string, NetServer>();
  let world: World | undefined;
  const nameOf = (tenantId: TenantId) => [...world!.tenants.values()].find((each) => each.tenantId === tenantId)!.name;
  const processes: AppProcesses = {
    isAwake: (tenantId) => awake.has(tenantId),
    visit: async (tenantId) => {
      if (failure) throw failure;
      await before(++asked);
      const name = nameOf(tenantId);
      if (!awake.has(tenantId)) {
        wakes.set(name, (wakes.get(name) ?? 0) + 1);
        awake.add(tenantId);
      }
      visits.count++;
      let isHere = true;
      return {
        instanceId: `${name}-${wakes.get(name)}`,
        socketPath: join(folder, name),
        becomeStream: () => {},
        leave: () => {
          if (isHere) visits.count--;
          isHere = false;
        },
      };
    },
    forget: (tenantId, instanceId) => {
      forgotten.push(instanceId);
      awake.delete(tenantId);
    },
  };
  const identityKey = Buffer.alloc(32, 7);
  const proxied = createProxied({
    processes,
    identify: (request) => ({
      tenant: request.tenant,
      session: request.session ?? request.apiToken,
      requestId: request.id,
      signal: request.signalAbort,
      isStillSignedIn: async () => !signedOut.has(request.tenant.name),
    }),
    identityKeyOf: async () => identityKey,
    urlOf: ({ host }) => world!.gateway.urlOf(host),
    findRoute: async (host) => world!.tenants.get(host),
    recheckMs: 50,
    clock: systemClock,
    log,
  });
  world = await startWorld(t, {
    hosting: {
      plugin: () => {
        throw new Error('no app runs inside the gateway');
      },
      proxied: proxied.plugin,
      stop: async () => proxied.stop(),
    },
    ...options,
    log,
  });
  for (const [host, tenant] of world.tenants)
    world.tenants.set(host, {
      ...tenant,
      process: {
        version: '1',
        identity: { kind: 'none', publicPaths: [] },
        healthPath: '/health',
        bodyBytes: 10_000_000,
        ...process_,
      },
    });
  const listen = async <S extends NetServer>(name: string, server: S): Promise<S> => {
    const before = servers.get(name);
    if (before) {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => before.close(resolve));
    }
    servers.set(name, server);
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(join(folder, name), resolve));
    return server;
  };
  t.after(async () => {
    await world.gateway.stop({ deadlineMs: 200, lingerMs: 0 });
    for (const socket of sockets) socket.destroy();
    await Promise.all([...servers.values()].map((server) => new Promise((resolve) => server.close(resolve))));
    await rm(folder, { recursive: true });
  });
  return Object.assign(world, {
    folder,
    wakes,
    visits,
    forgotten,
    signedOut,
    identityKey,
    failVisits: (error: Error) => {
      failure = error;
    },
    beforeVisit: (act: (count: number) => Promise<void>) => {
      asked = 0;
      before = act;
    },
    recheck: (name: string) => proxied.recheck(world.tenants.get(`${name}.localhost`)!.tenantId),
    serve: (name: string, app: RequestListener) => listen(name, createServer(app)),
    serveRaw: (name: string, app: (socket: Socket) => void) => listen(name, createRawServer(app)),
  });
}

/** Waits for a condition, 5 s at most. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = systemClock.monotonicMs() + 5_000;
  while (!condition()) {
    if (systemClock.monotonicMs() > end) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
