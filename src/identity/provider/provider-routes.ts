import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { IdentityRequest } from '../request-scope.ts';
import { clearSessionCookie } from '../sessions/browser.ts';
import { describeProvider } from './discovery.ts';
import { providerErrors } from './errors.ts';
import type { Provider } from './provider.ts';
import { ProviderRefusal, type ProviderTenant } from './types.ts';

/** Below the tenant's address; with it the issuer. The routes are registered with this prefix. */
export const issuerPath = '/-/oidc';

export interface ProviderRoutesOptions {
  /** The configured origin of a host, `https://NAME.DOMAIN[:PORT]`; never taken from the request. */
  readonly originOf: (tenant: Pick<TenantRoute, 'host'>) => string;
}

const formMediaType = 'application/x-www-form-urlencoded';
const formBytes = 16_384;
/** As long as an address may be. */
const maxNextLength = 6_000;

const operation = (name: string) => ({ operation: `oidc.${name}`, withoutSession: 'allow' as const });

/**
 * The provider's routes. `all`: for everybody at the tenant's address. `backChannel`: what the app itself asks, for the door of its sandbox, which sets `tenant` on
 * requests: there discovery is answered before the tenant is open, because apps ask for it while they start.
 */
export function providerRoutes(
  provider: Provider,
  { originOf }: ProviderRoutesOptions,
): { readonly all: FastifyPluginAsync; readonly backChannel: FastifyPluginAsync } {
  const issuerOf = (request: FastifyRequest) => originOf(tenantOf(request)) + issuerPath;

  function providerTenantOf(request: FastifyRequest): ProviderTenant {
    const tenant = tenantOf(request);
    const { process, tenantId, app } = tenant;
    if (process?.identity.kind !== 'oidc') throw providerErrors.FH_OIDC_NOT_OFFERED();
    const origin = originOf(tenant);
    const { redirectPaths = [], signedOutPaths = [] } = process.identity;
    const absolute = (paths: readonly string[]) => paths.map((path) => origin + path);
    return {
      tenantId,
      issuer: origin + issuerPath,
      client: { clientId: app, redirectUris: absolute(redirectPaths), signedOutUris: absolute(signedOutPaths) },
    };
  }

  function addBackChannel(app: FastifyInstance): void {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(formMediaType, { parseAs: 'string', bodyLimit: formBytes }, (_request, body, done) =>
      done(null, body),
    );
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
    });
    app.get('/jwks', { config: operation('keys') }, (request) => provider.listKeys(providerTenantOf(request)));
    app.post('/token', { config: operation('token') }, async (request, reply) => {
      const tenant = providerTenantOf(request);
      const { authorization } = request.headers;
      return answerProtocol(reply, () => provider.exchange(tenant, { authorization, form: formOf(request) }));
    });
    for (const method of ['GET', 'POST'] as const)
      app.route({
        method,
        url: '/userinfo',
        config: operation('userinfo'),
        handler: async (request, reply) => {
          const tenant = providerTenantOf(request);
          return answerProtocol(reply, () => provider.describeUser(tenant, request.headers.authorization));
        },
      });
  }

  const all: FastifyPluginAsync = async (app) => {
    addBackChannel(app);
    app.get('/.well-known/openid-configuration', { config: operation('discovery') }, (request) =>
      describeProvider(providerTenantOf(request).issuer),
    );
    // Both are navigations; a form may be used in place of a query (OpenID Connect Core 3.1.2.1, RP-Initiated Logout 2).
    for (const method of ['GET', 'POST'] as const) {
      app.route({
        method,
        url: '/authorize',
        config: { operation: 'oidc.authorize', withoutSession: 'optional', whileEnrolling: true },
        handler: authorize,
      });
      app.route({ method, url: '/end-session', config: sessionOptional, handler: endSession });
    }
  };

  async function authorize(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const tenant = providerTenantOf(request);
    const { session } = request as unknown as IdentityRequest;
    const query = queryOf(request);
    const answer = await provider.authorize(tenant, query, session?.sessionId);
    if (answer.kind === 'shown') throw providerErrors.FH_OIDC_REQUEST_REFUSED({ detail: answer.refusal.message });
    if (answer.kind === 'redirect') return reply.redirect(answer.location, 303);
    const next = `${issuerPath}/authorize?${answer.query}`;
    const page = session?.mustEnrol ? '/-/second-factor' : '/-/sign-in';
    if (answer.again) return reply.redirect(`${page}?again=1&next=${encodeURIComponent(next)}`, 303);
    return reply.redirect(next.length > maxNextLength ? page : `${page}?next=${encodeURIComponent(next)}`, 303);
  }

  async function endSession(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { session } = request as unknown as IdentityRequest;
    const { sessionId, location } = await provider
      .endSession(providerTenantOf(request), queryOf(request), request.ip)
      .catch((error) => {
        if (!(error instanceof ProviderRefusal)) throw error;
        throw providerErrors.FH_OIDC_REQUEST_REFUSED({ detail: error.message });
      });
    // Somebody is signed in, and nothing says that it is they who want to go: their account page has the button.
    if (session && session.sessionId !== sessionId) return reply.redirect('/-/account', 303);
    if (session) reply.header('set-cookie', clearSessionCookie);
    return reply.redirect(location ?? '/-/signed-out', 303);
  }

  const backChannel: FastifyPluginAsync = async (app) => {
    addBackChannel(app);
    app.get('/.well-known/openid-configuration', { config: operation('discovery') }, (request) =>
      describeProvider(issuerOf(request)),
    );
  };
  return { all, backChannel };
}

const sessionOptional = { operation: 'oidc.end_session', withoutSession: 'optional' as const, whileEnrolling: true };

function tenantOf(request: FastifyRequest): TenantRoute {
  const { tenant } = request as unknown as { tenant: TenantRoute | undefined };
  // No default tenant: a plugin outside the gateway answers nothing.
  if (!tenant) throw new Error('a request reached the provider without a tenant');
  return tenant;
}

const formOf = ({ body }: FastifyRequest): string => (typeof body === 'string' ? body : '');

/** What a navigation asks, as one text; with a form, what its address says as well counts for nothing. */
function queryOf(request: FastifyRequest): string {
  if (request.method === 'POST') return formOf(request);
  const { originalUrl } = request;
  return originalUrl.includes('?') ? originalUrl.slice(originalUrl.indexOf('?') + 1) : '';
}

/** Errors of the protocol have a form of their own (RFC 6749, 5.2; RFC 6750, 3). */
async function answerProtocol(reply: FastifyReply, ask: () => Promise<object>): Promise<FastifyReply> {
  try {
    return reply.send(await ask());
  } catch (error) {
    if (!(error instanceof ProviderRefusal)) throw error;
    if (error.code === 'invalid_client') reply.header('www-authenticate', 'Basic realm="token"');
    if (error.code === 'invalid_token') reply.header('www-authenticate', 'Bearer error="invalid_token"');
    return reply.code(error.status).send({ error: error.code, error_description: error.message });
  }
}
