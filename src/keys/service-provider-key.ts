import { createPrivateKey, sign, webcrypto } from 'node:crypto';
import { randomBytes } from '#src/kernel/index.ts';
import { loadX509 } from './x509.ts';

const dayMs = 86_400_000;
const rsa = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 3072,
  publicExponent: new Uint8Array([1, 0, 1]),
} as const;

export interface ServiceProviderKey {
  /** PEM, PKCS #8. To be sealed wherever it is stored. */
  readonly privateKey: string;
  /** PEM, self-signed: identity providers take the key from it and look at the dates at most. */
  readonly certificate: string;
}

/** A new RSA-3072 key for SAML messages of one tenant, to sign with and to receive encrypted assertions; ten years. `nowMs`: the time. */
export async function createServiceProviderKey(nowMs: number): Promise<ServiceProviderKey> {
  const x509 = await loadX509();
  const keys = (await webcrypto.subtle.generateKey(rsa, true, ['sign', 'verify'])) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    name: 'CN=Freehold single sign-on',
    notBefore: new Date(nowMs - dayMs),
    notAfter: new Date(nowMs + 3650 * dayMs),
    signingAlgorithm: rsa,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: `${certificate.toString('pem')}\n`,
  };
}

/** RSASSA-PKCS1-v1_5 with SHA-256, as SAML's redirect binding signs a query string (bindings 3.4.4.1). Base64. */
export function signQuery(privateKey: string, query: string): string {
  return sign('sha256', Buffer.from(query, 'utf8'), createPrivateKey(privateKey)).toString('base64');
}
