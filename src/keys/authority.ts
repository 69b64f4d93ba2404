import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto';
import { join } from 'node:path';
import { type Clock, randomBytes, systemClock } from '#src/kernel/index.ts';
import { findPrivateFile, makePrivateFolder, writeDurably } from './durable-file.ts';
import { keyErrors } from './errors.ts';
import { encodeNameConstraints, nameConstraintsId } from './name-constraints.ts';
import { loadX509, type X509Certificate } from './x509.ts';

const dayMs = 86_400_000;
/** Browsers refuse leaves of more than 398 days (CA/Browser Forum baseline requirements, 6.3.2, until March 2026; local roots keep it). */
const leafDays = 396;
const authorityDays = 3650;
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface LocalAuthority {
  /** The root, for people to trust in their browser; `DATA/ca.crt`. */
  readonly certificatePem: string;
  /** A leaf for exactly one host and the gateway's public key (PEM, SPKI, P-256); throws FH_CERTIFICATE_REFUSED. */
  issue(host: string, publicKeyPem: string): Promise<string>;
}

/**
 * Opens the local certificate authority, and makes it on the first start: ECDSA P-256, ten years, constrained by name to `domain` and what
 * lies below it (RFC 5280, 4.2.1.10), so that the key, if stolen, makes no certificate for anything else that its owner's browser trusts.
 */
export async function createLocalAuthority(
  folder: string,
  { domain = 'localhost', clock = systemClock }: { domain?: string; clock?: Clock } = {},
): Promise<LocalAuthority> {
  assertHost(domain);
  const x509 = await loadX509();
  await makePrivateFolder(folder);
  const keyPath = join(folder, 'ca.key');
  const certificatePath = join(folder, 'ca.crt');
  await writeKeyOnce(keyPath);
  const privateKey = await readKey(keyPath);
  if (!(await findPrivateFile(certificatePath))) {
    const certificate = await signRoot(privateKey, domain, clock);
    await writeDurably(certificatePath, Buffer.from(certificate.toString('pem')), { onlyOnce: true });
  }
  const root = new x509.X509Certificate((await findPrivateFile(certificatePath))!.toString('utf8'));
  const made = root.getExtension(nameConstraintsId)?.value ?? new ArrayBuffer(0);
  if (!Buffer.from(made).equals(encodeNameConstraints(domain)))
    throw keyErrors.FH_CERTIFICATE_REFUSED({
      detail: `the authority was made for another domain than ${domain}`,
      hint: `Move ${folder} away to make a new authority, and trust its certificate in your browsers.`,
    });
  const signingKey = await importSigningKey(privateKey);

  return {
    certificatePem: `${root.toString('pem')}\n`,
    async issue(host, publicKeyPem) {
      assertHost(host);
      if (host !== domain && !host.endsWith(`.${domain}`))
        throw keyErrors.FH_CERTIFICATE_REFUSED({ detail: `${host} is not below ${domain}` });
      const now = clock.now();
      const leaf = await x509.X509CertificateGenerator.create({
        serialNumber: newSerialNumber(),
        issuer: root.subjectName,
        // A common name has at most 64 characters; browsers look at the alternative name only.
        subject: host.length <= 64 ? `CN=${host}` : 'O=Freehold',
        notBefore: new Date(now - dayMs / 24),
        notAfter: new Date(Math.min(now + leafDays * dayMs, root.notAfter.getTime())),
        publicKey: new x509.PublicKey(normaliseLeafKey(publicKeyPem)),
        signingKey,
        signingAlgorithm: ecdsa,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: host }]),
          await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
        ],
      });
      return `${leaf.toString('pem')}\n`;
    },
  };
}

/** The gateway's own TLS key pair, made on the first start in a folder of the gateway; several workers may ask at once and get the same one. */
export async function createGatewayKey(folder: string): Promise<{ privateKeyPem: string; publicKeyPem: string }> {
  await makePrivateFolder(folder);
  const path = join(folder, 'gateway.key');
  await writeKeyOnce(path);
  const privateKey = await readKey(path);
  return {
    privateKeyPem: exportPrivate(privateKey),
    publicKeyPem: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString(),
  };
}

async function writeKeyOnce(path: string): Promise<void> {
  if (await findPrivateFile(path)) return;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeDurably(path, Buffer.from(exportPrivate(privateKey)), { onlyOnce: true });
}

async function readKey(path: string): Promise<KeyObject> {
  try {
    return createPrivateKey((await findPrivateFile(path))!);
  } catch (cause) {
    throw keyErrors.FH_KEY_STORE_DAMAGED({ detail: `${path} is not a private key`, cause });
  }
}

function exportPrivate(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function importSigningKey(key: KeyObject): Promise<CryptoKey> {
  const bytes = new Uint8Array(key.export({ type: 'pkcs8', format: 'der' }));
  return webcrypto.subtle.importKey('pkcs8', bytes, ecdsa, false, ['sign']) as Promise<CryptoKey>;
}

async function signRoot(privateKey: KeyObject, domain: string, clock: Clock): Promise<X509Certificate> {
  const x509 = await loadX509();
  const publicKey = new x509.PublicKey(createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString());
  // The name tells installations apart in a browser's list, and says nothing about the machine.
  const name = `CN=Freehold local authority ${randomBytes(4).toString('hex')}`;
  const now = clock.now();
  return x509.X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    issuer: name,
    subject: name,
    notBefore: new Date(now - dayMs),
    notAfter: new Date(now + authorityDays * dayMs),
    publicKey,
    signingKey: await importSigningKey(privateKey),
    signingAlgorithm: ecdsa,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.Extension(nameConstraintsId, true, new Uint8Array(encodeNameConstraints(domain))),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
}

/** 128 random bits; the leading 01 keeps the number positive and its length fixed (RFC 5280, 4.1.2.2: at most 20 bytes). */
function newSerialNumber(): string {
  return `01${randomBytes(16).toString('hex')}`;
}

/** PEM, SPKI; throws FH_CERTIFICATE_REFUSED. */
function normaliseLeafKey(publicKeyPem: string): string {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: publicKeyPem, format: 'pem' });
  } catch (cause) {
    throw keyErrors.FH_CERTIFICATE_REFUSED({ detail: 'the public key is not readable', cause });
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw keyErrors.FH_CERTIFICATE_REFUSED({ detail: 'the public key is not on the curve P-256' });
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

/** A DNS name in lower case, of letters, digits and inner hyphens: no wildcard, no address, no trailing dot. */
function assertHost(host: string): void {
  const isName = /^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/.test(host);
  if (!isName || host.length > 253 || /(^|\.)[0-9]+$/.test(host))
    throw keyErrors.FH_CERTIFICATE_REFUSED({ detail: 'not a host name' });
}
