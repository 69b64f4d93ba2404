import type { AttackCase } from './catalogue.fixture.ts';
import {
  attacker,
  changed,
  encrypted,
  genuineResponse,
  type Mode,
  protect,
  signXml,
  victim,
  type World,
} from './idp.fixture.ts';

/**
 * Signature wrapping, 01 to 22: the attacker has one genuine response of their own, and moves what was signed to where it verifies while
 * something else is read. 01 to 08 are XSW1 to XSW8 as SAML Raider makes them.
 */

const signaturePattern = /<ds:Signature [\s\S]*?<\/ds:Signature>/;
const assertionPattern = /<saml:Assertion [\s\S]*<\/saml:Assertion>/;

const find = (text: string, pattern: RegExp): string => pattern.exec(text)![0];
const without = (text: string, piece: string): string => text.replace(piece, () => '');

/** The assertion that the attacker would like to be read. */
export function evilOf(assertion: string): string {
  return assertion
    .replace(signaturePattern, '')
    .replace('ID="_a0001"', 'ID="_evil1"')
    .replaceAll(attacker, victim)
    .replaceAll('_s0001', '_s6666');
}

interface Parts {
  readonly response: string;
  readonly assertion: string;
  readonly evil: string;
  /** The signature that is moved: the assertion's where there is one. */
  readonly signature: string;
}

function partsOf(response: string): Parts {
  const assertion = find(response, assertionPattern);
  const signature = signaturePattern.exec(assertion)?.[0] ?? find(response, signaturePattern);
  return { response, assertion, evil: evilOf(assertion), signature };
}

/** The evil assertion inside another element, in place of the genuine one. */
const put = (response: string, assertion: string, replacement: string) =>
  response.replace(assertion, () => replacement);

function wrapped(world: World, mode: Mode, wrap: (parts: Parts) => string): string {
  // For encrypted modes the attacker wraps what they can sign nothing of: their own assertion, encrypted anew (114).
  if (mode === 'EA')
    return protect(genuineResponse(), 'A', world).replace(assertionPattern, (assertion) => {
      const inner = wrap(partsOf(`<samlp:Response>${assertion}</samlp:Response>`));
      return encrypted(inner.replace(/^<samlp:Response>|<\/samlp:Response>$/g, ''), {
        certificate: world.receiver.certificate,
      });
    });
  const genuine = protect(genuineResponse(), mode, world);
  return changed(genuine, wrap(partsOf(genuine)));
}

/** An evil response as the root, with the signature of the genuine one: XSW1 and XSW2. */
function evilResponse(
  { response, assertion, evil }: Parts,
  place: (original: string, signature: string) => string,
): string {
  const signature = find(response, signaturePattern);
  const original = without(response, signature);
  return put(original, assertion, evil)
    .replace('ID="_r0001"', 'ID="_evilr"')
    .replace('<samlp:Status>', () => `${place(original, signature)}<samlp:Status>`);
}

const intoSignature = (signature: string, content: string) =>
  signature.replace('</ds:Signature>', () => `${content}</ds:Signature>`);
const intoObject = (signature: string, content: string) =>
  intoSignature(signature, `<ds:Object>${content}</ds:Object>`);
const intoAssertion = (assertion: string, content: string) =>
  assertion.replace('</saml:Assertion>', () => `${content}</saml:Assertion>`);
const afterIssuer = (assertion: string, content: string) =>
  assertion.replace('</saml:Issuer>', () => `</saml:Issuer>${content}`);

const signed = ['A', 'R', 'AR'] as const;
const all = [...signed, 'EA'] as const;
const byAssertion = ['A', 'AR'] as const;

type Wrap = [
  number: string,
  title: string,
  modes: readonly Mode[],
  reason: AttackCase['reason'],
  wrap: (parts: Parts) => string,
];

const wraps: readonly Wrap[] = [
  [
    '01',
    'XSW1: the genuine response inside the signature of an evil one',
    ['R', 'AR'],
    'signature_structure',
    (parts) => evilResponse(parts, (original, signature) => intoSignature(signature, original)),
  ],
  [
    '02',
    'XSW2: the genuine response beside the signature',
    ['R', 'AR'],
    'structure',
    (parts) => evilResponse(parts, (original, signature) => `${original}${signature}`),
  ],
  [
    '03',
    'XSW3: evil assertion before the genuine one',
    signed,
    'structure',
    (p) => put(p.response, p.assertion, p.evil + p.assertion),
  ],
  [
    '04',
    'XSW4: genuine assertion inside the evil one',
    all,
    'structure',
    (p) => put(p.response, p.assertion, intoAssertion(p.evil, p.assertion)),
  ],
  [
    '05',
    'XSW5: evil assertion with the signature, genuine one at the end',
    signed,
    'structure',
    (p) => put(p.response, p.assertion, afterIssuer(p.evil, p.signature) + without(p.assertion, p.signature)),
  ],
  [
    '06',
    'XSW6: genuine assertion inside the signature of the evil one',
    all,
    'signature_structure',
    (p) =>
      put(p.response, p.assertion, afterIssuer(p.evil, intoSignature(p.signature, without(p.assertion, p.signature)))),
  ],
  [
    '07',
    'XSW7: evil assertion in Extensions',
    signed,
    'structure',
    (p) => p.response.replace('<samlp:Status>', () => `<samlp:Extensions>${p.evil}</samlp:Extensions><samlp:Status>`),
  ],
  [
    '08',
    'XSW8: genuine assertion in ds:Object of the evil one',
    all,
    'signature_structure',
    (p) =>
      put(p.response, p.assertion, afterIssuer(p.evil, intoObject(p.signature, without(p.assertion, p.signature)))),
  ],
  [
    '09',
    'unsigned assertion before the signed one (CVE-2026-25922)',
    signed,
    'structure',
    (p) => put(p.response, p.assertion, p.evil.replace('_evil1', '_evil2') + p.assertion),
  ],
  [
    '10',
    'unsigned assertion after the signed one',
    signed,
    'structure',
    (p) => put(p.response, p.assertion, p.assertion + p.evil),
  ],
  [
    '11',
    'evil assertion in Advice',
    all,
    'structure',
    (p) =>
      put(
        p.response,
        p.assertion,
        p.assertion.replace('<saml:AuthnStatement', () => `<saml:Advice>${p.evil}</saml:Advice><saml:AuthnStatement`),
      ),
  ],
  [
    '11b',
    'genuine assertion in Advice of the evil one',
    all,
    'structure',
    (p) =>
      put(
        p.response,
        p.assertion,
        p.evil.replace('<saml:AuthnStatement', () => `<saml:Advice>${p.assertion}</saml:Advice><saml:AuthnStatement`),
      ),
  ],
  [
    '12',
    'genuine assertion in Extensions of the response',
    signed,
    'structure',
    (p) =>
      put(p.response, p.assertion, p.evil).replace(
        '<samlp:Status>',
        () => `<samlp:Extensions>${p.assertion}</samlp:Extensions><samlp:Status>`,
      ),
  ],
  [
    '13',
    'evil assertion in ds:Object',
    all,
    'signature_structure',
    (p) => p.response.replace(p.signature, () => intoObject(p.signature, p.evil)),
  ],
  [
    '14',
    'genuine assertion in StatusDetail',
    signed,
    'structure',
    (p) =>
      put(p.response, p.assertion, p.evil).replace(
        '</samlp:Status>',
        () => `<samlp:StatusDetail>${p.assertion}</samlp:StatusDetail></samlp:Status>`,
      ),
  ],
  [
    '15',
    'two root elements (CVE-2022-39299)',
    signed,
    'malformed',
    (p) => put(p.response, p.assertion, p.evil) + p.response,
  ],
  [
    '15b',
    'two root elements, the genuine one first',
    signed,
    'malformed',
    (p) => p.response + put(p.response, p.assertion, p.evil),
  ],
  [
    '16',
    'assertion of a foreign namespace first',
    signed,
    'structure',
    (p) =>
      put(
        p.response,
        p.assertion,
        p.evil
          .replace('<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"', '<x:Assertion xmlns:x="urn:x"')
          .replace('</saml:Assertion>', '</x:Assertion>') + p.assertion,
      ),
  ],
  [
    '17',
    'root of a foreign namespace',
    signed,
    'not_saml',
    (p) => p.response.replaceAll('urn:oasis:names:tc:SAML:2.0:protocol', 'urn:example:protocol'),
  ],
  [
    '19',
    'signature moved out of the element that it covers',
    byAssertion,
    { A: 'signature_structure', AR: 'structure' },
    (p) =>
      put(p.response, p.assertion, without(p.assertion, p.signature)).replace(
        '</saml:Issuer>',
        () => `</saml:Issuer>${p.signature}`,
      ),
  ],
  [
    '19b',
    'signature of the response moved into the evil assertion',
    ['R'],
    'signature_structure',
    (p) => put(without(p.response, p.signature), p.assertion, afterIssuer(p.evil, p.signature)),
  ],
  [
    '20',
    'the same ID twice',
    signed,
    'duplicate_id',
    (p) => put(p.response, p.assertion, p.evil.replace('_evil1', '_a0001') + p.assertion),
  ],
  [
    '20b',
    'the same ID on response and assertion',
    signed,
    'duplicate_id',
    (p) => p.response.replace('ID="_r0001"', 'ID="_a0001"'),
  ],
  [
    '21',
    'the same ID as an attribute of a namespace (Fragile Lock)',
    signed,
    'duplicate_id',
    (p) => p.response.replace('<saml:Subject>', '<saml:Subject xmlns:x="urn:x" x:ID="_a0001">'),
  ],
  [
    '21b',
    'the same ID as xml:id',
    signed,
    'duplicate_id',
    (p) => p.response.replace('<samlp:Status>', '<samlp:Status xml:id="_a0001">'),
  ],
  [
    '21c',
    'another ID as xml:id',
    signed,
    'structure',
    (p) => p.response.replace('<samlp:Status>', '<samlp:Status xml:id="_x">'),
  ],
  [
    '22',
    'the same ID as Id',
    signed,
    'duplicate_id',
    (p) => p.response.replace('<samlp:Status>', '<samlp:Status Id="_a0001">'),
  ],
  [
    '22b',
    'the same ID as id',
    signed,
    'duplicate_id',
    (p) => p.response.replace('<samlp:Status>', '<samlp:Status id="_r0001">'),
  ],
  [
    '22c',
    'the same ID as AssertionID',
    signed,
    'duplicate_id',
    (p) => p.response.replace('<samlp:Status>', '<samlp:Status AssertionID="_a0001">'),
  ],
];

export const wrappingCases: readonly AttackCase[] = [
  ...wraps.map(([number, title, modes, reason, wrap]) => ({
    number,
    title,
    modes,
    reason,
    make: (world: World, mode: Mode) => wrapped(world, mode, wrap),
  })),
  {
    number: '18',
    title: 'signed assertion of a foreign namespace',
    modes: ['A', 'R', 'AR'],
    reason: 'structure',
    make: (world, mode) =>
      protect(
        genuineResponse()
          .replace('<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"', '<x:Assertion xmlns:x="urn:x"')
          .replace('</saml:Assertion>', '</x:Assertion>'),
        mode,
        world,
      ),
  },
  {
    number: '18b',
    title: 'signed message of another kind: a genuine LogoutResponse',
    modes: ['R'],
    reason: 'not_saml',
    make: (world) =>
      signXml(genuineResponse().replace(assertionPattern, '').replaceAll('samlp:Response', 'samlp:LogoutResponse'), {
        signer: world.signer,
        element: 'LogoutResponse',
      }),
  },
];
