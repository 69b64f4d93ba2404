import type { TenantId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { CookieKeyOf } from '../sessions/browser.ts';
import { createTokenCookie, parseCookies } from '../sessions/cookie.ts';

export const signOnCookieName = '__Host-freehold-sign-on';
/** How long a provider may take to send the browser back. */
export const signOnLifetimeSeconds = 600;

/**
 * Binds sign-ins at a provider to the browser that began them. Strict: the provider's answer is handed on by a page of ours, so no request from another site ever
 * needs it.
 */
const cookie = createTokenCookie({ name: signOnCookieName, maxAgeSeconds: signOnLifetimeSeconds, sameSite: 'Strict' });

export interface SignOnCookies {
  find(tenantId: TenantId, cookieHeader: string | undefined): Promise<Buffer | undefined>;
  set(tenantId: TenantId, token: Uint8Array): Promise<string>;
}

export function createSignOnCookies(cookieKeyOf: CookieKeyOf): SignOnCookies {
  const sealerOf = async (tenantId: TenantId) => createSealer(await cookieKeyOf(tenantId));
  return {
    async find(tenantId, header) {
      const value = parseCookies(header, [cookie.name]).get(cookie.name);
      return value === undefined ? undefined : cookie.open(await sealerOf(tenantId), tenantId, value);
    },
    set: async (tenantId, token) => cookie.set(await sealerOf(tenantId), tenantId, token),
  };
}
