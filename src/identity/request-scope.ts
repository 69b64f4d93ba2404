import type { FastifyRequest } from 'fastify';
import type { TenantRoute } from '#src/tenants/types.ts';
import { identityErrors } from './errors.ts';
import type { Actor } from './sessions/access.ts';
import type { Caller } from './sessions/browser.ts';
import type { Role, Session } from './types.ts';

/** What the gateway has put on the request before a handler runs. */
export interface IdentityRequest {
  readonly tenant: TenantRoute;
  readonly session: Session | undefined;
}

/** Long passwords are refused in words, so they must get in; no more than that. */
export const passwordBodyBytes = 2_200_000;

/** Who may call a route. */
export const open = (operation: string) => ({ operation: `identity.${operation}`, withoutSession: 'allow' as const });
export const signedIn = (operation: string) => ({ operation: `identity.${operation}` });
/** Signed in, also while a second factor is still to be set up. */
export const enrolling = (operation: string) => ({ operation: `identity.${operation}`, whileEnrolling: true });
export const owners = (operation: string) => ({
  operation: `identity.${operation}`,
  roles: ['owner'] as const satisfies readonly Role[],
});
export const administrators = (operation: string) => ({
  operation: `identity.${operation}`,
  roles: ['owner', 'admin'] as const satisfies readonly Role[],
});

export function scope(request: FastifyRequest): IdentityRequest {
  const { tenant, session } = request as unknown as IdentityRequest;
  // No default tenant: a plugin outside the gateway answers nothing.
  if (!tenant) throw new Error('a request reached identity without a tenant');
  return { tenant, session };
}

export function actorOf(request: FastifyRequest): Actor {
  const { session } = scope(request);
  if (!session) throw identityErrors.FH_SESSION_REQUIRED();
  return { session, address: request.ip, userAgent: request.headers['user-agent'] };
}

export function callerOf(request: FastifyRequest): Caller {
  const { cookie, 'user-agent': userAgent } = request.headers;
  return { cookieHeader: cookie, userAgent, address: request.ip };
}
