import type { AttackCase } from './catalogue.fixture.ts';
import {
  changed,
  type Encryption,
  encryptAssertion,
  encrypted,
  genuineResponse,
  type Mode,
  protect,
  signXml,
  victim,
} from './idp.fixture.ts';
import type { RefusalCode } from './refusals.ts';

/** Encrypted assertions, 113 to 117. */

const inside = ['EA', 'ER', 'EAR'] as const;

function encryptionCase(
  number: string,
  title: string,
  reason: RefusalCode,
  encryption: Partial<Encryption>,
  itsModes: readonly Mode[] = inside,
): AttackCase {
  return {
    number,
    title,
    reason,
    modes: itsModes,
    make: (world, mode) => protect(genuineResponse(), mode, world, { encryption }),
  };
}

const altered = (xml: string, alter: (xml: string) => string) => changed(xml, alter(xml));

/** Changed after everything: only modes without a signature over the ciphertext reach the key. */
function alteredCase(
  number: string,
  title: string,
  reason: AttackCase['reason'],
  alter: (xml: string) => string,
): AttackCase {
  return {
    number,
    title,
    reason,
    modes: inside,
    make: (world, mode) => altered(protect(genuineResponse(), mode, world), alter),
  };
}

const unlessSigned = (reason: RefusalCode) =>
  ({ EA: reason, ER: 'signature_invalid', EAR: 'signature_invalid' }) as const;

/** Changes one character of the nth CipherValue (0: the wrapped key, 1: the content). */
const alterCipher = (nth: number, position: number) => (xml: string) => {
  let seen = -1;
  return xml.replace(/<xenc:CipherValue>([^<]+)/g, (found, value: string) => {
    seen += 1;
    if (seen !== nth) return found;
    const at = position < 0 ? value.length + position : position;
    return `<xenc:CipherValue>${value.slice(0, at)}${value[at] === 'A' ? 'B' : 'A'}${value.slice(at + 1)}`;
  });
};

export const encryptionCases: readonly AttackCase[] = [
  {
    number: '113',
    title: 'encrypted with our public key, signed by nobody (CVE-2026-2092)',
    reason: 'unsigned',
    modes: ['EA'],
    make: (world) =>
      encryptAssertion(genuineResponse().replace(/mallory@evil\.example/, victim), {
        certificate: world.receiver.certificate,
      }),
  },
  {
    number: '113b',
    title: "encrypted with our public key, signed by the attacker's",
    reason: 'signature_invalid',
    modes: ['EA', 'ER', 'EAR'],
    make: (world, mode) => protect(genuineResponse(), mode, world, { signing: { signer: world.stranger } }),
  },
  {
    number: '114',
    title: 'an encrypted evil assertion before the signed one',
    reason: 'structure',
    modes: ['A', 'R', 'AR'],
    make: (world, mode) => {
      const evil = encryptAssertion(genuineResponse(), { certificate: world.receiver.certificate });
      const element = /<saml:EncryptedAssertion [\s\S]*<\/saml:EncryptedAssertion>/.exec(evil)![0];
      return protect(genuineResponse(), mode, world).replace('</samlp:Response>', () => `${element}</samlp:Response>`);
    },
  },
  {
    number: '114b',
    title: 'an evil assertion encrypted in the place of the signed one, under the signature of the response',
    reason: 'signature_invalid',
    modes: ['R', 'AR'],
    make: (world, mode) =>
      encryptAssertion(protect(genuineResponse(), mode, world).replaceAll('mallory@evil.example', victim), {
        certificate: world.receiver.certificate,
      }),
  },
  {
    number: '114c',
    title: 'a signed response, encrypted in the place of an assertion',
    reason: 'decryption',
    modes: ['EA'],
    make: (world) => {
      const inner = signXml(genuineResponse(), { signer: world.signer, element: 'Response' });
      return genuineResponse().replace(/<saml:Assertion [\s\S]*<\/saml:Assertion>/, () =>
        encrypted(inner, { certificate: world.receiver.certificate }),
      );
    },
  },
  encryptionCase('115', 'RSA PKCS #1 v1.5 (Bleichenbacher)', 'encryption_algorithm', { wrapping: 'pkcs1' }),
  alteredCase('115b', 'the wrapped key changed', unlessSigned('decryption'), alterCipher(0, 20)),
  alteredCase('115c', 'the wrapped key cut short', unlessSigned('decryption'), (xml) =>
    xml.replace(/(<xenc:CipherValue>)[^<]+/, '$1AAAA'),
  ),
  alteredCase('115d', 'the content changed (GCM)', unlessSigned('decryption'), alterCipher(1, 100)),
  alteredCase('115e', 'the tag changed (GCM)', unlessSigned('decryption'), alterCipher(1, -8)),
  alteredCase('115f', 'the content empty', unlessSigned('decryption'), (xml) =>
    xml.replace(/(<xenc:CipherValue>)[^<]+(<\/xenc:CipherValue><\/xenc:CipherData><\/xenc:EncryptedData>)/, '$1AAAA$2'),
  ),
  encryptionCase(
    '116',
    'AES-128-CBC where only the assertion inside is signed (padding oracle)',
    'encryption_algorithm',
    { cipher: 'aes-128-cbc' },
    ['EA'],
  ),
  encryptionCase(
    '116b',
    'AES-256-CBC where only the assertion inside is signed',
    'encryption_algorithm',
    { cipher: 'aes-256-cbc' },
    ['EA'],
  ),
  ...[1, 40, 300].map((position) => ({
    ...encryptionCase(`116-${position}`, `AES-CBC, byte ${position} changed`, 'signature_invalid', {}, ['ER', 'EAR']),
    make: ((world, mode) =>
      alterCipher(
        1,
        position,
      )(protect(genuineResponse(), mode, world, { encryption: { cipher: 'aes-256-cbc' } }))) as AttackCase['make'],
  })),
  encryptionCase('117', 'two EncryptedKeys', 'structure', { keyCount: 2 }),
  alteredCase('117b', 'two EncryptedData', 'structure', (xml) =>
    xml.replace(/<xenc:EncryptedData [\s\S]*<\/xenc:EncryptedData>/, (found) => found + found),
  ),
  alteredCase(
    '117c',
    'another cipher named than used',
    { EA: 'decryption', ER: 'signature_invalid', EAR: 'signature_invalid' },
    (xml) => xml.replace('aes256-gcm', 'aes128-gcm'),
  ),
  alteredCase(
    '117d',
    'triple DES',
    { EA: 'encryption_algorithm', ER: 'signature_invalid', EAR: 'signature_invalid' },
    (xml) =>
      xml.replace(/http:\/\/www.w3.org\/2009\/xmlenc11#aes256-gcm/, 'http://www.w3.org/2001/04/xmlenc#tripledes-cbc'),
  ),
  {
    ...encryptionCase('117e', 'encrypted, but we have no key', 'encryption_key', {}),
    expected: (usual) => ({ ...usual, decryptionKeys: [] }),
  },
  {
    number: '117f',
    title: 'encrypted to somebody else',
    reason: 'decryption',
    modes: inside,
    make: (world, mode) =>
      protect(genuineResponse(), mode, world, { encryption: { certificate: world.stranger.certificate } }),
  },
  alteredCase('117g', 'a reference to content elsewhere', 'structure', (xml) =>
    xml.replace(
      /(<xenc:CipherData>)<xenc:CipherValue>[^<]+<\/xenc:CipherValue>/,
      '$1<xenc:CipherReference URI="http://127.0.0.1/"/>',
    ),
  ),
];
