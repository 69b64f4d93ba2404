import { constants, type KeyObject, verify } from 'node:crypto';

interface Scheme {
  readonly digest: 'sha256' | 'sha384' | 'sha512';
  readonly key: 'rsa' | 'ec';
  readonly isPss?: true;
}

const more = 'http://www.w3.org/2001/04/xmldsig-more#';
const more2007 = 'http://www.w3.org/2007/05/xmldsig-more#';

/** RFC 9231, 2.3. What is not here is refused: SHA-1, DSA, HMAC, RIPEMD. */
export const signatureSchemes: ReadonlyMap<string, Scheme> = new Map(
  (['sha256', 'sha384', 'sha512'] as const).flatMap((digest): [string, Scheme][] => [
    [`${more}rsa-${digest}`, { digest, key: 'rsa' }],
    [`${more}ecdsa-${digest}`, { digest, key: 'ec' }],
    [`${more2007}${digest}-rsa-MGF1`, { digest, key: 'rsa', isPss: true }],
  ]),
);

/** RFC 9231, 2.1. */
export const digestAlgorithms: ReadonlyMap<string, 'sha256' | 'sha384' | 'sha512'> = new Map([
  ['http://www.w3.org/2001/04/xmlenc#sha256', 'sha256'],
  [`${more}sha384`, 'sha384'],
  ['http://www.w3.org/2001/04/xmlenc#sha512', 'sha512'],
]);

/** Whether one of the keys made the signature. A key of another kind than the algorithm names never verifies. */
export function isSignedByOne(
  keys: readonly KeyObject[],
  algorithm: string,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  const scheme = signatureSchemes.get(algorithm);
  if (!scheme) return false;
  return keys.some((key) => {
    if (key.asymmetricKeyType !== scheme.key) return false;
    try {
      if (scheme.key === 'ec') return verify(scheme.digest, bytes, { key, dsaEncoding: 'ieee-p1363' }, signature);
      const padding = scheme.isPss ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
      const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
      return verify(scheme.digest, bytes, scheme.isPss ? { key, padding, saltLength } : { key, padding }, signature);
    } catch {
      return false;
    }
  });
}
