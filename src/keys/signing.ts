import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { assertKey } from './sealer.ts';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonDocument = { readonly [key: string]: JsonValue };

/** A document with the installation's signature over the canonical text of everything but `signature`. */
export type SignedDocument<D extends JsonDocument = JsonDocument> = D & {
  readonly signature: { readonly algorithm: 'Ed25519'; readonly keyId: string; readonly value: string };
};

export interface DocumentSigner {
  /** First 16 hex digits of the SHA-256 of the public key. */
  readonly keyId: string;
  readonly publicKeyPem: string;
  signDocument<D extends JsonDocument>(document: D): SignedDocument<D>;
}

/** PKCS #8 wrapping of a raw Ed25519 private key (RFC 8410, section 7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * The installation's signing key (Ed25519, RFC 8032), made of 32 secret bytes: `keyStore.deriveInstallationKey('document-signing')`.
 * Signs certificates of deletion, so that a tenant can prove later what the operator said.
 */
export function createDocumentSigner(seed: Uint8Array): DocumentSigner {
  assertKey(seed);
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey);
  const keyId = keyIdOf(publicKey);
  return {
    keyId,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    signDocument(document) {
      if ('signature' in document) throw new TypeError('the document is signed already');
      const value = sign(null, textToSign(document), privateKey).toString('base64url');
      return { ...document, signature: { algorithm: 'Ed25519', keyId, value } };
    },
  };
}

/** True when the document is exactly what the holder of this key signed. */
export function verifyDocument(document: unknown, publicKeyPem: string): boolean {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return false;
  const { signature, ...content } = document as SignedDocument;
  if (typeof signature !== 'object' || signature?.algorithm !== 'Ed25519' || typeof signature.value !== 'string')
    return false;
  const publicKey = createPublicKey(publicKeyPem);
  if (publicKey.asymmetricKeyType !== 'ed25519' || signature.keyId !== keyIdOf(publicKey)) return false;
  try {
    return verify(null, textToSign(content), publicKey, Buffer.from(signature.value, 'base64url'));
  } catch {
    return false;
  }
}

function keyIdOf(publicKey: KeyObject): string {
  const bytes = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/** The prefix keeps a signature from being taken for one over anything else. */
function textToSign(document: JsonDocument): Buffer {
  return Buffer.from(`freehold document 1\n${canonicalJson(document)}`, 'utf8');
}

/** One text per value: keys sorted by UTF-16 code units, no white space, numbers and strings as ECMAScript prints them (RFC 8785). */
export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('not a JSON number');
  if (value === null || typeof value !== 'object') {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError('not a JSON value');
    return text;
  }
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => canonicalJson(item)).join(',')}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
}
