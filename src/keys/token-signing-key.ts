import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';

const generate = promisify(generateKeyPair);

export interface TokenSigningKey {
  readonly privateKey: KeyObject;
  /** Public part only (RFC 7518, 6.3.1). */
  readonly publicJwk: { readonly kty: 'RSA'; readonly n: string; readonly e: string };
}

/** A new RSA-3072 key for a tenant's ID tokens (RS256, which every client knows: OpenID Connect Core 15.1). PEM, PKCS #8; to be sealed wherever it is stored. */
export async function createTokenSigningKey(): Promise<string> {
  const { privateKey } = await generate('rsa', { modulusLength: 3072 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

export function openTokenSigningKey(pem: string): TokenSigningKey {
  const privateKey = createPrivateKey(pem);
  const { n = '', e = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { privateKey, publicJwk: { kty: 'RSA', n, e } };
}
