import type { AttackCase } from './catalogue.fixture.ts';
import {
  algorithms,
  changed,
  createSigner,
  genuineResponse,
  keyInfoOf,
  type Mode,
  modes,
  type Protection,
  protect,
  type Signer,
  type World,
} from './idp.fixture.ts';

/** Signatures and their keys, 23 to 43. */

const clear = ['A', 'R', 'AR'] as const;
const pattern = /<ds:Signature [\s\S]*?<\/ds:Signature>/g;

/** The case signs as `protection` says, then alters the text where it is still readable. */
function signedCase(
  [number, title, reason]: [number: string, title: string, reason: AttackCase['reason']],
  protection: Protection | ((world: World, mode: Mode) => Protection | Promise<Protection>),
  rest: Partial<AttackCase> = {},
): AttackCase {
  return {
    number,
    title,
    reason,
    modes,
    make: async (world, mode) =>
      protect(
        genuineResponse(),
        mode,
        world,
        typeof protection === 'function' ? await protection(world, mode) : protection,
      ),
    ...rest,
  };
}

function alteredCase(
  [number, title, reason]: [number: string, title: string, reason: AttackCase['reason']],
  alteration: (xml: string, mode: Mode) => string,
  itsModes: readonly Mode[] = [...clear, 'EA'],
): AttackCase {
  const alter = (xml: string, mode: Mode) => changed(xml, alteration(xml, mode));
  return {
    number,
    title,
    reason,
    modes: itsModes,
    make: (world, mode) => {
      if (mode === 'EA')
        return protect(genuineResponse(), mode, world, { beforeEncryption: (xml) => alter(xml, mode) });
      return alter(protect(genuineResponse(), mode, world), mode);
    },
  };
}

const once = new Map<string, Promise<Signer>>();
/** Keys that one case needs, made when it runs. */
function signerFor(name: string, ...args: Parameters<typeof createSigner>): Promise<Signer> {
  if (!once.has(name)) once.set(name, createSigner(...args));
  return once.get(name)!;
}

const reference = /<ds:Reference [\s\S]*?<\/ds:Reference>/;
const info = /<ds:SignedInfo[\s\S]*?<\/ds:SignedInfo>/;

export const signatureCases: readonly AttackCase[] = [
  alteredCase(['23', 'no signature at all', 'unsigned'], (xml) => xml.replace(pattern, '')),
  alteredCase(['24', 'the signature emptied', 'signature_structure'], (xml) =>
    xml.replace(pattern, '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>'),
  ),
  alteredCase(['24b', 'the signature renamed', 'structure'], (xml) =>
    xml.replace(/ds:Signature([ >])/g, 'ds:Signatur$1'),
  ),
  alteredCase(['24c', 'content changed under the signature', 'signature_invalid'], (xml) =>
    xml.replace('mallory@evil.example', 'owner@acme.example'),
  ),
  alteredCase(
    ['24d', 'one bit of the signature changed', 'signature_invalid'],
    (xml) => xml.replace(/<ds:SignatureValue>(.)/, (_, first) => `<ds:SignatureValue>${first === 'A' ? 'B' : 'A'}`),
    ['A', 'R', 'EA'],
  ),
  signedCase(['25', "the attacker's key, its certificate in KeyInfo", 'signature_invalid'], (world) => ({
    signing: { signer: world.stranger },
  })),
  signedCase(['26', "the attacker's key, the genuine certificate in KeyInfo", 'signature_invalid'], (world) => ({
    signing: { signer: world.stranger, keyInfo: keyInfoOf(world.signer.certificate) },
  })),
  alteredCase(['27', 'two SignedInfo (CVE-2025-29774)', 'signature_structure'], (xml) =>
    xml.replace(info, (found) => found + found),
  ),
  alteredCase(['27b', 'a second SignedInfo in KeyInfo', 'structure'], (xml) =>
    xml.replace(/<ds:KeyInfo>/, () => `<ds:KeyInfo>${info.exec(xml)![0]}`),
  ),
  alteredCase(
    [
      '28',
      'comment in DigestValue (CVE-2025-29775)',
      { A: 'forbidden_markup', R: 'forbidden_markup', AR: 'forbidden_markup', EA: 'decryption' },
    ],
    (xml) => xml.replace('<ds:DigestValue>', '<ds:DigestValue><!--x-->'),
  ),
  alteredCase(
    [
      '29',
      'comment in SignatureValue',
      { A: 'forbidden_markup', R: 'forbidden_markup', AR: 'forbidden_markup', EA: 'decryption' },
    ],
    (xml) => xml.replace('<ds:SignatureValue>', '<ds:SignatureValue><!--x-->'),
  ),
  alteredCase(
    [
      '29b',
      'CDATA in SignatureValue',
      { A: 'forbidden_markup', R: 'forbidden_markup', AR: 'forbidden_markup', EA: 'decryption' },
    ],
    (xml) => xml.replace(/<ds:SignatureValue>([^<]+)</, '<ds:SignatureValue><![CDATA[$1]]><'),
  ),
  alteredCase(['30', 'no Reference', 'signature_structure'], (xml) => xml.replace(reference, '')),
  alteredCase(['31', 'two References', 'signature_structure'], (xml) =>
    xml.replace(reference, (found) => found + found),
  ),
  signedCase(
    ['32', 'Reference to the whole document (URI="")', 'signature_structure'],
    { signing: { isEmptyUri: true } },
    { modes: ['A', 'R', 'EA', 'ER'] },
  ),
  ...[
    ['32b', '#'],
    ['32c', 'https://evil.example/a.xml'],
    ['32d', '#xpointer(/)'],
    ['32e', "#xpointer(id('_a0001'))"],
    ['32f', '#_other'],
    ['32g', '_a0001'],
  ].map(([number, uri]) =>
    alteredCase([number!, `Reference to ${uri}`, 'signature_structure'], (xml) =>
      xml.replace(/<ds:Reference URI="[^"]*"/, `<ds:Reference URI="${uri}"`),
    ),
  ),
  alteredCase(['33', 'XSLT transform', 'signature_structure'], (xml) =>
    xml.replace(
      '<ds:Transforms>',
      '<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"/></ds:Transform>',
    ),
  ),
  alteredCase(['33b', 'XSLT in the place of the canonical form', 'signature_algorithm'], (xml) =>
    xml.replace(
      /<ds:Transform Algorithm="http:\/\/www.w3.org\/2001\/10\/xml-exc-c14n#"/,
      '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"',
    ),
  ),
  alteredCase(['34', 'XPath transform', 'signature_structure'], (xml) =>
    xml.replace(
      '<ds:Transforms>',
      '<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor-or-self::NameID)</ds:XPath></ds:Transform>',
    ),
  ),
  signedCase(['35', 'more than two transforms', 'signature_structure'], {
    signing: { transforms: [algorithms.enveloped, algorithms.exclusive, algorithms.exclusive] },
  }),
  signedCase(['35b', 'one transform', 'signature_structure'], { signing: { transforms: [algorithms.enveloped] } }),
  signedCase(['36', 'canonical form with comments, of the reference', 'signature_algorithm'], {
    signing: { transforms: [algorithms.enveloped, algorithms.exclusiveWithComments] },
  }),
  signedCase(['36b', 'canonical form with comments, of SignedInfo', 'signature_algorithm'], {
    signing: { canonicalization: algorithms.exclusiveWithComments },
  }),
  signedCase(['36c', 'inclusive canonical form', 'signature_algorithm'], {
    signing: { canonicalization: algorithms.inclusive },
  }),
  alteredCase(
    [
      '37',
      'void canonicalization: a relative namespace (Fragile Lock)',
      { A: 'structure', R: 'structure', AR: 'structure', EA: 'decryption' },
    ],
    (xml) => xml.replace('<saml:Subject>', '<saml:Subject xmlns:r="1">'),
  ),
  alteredCase(
    [
      '37b',
      'a relative namespace on the signature',
      { A: 'structure', R: 'structure', AR: 'structure', EA: 'decryption' },
    ],
    (xml) => xml.replace('<ds:SignedInfo>', '<ds:SignedInfo xmlns:r="../x">'),
  ),
  signedCase(['38', 'HMAC with the public certificate for a key', 'signature_algorithm'], {
    signing: { signature: algorithms.hmacSha256 },
  }),
  signedCase(['39', 'RSA with SHA-1', 'signature_algorithm'], { signing: { signature: algorithms.rsaSha1 } }),
  signedCase(['40', 'digest SHA-1', 'signature_algorithm'], { signing: { digest: algorithms.sha1 } }),
  signedCase(
    ['41', 'RSA of 1024 bits', 'certificate_unusable'],
    async () => ({ signing: { signer: await signerFor('weak', 1024) } }),
    { expected: async (usual) => ({ ...usual, certificates: [(await signerFor('weak', 1024)).certificate] }) },
  ),
  signedCase(
    ['41b', 'expired certificate', 'certificate_unusable'],
    async () => ({ signing: { signer: await signerFor('expired', 2048, { from: -2e5, until: -1 }) } }),
    { expected: async (usual) => ({ ...usual, certificates: [(await signerFor('expired')).certificate] }) },
  ),
  signedCase(
    ['41c', 'certificate that is not valid yet', 'certificate_unusable'],
    async () => ({ signing: { signer: await signerFor('future', 2048, { from: 6e4, until: 6e7 }) } }),
    { expected: async (usual) => ({ ...usual, certificates: [(await signerFor('future')).certificate] }) },
  ),
  signedCase(['41d', 'DSA', 'signature_algorithm'], { signing: { signature: algorithms.dsaSha256 } }),
  signedCase(
    ['41e', 'an RSA algorithm under an EC key', 'signature_invalid'],
    async () => ({ signing: { signer: await signerFor('ec', 'P-256'), signature: algorithms.rsaSha256 } }),
    { expected: async (usual) => ({ ...usual, certificates: [(await signerFor('ec')).certificate] }) },
  ),
  signedCase(
    ['42', "the key of another tenant's identity provider", 'signature_invalid'],
    {},
    {
      expected: (usual, world) => ({ ...usual, certificates: [world.stranger.certificate] }),
    },
  ),
  signedCase(
    ['43', 'no certificate in the connection (CVE-2026-28323)', 'no_certificate'],
    {},
    {
      expected: (usual) => ({ ...usual, certificates: [] }),
    },
  ),
  signedCase(
    ['43b', 'a certificate that is none', 'certificate_unusable'],
    {},
    {
      expected: (usual) => ({
        ...usual,
        certificates: ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
      }),
    },
  ),
  {
    ...alteredCase(['43c', 'no certificate and no signature', 'no_certificate'], (xml) => xml.replace(pattern, '')),
    expected: (usual) => ({ ...usual, certificates: [] }),
  },
];
