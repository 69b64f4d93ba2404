import type { ClusterId, InstallationId, KitId, TenantId } from '#src/kernel/index.ts';

/**
 * What a key may be used for. Each purpose gets its own key, derived from the tenant's key by HKDF-SHA-256,
 * so that what is sealed for one purpose cannot be opened for another.
 */
export type KeyPurpose =
  | 'session-cookie'
  | 'database-credentials'
  | 'files'
  | 'export'
  | 'mail'
  | 'second-factors'
  | 'app-identity';

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
  /** 32 bytes for one purpose, of version 1 of the key whatever was rotated since. Throws FH_KEY_DESTROYED when the tenant's key is gone. */
  deriveTenantKey(tenantId: TenantId, purpose: KeyPurpose): Promise<Buffer>;
  /** 32 bytes for one purpose of the installation itself, for example 'staff-session'. */
  deriveInstallationKey(purpose: string): Promise<Buffer>;
  /** Destroys every version of the tenant's key, for ever; does nothing when it is gone (idempotent). */
  destroyTenantKey(tenantId: TenantId): Promise<void>;
  hasTenantKey(tenantId: TenantId): Promise<boolean>;
}

export type KeyOwner = TenantId | ClusterId | 'installation';
/** `<owner>.<version>`, version from 1. */
export type KeyId = `${KeyOwner}.${number}`;

/** What an object is. Flat, not secret, authenticated. `kind` and `keyId` are always there; the rest belongs to the kind. */
export interface ObjectHeader {
  readonly kind: 'wal' | 'segment' | 'history' | 'manifest' | 'shared' | 'database' | 'dump' | 'file' | 'ledger';
  readonly keyId: KeyId;
  readonly [field: string]: string | number | boolean;
}

export interface BackupKey {
  readonly keyId: KeyId;
  /** 32 bytes, derived for backups. */
  readonly key: Buffer;
}

/** A key as it lies in the key store and in the regions. */
export interface WrappedKey {
  readonly keyId: KeyId;
  readonly bytes: Buffer;
}

/** Part of the key store that backups use. Only control holds it; jobs get single keys. */
export interface BackupKeys {
  /** Makes version 1 when there is none (idempotent). FH_KEY_DESTROYED when there was one: an id never means two keys. */
  createKey(owner: KeyOwner): Promise<KeyId>;
  /** A new version; older ones stay readable. */
  rotateKey(owner: KeyOwner): Promise<KeyId>;
  /** The newest version, to seal under. FH_KEY_DESTROYED when the owner's key is gone. */
  currentKey(owner: KeyOwner): Promise<BackupKey>;
  /** The very version, to open with. FH_KEY_DESTROYED likewise; FH_KEY_UNSEAL when there never was such a version. */
  openKey(keyId: KeyId): Promise<BackupKey>;
  /** Destroys every version, for ever (idempotent). Copies in regions go with the escrow's `forget`, or at its next `reconcile`. */
  destroyKey(owner: KeyOwner): Promise<void>;
  /** Every version of every owner. */
  keyIds(): AsyncIterable<KeyId>;
  /** One wrapped key. FH_KEY_DESTROYED likewise. */
  wrappedKey(keyId: KeyId): Promise<Buffer>;
  /** Every wrapped key, for the regions: sealed under the root key, worthless without it. */
  wrappedKeys(): AsyncIterable<WrappedKey>;
  /** Everyone whose key was ever destroyed here: no copy of theirs may stay anywhere. */
  destroyedOwners(): Promise<KeyOwner[]>;
}

/** What of the keys can be had from one region alone. FH_KEY_NOT_IN_REGION, FH_KEY_COPY_DAMAGED, FH_KEY_DESTROYED. */
export type ColdKeys = Pick<BackupKeys, 'openKey'> & Pick<KeyStore, 'deriveTenantKey'>;

/** Made once, shown once. */
export interface RecoveryKit {
  readonly kitId: KitId;
  /** A page to print: installation, kit, date, and the secret in groups. Never logged, never stored. */
  readonly text: string;
  /** The root key under the kit's secret: object `kits/<kitId>` of every region. */
  readonly sealedRoot: Buffer;
}

/** Part of the key store that makes recovery kits. The secret of a kit is nowhere but in its text. */
export interface RecoveryKits {
  /** Follows from the root key, so a rebuilt installation has the id of the old one. */
  installationId(): InstallationId;
  /**
   * A new kit beside the older ones: those open until `retireKits`, so that a crash before anybody has read the page leaves nobody without one.
   * @param date printed on the page
   */
  createRecoveryKit(date: Date): Promise<RecoveryKit>;
  /** Kits that open, to be in every region. */
  recoveryKits(): Promise<readonly { readonly kitId: KitId; readonly sealedRoot: Buffer }[]>;
  /** All but this one open nothing any more, once the regions are without them. TypeError when there is no such kit. */
  retireKits(except: KitId): Promise<void>;
  /** Kits that were replaced: no copy may stay anywhere. */
  retiredKits(): Promise<KitId[]>;
}
