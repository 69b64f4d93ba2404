import { deflateRawSync } from 'node:zlib';
import type { AttackCase } from './catalogue.fixture.ts';
import { attacker, base64, changed, genuineResponse, type Mode, protect, victim } from './idp.fixture.ts';
import type { RefusalCode } from './refusals.ts';

/** The reading of XML and its encodings, 45 to 64. The signature is genuine; the attack lies in how the document is read. */

const clear = ['A', 'R', 'AR'] as const;
/** Inside an encrypted assertion everything that is no clean XML has one answer. */
const withOpened = (reason: RefusalCode): AttackCase['reason'] => ({
  A: reason,
  R: reason,
  AR: reason,
  EA: 'decryption',
});

type Alter = (xml: string) => string;

/** After signing, in the clear and inside the encryption. */
function inside(number: string, title: string, reason: RefusalCode, alter: Alter): AttackCase {
  const altered = (xml: string) => changed(xml, alter(xml));
  return {
    number,
    title,
    modes: [...clear, 'EA'],
    reason: withOpened(reason),
    make: (world, mode) =>
      mode === 'EA'
        ? protect(genuineResponse(), mode, world, { beforeEncryption: altered })
        : altered(protect(genuineResponse(), mode, world)),
  };
}

/** After signing, of the whole document. */
function outside(number: string, title: string, reason: RefusalCode, alter: Alter): AttackCase {
  return {
    number,
    title,
    modes: [...clear, 'EA'],
    reason,
    make: (world, mode) => {
      const genuine = protect(genuineResponse(), mode, world);
      return changed(genuine, alter(genuine));
    },
  };
}

/** The form field itself. */
function field(number: string, title: string, reason: RefusalCode, encode: (xml: string) => string): AttackCase {
  return {
    number,
    title,
    modes: clear,
    reason,
    make: (world, mode: Mode) => ({ field: encode(protect(genuineResponse(), mode, world)) }),
  };
}

const nameId =
  (replacement: string): Alter =>
  (xml) =>
    xml.replace(`>${attacker}<`, () => `>${replacement}<`);
/** A document type before the root, and its entity in the NameID. */
const withDoctype =
  (subset: string, content = attacker): Alter =>
  (xml) =>
    `<!DOCTYPE r ${subset}>${nameId(content)(xml)}`;

const laughs = [...'abcdefghi']
  .map((name, at, all) => `<!ENTITY ${name} "${at === 0 ? 'ha' : `&${all[at - 1]};`.repeat(10)}">`)
  .join('');

export const parserCases: readonly AttackCase[] = [
  inside('45', 'comment in the NameID (CVE-2017-11428)', 'forbidden_markup', nameId(`${victim}<!---->.evil.example`)),
  inside('45b', 'comment between elements', 'forbidden_markup', (xml) =>
    xml.replace('<saml:Subject>', '<!-- x --><saml:Subject>'),
  ),
  inside('46', 'processing instruction in the NameID', 'forbidden_markup', nameId(`${victim}<?x y?>.evil.example`)),
  inside('47', 'CDATA in the NameID', 'forbidden_markup', nameId(`<![CDATA[${victim}]]>`)),
  inside('48', 'undeclared entity in the NameID', 'malformed', nameId(`${victim}&x;`)),
  outside('49', 'document type', 'doctype', withDoctype('')),
  outside('49b', 'document type in small letters', 'doctype', (xml) => `<!doctype r>${xml}`),
  outside('50', 'entity from a file (XXE)', 'doctype', withDoctype('[<!ENTITY x SYSTEM "file:///etc/passwd">]', '&x;')),
  outside(
    '51',
    'entity from an address (XXE, SSRF)',
    'doctype',
    withDoctype('[<!ENTITY x SYSTEM "http://169.254.169.254/">]', '&x;'),
  ),
  outside('51b', 'document type from an address', 'doctype', withDoctype('SYSTEM "http://127.0.0.1/x.dtd"')),
  outside(
    '51c',
    'parameter entity from an address',
    'doctype',
    withDoctype('[<!ENTITY % x SYSTEM "http://127.0.0.1/"> %x;]'),
  ),
  outside('52', 'billion laughs', 'doctype', withDoctype(`[${laughs}]`, '&i;')),
  outside(
    '53',
    'quadratic blowup',
    'doctype',
    withDoctype(`[<!ENTITY x "${'a'.repeat(20_000)}">]`, '&x;'.repeat(5_000)),
  ),
  outside(
    '54',
    'document type with quotes that parsers end differently (CVE-2025-25291)',
    'doctype',
    withDoctype(`[<!ENTITY x '"><!--'>]`),
  ),
  outside('54b', 'notation with quotes (CVE-2025-25292)', 'doctype', withDoctype(`[<!NOTATION x PUBLIC "'" '">'>]`)),
  outside(
    '55',
    'the ID from an entity (CVE-2025-23369)',
    'doctype',
    (xml) => `<!DOCTYPE r [<!ENTITY x "_a0001">]>${xml.replace('ID="_a0001"', 'ID="&x;"')}`,
  ),
  {
    ...inside('55b', 'the ID with a character reference to another one', 'signature_invalid', (xml) =>
      xml.replace('ID="_a0001"', 'ID="_a000&#50;"').replace('URI="#_a0001"', 'URI="#_a0002"'),
    ),
    reason: 'signature_invalid',
  },
  inside('56', 'names that change when written again (CVE-2022-41912)', 'malformed', (xml) =>
    xml.replace('<saml:Subject>', '<saml:Subject :xmlns="x">'),
  ),
  inside('56b', 'a prefix with two colons', 'malformed', (xml) =>
    xml.replace('<saml:NameID ', '<saml:NameID x:y:z="1" '),
  ),
  inside('56c', 'an undeclared prefix', 'malformed', (xml) => xml.replace('<saml:Subject>', '<saml:Subject y:a="1">')),
  inside('56d', 'the same attribute by two prefixes', 'malformed', (xml) =>
    xml.replace('<saml:Subject>', '<saml:Subject xmlns:p="urn:p" xmlns:q="urn:p" p:a="1" q:a="2">'),
  ),
  field('57', 'UTF-16', 'not_utf8', (xml) => Buffer.from(`\uFEFF${xml}`, 'utf16le').toString('base64')),
  field('57b', 'byte order mark', 'not_utf8', (xml) => base64(`\uFEFF${xml}`)),
  field('57c', 'declared as UTF-7', 'not_utf8', (xml) => base64(`<?xml version="1.0" encoding="UTF-7"?>${xml}`)),
  field('57d', 'declared as UTF-16, written as UTF-8', 'not_utf8', (xml) =>
    base64(`<?xml version="1.0" encoding="UTF-16"?>${xml}`),
  ),
  field('57e', 'broken UTF-8', 'not_utf8', (xml) =>
    Buffer.from(xml.replace(attacker, `${attacker}\u00ff`), 'latin1').toString('base64'),
  ),
  field('57f', 'XML 1.1', 'malformed', (xml) => base64(`<?xml version="1.1"?>${xml}`)),
  field('57g', 'a zero byte', 'not_utf8', (xml) => base64(xml.replace(attacker, `${victim}\u0000`))),
  inside('58', 'carriage return by reference in the NameID', 'forbidden_markup', nameId(`${attacker}&#13;`)),
  inside('58b', 'carriage return by reference in an attribute', 'forbidden_markup', (xml) =>
    xml.replace('Recipient="', 'Recipient="&#xD;'),
  ),
  outside('59', 'nested 50 000 deep', 'too_large', (xml) => nested(xml, 50_000)),
  outside('59b', 'nested 5 000 deep', 'too_complex', (xml) => nested(xml, 5_000)),
  outside('59c', 'nested just too deep', 'too_complex', (xml) => nested(xml, 32)),
  outside('60', '20 000 attributes', 'too_complex', (xml) =>
    xml.replace('<samlp:Status>', `<samlp:Status${many(20_000, (at) => ` a${at}=""`)}>`),
  ),
  outside('60b', '10 000 elements', 'too_complex', (xml) =>
    xml.replace('<samlp:Status>', `${'<samlp:Status/>'.repeat(10_000)}<samlp:Status>`),
  ),
  outside('61', '4 000 namespaces on one element', 'too_complex', (xml) =>
    xml.replace('<samlp:Status>', `<samlp:Status${many(4_000, (at) => ` xmlns:n${at}="urn:n"`)}>`),
  ),
  outside('61b', '30 nested elements with 15 namespaces each', 'structure', (xml) =>
    xml.replace(
      '<samlp:Status>',
      `${many(25, (level) => `<x${many(15, (at) => ` xmlns:n${level}x${at}="urn:n"`)}>`)}${'</x>'.repeat(25)}<samlp:Status>`,
    ),
  ),
  outside('62', '5 MB of blanks', 'too_large', (xml) =>
    xml.replace('<samlp:Status>', `${' '.repeat(5_000_000)}<samlp:Status>`),
  ),
  outside('62b', 'just over 256 kB', 'too_large', (xml) => xml + ' '.repeat(256 * 1024 + 1 - Buffer.byteLength(xml))),
  field('62c', '20 MB of base64', 'too_large', () => 'A'.repeat(20_000_000)),
  field('63', 'a deflated response in the POST field', 'not_utf8', (xml) => deflateRawSync(xml).toString('base64')),
  field('64', 'garbage before', 'not_base64', (xml) => `!!${base64(xml)}`),
  field('64b', 'blanks in between', 'not_base64', (xml) => base64(xml).replace(/.{64}/g, '$& ')),
  field('64c', 'lines of different lengths', 'not_base64', (xml) => base64(xml).replace(/^(.{10})(.{20})/, '$1\n$2\n')),
  field('64d', 'the alphabet of URLs', 'not_base64', (xml) => `${base64(xml).slice(0, 40)}-_${base64(xml).slice(42)}`),
  field('64e', 'two responses in one', 'not_base64', (xml) => `${base64(`${xml} `)}=${base64(xml)}`),
  field('64f', 'two fields joined, as some frameworks do', 'not_base64', (xml) => `${base64(xml)},${base64(xml)}`),
  field('64g', 'base64 that ends in other bits', 'not_base64', (xml) =>
    base64(`${xml}${' '.repeat((4 - (Buffer.byteLength(xml) % 3)) % 3)}`).replace(/.==$/, 'h=='),
  ),
  field('64h', 'nothing', 'not_base64', () => ''),
  field('64i', 'the XML as it is', 'not_base64', (xml) => xml),
];

function nested(xml: string, depth: number): string {
  return xml.replace('<samlp:Status>', () => `${'<y>'.repeat(depth)}${'</y>'.repeat(depth)}<samlp:Status>`);
}

function many(count: number, make: (at: number) => string): string {
  return Array.from({ length: count }, (_, at) => make(at)).join('');
}
