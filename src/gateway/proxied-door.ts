import { METHODS } from 'node:http';
import type { FastifyContextConfig, FastifyRequest } from 'fastify';
import { divideCookies, proxiedRoute } from '#src/hosting/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';

/** CONNECT would be a tunnel; TRACE would show a page what is not for it, the session's cookie first of all (RFC 9110, 9.3.8). */
const refusedMethods = new Set(['CONNECT', 'TRACE']);

/** What apps that run as processes may be asked for: every method that Node's parser knows. */
export const proxiedMethods: ReadonlySet<string> = new Set(METHODS.filter((method) => !refusedMethods.has(method)));

/** Everything below `/-/` is the platform's; all else is the app's, as it was received: no decoding, no normalising. */
export function routedTarget({ url = '' }: { readonly url?: string | undefined }): string {
  return url.startsWith('/-/') ? url : proxiedRoute;
}

type Process = NonNullable<TenantRoute['process']>;

const operation = 'app.request';
const open: FastifyContextConfig = { operation, passesOn: true, withoutSession: 'allow' };
const optional: FastifyContextConfig = { operation, passesOn: true, withoutSession: 'optional', acceptsTokens: true };
const closed: FastifyContextConfig = { operation, passesOn: true, withoutSession: 'sign-in', acceptsTokens: true };

/**
 * Who may make this request of a tenant's app. `isForeign`: a page of another site made the browser send it. Where an app asks who somebody is, such a request is
 * nobody's: refused, or on public paths (web hooks, forms that come back from elsewhere) without its session.
 */
export function configOf({ identity }: Process, target: string, isForeign: boolean): FastifyContextConfig | undefined {
  // With `oidc`, too, the app has a session of its own.
  if (identity.kind !== 'headers') return open;
  if (!isPublic(identity.publicPaths, target)) return isForeign ? undefined : closed;
  return isForeign ? open : optional;
}

/**
 * A path that ends with a slash opens everything below it, any other itself alone. A target that some server could read as another path is not public, whatever it begins with.
 */
function isPublic(publicPaths: readonly string[], target: string): boolean {
  const path = target.split(/[?#]/, 1)[0]!;
  if (publicPaths.includes(path)) return true;
  if (/%(?:2e|2f|5c|25|00|3b|23|3f)|\\|;|\/\/|\/\.{1,2}(?:\/|$)/i.test(path)) return false;
  return publicPaths.some((each) => each.endsWith('/') && path.startsWith(each));
}

/**
 * What identity reads is the platform's cookies alone, which it is strict about: an app's own may hold quotes, and more than fits there. The app gets the others
 * from the raw headers.
 */
export function leaveOwnCookies({ headers }: FastifyRequest): void {
  if (headers.cookie !== undefined) headers.cookie = divideCookies(headers.cookie).platform;
}
