import type { RefusalCode } from './refusals.ts';
import { refuse } from './refused.ts';
import { everyElement, type XmlElement } from './xml.ts';

/** What an element may hold. Everything that is not named is refused. */
interface Shape {
  /** `name` may be there, `name!` must. */
  readonly attributes?: string;
  /** In this order: `name` once, `name?` at most once, `name*` any number; names in one entry, joined by `|`, may come in any order. */
  readonly children?: readonly string[];
  readonly text?: 'any' | 'base64';
  /** Attributes of foreign namespaces are taken and not read (xs:anyAttribute). */
  readonly mayHaveForeignAttributes?: true;
  /** The code for what does not fit; default `structure`. */
  readonly reason?: RefusalCode;
}

const algorithm = { attributes: 'Algorithm!', reason: 'signature_structure' } as const;
const value = { text: 'any' } as const;
const signatureText = { text: 'base64', reason: 'signature_structure' } as const;
const conditionsText = { text: 'any', reason: 'conditions' } as const;
const keyText = { text: 'base64' } as const;
const nameId = { attributes: 'Format NameQualifier SPNameQualifier', text: 'any', reason: 'name_id' } as const;
const statusResponse = 'ID! Version! IssueInstant! Destination InResponseTo Consent';

/**
 * SAML core 2.0 schemas, XML Signature and XML Encryption, as far as web sign-in needs them. What is left out on purpose: Extensions,
 * Advice, StatusDetail, AuthzDecisionStatement, EncryptedAttribute, BaseID, ds:Object, ds:Manifest, RetrievalMethod.
 */
const shapes: Readonly<Record<string, Shape>> = {
  'samlp:Response': {
    attributes: statusResponse,
    children: ['saml:Issuer?', 'ds:Signature?', 'samlp:Status?', 'saml:Assertion?', 'saml:EncryptedAssertion?'],
  },
  'samlp:LogoutResponse': {
    attributes: statusResponse,
    children: ['saml:Issuer?', 'ds:Signature?', 'samlp:Status?'],
  },
  'samlp:LogoutRequest': {
    attributes: 'ID! Version! IssueInstant! Destination Consent NotOnOrAfter Reason',
    children: ['saml:Issuer?', 'ds:Signature?', 'saml:NameID?|saml:EncryptedID?', 'samlp:SessionIndex*'],
  },
  'samlp:SessionIndex': value,
  'samlp:Status': { children: ['samlp:StatusCode', 'samlp:StatusMessage?'] },
  'samlp:StatusCode': { attributes: 'Value!', children: ['samlp:StatusCode?'] },
  'samlp:StatusMessage': value,

  'saml:Assertion': {
    attributes: 'ID! Version! IssueInstant!',
    children: [
      'saml:Issuer?',
      'ds:Signature?',
      'saml:Subject?',
      'saml:Conditions?',
      'saml:AuthnStatement?|saml:AttributeStatement?',
    ],
  },
  'saml:Issuer': { attributes: 'Format', text: 'any', reason: 'issuer' },
  'saml:Subject': { children: ['saml:NameID?', 'saml:SubjectConfirmation?'] },
  'saml:NameID': nameId,
  'saml:SubjectConfirmation': {
    attributes: 'Method!',
    children: ['saml:SubjectConfirmationData?'],
    reason: 'confirmation',
  },
  'saml:SubjectConfirmationData': {
    attributes: 'NotBefore NotOnOrAfter Recipient InResponseTo Address',
    reason: 'confirmation',
  },
  'saml:Conditions': {
    attributes: 'NotBefore NotOnOrAfter',
    children: ['saml:AudienceRestriction*'],
    reason: 'conditions',
  },
  'saml:AudienceRestriction': { children: ['saml:Audience*'], reason: 'conditions' },
  'saml:Audience': conditionsText,
  'saml:AuthnStatement': {
    attributes: 'AuthnInstant! SessionIndex SessionNotOnOrAfter',
    children: ['saml:SubjectLocality?', 'saml:AuthnContext'],
    reason: 'authn_statement',
  },
  'saml:SubjectLocality': { attributes: 'Address DNSName', reason: 'authn_statement' },
  'saml:AuthnContext': {
    children: ['saml:AuthnContextClassRef?', 'saml:AuthnContextDeclRef?', 'saml:AuthenticatingAuthority*'],
    reason: 'authn_statement',
  },
  'saml:AuthnContextClassRef': value,
  'saml:AuthnContextDeclRef': value,
  'saml:AuthenticatingAuthority': value,
  'saml:AttributeStatement': { children: ['saml:Attribute*'], reason: 'attributes' },
  'saml:Attribute': {
    attributes: 'Name! NameFormat FriendlyName',
    children: ['saml:AttributeValue*'],
    mayHaveForeignAttributes: true,
    reason: 'attributes',
  },
  // eduPersonTargetedID has a NameID for its value.
  'saml:AttributeValue': {
    attributes: 'xsi:type xsi:nil',
    children: ['saml:NameID?'],
    text: 'any',
    reason: 'attributes',
  },
  'saml:EncryptedAssertion': { children: ['xenc:EncryptedData'] },
  // In log-out requests only; the key lies in it, not beside it.
  'saml:EncryptedID': { children: ['xenc:EncryptedData'] },

  'ds:Signature': {
    attributes: 'Id',
    children: ['ds:SignedInfo', 'ds:SignatureValue', 'ds:KeyInfo?'],
    reason: 'signature_structure',
  },
  'ds:SignedInfo': {
    attributes: 'Id',
    children: ['ds:CanonicalizationMethod', 'ds:SignatureMethod', 'ds:Reference'],
    reason: 'signature_structure',
  },
  'ds:CanonicalizationMethod': { ...algorithm, children: ['ec:InclusiveNamespaces?'] },
  'ds:SignatureMethod': algorithm,
  'ds:Reference': {
    attributes: 'URI! Id Type',
    children: ['ds:Transforms', 'ds:DigestMethod', 'ds:DigestValue'],
    reason: 'signature_structure',
  },
  'ds:Transforms': { children: ['ds:Transform*'], reason: 'signature_structure' },
  'ds:Transform': { ...algorithm, children: ['ec:InclusiveNamespaces?'] },
  'ds:DigestMethod': algorithm,
  'ec:InclusiveNamespaces': { attributes: 'PrefixList!', reason: 'signature_structure' },
  'ds:SignatureValue': { attributes: 'Id', ...signatureText },
  'ds:DigestValue': signatureText,
  // Keys in messages are never read; they only have to be harmless.
  'ds:KeyInfo': {
    attributes: 'Id',
    children: ['ds:KeyName*|ds:KeyValue*|ds:X509Data*|xenc:EncryptedKey?'],
  },
  'ds:KeyName': value,
  'ds:KeyValue': { children: ['ds:RSAKeyValue'] },
  'ds:RSAKeyValue': { children: ['ds:Modulus', 'ds:Exponent'] },
  'ds:Modulus': keyText,
  'ds:Exponent': keyText,
  'ds:X509Data': {
    children: ['ds:X509Certificate*|ds:X509SubjectName*|ds:X509IssuerSerial*|ds:X509SKI*'],
  },
  'ds:X509Certificate': keyText,
  'ds:X509SubjectName': value,
  'ds:X509SKI': keyText,
  'ds:X509IssuerSerial': { children: ['ds:X509IssuerName', 'ds:X509SerialNumber'] },
  'ds:X509IssuerName': value,
  'ds:X509SerialNumber': value,

  'xenc:EncryptedData': {
    attributes: 'Id Type MimeType Encoding',
    children: ['xenc:EncryptionMethod', 'ds:KeyInfo', 'xenc:CipherData'],
  },
  'xenc:EncryptedKey': {
    attributes: 'Id Recipient Type MimeType Encoding',
    children: ['xenc:EncryptionMethod', 'ds:KeyInfo?', 'xenc:CipherData'],
  },
  'xenc:EncryptionMethod': {
    attributes: 'Algorithm!',
    children: ['ds:DigestMethod?|xenc11:MGF?'],
    reason: 'encryption_algorithm',
  },
  'xenc11:MGF': { attributes: 'Algorithm!', reason: 'encryption_algorithm' },
  'xenc:CipherData': { children: ['xenc:CipherValue'] },
  'xenc:CipherValue': keyText,
};

interface CompiledShape {
  readonly attributes: ReadonlyMap<string, 'may' | 'must'>;
  readonly children: ReadonlyMap<string, { readonly rank: number; readonly most: number; readonly least: number }>;
  readonly text?: 'any' | 'base64';
  readonly mayHaveForeignAttributes: boolean;
  readonly reason: RefusalCode;
}

const compiled: ReadonlyMap<string, CompiledShape> = new Map(
  Object.entries(shapes).map(([name, shape]) => [name, compile(shape)]),
);

function compile(shape: Shape): CompiledShape {
  const attributes = (shape.attributes ?? '').split(' ').filter(Boolean);
  const children = (shape.children ?? []).flatMap((entry, rank) =>
    entry.split('|').map((child) => {
      const mark = /[?*]$/.exec(child)?.[0];
      return [
        child.replace(/[?*]$/, ''),
        { rank, most: mark === '*' ? Number.POSITIVE_INFINITY : 1, least: mark ? 0 : 1 },
      ] as const;
    }),
  );
  return {
    attributes: new Map(attributes.map((name) => [name.replace('!', ''), name.endsWith('!') ? 'must' : 'may'])),
    children: new Map(children),
    text: shape.text,
    mayHaveForeignAttributes: shape.mayHaveForeignAttributes ?? false,
    reason: shape.reason ?? 'structure',
  };
}

/** Holds a whole document against the list, and its ids against each other. Throws Refused. */
export function checkStructure(root: XmlElement): void {
  checkIds(root);
  checkElement(root);
}

/** For documents of another kind than messages: only the signature and the ids are held against the list. Throws Refused. */
export function checkSignatureStructure(root: XmlElement, signature: XmlElement): void {
  checkIds(root);
  checkElement(signature);
}

function checkElement(element: XmlElement): void {
  const shape = compiled.get(element.name) ?? refuse('structure');
  const wrong = (): never => refuse(shape.reason);
  for (const name of element.attributes.keys())
    if (!shape.attributes.has(name) && !(shape.mayHaveForeignAttributes && name.startsWith('{'))) wrong();
  for (const [name, need] of shape.attributes) if (need === 'must' && !element.attributes.has(name)) wrong();
  if (shape.text === undefined || element.children.length > 0) {
    if (element.text.trim() !== '') wrong();
  } else if (shape.text === 'base64' && !/^[A-Za-z0-9+/=\s]+$/.test(element.text)) wrong();
  const seen = new Map<string, number>();
  let rank = 0;
  for (const child of element.children) {
    const place = shape.children.get(child.name) ?? wrong();
    const count = (seen.get(child.name) ?? 0) + 1;
    if (place.rank < rank || count > place.most) wrong();
    rank = place.rank;
    seen.set(child.name, count);
  }
  for (const [name, { least }] of shape.children) if ((seen.get(name) ?? 0) < least) wrong();
  for (const child of element.children) checkElement(child);
}

/** Whatever any library could take for an id, in any namespace and spelling, counts: two that are the same are refused. */
function checkIds(root: XmlElement): void {
  const seen = new Set<string>();
  for (const element of everyElement(root))
    for (const [name, id] of element.attributes) {
      const local = name.slice(Math.max(name.lastIndexOf(':'), name.lastIndexOf('}')) + 1).toLowerCase();
      if (!/^(?:id|assertionid|requestid|responseid)$/.test(local)) continue;
      if (seen.has(id) || !/^[A-Za-z_][A-Za-z0-9_.-]{0,255}$/.test(id)) refuse('duplicate_id');
      seen.add(id);
    }
}
