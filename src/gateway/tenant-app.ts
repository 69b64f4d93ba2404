import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { isUpgrade, proxiedRoute } from '#src/hosting/index.ts';
import {
  createHttpApp,
  type HttpMetrics,
  httpErrors,
  isNavigation,
  type Page,
  servePage,
  tenantHsts,
} from '#src/http/index.ts';
import { identityErrors, issuerPath, scimPath } from '#src/identity/index.ts';
import type { PresumedSession } from '#src/identity/types.ts';
import type { CancelSignal, Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { Admitted } from './admitted.ts';
import { bearerOf, enterWithScimToken, enterWithToken, isApiToken, refuseAmbiguousCredentials } from './bearer.ts';
import { isCrossSite, refuseCrossSite, refuseUnlessNavigation } from './cross-site.ts';
import { type Passage, passageOf } from './door.ts';
import { gatewayErrors } from './errors.ts';
import type { LimitGuard } from './limits.ts';
import { describePlatform } from './openapi.ts';
import { configOf, leaveOwnCookies, proxiedMethods, routedTarget } from './proxied-door.ts';
import { addSamlAnswer } from './saml-answer.ts';
import { addSamlLogOut } from './saml-log-out.ts';
import { type Answer, canCarryKey } from './session-renewal.ts';
import { refuseClosedTenant } from './tenant-states.ts';
import { createTokenGuard } from './token-guard.ts';
import type { GatewayLimits, HostingPort, IdentityPort } from './types.ts';
import { isPremature, requireFactor, requireRole, UnconfirmedSession } from './unconfirmed-session.ts';

export interface TenantAppOptions {
  readonly identity: IdentityPort;
  readonly hosting: HostingPort;
  /** Below `/-/api` too; undefined: no backups are made. */
  readonly backups?: FastifyPluginAsync | undefined;
  readonly accountPage: Page;
  readonly limits: GatewayLimits;
  readonly guard: LimitGuard;
  readonly admitted: Pick<Admitted, 'enter'>;
  readonly metrics: HttpMetrics;
  readonly noteUse: (tenantId: TenantId) => void;
  /** The signal of `request.signalAbort`. */
  readonly signalOf: (request: IncomingMessage) => CancelSignal;
  /** Nobody waits for the answer any more. */
  readonly isOver: (request: IncomingMessage) => boolean;
  /** Calls this when that comes to be. */
  readonly atEnd: (request: IncomingMessage, act: () => void) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The Fastify instance of one app, for all its tenants: the platform below `/-/`, the app everywhere else. `proxied`: of all apps that run as processes.
 * Every request passes `enter` first, before its route, and before a byte of its body is read.
 */
export async function createTenantApp(
  appName: string,
  options: TenantAppOptions,
  kind: 'in-process' | 'proxied' = 'in-process',
): Promise<FastifyInstance> {
  const { identity, hosting, guard, limits } = options;
  const tokenGuard = createTokenGuard(
    { failuresPerMinute: limits.tokenFailuresPerAddress, unlimitedAddresses: limits.unlimitedAddresses },
    options.clock,
  );
  // Of its own, so that neither kind uses up the tries of the other.
  const scimGuard = createTokenGuard(
    { failuresPerMinute: limits.tokenFailuresPerAddress, unlimitedAddresses: limits.unlimitedAddresses },
    options.clock,
  );
  const app = createHttpApp({
    name: appName,
    log: options.log,
    clock: options.clock,
    metrics: options.metrics,
    bodyLimitBytes: limits.bodyBytes,
    hsts: tenantHsts,
    describe: describeRequest,
    errorAction: (_request, code) =>
      code === 'FH_NOT_FOUND' ? { href: '/', text: 'Go to the start page' } : undefined,
    ...(kind === 'proxied' && { rewriteUrl: routedTarget }),
  });
  if (kind === 'proxied')
    for (const method of proxiedMethods)
      if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
  app.decorateRequest('tenant');
  app.decorateRequest('askedBy', undefined);
  app.decorateRequest('session');
  app.decorateRequest('apiToken');
  app.decorateRequest('scimToken');
  app.decorateRequest('unconfirmed');
  app.decorateRequest('signalAbort', {
    getter() {
      return options.signalOf(this.raw);
    },
  });

  app.addHook('onRequest', (request, reply, done) => {
    let identified: Promise<FastifyReply | undefined> | undefined;
    try {
      enter(request);
      identified = requireSession(request, reply);
      if (!identified) takePlace(request);
    } catch (error) {
      refuse(request, error as Error, done);
      return;
    }
    if (!identified) {
      done();
      return;
    }
    identified
      .then((redirected) => {
        if (!redirected) takePlace(request);
        return redirected;
      })
      .then(
        (redirected) => {
          if (!redirected) done();
        },
        (error) => refuse(request, error, done),
      );
  });

  // A body that was not there yet when its sender was looked at may take as long as it is let: the session may have ended since (late-bodies.test.ts).
  const late = new WeakSet<FastifyRequest>();
  app.addHook('onRequest', (request, _reply, done) => {
    if (!hasNoBody(request) && !request.raw.complete && !request.routeConfig.passesOn) late.add(request);
    done();
  });
  app.addHook('preHandler', async (request) => {
    if (!late.has(request) || !(request.session || request.apiToken)) return;
    if ((await identity.isStillSignedIn?.(request)) === false) throw identityErrors.FH_SESSION_REQUIRED();
  });

  /** Who is only presumed hears nothing that a stranger would not hear, not even that the tenant is busy. */
  const refuse = (request: FastifyRequest, error: Error, done: (error: Error) => void): void => {
    if (!request.unconfirmed) {
      done(error);
      return;
    }
    request.unconfirmed = undefined;
    identity
      .authenticate(request)
      .then((session) => done(session ? error : identityErrors.FH_SESSION_REQUIRED()))
      .catch(done);
  };

  /** Everything that can be refused without knowing who asks. */
  const enter = (request: FastifyRequest): void => {
    const passage = passageOf(request.raw);
    if (passage.to === 'nowhere') throw passage.refusal;
    if (passage.to !== 'tenant') throw gatewayErrors.FH_HOST_UNKNOWN();
    request.tenant = passage.tenant;
    guard.countRequest(request.ip, passage.tenant.tenantId);
    refuseClosedTenant(passage.tenant.state);
    if (request.routeConfig.passesOn) {
      enterProcess(request, passage);
      return;
    }
    const isWithToken = bearerOf(request) !== undefined;
    if (isWithToken) refuseAmbiguousCredentials(request);
    // Other sites make browsers send cookies, not tokens; so what comes with a token, and therefore without cookies, comes from whoever holds it.
    const { acceptsTokens, acceptsScimTokens, takesForeignForms, mayBeFramed } = request.routeConfig;
    if (takesForeignForms) refuseUnlessNavigation(request.headers, mayBeFramed);
    else if (!isWithToken || !(acceptsTokens || acceptsScimTokens))
      refuseCrossSite(request.method, request.headers, passage.origin);
    limitBodyTime(request, limits.bodyMs);
    if (options.isOver(request.raw)) throw httpErrors.FH_CLIENT_GONE();
    const leave = options.admitted.enter(passage.tenant);
    options.atEnd(request.raw, leave);
    request.onStreaming = leave;
  };

  /** The same for a request to a tenant's process. Only a token of ours is a token here: whatever else `Authorization` says, it says to the app. */
  const enterProcess = (request: FastifyRequest, { tenant, origin }: Extract<Passage, { to: 'tenant' }>): void => {
    const { process } = tenant;
    if (!process) throw gatewayErrors.FH_HOST_UNKNOWN();
    const asksWho = process.identity.kind === 'headers';
    if (asksWho) leaveOwnCookies(request);
    const isWithToken = asksWho && isApiToken(request);
    if (isWithToken) refuseAmbiguousCredentials(request);
    const isForeign = !isWithToken && isFromElsewhere(request, origin);
    const config = configOf(process, request.originalUrl, isForeign);
    if (!config) throw gatewayErrors.FH_CROSS_SITE();
    request.routeConfig = { ...config, url: proxiedRoute, method: request.method };
  };

  /** Undefined: done, or not needed. Otherwise wait; what comes is the redirection that was answered, if any. */
  const requireSession = (
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<FastifyReply | undefined> | undefined => {
    const config = request.routeConfig;
    // Nothing is behind an address without a route, so the database is not asked.
    if (request.is404 || config.withoutSession === 'allow') return undefined;
    const bearer = bearerOf(request);
    if (config.passesOn && !isApiToken(request)) return authenticate(request, reply);
    if (config.acceptsScimTokens) return authenticateDirectory(request, reply, bearer);
    if (bearer !== undefined) return authenticateToken(request, reply, bearer);
    if (!config.mayPresume || !hasNoBody(request)) return authenticate(request, reply);
    const presumed = identity.presume?.(request);
    if (presumed instanceof Promise)
      return presumed.then((found) => (presume(request, found) ? undefined : authenticate(request, reply)));
    return presume(request, presumed) ? undefined : authenticate(request, reply);
  };

  const presume = (request: FastifyRequest, presumed: PresumedSession | undefined): boolean => {
    const { roles } = request.routeConfig;
    // A role that is not enough is asked for anew: it may be another one by now.
    if (!presumed || (roles && !roles.includes(presumed.session.user.role))) return false;
    request.askedBy = presumed.session.user.userId;
    request.session = presumed.session;
    request.unconfirmed = new UnconfirmedSession(presumed, request, options.noteUse);
    return true;
  };

  const authenticate = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const config = request.routeConfig;
    const session = await identity.authenticate(request);
    if (config.withoutSession === 'optional' && (!session || (session.mustEnrol && !config.whileEnrolling)))
      return undefined;
    if (!session) {
      if (config.withoutSession === 'sign-in' && isNavigation(request))
        return reply.redirect(pathTo('sign-in', request.originalUrl), 303);
      throw identityErrors.FH_SESSION_REQUIRED();
    }
    if (session.mustEnrol && config.withoutSession === 'sign-in' && isNavigation(request))
      return reply.redirect(pathTo('second-factor', request.originalUrl), 303);
    request.askedBy = session.user.userId;
    requireFactor(session, request);
    requireRole(session, config.roles);
    request.session = session;
    options.noteUse(request.tenant.tenantId);
    return undefined;
  };

  const authenticateToken = async (
    request: FastifyRequest,
    reply: FastifyReply,
    bearer: string,
  ): Promise<undefined> => {
    const use = await enterWithToken(request, reply, bearer, { identity, guard: tokenGuard });
    request.askedBy = use.user.userId;
    requireRole(use, request.routeConfig.roles);
    request.apiToken = use;
    options.noteUse(request.tenant.tenantId);
    return undefined;
  };

  const authenticateDirectory = async (
    request: FastifyRequest,
    reply: FastifyReply,
    bearer: string | undefined,
  ): Promise<undefined> => {
    request.scimToken = await enterWithScimToken(request, reply, bearer, { identity, guard: scimGuard });
    options.noteUse(request.tenant.tenantId);
    return undefined;
  };

  const takePlace = (request: FastifyRequest): void => {
    const { tenantId } = request.tenant;
    // It may have ended while its session was looked up; its end will not come again.
    if (options.isOver(request.raw)) throw httpErrors.FH_CLIENT_GONE();
    const place = guard.takePlace(
      tenantId,
      request.session || request.apiToken || request.scimToken ? undefined : { address: request.ip },
    );
    options.atEnd(request.raw, place.leave);
    const leave = request.onStreaming;
    request.onStreaming = () => {
      leave?.();
      place.becomeStream();
    };
  };

  app.addHook('onSend', (request, reply, _payload, done) => {
    if (!isPremature(request, reply)) return done();
    options.log.error('an answer was held back: its session is not confirmed', { requestId: request.id });
    reply.hijack();
    reply.raw.destroy();
  });

  const renew = (request: FastifyRequest, answer: Answer) =>
    canCarryKey(request, answer, options) ? identity.renew?.(request) : undefined;

  app.addHook('onSend', (request, reply, _payload, done) => {
    const renewal = renew(request, {
      status: reply.statusCode,
      cacheControl: String(reply.getHeader('cache-control') ?? ''),
      setCookies: [reply.getHeader('set-cookie') ?? []].flat().map(String),
    });
    if (!renewal) return done();
    renewal.then((setCookie) => {
      if (setCookie !== undefined) reply.header('set-cookie', setCookie);
      done();
    }, done);
  });

  const describe = describePlatform(app);
  await app.register(identity.routes, { prefix: '/-/api' });
  if (options.backups) await app.register(options.backups, { prefix: '/-/api' });
  if (identity.scim) await app.register(identity.scim, { prefix: scimPath });
  if (kind === 'proxied' && identity.provider) await app.register(identity.provider.all, { prefix: issuerPath });
  // What the sign-in page shows; whoever can open that page may read it.
  app.get('/-/api/tenant', { config: { operation: 'tenant.get', withoutSession: 'allow' } }, ({ tenant }) => ({
    name: tenant.name,
    title: tenant.title,
    app: tenant.app,
  }));
  app.get('/-/api/openapi.json', { config: { operation: 'platform.openapi', withoutSession: 'allow' } }, describe);
  addSamlAnswer(app, options.accountPage);
  addSamlLogOut(app, options.accountPage, identity);
  servePage(app, options.accountPage, {
    prefix: '/-/',
    except: ['/-/api/', '/-/scim/', `${issuerPath}/`, '/-/healthz'],
    pageConfig: { operation: 'account.page', withoutSession: 'allow' },
    assetConfig: { operation: 'account.asset', withoutSession: 'allow' },
  });
  await app.register(kind === 'proxied' ? getProxied(hosting)([...proxiedMethods], renew) : hosting.plugin(appName));
  await app.ready();
  return app;
}

/** Browsers let any page open a WebSocket anywhere, with cookies; only its origin tells (RFC 6455, 10.2). */
function isFromElsewhere({ raw, method, headers }: FastifyRequest, origin: string): boolean {
  return isUpgrade(raw) ? headers.origin !== origin : isCrossSite(method, headers, origin);
}

function getProxied({ proxied }: HostingPort): NonNullable<HostingPort['proxied']> {
  if (!proxied) throw gatewayErrors.FH_HOST_UNKNOWN();
  return proxied;
}

/** For the log line: whose request it was, and where a refused one came from (ASVS 5.0 16.2.1, 16.3.2). */
function describeRequest(request: FastifyRequest): Readonly<Record<string, unknown>> {
  return {
    tenantId: (request.tenant as TenantRoute | undefined)?.tenantId,
    userId: request.askedBy,
    ...(request.errorCode === undefined ? {} : { address: request.ip }),
  };
}

/** To a page that leads back to this one. */
function pathTo(page: 'sign-in' | 'second-factor', url: string): string {
  return url === '/' || url.length > 2_000 ? `/-/${page}` : `/-/${page}?next=${encodeURIComponent(url)}`;
}

/** Whether there is nothing in the request that could be refused before its handler. */
function hasNoBody({ headers }: FastifyRequest): boolean {
  return (
    headers['content-type'] === undefined &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined
  );
}

/** A body that trickles is cut off; uploads are long by nature and bounded by silence instead. */
function limitBodyTime(request: FastifyRequest, bodyMs: number): void {
  const { headers, raw } = request;
  if (headers['content-type'] === undefined || headers['content-type'].startsWith('multipart/')) return;
  const timer = setTimeout(() => raw.destroy(httpErrors.FH_REQUEST_TIMEOUT()), bodyMs);
  const stop = () => clearTimeout(timer);
  raw.once('end', stop);
  raw.once('close', stop);
}
