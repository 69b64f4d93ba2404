import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { App, Role, RouteDefinition, UploadedFile } from '#sdk';
import { loadPage, servePage } from '#src/http/index.ts';
import type { ApiTokenUse, Session } from '#src/identity/types.ts';
import { Confirmation, SessionDiffers } from './confirmation.ts';
import { type ContextDeps, createContext, defaultMaxFileBytes, toAppUser } from './context.ts';
import { hostingErrors } from './errors.ts';
import type { EventHub } from './events.ts';
import { describeApp } from './openapi.ts';
import { resultOfPresumed } from './presumed-run.ts';
import { sendResult } from './result.ts';
import { compileForFastify } from './schemas.ts';
import type { HostedRequest, HostingDeps } from './types.ts';
import { receiveUpload } from './upload.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What happens without a session. `allow`: the gateway does not even look for one; `optional`: it looks. Default: `refuse`. */
    withoutSession?: 'refuse' | 'sign-in' | 'allow' | 'optional';
    /** Who may call it. Default: every signed-in user. */
    roles?: readonly Role[];
    /** It only reads, and answers only after `HostedRequest.unconfirmed` was asked. */
    mayPresume?: boolean;
    /** A request may come with an API token in place of a session. */
    acceptsTokens?: boolean;
  }
  interface FastifyRequest {
    /** What `identify` says of the request, asked once and before anything else. */
    hosted: HostedRequest | undefined;
  }
}

export interface PluginDeps extends ContextDeps, Pick<HostingDeps, 'identify' | 'pages'> {
  readonly events: EventHub;
}

/** All that one app answers. Register it in a scope (or on an instance) of its own. */
export function createAppPlugin(app: App, deps: PluginDeps): FastifyPluginAsync {
  return async (fastify) => {
    fastify.setValidatorCompiler(compileForFastify);
    fastify.decorateRequest('hosted', undefined);
    // Before the body is read: who is not signed in sends us no megabytes.
    fastify.addHook('onRequest', (request, _reply, done) => {
      request.hosted = deps.identify(request);
      requireSession(request.hosted.session, request);
      done();
    });
    for (const route of app.routes) if (!route.upload) registerRoute(fastify, route, deps);
    // In a scope of their own: the parser's hooks would cost every other route as well. Those refuse multipart by having no parser for it.
    await fastify.register(async (uploads) => {
      await uploads.register(multipart, { throwFileSizeLimit: false });
      for (const route of app.routes) if (route.upload) registerRoute(uploads, route, deps);
    });

    const events = { operation: `${app.manifest.name}.events`, acceptsTokens: true };
    fastify.get('/api/events', { config: events, exposeHeadRoute: false }, async (request, reply) => {
      await deps.events.listen(request, reply, request.hosted!);
      return reply;
    });
    const document = describeApp(app);
    const openapi = { operation: `${app.manifest.name}.openapi`, withoutSession: 'allow' } as const;
    fastify.get('/api/openapi.json', { config: openapi }, async () => document);

    servePage(fastify, deps.pages?.get(app.manifest.name) ?? (await loadPage(app.web)), {
      except: ['/api/', '/-/'],
      pageConfig: { withoutSession: 'sign-in' },
      assetConfig: { withoutSession: 'allow' },
    });
  };
}

/** The gateway refused already, or showed the sign-in page; this door does not depend on it. */
function requireSession(
  session: HostedRequest['session'],
  request: FastifyRequest,
): asserts session is NonNullable<HostedRequest['session']> {
  const { withoutSession = 'refuse' } = request.routeConfig;
  if (!session && !request.is404 && withoutSession !== 'allow') throw hostingErrors.FH_APP_SIGN_IN_REQUIRED();
}

function requireRole(request: FastifyRequest, { roles }: RouteDefinition): void {
  const role = request.hosted?.session?.user.role;
  if (roles && !(role && roles.includes(role)))
    throw hostingErrors.FH_APP_ROLE_REQUIRED({ detail: `it is for ${roles.join(', ')}` });
}

function registerRoute(fastify: FastifyInstance, route: RouteDefinition, deps: PluginDeps): void {
  const { params, query, body, response, roles, upload } = route;
  // What a handler of GET may do besides reading waits for the check.
  const mayPresume = route.method === 'GET' && !upload;
  fastify.route({
    method: route.method,
    url: route.path,
    // A GET handler may do anything; only GET asks for it.
    exposeHeadRoute: false,
    bodyLimit: route.bodyLimit,
    config: { operation: route.operation, roles, mayPresume, acceptsTokens: true },
    // Not even that its query is wrong is told to somebody whose session is over.
    attachValidation: mayPresume,
    schema: {
      ...(params && { params }),
      ...(query && { querystring: query }),
      ...(body && { body }),
      ...(response && { response: { '2xx': response } }),
    },
    // Like the session: the gateway refuses first, this door does not depend on it.
    onRequest: (request, _reply, done) => {
      requireRole(request, route);
      done();
    },
    handler: (request, reply) => runHandler(request, reply, route, deps),
  });
}

async function runHandler(
  request: FastifyRequest,
  reply: FastifyReply,
  route: RouteDefinition,
  deps: PluginDeps,
): Promise<FastifyReply> {
  const { session } = request.hosted!;
  requireSession(session, request);
  try {
    return await answer(request, reply, route, deps, session);
  } catch (error) {
    if (!(error instanceof SessionDiffers)) throw error;
    // The check has found a good session, so this run is like any other. Nothing of the first was let out.
    const { unconfirmed: _checked, ...hosted } = request.hosted!;
    request.hosted = { ...hosted, session: error.session };
    requireRole(request, route);
    return await answer(request, reply, route, deps, error.session);
  }
}

async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  route: RouteDefinition,
  deps: PluginDeps,
  session: Pick<Session, 'user'> & Partial<Pick<ApiTokenUse, 'scope'>>,
): Promise<FastifyReply> {
  const { tenant, requestId, signal, unconfirmed } = request.hosted!;
  const confirmation =
    unconfirmed && new Confirmation({ tenantId: tenant.tenantId, session, signal }, unconfirmed, deps.databases.app);
  if (request.validationError) {
    await confirmation?.confirm();
    throw request.validationError;
  }
  const received = route.upload && (await receiveUpload(request, route.upload.maxBytes));
  const { context, end } = createContext(deps, {
    tenant,
    user: toAppUser(session.user),
    requestId,
    signal,
    maxFileBytes: route.upload?.maxBytes ?? defaultMaxFileBytes,
    confirmation,
    mayWrite: session.scope !== 'read',
  });
  try {
    const run = () => route.handler(context, inputOf(request, route, received?.upload));
    await sendResult(reply, await (confirmation ? resultOfPresumed(confirmation, run) : run()));
    return reply;
  } finally {
    end();
    received?.discard();
  }
}

/** Only what a schema has seen: without one, query and body are empty. Path parameters are at least bounded by the router. */
function inputOf(request: FastifyRequest, route: RouteDefinition, upload: UploadedFile | undefined) {
  return {
    params: request.params as Record<string, string>,
    query: route.query ? (request.query as Record<string, unknown>) : {},
    body: route.body ? request.body : undefined,
    ...(upload && { upload }),
  };
}
