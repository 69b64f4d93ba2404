import { createHash, type KeyObject } from 'node:crypto';
import { DOMParser } from '@xmldom/xmldom';
import { type HashAlgorithm, type SignatureAlgorithm, SignedXml } from 'xml-crypto';
import { namespaces } from './names.ts';
import { Refused, refuse } from './refused.ts';
import { digestAlgorithms, isSignedByOne, signatureSchemes } from './signature-algorithms.ts';
import { findChild, readXml, type XmlElement, type XmlLimits } from './xml.ts';

const enveloped = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature';
const exclusive = namespaces.ec;

/** The part of a document that a signature is looked for in, as a path of child positions from the root; `[]`: the root itself. */
export interface Signed {
  readonly element: XmlElement;
  readonly path: readonly number[];
}

/**
 * Verifies the signature that stands directly in an element and covers exactly this element; `undefined` when there is none. Returns what
 * was signed, read anew from the very bytes that were hashed: nothing else of the document may be used afterwards. `text` must have passed
 * `readXml` and `checkStructure`, so that the form of the signature is known. Throws Refused.
 *
 * Why this holds whatever two parsers think of the document: the bytes that are returned have a digest which stands in bytes that the
 * identity provider's key signed. A document that is read differently makes other bytes, which were never signed. What is left to check is
 * that they are an element of the wanted kind with the wanted id, which is done here.
 */
export function readSigned(
  text: string,
  { element, path }: Signed,
  keys: readonly KeyObject[],
  limits: XmlLimits,
): XmlElement | undefined {
  const signature = findChild(element, 'ds:Signature');
  if (!signature) return undefined;
  const id = element.attributes.get('ID') ?? refuse('signature_structure');
  checkForm(signature, id);
  const bytes = verifyWithEngine(text, path, keys);
  const signed = readXml(bytes, limits);
  if (signed.name !== element.name || signed.attributes.get('ID') !== id) refuse('signature_invalid');
  if (findChild(signed, 'ds:Signature')) refuse('signature_structure');
  return signed;
}

/** Exactly one reference, to the element that the signature stands in, through the two transforms that SAML names (core 5.4). */
function checkForm(signature: XmlElement, id: string): void {
  const info = findChild(signature, 'ds:SignedInfo')!;
  const reference = findChild(info, 'ds:Reference')!;
  if (reference.attributes.get('URI') !== `#${id}`) refuse('signature_structure');
  const transforms = findChild(reference, 'ds:Transforms')!.children;
  if (transforms.length !== 2) refuse('signature_structure');
  const [first, second] = transforms.map((transform) => transform.attributes.get('Algorithm'));
  if (first !== enveloped || second !== exclusive) refuse('signature_algorithm');
  if (transforms[0]!.children.length > 0) refuse('signature_structure');
  const canonicalization = findChild(info, 'ds:CanonicalizationMethod')!;
  for (const holder of [transforms[1]!, canonicalization]) checkPrefixes(holder);
  if (canonicalization.attributes.get('Algorithm') !== exclusive) refuse('signature_algorithm');
  if (!signatureSchemes.has(findChild(info, 'ds:SignatureMethod')!.attributes.get('Algorithm')!))
    refuse('signature_algorithm');
  if (!digestAlgorithms.has(findChild(reference, 'ds:DigestMethod')!.attributes.get('Algorithm')!))
    refuse('signature_algorithm');
}

/** Shibboleth and Okta name `xs` here. */
function checkPrefixes(holder: XmlElement): void {
  const list = findChild(holder, 'ec:InclusiveNamespaces')?.attributes.get('PrefixList');
  if (list !== undefined && !/^[A-Za-z_][\w.-]{0,30}(?: [A-Za-z_][\w.-]{0,30}){0,15}$/.test(list))
    refuse('signature_structure');
}

/** The engine gets our lists in the place of its own, and never a key from the message. Whatever it throws is one refusal. */
function verifyWithEngine(text: string, path: readonly number[], keys: readonly KeyObject[]): string {
  try {
    const engine = new SignedXml({ publicCert: 'unused', getCertFromKeyInfo: () => null });
    // SAML has no other; that nothing looks like a second one was checked with the structure.
    engine.idAttributes = ['ID'];
    const { [enveloped]: envelopedSignature, [exclusive]: exclusiveForm } = engine.CanonicalizationAlgorithms;
    engine.CanonicalizationAlgorithms = { [enveloped]: envelopedSignature!, [exclusive]: exclusiveForm! };
    engine.HashAlgorithms = Object.fromEntries(
      [...digestAlgorithms].map(([name, digest]) => [name, hashAlgorithm(name, digest)]),
    );
    engine.SignatureAlgorithms = Object.fromEntries(
      [...signatureSchemes.keys()].map((name) => [name, signatureAlgorithm(name, keys)]),
    );
    engine.loadSignature(findSignatureNode(text, path));
    if (!engine.checkSignature(text)) refuse('signature_invalid');
    const signed = engine.getSignedReferences();
    return signed.length === 1 ? signed[0]! : refuse('signature_structure');
  } catch (error) {
    if (error instanceof Refused) throw error;
    refuse('signature_invalid');
  }
}

function findSignatureNode(text: string, path: readonly number[]): Node {
  const problem = () => refuse('malformed');
  const parser = new DOMParser({ errorHandler: { warning: problem, error: problem, fatalError: problem } });
  let element: Element = parser.parseFromString(text, 'text/xml').documentElement;
  for (const position of path) element = elementsOf(element)[position] ?? refuse('malformed');
  return (
    elementsOf(element).find((child) => child.namespaceURI === namespaces.ds && child.localName === 'Signature') ??
    refuse('signature_structure')
  );
}

const elementsOf = (parent: Element): Element[] =>
  Array.from(parent.childNodes).filter((node): node is Element => node.nodeType === 1);

function hashAlgorithm(name: string, digest: string): new () => HashAlgorithm {
  return class {
    getAlgorithmName = () => name;
    getHash = (xml: string) => createHash(digest).update(xml, 'utf8').digest('base64');
  };
}

function signatureAlgorithm(name: string, keys: readonly KeyObject[]): new () => SignatureAlgorithm {
  const verifySignature = (material: unknown, _key: unknown, value: unknown) =>
    isSignedByOne(keys, name, Buffer.from(String(material), 'utf8'), Buffer.from(String(value), 'base64'));
  return class {
    getAlgorithmName = () => name;
    getSignature = (): never => refuse('signature_algorithm');
    verifySignature = verifySignature;
  } as unknown as new () => SignatureAlgorithm;
}
