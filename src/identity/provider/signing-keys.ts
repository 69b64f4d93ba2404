import { calculateJwkThumbprint } from 'jose';
import type { TenantDatabases } from '#src/databases/types.ts';
import { failpoint, type TenantId } from '#src/kernel/index.ts';
import { createSealer, createTokenSigningKey, openTokenSigningKey, type TokenSigningKey } from '#src/keys/index.ts';
import type { FactorsKeyOf } from '../second-factors/redeem.ts';
import { findKey, putKey, type StoredKey } from './provider-sql.ts';

export interface SigningKey {
  readonly keyId: string;
  readonly privateKey: TokenSigningKey['privateKey'];
  /** JWK, public part only, with `kid`, `alg` and `use`. */
  readonly publicJwk: Readonly<Record<string, string>>;
}

/** The tenant's key of ID tokens, made when it is asked for first. Nothing is kept between calls. */
export function createSigningKeys(databases: Pick<TenantDatabases, 'platform'>, keyOf: FactorsKeyOf) {
  const contextOf = (tenantId: TenantId, keyId: string) => `${tenantId} provider ${keyId}`;

  async function open(tenantId: TenantId, stored: StoredKey | undefined): Promise<SigningKey | undefined> {
    if (!stored) return undefined;
    const sealer = createSealer(await keyOf(tenantId));
    try {
      const pem = sealer.open(stored.sealedPrivateKey, contextOf(tenantId, stored.keyId)).toString('utf8');
      return { keyId: stored.keyId, privateKey: openTokenSigningKey(pem).privateKey, publicJwk: stored.publicJwk };
    } catch {
      // Sealed for another tenant: this is a copy, which must not sign in the name of the original.
      return undefined;
    }
  }

  async function make(tenantId: TenantId): Promise<StoredKey> {
    const pem = await createTokenSigningKey();
    const { publicJwk } = openTokenSigningKey(pem);
    const keyId = await calculateJwkThumbprint(publicJwk);
    const sealedPrivateKey = createSealer(await keyOf(tenantId)).seal(Buffer.from(pem), contextOf(tenantId, keyId));
    return { keyId, sealedPrivateKey, publicJwk: { ...publicJwk, kid: keyId, alg: 'RS256', use: 'sig' } };
  }

  return {
    async get(tenantId: TenantId): Promise<SigningKey> {
      const stored = await databases.platform.read(tenantId, findKey);
      const known = await open(tenantId, stored);
      if (known) return known;
      const made = await make(tenantId);
      const kept = await databases.platform.transact(tenantId, async (db) => {
        await putKey(db, made, stored);
        await failpoint('identity.provider.key.before_commit');
        return findKey(db);
      });
      const opened = await open(tenantId, kept);
      if (!opened) throw new Error('the signing key of a tenant does not open');
      return opened;
    },
  };
}
