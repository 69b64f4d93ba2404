import type { TenantId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { Sealer } from '#src/keys/types.ts';
import {
  challengeCookieName,
  createTokenCookie,
  deviceCookieName,
  hashToken,
  parseCookies,
  passkeyCookieName,
  sessionCookieName,
} from './cookie.ts';
import { decodeSessionKey, encodeSessionKey, type SessionKey, sessionKeyBytes, successorOf } from './session-key.ts';

/** Signed in for at most two weeks, and not after a day without use. NIST SP 800-63B-4 allows 30 days at AAL1. */
export const sessionLifetimeSeconds = 14 * 86_400;
export const sessionIdleSeconds = 86_400;
/** Browsers cap cookies at 400 days (RFC 6265bis, 5.5). */
export const deviceLifetimeSeconds = 400 * 86_400;
/** Between the right password and the code. */
export const challengeLifetimeSeconds = 300;

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
  contentBytes: sessionKeyBytes,
});
const deviceCookie = createTokenCookie({
  name: deviceCookieName,
  maxAgeSeconds: deviceLifetimeSeconds,
  sameSite: 'Strict',
});
const challengeCookie = createTokenCookie({
  name: challengeCookieName,
  maxAgeSeconds: challengeLifetimeSeconds,
  sameSite: 'Strict',
});
/** Of a browser in which a passkey may sign somebody in. */
const passkeyCookie = createTokenCookie({
  name: passkeyCookieName,
  maxAgeSeconds: challengeLifetimeSeconds,
  sameSite: 'Strict',
});
const ownCookies = [sessionCookieName, deviceCookieName, challengeCookieName, passkeyCookieName];

export interface BrowserCookies {
  /** The session key that the browser presents for this tenant; undefined: none that was made here. Throws FH_COOKIE_REFUSED. */
  findSessionKey(tenantId: TenantId, cookieHeader: string | undefined): Promise<SessionKey | undefined>;
  /** The key that follows it. */
  successorOf(tenantId: TenantId, key: SessionKey): Promise<SessionKey>;
  /** The SHA-256 of the key's token, for the check of every request: a header that was opened before is not opened again. */
  findSessionTokenHash(tenantId: TenantId, cookieHeader: string | undefined): Promise<Buffer | undefined>;
  /** That hash where the header was opened before and the key is at hand; undefined: ask `findSessionTokenHash`. */
  knownSessionTokenHash(tenantId: TenantId, cookieHeader: string | undefined): Buffer | undefined;
  findDeviceToken(tenantId: TenantId, cookieHeader: string | undefined): Promise<Buffer | undefined>;
  /** Of a sign-in that waits for its second step in this browser. */
  findChallengeToken(tenantId: TenantId, cookieHeader: string | undefined): Promise<Buffer | undefined>;
  setSession(tenantId: TenantId, key: SessionKey): Promise<string>;
  setDevice(tenantId: TenantId, token: Uint8Array): Promise<string>;
  setChallenge(tenantId: TenantId, token: Uint8Array): Promise<string>;
  /** Of the browser in which a passkey was asked for, whoever sits there. */
  findPasskeyToken(tenantId: TenantId, cookieHeader: string | undefined): Promise<Buffer | undefined>;
  setPasskey(tenantId: TenantId, token: Uint8Array): Promise<string>;
}

/** What is remembered as long as whoever owns the key keeps it, and no longer. */
interface KeyedMemory {
  readonly sealer: Sealer;
  /**
   * Cookie headers that were opened under this key, whole and in exactly these bytes, so finding one proves what opening it again would. Only
   * that the token was made here: whether its session is good is asked of the database each time.
   */
  readonly opened: Map<string, { readonly tenantId: TenantId; readonly tokenHash: Buffer }>;
}

const maxOpened = 64;
const maxOpenedLength = 1_024;

/** The cookies of a tenant's host, sealed under the tenant's session-cookie key. */
export function createBrowserCookies(
  cookieKeyOf: CookieKeyOf,
  knownCookieKeyOf: (tenantId: TenantId) => Uint8Array | undefined = () => undefined,
): BrowserCookies {
  const memories = new WeakMap<Uint8Array, KeyedMemory>();
  async function memoryOf(tenantId: TenantId): Promise<KeyedMemory> {
    return memoryOfKey(await cookieKeyOf(tenantId));
  }
  function memoryOfKey(key: Uint8Array): KeyedMemory {
    let memory = memories.get(key);
    if (!memory) {
      memory = { sealer: createSealer(key), opened: new Map() };
      memories.set(key, memory);
    }
    return memory;
  }
  const sealerOf = async (tenantId: TenantId) => (await memoryOf(tenantId)).sealer;
  async function find(cookie: typeof sessionCookie, tenantId: TenantId, header: string | undefined) {
    const value = parseCookies(header, ownCookies).get(cookie.name);
    return value === undefined ? undefined : cookie.open(await sealerOf(tenantId), tenantId, value);
  }
  async function findTokenHash(tenantId: TenantId, header: string | undefined): Promise<Buffer | undefined> {
    // A stranger costs no look at the key; parsed all the same, because some headers are refused.
    if (!header?.includes(sessionCookieName)) {
      parseCookies(header, ownCookies);
      return undefined;
    }
    const { sealer, opened } = await memoryOf(tenantId);
    const known = opened.get(header);
    if (known?.tenantId === tenantId) return known.tokenHash;
    const content = sessionCookie.open(sealer, tenantId, parseCookies(header, ownCookies).get(sessionCookie.name));
    if (!content) return undefined;
    const tokenHash = hashToken(decodeSessionKey(content).token);
    if (header.length <= maxOpenedLength) {
      if (opened.size >= maxOpened) opened.delete(opened.keys().next().value!);
      opened.set(header, { tenantId, tokenHash });
    }
    return tokenHash;
  }
  function knownTokenHash(tenantId: TenantId, header: string | undefined): Buffer | undefined {
    const key = header === undefined ? undefined : knownCookieKeyOf(tenantId);
    const known = key && memories.get(key)?.opened.get(header!);
    return known?.tenantId === tenantId ? known.tokenHash : undefined;
  }
  return {
    knownSessionTokenHash: knownTokenHash,
    async findSessionKey(tenantId, header) {
      const content = await find(sessionCookie, tenantId, header);
      return content && decodeSessionKey(content);
    },
    successorOf: async (tenantId, key) => successorOf(await cookieKeyOf(tenantId), key),
    findSessionTokenHash: findTokenHash,
    findDeviceToken: (tenantId, header) => find(deviceCookie, tenantId, header),
    findChallengeToken: (tenantId, header) => find(challengeCookie, tenantId, header),
    setSession: async (tenantId, key) => sessionCookie.set(await sealerOf(tenantId), tenantId, encodeSessionKey(key)),
    setDevice: async (tenantId, token) => deviceCookie.set(await sealerOf(tenantId), tenantId, token),
    setChallenge: async (tenantId, token) => challengeCookie.set(await sealerOf(tenantId), tenantId, token),
    findPasskeyToken: (tenantId, header) => find(passkeyCookie, tenantId, header),
    setPasskey: async (tenantId, token) => passkeyCookie.set(await sealerOf(tenantId), tenantId, token),
  };
}

/** Removes the session cookie; the device stays known. */
export const clearSessionCookie = sessionCookie.clear();
export const clearDeviceCookie = deviceCookie.clear();
export const clearChallengeCookie = challengeCookie.clear();
export const clearPasskeyCookie = passkeyCookie.clear();

/** A header of any length and content as it may be stored and shown. */
export function describeUserAgent(userAgent: string | undefined): string | undefined {
  return userAgent
    ?.toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, 300);
}
