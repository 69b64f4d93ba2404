import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { sessionCookieName } from '#src/identity/index.ts';

/** What is about to be answered. */
export interface Answer {
  readonly status: number;
  readonly cacheControl: string;
  /** Of the platform's own: what an app sets is of no interest. */
  readonly setCookies?: readonly string[];
}

/**
 * Whether the next key of the session may go out with this answer. Answers that do not pass here (event streams) or are refused here change no key,
 * so no successor is made that nobody would receive. Asked after the handler, which may have ended the session or begun another.
 */
export function canCarryKey(
  request: FastifyRequest,
  { status, cacheControl, setCookies = [] }: Answer,
  { isOver }: { readonly isOver: (request: IncomingMessage) => boolean },
): boolean {
  if (!request.session || (request.unconfirmed && !request.unconfirmed.isConfirmed)) return false;
  // Signed in, signed out or a new password: what the handler says about this cookie is the last word.
  if (setCookies.some((line) => line.startsWith(`${sessionCookieName}=`))) return false;
  // What a cache may keep for others must carry nothing of one's own; what the browser has already may be taken from there, headers and all.
  if (status === 304 || /\b(?:public|s-maxage)\b/.test(cacheControl)) return false;
  return !isOver(request.raw);
}
