import type { Log, TenantId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { FactorsKeyOf } from '../second-factors/redeem.ts';

/** Seals what connections must not tell: client secrets, and the private keys of our side of SAML. Each for one connection of one tenant. */
export interface ConnectionSecrets {
  seal(tenantId: TenantId, connectionId: string, secret: string): Promise<Buffer>;
  /** Undefined: none, or sealed for another tenant, as in a copy. */
  open(tenantId: TenantId, connectionId: string, sealed: Uint8Array | null): Promise<string | undefined>;
}

/** The key is that of second factors; what is sealed is kept apart by its context, which is authenticated. */
export function createConnectionSecrets(keyOf: FactorsKeyOf, log: Log): ConnectionSecrets {
  const contextOf = (tenantId: TenantId, connectionId: string) => `${tenantId} sign-on ${connectionId}`;
  return {
    seal: async (tenantId, connectionId, secret) =>
      createSealer(await keyOf(tenantId)).seal(Buffer.from(secret), contextOf(tenantId, connectionId)),
    async open(tenantId, connectionId, sealed) {
      if (!sealed) return undefined;
      try {
        return createSealer(await keyOf(tenantId))
          .open(sealed, contextOf(tenantId, connectionId))
          .toString('utf8');
      } catch (error) {
        log.warn('the secret of a sign-on connection does not open', { tenantId, connectionId, error });
        return undefined;
      }
    },
  };
}
