import type { IncomingMessage } from 'node:http';
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import { type Clock, type Log, newId, type RequestId } from '#src/kernel/index.ts';
import { answerBrokenRequest } from './broken-request.ts';
import { renderErrorPage } from './error-page.ts';
import { httpErrors } from './errors.ts';
import { createHttpMetrics, type HttpMetrics } from './metrics.ts';
import { toProblem, toPublicError } from './problem.ts';
import { sendRefusal } from './refusal.ts';
import { createMethodTable } from './routes.ts';
import { type HstsOptions, hstsOf, securityHeaders, setPageNonce } from './security-headers.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Name in logs, metrics and OpenAPI: `noun.verb`, for example `session.create`. Default: method and pattern. */
    operation?: string;
    /** Asked all the time by machines: its line is for debugging only. */
    isQuiet?: boolean;
  }
  interface FastifyRequest {
    /** `routeOptions.config`, which the framework makes anew each time it is asked. */
    routeConfig: FastifyRequest['routeOptions']['config'];
    /** From the monotonic clock. */
    startedAtMs: number;
    /** Code of the error that was answered, for the log line. */
    errorCode: string | undefined;
    /** Called once when the answer becomes an event stream; may throw to refuse it. */
    onStreaming: (() => void) | undefined;
  }
}

export interface HttpAppOptions {
  /** Prefix of operations and label of the metrics, for example `console`. */
  readonly name: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Shared by all apps of a process. Default: its own. */
  readonly metrics?: HttpMetrics;
  /** Largest JSON body. Default 262,144. */
  readonly bodyLimitBytes?: number;
  /** Default: one year without sub-domains. `false` for listeners that are not HTTPS. */
  readonly hsts?: HstsOptions | false;
  /** Further fields of the log line, for example the tenant. */
  readonly describe?: (request: FastifyRequest) => Readonly<Record<string, unknown>>;
  /** The link that an error page offers, if any. */
  readonly errorAction?: (request: FastifyRequest, code: string) => { href: `/${string}`; text: string } | undefined;
  /** Makes the server that will listen, for example `(handler) => https.createServer({ ...tlsFloor, key, cert }, handler)`. */
  readonly serverFactory?: FastifyServerOptions['serverFactory'];
  /** The target that is routed in place of the received one, which stays in `request.originalUrl`. */
  readonly rewriteUrl?: (request: IncomingMessage) => string;
  /** Log level of the line per request. Default `info`. */
  readonly requestLogLevel?: 'debug' | 'info';
}

/**
 * A Fastify instance with Freehold's conventions: request ids, problem documents, error pages, security headers, one log line
 * and metrics per request. Routes say `config: { operation }`.
 */
export function createHttpApp(options: HttpAppOptions): FastifyInstance {
  const {
    name,
    log,
    clock,
    metrics = createHttpMetrics(),
    bodyLimitBytes = 262_144,
    requestLogLevel = 'info',
  } = options;
  const hsts = options.hsts ?? hstsOf('localhost');
  const headers = securityHeaders(hsts);

  const app: FastifyInstance = fastify({
    bodyLimit: bodyLimitBytes,
    genReqId: () => newId('req'),
    requestIdHeader: false,
    trustProxy: false,
    // Requests and errors have our own lines.
    logger: false,
    // In-flight requests are finished; who drains decides when to stop (see the gateway).
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, hsts),
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    // Unknown fields are refused where the schema says so, not silently dropped.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true, allErrors: false } },
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: false, caseSensitive: true },
    frameworkErrors: (error, request, reply) => {
      begin(request, reply);
      answerError(error, request, reply);
    },
    ...(options.rewriteUrl ? { rewriteUrl: options.rewriteUrl } : {}),
    ...(options.serverFactory ? { serverFactory: options.serverFactory } : {}),
  });
  // text/plain needs no preflight, so accepting it would let other sites send bodies.
  app.removeContentTypeParser('text/plain');
  app.decorateRequest('routeConfig');
  app.decorateRequest('startedAtMs', 0);
  app.decorateRequest('errorCode', undefined);
  app.decorateRequest('onStreaming', undefined);
  const methods = createMethodTable(app);

  const operationOf = (request: FastifyRequest): string => {
    const { operation, url, method } = request.routeConfig;
    if (operation) return operation;
    return url === undefined ? `${name}.not_found` : `${name} ${String(method)} ${url}`;
  };

  const begin = (request: FastifyRequest, reply: FastifyReply) => {
    request.startedAtMs = clock.monotonicMs();
    request.routeConfig = request.routeOptions.config;
    metrics.started(name);
    reply.headers(headers);
    reply.header('x-request-id', request.id);
    // Comes after `finish`, and also when there is none.
    reply.raw.on('close', () => {
      const durationMs = clock.monotonicMs() - request.startedAtMs;
      const operation = operationOf(request);
      // The client left before the answer was complete.
      const status = reply.raw.writableEnded ? reply.raw.statusCode : 499;
      metrics.ended(name, operation, status, durationMs);
      log[request.routeConfig.isQuiet ? 'debug' : requestLogLevel]('request', {
        operation,
        requestId: request.id,
        status,
        durationMs: Math.round(durationMs * 100) / 100,
        ...(request.errorCode === undefined ? {} : { code: request.errorCode }),
        ...options.describe?.(request),
      });
    });
  };

  const answerError = (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined => {
    const error = toPublicError(thrown);
    request.errorCode = error.code;
    if (error.unexpected)
      log.error('a request failed', {
        operation: operationOf(request),
        requestId: request.id,
        error: thrown,
        ...options.describe?.(request),
      });
    if (reply.raw.headersSent || reply.raw.destroyed) {
      // Half an answer is out: only a broken connection tells the client that it is not whole.
      reply.hijack();
      reply.raw.destroy();
      return undefined;
    }
    reply.code(error.status);
    if (error.retryAfterSeconds !== undefined)
      reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfterSeconds)));
    // The framework asks for a closed connection in some cases; HTTP/2 has no such header (RFC 9113, 8.2.2).
    if (request.raw.httpVersionMajor >= 2) reply.removeHeader('connection');
    reply.removeHeader('content-length');
    reply.removeHeader('etag');
    reply.removeHeader('content-disposition');
    reply.header('cache-control', 'no-store');
    if (wantsPage(request)) {
      const nonce = setPageNonce(reply);
      const action = options.errorAction?.(request, error.code);
      reply.type('text/html; charset=utf-8');
      return sendRefusal(request, reply, renderErrorPage({ ...error, requestId: request.id, nonce, action }));
    }
    reply.type('application/problem+json; charset=utf-8');
    return sendRefusal(request, reply, JSON.stringify(toProblem(error, request.id)));
  };

  app.addHook('onRequest', (request, reply, done) => {
    begin(request, reply);
    done();
  });
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => {
    const allowed = methods.allowed(request.url);
    if (allowed.length === 0 || allowed.includes(request.method)) throw httpErrors.FH_NOT_FOUND();
    reply.header('allow', allowed.join(', '));
    throw httpErrors.FH_METHOD_NOT_ALLOWED({ detail: `Allowed: ${allowed.join(', ')}.` });
  });
  return app;
}

/** Browsers that ask for a document get a page; everything below an API is for programs and gets a problem document. */
export function wantsPage(request: FastifyRequest): boolean {
  return (
    (request.method === 'GET' || request.method === 'HEAD') &&
    !/^\/(?:-\/)?api(?:\/|$|\?)/.test(request.originalUrl) &&
    (request.headers.accept?.includes('text/html') ?? false)
  );
}

export function requestIdOf(request: FastifyRequest): RequestId {
  return request.id as RequestId;
}
