import type { TenantId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { Sealer } from '#src/keys/types.ts';
import { createTokenCookie, deviceCookieName, parseCookies, sessionCookieName } from './cookie.ts';

/** Signed in for at most two weeks, and not after a day without use. NIST SP 800-63B-4 allows 30 days at AAL1. */
export const sessionLifetimeSeconds = 14 * 86_400;
export const sessionIdleSeconds = 86_400;
/** Browsers cap cookies at 400 days (RFC 6265bis, 5.5). */
const deviceLifetimeSeconds = 400 * 86_400;

/** Where a request comes from, as the gateway knows it. */
export interface Caller {
  /** The `Cookie` header as received. */
  readonly cookieHeader?: string | undefined;
  /** IP address of the peer. */
  readonly address?: string | undefined;
  readonly userAgent?: string | undefined;
}

export type CookieKeyOf = (tenantId: TenantId) => Uint8Array | Promise<Uint8Array>;

const sessionCookie = createTokenCookie({
  name: sessionCookieName,
  maxAgeSeconds: sessionLifetimeSeconds,
  sameSite: 'Lax',
});
const deviceCookie = createTokenCookie({
  name: deviceCookieName,
  maxAgeSeconds: deviceLifetimeSeconds,
  sameSite: 'Strict',
});
const ownCookies = [sessionCookieName, deviceCookieName];

export interface BrowserCookies {
  /** The session token that the browser presents for this tenant; undefined: none that was made here. Throws FH_COOKIE_REFUSED. */
  findSessionToken(tenantId: TenantId, cookieHeader: string | undefined): Promise<Buffer | undefined>;
  findDeviceToken(tenantId: TenantId, cookieHeader: string | undefined): Promise<Buffer | undefined>;
  setSession(tenantId: TenantId, token: Uint8Array): Promise<string>;
  setDevice(tenantId: TenantId, token: Uint8Array): Promise<string>;
}

/** The two cookies of a tenant's host, sealed under the tenant's session-cookie key. */
export function createBrowserCookies(cookieKeyOf: CookieKeyOf): BrowserCookies {
  // Kept as long as whoever owns the key keeps it, and no longer.
  const sealers = new WeakMap<Uint8Array, Sealer>();
  async function sealerOf(tenantId: TenantId): Promise<Sealer> {
    const key = await cookieKeyOf(tenantId);
    let sealer = sealers.get(key);
    if (!sealer) {
      sealer = createSealer(key);
      sealers.set(key, sealer);
    }
    return sealer;
  }
  async function find(cookie: typeof sessionCookie, tenantId: TenantId, header: string | undefined) {
    const value = parseCookies(header, ownCookies).get(cookie.name);
    return value === undefined ? undefined : cookie.open(await sealerOf(tenantId), tenantId, value);
  }
  return {
    findSessionToken: (tenantId, header) => find(sessionCookie, tenantId, header),
    findDeviceToken: (tenantId, header) => find(deviceCookie, tenantId, header),
    setSession: async (tenantId, token) => sessionCookie.set(await sealerOf(tenantId), tenantId, token),
    setDevice: async (tenantId, token) => deviceCookie.set(await sealerOf(tenantId), tenantId, token),
  };
}

/** Removes the session cookie; the device stays known. */
export const clearSessionCookie = sessionCookie.clear();
export const clearDeviceCookie = deviceCookie.clear();

/** A header of any length and content as it may be stored and shown. */
export function describeUserAgent(userAgent: string | undefined): string | undefined {
  return userAgent
    ?.toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, 300);
}
