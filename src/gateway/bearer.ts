import type { FastifyReply, FastifyRequest } from 'fastify';
import { hashApiToken, hashScimToken, sessionCookieName } from '#src/identity/index.ts';
import type { ApiTokenUse, ScimTokenUse } from '#src/identity/types.ts';
import { gatewayErrors } from './errors.ts';
import type { TokenGuard } from './token-guard.ts';
import type { IdentityPort } from './types.ts';

/** What follows `Authorization: Bearer`; undefined: the request says no such thing. Other schemes mean nothing here. RFC 6750, 2.1. */
export function bearerOf({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const { authorization } = headers;
  if (authorization === undefined) return undefined;
  const match = /^bearer(?: +(.*))?$/i.exec(authorization);
  return match ? (match[1] ?? '') : undefined;
}

/** Whether the request comes with what looks like an API token of ours; other bearer tokens are an app's own. */
export function isApiToken(request: Pick<FastifyRequest, 'headers'>): boolean {
  const bearer = bearerOf(request);
  return bearer !== undefined && hashApiToken(bearer) !== undefined;
}

/**
 * A request is made either with a token or in a session: of two, one would count that its sender did not think of, and a token must not make
 * up for checks that keep other sites from using the cookie. Of two `Authorization` headers it would be chance which counts.
 */
export function refuseAmbiguousCredentials({ headers, raw }: FastifyRequest): void {
  let count = 0;
  for (let at = 0; at < raw.rawHeaders.length; at += 2)
    if (raw.rawHeaders[at]!.toLowerCase() === 'authorization') count++;
  if (count > 1) throw gatewayErrors.FH_CREDENTIALS_AMBIGUOUS({ detail: 'There are two Authorization headers.' });
  if (headers.cookie?.toLowerCase().includes(sessionCookieName.toLowerCase()))
    throw gatewayErrors.FH_CREDENTIALS_AMBIGUOUS({ detail: 'There are a token and a cookie.' });
}

/** The door for directories: a SCIM token and nothing else. Malformed, unknown, expired and revoked ones, and those of other tenants, are answered alike. */
export async function enterWithScimToken(
  request: FastifyRequest,
  reply: FastifyReply,
  bearer: string | undefined,
  { identity, guard }: { readonly identity: Pick<IdentityPort, 'checkScimToken'>; readonly guard: TokenGuard },
): Promise<ScimTokenUse> {
  const { tenantId } = request.tenant;
  const tokenHash = bearer === undefined ? undefined : hashScimToken(bearer);
  const checkToken = identity.checkScimToken;
  const use =
    tokenHash &&
    checkToken &&
    (await guard.check({ tenantId, tokenHash, address: request.ip }, () => checkToken(request, tokenHash)));
  if (use) return use;
  reply.header('www-authenticate', bearer === undefined ? 'Bearer' : 'Bearer error="invalid_token"');
  throw gatewayErrors.FH_SCIM_TOKEN_INVALID();
}

const safeMethods = new Set(['GET', 'HEAD']);

/** The door for requests with a token: only to routes that say `acceptsTokens`, only with what the scope allows. Never looks at a cookie. */
export async function enterWithToken(
  request: FastifyRequest,
  reply: FastifyReply,
  bearer: string,
  { identity, guard }: { readonly identity: Pick<IdentityPort, 'checkToken'>; readonly guard: TokenGuard },
): Promise<ApiTokenUse> {
  if (!request.routeConfig.acceptsTokens || !identity.checkToken) throw gatewayErrors.FH_TOKEN_NOT_HERE();
  const { tenantId } = request.tenant;
  const tokenHash = hashApiToken(bearer);
  const checkToken = identity.checkToken;
  const use =
    tokenHash &&
    (await guard.check({ tenantId, tokenHash, address: request.ip }, () => checkToken(request, tokenHash)));
  if (!use) {
    reply.header('www-authenticate', 'Bearer error="invalid_token"');
    throw gatewayErrors.FH_TOKEN_INVALID();
  }
  if (use.scope !== 'write' && !safeMethods.has(request.method)) {
    reply.header('www-authenticate', 'Bearer error="insufficient_scope", scope="write"');
    throw gatewayErrors.FH_TOKEN_SCOPE();
  }
  return use;
}
