import type { TenantId } from '#src/kernel/index.ts';

/**
 * What a key may be used for. Each purpose gets its own key, derived from the tenant's key by HKDF-SHA-256,
 * so that what is sealed for one purpose cannot be opened for another.
 */
export type KeyPurpose = 'session-cookie' | 'database-credentials' | 'files' | 'export';

/** Seals small values: AES-256-GCM, 96-bit random nonce, key version in front, `context` authenticated with it. */
export interface Sealer {
  /** @returns version (1 byte) ‖ nonce (12) ‖ ciphertext ‖ tag (16) */
  seal(plaintext: Uint8Array, context: string): Buffer;
  /** Opens what `seal` made with the same context; throws FH_KEY_UNSEAL on anything else, without saying why. */
  open(sealed: Uint8Array, context: string): Buffer;
}

/** The key store: the only holder of wrapped keys. Default: a directory apart from the data, owned by control alone. */
export interface KeyStore {
  /** Creates the tenant's key; does nothing when it is there (idempotent). */
  createTenantKey(tenantId: TenantId): Promise<void>;
  /** 32 bytes for one purpose. Throws FH_KEY_DESTROYED when the tenant's key is gone. */
  deriveTenantKey(tenantId: TenantId, purpose: KeyPurpose): Promise<Buffer>;
  /** 32 bytes for one purpose of the installation itself, for example 'staff-session'. */
  deriveInstallationKey(purpose: string): Promise<Buffer>;
  /** Destroys every version of the tenant's key, for ever; does nothing when it is gone (idempotent). */
  destroyTenantKey(tenantId: TenantId): Promise<void>;
  hasTenantKey(tenantId: TenantId): Promise<boolean>;
}
