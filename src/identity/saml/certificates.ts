import { type KeyObject, X509Certificate } from 'node:crypto';
import { refuse } from './refused.ts';

const curves = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** RSA of 2048 to 8192 bits (larger ones are a way to burn processor time) or a NIST curve. */
export function isStrongKey(key: KeyObject): boolean {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    return bits >= 2048 && bits <= 8192 && (details?.publicExponent ?? 0n) >= 65537n;
  }
  return key.asymmetricKeyType === 'ec' && curves.has(details?.namedCurve ?? '');
}

/** Of a provider's metadata, and those that it had before. */
const mostCertificates = 20;

const holds = ({ validFromDate, validToDate, publicKey }: X509Certificate, nowMs: number) =>
  validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime() && isStrongKey(publicKey);

/** Whether messages under its key would be taken now. */
export function isCertificateInForce(pem: string, nowMs: number): boolean {
  const certificate = readCertificate(pem);
  return certificate !== undefined && holds(certificate, nowMs);
}

/** The keys of those certificates of the connection that hold now. None is a refusal: nothing is ever taken unchecked (CVE-2026-28323). */
export function usableKeys(certificates: readonly string[], nowMs: number): readonly KeyObject[] {
  if (certificates.length === 0) refuse('no_certificate');
  const keys = certificates.slice(0, mostCertificates).flatMap((pem) => {
    const certificate = readCertificate(pem);
    return certificate && holds(certificate, nowMs) ? [certificate.publicKey] : [];
  });
  return keys.length > 0 ? keys : refuse('certificate_unusable');
}

export function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

export interface CertificateFacts {
  /** SHA-256, in hexadecimal with colons, as providers show it. */
  readonly fingerprint: string;
  /** ISO 8601. */
  readonly validFrom: string;
  readonly validTo: string;
}

/** What somebody compares with what the provider shows; undefined: no certificate. */
export function describeCertificate(pem: string): CertificateFacts | undefined {
  const certificate = readCertificate(pem);
  return (
    certificate && {
      fingerprint: certificate.fingerprint256,
      validFrom: certificate.validFromDate.toISOString(),
      validTo: certificate.validToDate.toISOString(),
    }
  );
}
