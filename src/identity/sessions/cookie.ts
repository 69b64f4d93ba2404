import { createHash } from 'node:crypto';
import { randomBytes } from '#src/kernel/index.ts';
import type { Sealer } from '#src/keys/types.ts';
import { identityErrors } from '../errors.ts';

export const sessionCookieName = '__Host-freehold';
export const deviceCookieName = '__Host-freehold-device';
export const challengeCookieName = '__Host-freehold-challenge';
export const passkeyCookieName = '__Host-freehold-passkey';

/** 256 random bits; only its SHA-256 is stored. */
export const tokenBytes = 32;
/** Enough for our two and a few of the app's; more is an attack or a mistake (facts: parsers differ beyond it). */
const maxHeaderBytes = 4096;

export function newToken(): Buffer {
  return randomBytes(tokenBytes);
}

export function hashToken(token: Uint8Array): Buffer {
  return createHash('sha256').update(token).digest();
}

/**
 * Values by name, or FH_COOKIE_REFUSED. Strict where parsers are known to differ: `$Version` switches some to RFC 2965, quotes hide
 * separators from others (both let a page of a neighbour smuggle a session in), and of two cookies of one name it is chance which counts.
 * `protectedNames` are ours and may occur once.
 */
export function parseCookies(
  header: string | undefined,
  protectedNames: readonly string[],
): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  if (header === undefined || header === '') return cookies;
  // Bounds first, content second.
  if (Buffer.byteLength(header) > maxHeaderBytes) throw refused('they are longer than 4,096 bytes');
  if (header.includes('"')) throw refused('one of them has quotes');
  if (/[^\x20-\x7e\x80-\xff]/.test(header)) throw refused('they hold control characters');
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, equals < 0 ? pair.length : equals).trim();
    if (name.startsWith('$')) throw refused('one of them begins with a dollar sign');
    // Ours are matched as browsers match prefixes, so that no spelling of theirs passes beside ours.
    const own = protectedNames.find((protectedName) => protectedName.toLowerCase() === name.toLowerCase());
    if (own === undefined) {
      if (name !== '' && !cookies.has(name)) cookies.set(name, equals < 0 ? '' : pair.slice(equals + 1).trim());
      continue;
    }
    if (own !== name || equals < 0) throw refused(`${own} is malformed`);
    if (cookies.has(own)) throw refused(`${own} is there twice`);
    cookies.set(own, pair.slice(equals + 1).trim());
  }
  return cookies;
}

/** One of our cookies: a token, or a token and what goes with it, sealed for exactly one scope, for example a tenant. */
export interface TokenCookie {
  readonly name: string;
  /** The token of a value that was sealed under this key for this scope; undefined for anything else. */
  open(sealer: Sealer, scope: string, value: string | undefined): Buffer | undefined;
  /** The `Set-Cookie` header that gives the token to the browser. */
  set(sealer: Sealer, scope: string, token: Uint8Array): string;
  /** The `Set-Cookie` header that removes it. */
  clear(): string;
}

export interface TokenCookieOptions {
  readonly name: string;
  /** Seconds that the browser keeps it. */
  readonly maxAgeSeconds: number;
  /** `Strict`: not even links from other sites carry it. */
  readonly sameSite: 'Lax' | 'Strict';
  /** Length of what is sealed. Default: a token. */
  readonly contentBytes?: number;
}

const sealOverheadBytes = 1 + 12 + 16;

export function createTokenCookie({
  name,
  maxAgeSeconds,
  sameSite,
  contentBytes = tokenBytes,
}: TokenCookieOptions): TokenCookie {
  const sealedLength = Math.ceil(((sealOverheadBytes + contentBytes) * 4) / 3);
  // The prefix __Host- makes browsers insist on Secure, Path=/ and no Domain (RFC 6265bis, 4.1.3.2): no neighbouring host can set it.
  const attributes = `Path=/; Secure; HttpOnly; SameSite=${sameSite}`;
  const contextOf = (scope: string) => `${scope} ${name}`;
  return {
    name,
    open(sealer, scope, value) {
      if (value === undefined || value.length !== sealedLength || !/^[A-Za-z0-9_-]+$/.test(value)) return undefined;
      const sealed = Buffer.from(value, 'base64url');
      // One value per token: the unused bits at the end of base64 must be zero.
      if (sealed.toString('base64url') !== value) return undefined;
      try {
        return sealer.open(sealed, contextOf(scope));
      } catch {
        return undefined;
      }
    },
    set(sealer, scope, token) {
      const value = sealer.seal(token, contextOf(scope)).toString('base64url');
      return `${name}=${value}; Max-Age=${maxAgeSeconds}; ${attributes}`;
    },
    clear: () => `${name}=; Max-Age=0; ${attributes}`,
  };
}

function refused(detail: string) {
  return identityErrors.FH_COOKIE_REFUSED({ detail });
}
