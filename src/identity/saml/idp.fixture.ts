import 'reflect-metadata';
import {
  constants,
  createCipheriv,
  createHash,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  sign,
  webcrypto,
} from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { DOMParser } from '@xmldom/xmldom';
import { ExclusiveCanonicalization, type HashAlgorithm, type SignatureAlgorithm, SignedXml } from 'xml-crypto';
import type { ExpectedResponse } from './types.ts';

/** An identity provider for tests, which signs and encrypts like real ones, and like none: it does whatever a case wants. */

export const nowMs = Date.parse('2026-11-22T12:00:00Z');
/** An instant relative to `nowMs`. */
export const at = (offsetMs: number) => new Date(nowMs + offsetMs).toISOString();
export const minute = 60_000;

export const acsUrl = 'https://acme.localhost:8443/-/sso/saml/acs';
export const sloUrl = 'https://acme.localhost:8443/-/sso/saml/slo';
export const spEntityId = 'https://acme.localhost:8443/-/sso/saml/metadata';
export const idpEntityId = 'https://idp.example.org/metadata';
export const requestId = '_5d1f0c3b9a7e4d2f8c6b5a493827160f';
export const victim = 'owner@acme.example';
export const attacker = 'mallory@evil.example';

export interface Signer {
  readonly privateKey: KeyObject;
  readonly certificate: string;
}

type KeyKind = 1024 | 2048 | 3072 | 4096 | 'P-256' | 'P-384' | 'P-521';

function makeKeys(kind: KeyKind): { publicKey: KeyObject; privateKey: KeyObject } {
  if (typeof kind === 'number') return generateKeyPairSync('rsa', { modulusLength: kind });
  return generateKeyPairSync('ec', { namedCurve: kind });
}

/** A key with a self-signed certificate, valid from a day before `nowMs` for a year unless said otherwise. */
export async function createSigner(
  kind: KeyKind = 2048,
  { from = -1440 * minute, until = 365 * 1440 * minute }: { from?: number; until?: number } = {},
): Promise<Signer> {
  const { publicKey, privateKey } = makeKeys(kind);
  const algorithm =
    typeof kind === 'number'
      ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
      : { name: 'ECDSA', namedCurve: kind, hash: 'SHA-256' };
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '01',
    subject: 'CN=Example identity provider',
    issuer: 'CN=Example identity provider',
    notBefore: new Date(nowMs + from),
    notAfter: new Date(nowMs + until),
    publicKey: new x509.PublicKey(publicKey.export({ type: 'spki', format: 'pem' }).toString()),
    signingKey: (await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign'])) as CryptoKey,
    signingAlgorithm: algorithm,
  });
  return { privateKey, certificate: certificate.toString('pem') };
}

/** The genuine response, before any signature. Cases alter its text. */
export function genuineResponse(): string {
  return (
    `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r0001" Version="2.0" IssueInstant="${at(-2_000)}" Destination="${acsUrl}" InResponseTo="${requestId}">` +
    `<saml:Issuer>${idpEntityId}</saml:Issuer>` +
    '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>' +
    `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a0001" Version="2.0" IssueInstant="${at(-1_000)}">` +
    `<saml:Issuer>${idpEntityId}</saml:Issuer>` +
    '<saml:Subject>' +
    `<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">${attacker}</saml:NameID>` +
    `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="${at(5 * minute)}" Recipient="${acsUrl}" InResponseTo="${requestId}"/></saml:SubjectConfirmation>` +
    '</saml:Subject>' +
    `<saml:Conditions NotBefore="${at(-5 * minute)}" NotOnOrAfter="${at(6 * minute)}"><saml:AudienceRestriction><saml:Audience>${spEntityId}</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
    `<saml:AuthnStatement AuthnInstant="${at(-10 * minute)}" SessionIndex="_s0001" SessionNotOnOrAfter="${at(480 * minute)}"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
    '<saml:AttributeStatement><saml:Attribute Name="groups" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic"><saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">staff</saml:AttributeValue><saml:AttributeValue>desk</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>' +
    '</saml:Assertion></samlp:Response>'
  );
}

export interface SigningOptions {
  readonly signer: Signer;
  /** Local name of the element that is signed. */
  readonly element: 'Response' | 'Assertion' | 'LogoutRequest' | 'LogoutResponse' | 'EntityDescriptor';
  readonly signature?: string;
  readonly digest?: string;
  readonly canonicalization?: string;
  readonly transforms?: readonly string[];
  readonly keyInfo?: string;
  readonly inclusivePrefixes?: readonly string[];
  /** URI="" in the place of the id. */
  readonly isEmptyUri?: boolean;
}

export const algorithms = {
  rsaSha1: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1',
  rsaSha256: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  rsaSha384: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha384',
  rsaSha512: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
  pssSha256: 'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
  pssSha512: 'http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1',
  ecdsaSha256: 'http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256',
  ecdsaSha384: 'http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384',
  ecdsaSha512: 'http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512',
  dsaSha256: 'http://www.w3.org/2009/xmldsig11#dsa-sha256',
  hmacSha256: 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha256',
  sha1: 'http://www.w3.org/2000/09/xmldsig#sha1',
  sha256: 'http://www.w3.org/2001/04/xmlenc#sha256',
  sha384: 'http://www.w3.org/2001/04/xmldsig-more#sha384',
  sha512: 'http://www.w3.org/2001/04/xmlenc#sha512',
  enveloped: 'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
  exclusive: 'http://www.w3.org/2001/10/xml-exc-c14n#',
  exclusiveWithComments: 'http://www.w3.org/2001/10/xml-exc-c14n#WithComments',
  inclusive: 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315',
} as const;

/** Signs one element, the signature after its Issuer (first in metadata), as every identity provider does. */
export function signXml(xml: string, options: SigningOptions): string {
  const { signer, element } = options;
  const signature = options.signature ?? algorithms.rsaSha256;
  const engine = new SignedXml({
    privateKey: signer.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    canonicalizationAlgorithm: options.canonicalization ?? algorithms.exclusive,
    signatureAlgorithm: signature,
    getKeyInfoContent: () => options.keyInfo ?? keyInfoOf(signer.certificate),
  });
  engine.SignatureAlgorithms[signature] = signingAlgorithm(signature, signer);
  for (const [name, hash] of digests) engine.HashAlgorithms[name] = hashAlgorithm(name, hash);
  const path = `//*[local-name(.)='${element}']`;
  engine.addReference({
    xpath: path,
    transforms: options.transforms ?? [algorithms.enveloped, algorithms.exclusive],
    digestAlgorithm: options.digest ?? algorithms.sha256,
    isEmptyUri: options.isEmptyUri ?? false,
    inclusiveNamespacesPrefixList: [...(options.inclusivePrefixes ?? [])],
  });
  const isMetadata = element === 'EntityDescriptor';
  engine.computeSignature(xml, {
    prefix: 'ds',
    location: isMetadata
      ? { reference: path, action: 'prepend' }
      : { reference: `${path}/*[local-name(.)='Issuer']`, action: 'after' },
  });
  const signed = engine.getSignedXml();
  return options.inclusivePrefixes ? withPrefixesInPlace(signed, options) : signed;
}

/** xml-crypto puts InclusiveNamespaces into both transforms; Shibboleth and Okta only where it belongs. Signed anew after the repair. */
function withPrefixesInPlace(xml: string, { signer, signature = algorithms.rsaSha256 }: SigningOptions): string {
  const repaired = xml.replace(/(enveloped-signature">)<InclusiveNamespaces [^>]*\/>/, '$1');
  const info = new DOMParser().parseFromString(repaired, 'text/xml').getElementsByTagName('ds:SignedInfo')[0]!;
  const bytes = new ExclusiveCanonicalization().process(info, {});
  const value = new (signingAlgorithm(signature, signer))().getSignature(bytes, '');
  return repaired.replace(/(<ds:SignatureValue>)[^<]*/, `$1${value}`);
}

export const keyInfoOf = (certificate: string) =>
  `<ds:X509Data><ds:X509Certificate>${certificate.replace(/-----[A-Z ]+-----|\s/g, '')}</ds:X509Certificate></ds:X509Data>`;

const digests = new Map<string, string>([
  [algorithms.sha1, 'sha1'],
  [algorithms.sha256, 'sha256'],
  [algorithms.sha384, 'sha384'],
  [algorithms.sha512, 'sha512'],
]);

function hashAlgorithm(name: string, hash: string): new () => HashAlgorithm {
  return class {
    getAlgorithmName = () => name;
    getHash = (xml: string) => createHash(hash).update(xml, 'utf8').digest('base64');
  };
}

function signingAlgorithm(name: string, { privateKey, certificate }: Signer): new () => SignatureAlgorithm {
  const hash = `sha${/sha(\d+)/.exec(name)![1]}`;
  const getSignature = (bytes: unknown) => {
    const data = Buffer.from(String(bytes), 'utf8');
    if (name.includes('hmac')) return createHmac(hash, certificate).update(data).digest('base64');
    if (name.includes('dsa-') && name.includes('ecdsa'))
      return sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64');
    if (name.includes('MGF1')) {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return sign(hash, data, { key: privateKey, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }).toString(
        'base64',
      );
    }
    return sign(hash, data, privateKey).toString('base64');
  };
  return class {
    getAlgorithmName = () => name;
    getSignature = getSignature;
    verifySignature = () => false;
  } as unknown as new () => SignatureAlgorithm;
}

export interface Encryption {
  readonly certificate: string;
  readonly cipher?: 'aes-128-gcm' | 'aes-256-gcm' | 'aes-128-cbc' | 'aes-256-cbc';
  /** SHA-1 is `rsa-oaep-mgf1p`, the others XML Encryption 1.1; `pkcs1` is `rsa-1_5`. */
  readonly wrapping?: 'sha1' | 'sha256' | 'sha512' | 'pkcs1';
  readonly keyCount?: number;
}

/** Encrypts what is between the tags of the assertion, tags included, into an EncryptedAssertion. */
export function encryptAssertion(xml: string, encryption: Encryption): string {
  const assertion = /<saml:Assertion [\s\S]*<\/saml:Assertion>/.exec(xml)![0];
  return xml.replace(assertion, () => encrypted(assertion, encryption));
}

export function encrypted(content: string, options: Encryption): string {
  const { certificate, cipher = 'aes-256-gcm', wrapping = 'sha1', keyCount = 1 } = options;
  const key = randomBytes(cipher.includes('256') ? 32 : 16);
  const key1 = new x509.X509Certificate(certificate).publicKey.toString('pem');
  const wrapped = publicEncrypt(
    wrapping === 'pkcs1'
      ? { key: key1, padding: constants.RSA_PKCS1_PADDING }
      : { key: key1, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: wrapping },
    key,
  );
  const xenc11 = 'http://www.w3.org/2009/xmlenc11#';
  const digest = wrapping === 'sha1' ? algorithms.sha1 : `http://www.w3.org/2001/04/xmlenc#${wrapping}`;
  const method =
    wrapping === 'pkcs1'
      ? '<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-1_5"/>'
      : wrapping === 'sha1'
        ? `<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"><ds:DigestMethod Algorithm="${digest}"/></xenc:EncryptionMethod>`
        : `<xenc:EncryptionMethod Algorithm="${xenc11}rsa-oaep"><ds:DigestMethod Algorithm="${digest}"/><xenc11:MGF xmlns:xenc11="${xenc11}" Algorithm="${xenc11}mgf1${wrapping}"/></xenc:EncryptionMethod>`;
  const one = `<xenc:EncryptedKey>${method}<ds:KeyInfo>${keyInfoOf(certificate)}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>${wrapped.toString('base64')}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>`;
  const [bits, mode] = cipher.slice(4).split('-');
  const name = mode === 'gcm' ? `${xenc11}aes${bits}-gcm` : `http://www.w3.org/2001/04/xmlenc#aes${bits}-cbc`;
  return (
    '<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Type="http://www.w3.org/2001/04/xmlenc#Element">' +
    `<xenc:EncryptionMethod Algorithm="${name}"/><ds:KeyInfo>${one.repeat(keyCount)}</ds:KeyInfo>` +
    `<xenc:CipherData><xenc:CipherValue>${seal(cipher, key, content).toString('base64')}</xenc:CipherValue></xenc:CipherData>` +
    '</xenc:EncryptedData></saml:EncryptedAssertion>'
  );
}

function seal(name: string, key: Buffer, content: string): Buffer {
  if (name.endsWith('gcm')) {
    const nonce = randomBytes(12);
    const cipher = createCipheriv(name as 'aes-256-gcm', key, nonce);
    return Buffer.concat([nonce, cipher.update(content, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  }
  const vector = randomBytes(16);
  const cipher = createCipheriv(name, key, vector);
  return Buffer.concat([vector, cipher.update(content, 'utf8'), cipher.final()]);
}

/** A case whose alteration finds nothing to alter would test nothing. */
export function changed(before: string, after: string): string {
  if (after === before) throw new Error('nothing was altered');
  return after;
}

export const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');

/** How a response is protected: what is signed (A the assertion, R the response), and E: the assertion is encrypted. */
export const modes = ['A', 'R', 'AR', 'EA', 'ER', 'EAR'] as const;
export type Mode = (typeof modes)[number];

export interface World {
  readonly signer: Signer;
  /** Somebody else's key, and a certificate that says the same about its holder. */
  readonly stranger: Signer;
  /** Ours, to encrypt to. */
  readonly receiver: Signer;
}

export async function createWorld(): Promise<World> {
  const [signer, stranger, receiver] = await Promise.all([createSigner(), createSigner(), createSigner()]);
  return { signer, stranger, receiver };
}

export interface Protection {
  readonly signing?: Partial<SigningOptions>;
  readonly encryption?: Partial<Encryption>;
  /** Between signing the assertion and encrypting it. */
  readonly beforeEncryption?: (xml: string) => string;
}

/** Signs and encrypts a response as the mode says, inside first. */
export function protect(xml: string, mode: Mode, world: World, protection: Protection = {}): string {
  const signing = { signer: world.signer, ...protection.signing };
  let made = xml;
  if (mode.includes('A')) made = signXml(made, { ...signing, element: 'Assertion' });
  if (protection.beforeEncryption) made = protection.beforeEncryption(made);
  if (mode.includes('E'))
    made = encryptAssertion(made, { certificate: world.receiver.certificate, ...protection.encryption });
  if (mode.includes('R')) made = signXml(made, { ...signing, element: 'Response' });
  return made;
}

export function expectedResponse(world: World): ExpectedResponse {
  return {
    acsUrl,
    spEntityId,
    idpEntityId,
    certificates: [world.signer.certificate],
    decryptionKeys: [world.receiver.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    requestIds: [requestId],
  };
}
