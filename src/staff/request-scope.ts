import type { FastifyRequest } from 'fastify';
import type { Caller } from '#src/identity/index.ts';
import type { StaffSession } from './console-sessions.ts';

export const text = (maxLength: number) => ({ type: 'string', maxLength }) as const;
export const object = (properties: Record<string, object>, required: readonly string[]) =>
  ({ type: 'object', properties, required, additionalProperties: false }) as const;
/** More than a password may have, so that a long one is refused by the rules, in words. */
export const password = text(2_000_000);
export const bodyLimit = 2_200_000;

export function callerOf(request: FastifyRequest): Caller {
  const { cookie, 'user-agent': userAgent } = request.headers;
  return { cookieHeader: cookie, userAgent, address: request.ip };
}

export function describe({ expiresAt, mustEnrol = false, ...staff }: StaffSession) {
  return { staff, expiresAt, mustEnrol };
}
