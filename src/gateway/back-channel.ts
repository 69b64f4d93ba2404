import { once } from 'node:events';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { createHttpApp, type HttpMetrics, tenantHsts } from '#src/http/index.ts';
import { issuerPath } from '#src/identity/index.ts';
import { type Clock, isId, type Log, type TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import { gatewayErrors } from './errors.ts';
import { type HostRules, parseAuthority, readAuthority } from './host.ts';
import type { LimitGuard } from './limits.ts';
import { refuseClosedTenant } from './tenant-states.ts';
import type { GatewayDirectory, GatewayLimits } from './types.ts';

export interface BackChannelOptions {
  /** Of sockets, one per worker: the keeper of apps finds them there, and nobody else may enter. */
  readonly folder: string;
  /** Below `/-/oidc`. */
  readonly routes: FastifyPluginAsync;
  readonly directory: Pick<GatewayDirectory, 'findRoute'>;
  readonly findContext: (host: string) => Promise<SecureContext | undefined>;
  readonly rules: () => HostRules;
  readonly limits: GatewayLimits;
  readonly guard: LimitGuard;
  readonly metrics: HttpMetrics;
  readonly log: Log;
  readonly clock: Clock;
}

export interface BackChannel {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Whose app it is that asks, as the keeper says before the first byte of it. */
interface Caller {
  readonly tenantId: TenantId;
  readonly host: string;
}

const discoveryPath = `${issuerPath}/.well-known/openid-configuration`;
const longestPreamble = 400;
const lingerMs = 2_000;

/**
 * Where apps that are processes ask their provider (decision 0041). A connection comes from the keeper's door of one sandbox and belongs to that tenant, whatever is
 * asked on it: TLS ends here with the certificate of the tenant's host, requests for another host are refused, and there is nothing but the provider's routes.
 */
export function createBackChannel(options: BackChannelOptions): BackChannel {
  const { folder, directory, limits, guard, log } = options;
  const path = join(folder, `${process.pid}.sock`);
  const callers = new WeakMap<object, Caller>();
  const sockets = new Set<Socket>();
  let app: FastifyInstance | undefined;

  const http = createHttpServer({
    maxHeaderSize: limits.headerBytes,
    keepAliveTimeout: limits.keepAliveMs,
    requireHostHeader: false,
  });
  // Without a byte. Node's other limits are for servers that listen themselves; how many connections an app has, its door says.
  http.timeout = limits.bodyMs;
  const answering = new Set<ServerResponse>();
  http.on('request', (request, response) => {
    answering.add(response);
    response.once('close', () => answering.delete(response));
    app!.routing(request, response);
  });
  http.on('clientError', (_error, socket) => socket.destroy());

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    const timer = setTimeout(() => socket.destroy(), limits.handshakeMs);
    socket.once('close', () => clearTimeout(timer));
    readPreamble(socket, (caller) => {
      const secure = async () => {
        const secureContext = await options.findContext(caller.host);
        if (!secureContext || socket.destroyed) return socket.destroy();
        const tls = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
        tls.on('error', () => socket.destroy());
        tls.once('secure', () => {
          clearTimeout(timer);
          callers.set(tls, caller);
          http.emit('connection', tls);
        });
      };
      secure().catch((error) => {
        log.warn('an app cannot reach its provider', { tenantId: caller.tenantId, error });
        socket.destroy();
      });
    });
  });

  async function enter(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const caller = callers.get(request.raw.socket);
    if (!caller) throw gatewayErrors.FH_HOST_UNKNOWN();
    // An app counts as an address of its own.
    guard.countRequest(caller.tenantId, caller.tenantId);
    if (hostOf(request.raw) !== caller.host) throw gatewayErrors.FH_HOST_MISDIRECTED();
    // Asked while apps start, which is before their tenant is open. It says nothing that the request does not.
    if (request.url === discoveryPath) {
      request.tenant = caller as TenantRoute;
      return;
    }
    const tenant = await directory.findRoute(caller.host);
    if (tenant?.host !== caller.host || tenant.tenantId !== caller.tenantId) throw gatewayErrors.FH_HOST_UNKNOWN();
    refuseClosedTenant(tenant.state);
    request.tenant = tenant;
    const place = guard.takePlace(caller.tenantId, { address: caller.tenantId });
    reply.raw.once('close', place.leave);
  }

  function hostOf(raw: IncomingMessage): string | undefined {
    const { kind, host } = parseAuthority(readAuthority(raw), options.rules());
    return kind === 'tenant' ? host : undefined;
  }

  return {
    async start() {
      app = createHttpApp({
        name: 'back-channel',
        log,
        clock: options.clock,
        metrics: options.metrics,
        hsts: tenantHsts,
        describe: (request) => ({ tenantId: callers.get(request.raw.socket)?.tenantId }),
      });
      app.decorateRequest('tenant');
      app.addHook('onRequest', enter);
      await app.register(options.routes, { prefix: issuerPath });
      await app.ready();
      await removeLeft(folder);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // The folder says who may enter.
        server.listen({ path, readableAll: true, writableAll: true }, resolve);
      });
    },
    async stop() {
      // Others are asked from now on; who is being answered has a moment.
      server.close();
      await rm(path, { force: true });
      const over = new AbortController();
      const { signal } = over;
      const answered = Promise.all([...answering].map((response) => once(response, 'close', { signal })));
      await Promise.race([answered, delay(lingerMs, undefined, { signal })].map((one) => one.catch(() => undefined)));
      over.abort();
      for (const socket of sockets) socket.destroy();
      await app?.close();
    },
  };
}

/** One line of JSON, before anything of the app: byte by byte, because what follows is TLS. */
function readPreamble(socket: Socket, heard: (caller: Caller) => void): void {
  const bytes: number[] = [];
  const read = () => {
    for (let byte: Buffer | null = socket.read(1); byte !== null; byte = socket.read(1)) {
      if (byte[0] !== 0x0a) {
        bytes.push(byte[0]!);
        if (bytes.length > longestPreamble) return void socket.destroy();
        continue;
      }
      socket.off('readable', read);
      const caller = parseCaller(Buffer.from(bytes).toString('utf8'));
      return caller ? heard(caller) : void socket.destroy();
    }
  };
  socket.on('readable', read);
}

function parseCaller(line: string): Caller | undefined {
  try {
    const { tenantId, host } = JSON.parse(line) as Partial<Record<keyof Caller, unknown>>;
    return isId('ten', tenantId) && typeof host === 'string' ? { tenantId, host } : undefined;
  } catch {
    return undefined;
  }
}

/** Of workers that were killed. */
async function removeLeft(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder)) {
    const pid = Number(/^(\d+)\.sock$/.exec(name)?.[1]);
    if (!Number.isNaN(pid) && !isAlive(pid)) await rm(join(folder, name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
