import { type IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { isUpgrade, setUpgrade } from '#src/hosting/index.ts';
import { createHttpApp, createHttpMetrics, type HttpMetrics, hstsOf, type Page } from '#src/http/index.ts';
import { type Clock, type FreeholdError, type Log, type TenantId, toFreeholdError } from '#src/kernel/index.ts';
import { createAdmitted } from './admitted.ts';
import { createBackChannel } from './back-channel.ts';
import { createCertificates } from './certificates.ts';
import { createDoor, hasOddCoding, healthPath, originOf, type Passage, passageOf, setPassage } from './door.ts';
import { closeDoor, drain } from './drain.ts';
import { gatewayErrors } from './errors.ts';
import { createLifetimes } from './lifetimes.ts';
import { createLimitGuard } from './limits.ts';
import { createListener } from './listener.ts';
import { createTenantApp, type TenantAppOptions } from './tenant-app.ts';
import {
  defaultLimits,
  type GatewayDirectory,
  type GatewayLimits,
  type GatewayTls,
  type HostingPort,
  type IdentityPort,
} from './types.ts';

export interface GatewayOptions {
  readonly directory: GatewayDirectory;
  readonly identity: IdentityPort;
  readonly hosting: HostingPort;
  /** Routes about a tenant's backups, below `/-/api`; undefined: none are made. */
  readonly backups?: FastifyPluginAsync;
  /** Of sockets where apps that are processes ask their provider; undefined: they cannot. */
  readonly backChannelFolder?: string;
  /** The built account page: sign-in, invitation, account. */
  readonly accountPage: Page;
  /** Base domain in lower case; tenants live one label below it. */
  readonly domain: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Port that users type. Default: the one that is bound. */
  readonly publicPort?: number;
  /** One more port that only redirects plain HTTP. */
  readonly httpPort?: number;
  /** Default true: several workers share the port. */
  readonly reusePort?: boolean;
  /** Read after privileges were dropped. */
  readonly tls: () => Promise<GatewayTls> | GatewayTls;
  readonly limits?: Partial<GatewayLimits>;
  readonly noteUse?: (tenantId: TenantId) => void;
  readonly metrics?: HttpMetrics;
  readonly log: Log;
  readonly clock: Clock;
}

export interface StopOptions {
  /** How long running requests may take. Default 20,000. */
  readonly deadlineMs?: number;
  /** How long idle connections are kept for requests that are on their way. Default 2,000. */
  readonly lingerMs?: number;
  /** How long after the door was closed nobody is told to leave: until the other workers have closed theirs. Default 300. */
  readonly settleMs?: number;
}

export interface Gateway {
  /** Binds; needs the right to, and reads nothing yet. */
  listen(): Promise<AddressInfo>;
  /** Reads keys and certificates, opens the door. Everything that came meanwhile has waited. */
  ready(): Promise<void>;
  /** Drains. A second call, with no patience, ends everything at once: `stop({ deadlineMs: 0 })`. */
  stop(options?: StopOptions): Promise<void>;
  /** Resolves when requests of a tenant that is about to change are over, or have had their time. */
  settle(tenantId: TenantId): Promise<void>;
  readonly publicPort: number;
  /** `https://HOST[:PORT]`. */
  urlOf(host: string): string;
  readonly metrics: HttpMetrics;
  readonly stats: { readonly connections: number; readonly requests: number };
}

/** All apps that run as processes have one instance, under a name that no app can have. */
const proxiedApps = '(processes)';

export function createGateway(options: GatewayOptions): Gateway {
  const { directory, domain, log, clock, metrics = createHttpMetrics() } = options;
  const limits: GatewayLimits = { ...defaultLimits, ...options.limits };
  const lifetimes = createLifetimes();
  const guard = createLimitGuard(limits, clock);
  let boundPort = 0;
  let isDraining = false;
  let tls: GatewayTls | undefined;
  const publicPort = () => options.publicPort ?? boundPort;

  const certificates = () => {
    if (!tls) throw gatewayErrors.FH_TLS_UNREADY();
    return createCertificates({ domain, tls, directory, clock, log });
  };
  let opened: ReturnType<typeof certificates> | undefined;

  const platform = createPlatformApp({ ...options, metrics }, guard.countAddress, () => isDraining);
  const admitted = createAdmitted({ findRoute: (host) => directory.findRoute(host) });
  const door = createDoor({ domain, publicPort, directory, limits, clock });

  const tenantAppOptions: TenantAppOptions = {
    ...options,
    limits,
    guard,
    admitted,
    metrics,
    noteUse: options.noteUse ?? (() => {}),
    signalOf: lifetimes.signalOf,
    isOver: lifetimes.isOver,
    atEnd: lifetimes.atEnd,
  };
  const apps = new Map<string, FastifyInstance>();
  const appsBeingMade = new Map<string, Promise<FastifyInstance>>();
  const makeApp = (name: string): Promise<FastifyInstance> => {
    let making = appsBeingMade.get(name);
    if (!making) {
      making = createTenantApp(name, tenantAppOptions, name === proxiedApps ? 'proxied' : 'in-process')
        .then((app) => {
          apps.set(name, app);
          return app;
        })
        // An app that could not be made is tried again by the next request.
        .finally(() => appsBeingMade.delete(name));
      appsBeingMade.set(name, making);
    }
    return making;
  };

  const refuse = (request: IncomingMessage, response: ServerResponse, refusal: FreeholdError) => {
    setPassage(request, { to: 'nowhere', refusal });
    // The router must be able to read them; they are of no use any more.
    if (!request.url?.startsWith('/')) request.url = '/';
    if (refusal.status === 405) request.method = 'GET';
    platform.routing(request, response);
  };

  /** Connections of which nothing more is read as a request; they end with the answer that is under way. */
  const broken = new WeakSet<object>();

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (broken.has(request.socket)) return;
    lifetimes.begin(request, response);
    // Node reads nothing behind a request that asked for another protocol in vain (seen with 26.10).
    const isBroken = hasOddCoding(request);
    const isLast = isDraining || isBroken || (request.headers.upgrade !== undefined && !isUpgrade(request));
    if (isLast && request.httpVersionMajor === 1) response.setHeader('connection', 'close');
    if (isBroken) broken.add(request.socket);
    const passage = door(request);
    const fail = (error: unknown) => {
      log.error('a request could not be passed on', { error });
      response.destroy();
    };
    // In one go where nothing is to be waited for.
    if (passage instanceof Promise) passage.then((found) => passOn(request, response, found)).catch(fail);
    else passOn(request, response, passage)?.catch(fail);
  };

  /** Every door is the same for them. What answers otherwise than with 101 ends the connection, which no parser reads any more. */
  const handleUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => {
      if (response.statusCode !== 101) socket.end();
    });
    setUpgrade(request, head);
    handle(request, response);
  };

  const passOn = (request: IncomingMessage, response: ServerResponse, passage: Passage): Promise<void> | undefined => {
    // What counts a request waits for its `close`; one that left while its tenant was looked up would be counted for ever.
    if (lifetimes.isOver(request)) return undefined;
    if (passage.to === 'nowhere') {
      refuse(request, response, passage.refusal);
      return undefined;
    }
    setPassage(request, passage);
    const isProxied = passage.to === 'tenant' && passage.tenant.process !== undefined;
    // A process says itself whether it wants what the client holds back (RFC 9110, 10.1.1).
    if (request.headers.expect !== undefined && !isProxied) response.writeContinue();
    const name = passage.to === 'tenant' ? (isProxied ? proxiedApps : passage.tenant.app) : undefined;
    const app = name === undefined ? platform : apps.get(name);
    if (app) {
      app.routing(request, response);
      return undefined;
    }
    return makeApp(name!).then(
      (made) => {
        if (!lifetimes.isOver(request)) made.routing(request, response);
      },
      (error) => refuse(request, response, toFreeholdError(error)),
    );
  };

  const listener = createListener({
    host: options.host,
    port: options.port,
    httpPort: options.httpPort,
    reusePort: options.reusePort ?? true,
    domain,
    publicPort,
    limits,
    handle,
    handleUpgrade,
    findContext: async (serverName) => opened?.findContext(serverName),
    log,
  });

  const { backChannelFolder } = options;
  const { provider } = options.identity;
  const backChannel =
    backChannelFolder !== undefined && provider
      ? createBackChannel({
          folder: backChannelFolder,
          routes: provider.backChannel,
          directory,
          findContext: async (host) => opened?.findContext(host),
          rules: () => ({ domain, publicPort: publicPort() }),
          limits,
          guard,
          metrics,
          log,
          clock,
        })
      : undefined;

  let stopping: Promise<void> | undefined;
  return {
    listen: async () => {
      const address = await listener.listen();
      boundPort = address.port;
      return address;
    },
    ready: async () => {
      tls = await options.tls();
      opened = certificates();
      await opened.start(listener.setBaseCertificate);
      await platform.ready();
      await backChannel?.start();
      listener.open(tls.ticketKeys);
      log.info('the gateway is open', { domain, port: boundPort, publicPort: publicPort() });
    },
    settle: admitted.settle,
    stop: async (stopOptions = {}) => {
      const { deadlineMs = 20_000, lingerMs = 2_000, settleMs = 300 } = stopOptions;
      if (stopping && deadlineMs === 0) {
        lifetimes.abortAll(new Error('the server stops at once'));
        listener.destroy();
      }
      stopping ??= (async () => {
        await closeDoor(listener, Math.min(settleMs, deadlineMs), clock);
        isDraining = true;
        opened?.stop();
        await drain({ listener, lifetimes, hosting: options.hosting, deadlineMs, lingerMs, clock, log });
        await backChannel?.stop();
        await Promise.all([...apps.values(), platform].map((app) => app.close()));
      })();
      await stopping;
    },
    get publicPort() {
      return publicPort();
    },
    urlOf: (host) => originOf(host, publicPort()),
    metrics,
    get stats() {
      return { connections: listener.connections, requests: lifetimes.count };
    },
  };
}

/** Answers what belongs to no tenant: refusals at the door, the base domain, and health. */
function createPlatformApp(
  { log, clock, metrics, domain }: Pick<GatewayOptions, 'log' | 'clock' | 'metrics' | 'domain'>,
  countAddress: (address: string | undefined) => void,
  isDraining: () => boolean,
): FastifyInstance {
  const app = createHttpApp({
    name: 'gateway',
    log,
    clock,
    metrics,
    hsts: hstsOf(domain),
    describe: ({ errorCode, ip }) => (errorCode === undefined ? {} : { address: ip }),
  });
  app.addHook('onRequest', async (request) => {
    const passage = passageOf(request.raw);
    // Health is asked by supervisors and load balancers, often, from one address.
    if (passage.to === 'platform' && request.url === healthPath) return;
    countAddress(request.ip);
    if (passage.to === 'nowhere') throw passage.refusal;
  });
  app.get(healthPath, { config: { operation: 'gateway.health', isQuiet: true } }, (_request, reply) =>
    reply.code(isDraining() ? 503 : 200).send({ status: isDraining() ? 'draining' : 'ok' }),
  );
  app.get('/', { config: { operation: 'gateway.base' } }, () => {
    throw gatewayErrors.FH_HOST_UNKNOWN({ hint: `Every account has an address of its own: https://NAME.${domain}` });
  });
  return app;
}
