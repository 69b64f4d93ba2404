import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type ServerHttp2Session } from 'node:http2';
import type { Server as HttpsServer } from 'node:https';
import { type AddressInfo, Server as NetServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext, SecureContextOptions, TlsOptions } from 'node:tls';
import { isWebSocketRequest } from '#src/hosting/index.ts';
import { answerBrokenRequest, hstsOf, tlsFloor } from '#src/http/index.ts';
import type { Log } from '#src/kernel/index.ts';
import { addressKey } from './limits.ts';
import { answerPlainRequest } from './plain-answers.ts';
import type { GatewayLimits } from './types.ts';

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** One more port, for plain HTTP only. */
  readonly httpPort: number | undefined;
  /** Several processes on one port, the kernel spreads connections. Falls back to one where the system cannot. */
  readonly reusePort: boolean;
  readonly domain: string;
  readonly publicPort: () => number;
  readonly limits: GatewayLimits;
  readonly handle: RequestHandler;
  /** A WebSocket is asked for: from here on the socket is of whoever answers. */
  readonly handleUpgrade: (request: IncomingMessage, socket: Socket, head: Buffer) => void;
  readonly findContext: (serverName: string) => Promise<SecureContext | undefined>;
  readonly log: Log;
}

export interface Listener {
  /** Binds. Connections that come before `open` wait; nothing of them is looked at. */
  listen(): Promise<AddressInfo>;
  /** Shown to who asks for no name, or for one that is not ours. May be called again. */
  setBaseCertificate(base: SecureContextOptions): void;
  open(ticketKeys: Buffer | undefined): void;
  /** No new connections; those that exist go on. */
  stopAccepting(): void;
  /** To HTTP/2 clients, without ending their streams. */
  sayGoodbye(): void;
  /** Ends what waits for a next request. */
  closeIdle(): void;
  /** Ends everything. */
  destroy(): void;
  readonly connections: number;
}

/** First byte of a TLS handshake record (RFC 8446, 5.1). No HTTP method begins with it. */
const tlsHandshake = 0x16;

/**
 * One port for TLS (HTTP/1.1 and HTTP/2 by ALPN) and for plain HTTP, which is only ever redirected: the first byte of a connection
 * tells them apart. Bound before privileges are dropped, opened afterwards.
 */
export function createListener(options: ListenerOptions): Listener {
  const { limits, log, domain, publicPort } = options;
  const hsts = hstsOf(domain);
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const connectionsByAddress = new Map<string, number>();
  const waiting = new Set<Socket>();
  const unlimited = new Set(limits.unlimitedAddresses.map(addressKey));
  let isOpen = false;

  const secure = createSecureServer(
    {
      ...tlsFloor,
      allowHTTP1: true,
      handshakeTimeout: limits.handshakeMs,
      SNICallback: (serverName: string, done: (error: Error | null, context?: SecureContext) => void) => {
        options.findContext(serverName).then(
          (context) => done(null, context),
          (error: Error) => done(error),
        );
      },
      maxHeaderListPairs: limits.headerCount + 4,
      settings: { maxConcurrentStreams: 128, maxHeaderListSize: limits.headerBytes, enablePush: false },
      http1Options: {
        maxHeaderSize: limits.headerBytes,
        headersTimeout: limits.headersMs,
        requestTimeout: limits.uploadMs,
        keepAliveTimeout: limits.keepAliveMs,
        connectionsCheckingInterval: Math.min(5_000, limits.headersMs),
        // Answered by us, with a problem document.
        requireHostHeader: false,
      },
      // No `pauseOnConnect`: with it Node reads on although nobody takes the body (seen with 26.10), and an upload fills the memory.
    } as Parameters<typeof createSecureServer>[0] & TlsOptions,
    options.handle as never,
  );
  // Node drops headers beyond the count in silence; we count them ourselves and refuse.
  Object.assign(secure, { maxHeadersCount: 0, maxRequestsPerSocket: limits.requestsPerConnection });
  secure.setTimeout(limits.idleMs);
  secure.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('error', (error) => log.debug('an HTTP/2 connection broke', { error }));
  });
  secure.on('sessionError', (error) => log.debug('an HTTP/2 connection broke', { error }));
  secure.on('tlsClientError', (error, socket) => {
    log.debug('a TLS handshake failed', { error });
    // Nothing can be said on a connection without keys.
    socket.destroy();
  });
  secure.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => answerBrokenRequest(error, socket, hsts));
  // Without this Node asks for the content before anybody knows whether it is wanted.
  secure.on('checkContinue', options.handle as never);
  // What else is asked to be spoken is not listened to (RFC 9110, 7.8): the request is answered as if nothing had been said.
  if (!('shouldUpgradeCallback' in secure))
    throw new Error('the TLS server takes upgrades in a way that we do not know');
  Object.assign(secure, { shouldUpgradeCallback: isWebSocketRequest });
  secure.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    options.handleUpgrade(request, socket, head);
  });
  // A tunnel is never made. Without this the connection would be closed without an answer.
  secure.on('connect', (request: IncomingMessage, socket: Duplex) => {
    if (request.httpVersionMajor === 1) answerBrokenRequest({ code: 'CONNECT' }, socket, hsts);
    else (socket as unknown as ServerResponse).writeHead(405).end();
  });

  const plain = createHttpServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.headersMs,
    connectionsCheckingInterval: Math.min(5_000, limits.headersMs),
    requireHostHeader: false,
  });
  plain.timeout = limits.headersMs;
  plain.on('request', (request, response) =>
    answerPlainRequest(request, response, { domain, publicPort: publicPort() }),
  );
  plain.on('clientError', (error: NodeJS.ErrnoException, socket) => answerBrokenRequest(error, socket, false));
  plain.on('connect', (_request, socket) => answerBrokenRequest({ code: 'CONNECT' }, socket, false));

  /** TLS's own way of taking a connection over, to be used after the first byte was seen. */
  const [startTls, ...others] = secure.listeners('connection');
  if (!startTls || others.length > 0) throw new Error('the TLS server takes connections in a way that we do not know');
  secure.removeAllListeners('connection');
  secure.on('connection', (socket: Socket) => {
    if (!admit(socket)) return;
    if (isOpen) sniff(socket);
    else waiting.add(socket);
  });
  // The extra port, if any, shares everything but the handshake.
  const plainFront = new NetServer((socket) => {
    if (!admit(socket)) return;
    if (isOpen) sniff(socket);
    else waiting.add(socket);
  });

  const admit = (socket: Socket): boolean => {
    const key = addressKey(socket.remoteAddress);
    const ofAddress = connectionsByAddress.get(key) ?? 0;
    const isTooMany = ofAddress >= limits.connectionsPerAddress && !unlimited.has(key);
    if (sockets.size >= limits.connections || isTooMany) {
      socket.destroy();
      return false;
    }
    connectionsByAddress.set(key, ofAddress + 1);
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      waiting.delete(socket);
      const left = connectionsByAddress.get(key)! - 1;
      if (left === 0) connectionsByAddress.delete(key);
      else connectionsByAddress.set(key, left);
    });
    socket.on('error', () => socket.destroy());
    return true;
  };

  const sniff = (socket: Socket) => {
    const timer = setTimeout(() => socket.destroy(), limits.firstByteMs);
    socket.once('close', () => clearTimeout(timer));
    socket.once('readable', () => {
      clearTimeout(timer);
      const first: Buffer | null = socket.read();
      if (first === null) return socket.destroy();
      socket.unshift(first);
      if (first[0] === tlsHandshake) {
        startTls.call(secure, socket);
      } else {
        plain.emit('connection', socket);
        socket.resume();
      }
    });
  };

  const servers = (): Server[] => [secure as unknown as Server, plainFront].filter((server) => server.listening);
  return {
    listen: async () => {
      await bind(secure as unknown as Server, options, options.port);
      if (options.httpPort !== undefined) await bind(plainFront, options, options.httpPort);
      return secure.address() as AddressInfo;
    },
    setBaseCertificate: (base) => secure.setSecureContext({ ...tlsFloor, ...base }),
    open: (ticketKeys) => {
      if (ticketKeys) secure.setTicketKeys(ticketKeys);
      isOpen = true;
      for (const socket of waiting) sniff(socket);
      waiting.clear();
    },
    stopAccepting: () => {
      // The base class's close, because the HTTP server's own would cut idle connections at once: a client that has just
      // sent a request on one of them would see it fail.
      for (const server of servers()) NetServer.prototype.close.call(server);
      for (const socket of waiting) socket.destroy();
    },
    sayGoodbye: () => {
      // RFC 9113, 6.8: first announced with the highest id, so that requests on their way are still taken.
      for (const session of sessions) if (!session.destroyed) session.goaway(0, 2 ** 31 - 1);
    },
    closeIdle: () => {
      (secure as unknown as HttpsServer).closeIdleConnections();
      for (const session of sessions) session.close();
    },
    destroy: () => {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      secure.close();
      plain.close();
    },
    get connections() {
      return sockets.size;
    },
  };
}

async function bind(server: Server, { host, reusePort, log }: ListenerOptions, port: number): Promise<void> {
  const listen = (exclusive: boolean) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, ...(exclusive ? {} : { reusePort: true }) }, () => {
        server.off('error', reject);
        server.on('error', (error) => log.error('the listener failed', { error }));
        resolve();
      });
    });
  if (!reusePort) return listen(true);
  try {
    await listen(false);
  } catch (error) {
    if (!['ENOTSUP', 'ENOPROTOOPT', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    log.warn('the system cannot share a port among processes: run one worker');
    await listen(true);
  }
}
