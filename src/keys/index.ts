/**
 * keys: the single owner of ciphers and private keys. Key hierarchy: root key → one key per tenant (wrapped) → one key per purpose (HKDF).
 * Destroying a tenant's key makes everything sealed under it unreadable; nothing here caches a key, so that takes effect at once.
 * Only control opens the key store; gateways get derived keys of hot tenants and use the sealers.
 */
export { type AgeRecipient, encryptToAge, parseAgeRecipient } from './age.ts';
export { createGatewayKey, createLocalAuthority, type LocalAuthority } from './authority.ts';
export { type ClusterKeys, readClusterKeys } from './cluster-keys.ts';
export { keyErrors } from './errors.ts';
export {
  createKeyEscrow,
  type EscrowDeps,
  type EscrowResult,
  escrowTenantKeys,
  type KeyEscrow,
  type OwedRegion,
  type RegionReport,
} from './escrow.ts';
export { formatKeyId, isKeyId, isKeyOwner, parseKeyId } from './owners.ts';
export { type RebuildOptions, type RebuildResult, type RebuiltKit, rebuildKeyStore } from './rebuild.ts';
export { openRecoveryKit, parseRecoveryKit } from './recovery-kit.ts';
export { recoverKeyStore } from './region-keys.ts';
export {
  type OpenedObject,
  type OpenOptions,
  openObject,
  openObjectBytes,
  sealedObjectBytes,
  sealObject,
  sealObjectBytes,
} from './sealed-object.ts';
export { openSealedStream, sealedStreamBytes, sealStream } from './sealed-stream.ts';
export { createSealer } from './sealer.ts';
export { createServiceProviderKey, type ServiceProviderKey, signQuery } from './service-provider-key.ts';
export {
  canonicalJson,
  createDocumentSigner,
  type DocumentSigner,
  type JsonDocument,
  type SignedDocument,
  verifyDocument,
} from './signing.ts';
export { type OpenKeyStore, openKeyStore } from './store.ts';
export { type StreamTransform, streamChunkBytes } from './stream.ts';
export { createTokenSigningKey, openTokenSigningKey, type TokenSigningKey } from './token-signing-key.ts';
export type {
  BackupKey,
  BackupKeys,
  ColdKeys,
  KeyId,
  KeyOwner,
  KeyPurpose,
  KeyStore,
  ObjectHeader,
  RecoveryKit,
  RecoveryKits,
  Sealer,
  WrappedKey,
} from './types.ts';
export { openXmlEncryption, type XmlContentCipher, type XmlEncrypted } from './xml-encryption.ts';
