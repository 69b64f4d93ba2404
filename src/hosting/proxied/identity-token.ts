import { SignJWT } from 'jose';
import type { Session } from '#src/identity/types.ts';
import type { Clock, TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';

/** Of the request that carries it; apps allow for clocks that differ. */
const lifetimeSeconds = 60;

export interface IdentityTokens {
  /** `Freehold-Identity` of one request: a JWT (RFC 7519), HS256 under the tenant's key. Never used for a second request. */
  sign(tenant: TenantRoute, user: Session['user'], requestId: string): Promise<string>;
}

/** Who is asking, for an app that believes us: as of this very request, for this tenant's app alone. */
export function createIdentityTokens(deps: {
  readonly identityKeyOf: (tenantId: TenantId) => Promise<Uint8Array>;
  readonly urlOf: (route: TenantRoute) => string;
  readonly clock: Clock;
}): IdentityTokens {
  return {
    sign: async (tenant, { userId, email, name, role }, requestId) => {
      const key = await deps.identityKeyOf(tenant.tenantId);
      const nowSeconds = Math.floor(deps.clock.now() / 1_000);
      return new SignJWT({ email, name, role })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setSubject(userId)
        .setIssuer(deps.urlOf(tenant))
        .setAudience(tenant.app)
        .setIssuedAt(nowSeconds)
        .setExpirationTime(nowSeconds + lifetimeSeconds)
        .setJti(requestId)
        .sign(key);
    },
  };
}
