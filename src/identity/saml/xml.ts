import { SaxesParser } from 'saxes';
import { nameOf, namespaces } from './names.ts';
import { Refused, refuse } from './refused.ts';

/** An element as the rest of the engine sees it: names resolved, text in one piece. Prefixes and positions are gone on purpose. */
export interface XmlElement {
  /** See `nameOf`. */
  readonly name: string;
  /** Without namespace declarations; keys as `nameOf` makes them. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** All text directly inside, also when there are children. */
  readonly text: string;
}

export interface XmlLimits {
  readonly bytes: number;
  readonly elements: number;
  /** Text with comments in it is refused also where comments are taken (CVE-2017-11428). */
  readonly mayHaveComments: boolean;
}

/** A response with 1 000 groups, as the largest directories send it, has about 200 kB and 1 100 elements. */
export const messageLimits: XmlLimits = { bytes: 256 * 1024, elements: 4_000, mayHaveComments: false };
export const metadataLimits: XmlLimits = { bytes: 1024 * 1024, elements: 20_000, mayHaveComments: true };

const deepest = 32;
const mostAttributes = 24;
const mostNamespaces = 16;
const longestName = 128;

/** The only elements in which a carriage return may stand: Java writes base64 with `&#13;` at the ends of lines. */
const base64Elements: ReadonlySet<string> = new Set([
  'ds:SignatureValue',
  'ds:DigestValue',
  'ds:X509Certificate',
  'ds:X509SKI',
  'ds:Modulus',
  'ds:Exponent',
  'xenc:CipherValue',
]);

/** UTF-8 without byte order mark, or refused. The limit is looked at first. */
export function decodeText(bytes: Uint8Array, limits: XmlLimits): string {
  if (bytes.byteLength > limits.bytes) refuse('too_large');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    refuse('not_utf8');
  }
  if (/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]|\uFEFF/u.test(text)) refuse('not_utf8');
  return text;
}

interface Open {
  readonly name: string;
  readonly attributes: Map<string, string>;
  readonly children: XmlElement[];
  text: string;
  hasComment: boolean;
}

/**
 * Reads a document strictly: well-formed, namespaces well-formed, no document type, no processing instructions, no CDATA, no entities but
 * the five of XML, UTF-8. Stops at the first thing that is too much. Throws Refused.
 */
export function readXml(text: string, limits: XmlLimits): XmlElement {
  // Bounds before the parser: it would keep an attribute of any length, and a document type is refused whatever stands in it.
  if (text.length > limits.bytes) refuse('too_large');
  if (/<!DOCTYPE|<!ENTITY/i.test(text)) refuse('doctype');
  const parser = new SaxesParser({ xmlns: true, position: false });
  const open: Open[] = [];
  let root: XmlElement | undefined;
  let elementCount = 0;
  let attributeCount = 0;
  let namespaceCount = 0;

  parser.on('error', () => refuse('malformed'));
  parser.on('doctype', () => refuse('doctype'));
  parser.on('processinginstruction', () => refuse('forbidden_markup'));
  parser.on('cdata', () => refuse('forbidden_markup'));
  parser.on('comment', () => {
    if (!limits.mayHaveComments) refuse('forbidden_markup');
    const parent = open.at(-1);
    if (parent) parent.hasComment = true;
  });
  parser.on('xmldecl', ({ version, encoding }) => {
    if (version !== '1.0') refuse('malformed');
    if (encoding !== undefined && encoding.toUpperCase() !== 'UTF-8') refuse('not_utf8');
  });
  parser.on('opentagstart', ({ name }) => {
    elementCount += 1;
    attributeCount = 0;
    namespaceCount = 0;
    if (open.length >= deepest || elementCount > limits.elements || name.length > longestName) refuse('too_complex');
  });
  parser.on('attribute', ({ name }) => {
    if (name.length > longestName) refuse('too_complex');
    if (name === 'xmlns' || name.startsWith('xmlns:')) namespaceCount += 1;
    else attributeCount += 1;
    if (attributeCount > mostAttributes || namespaceCount > mostNamespaces) refuse('too_complex');
  });
  parser.on('opentag', (tag) => {
    const attributes = new Map<string, string>();
    for (const { prefix, name, local, uri, value } of Object.values(tag.attributes)) {
      if (value.includes('\r')) refuse('forbidden_markup');
      // A relative namespace has no canonical form, and engines have answered with an empty one (“void canonicalization”, 2025).
      if (name === 'xmlns' || prefix === 'xmlns') {
        if (!isNamespace(value)) refuse('structure');
      } else attributes.set(nameOf(uri, local), value);
    }
    open.push({ name: nameOf(tag.uri, tag.local), attributes, children: [], text: '', hasComment: false });
  });
  parser.on('text', (piece) => {
    const element = open.at(-1);
    if (element) element.text += piece;
  });
  parser.on('closetag', () => {
    const { hasComment, ...element } = open.pop()!;
    if (element.text.includes('\r') && !base64Elements.has(element.name)) refuse('forbidden_markup');
    if (hasComment && element.text.trim() !== '') refuse('forbidden_markup');
    const parent = open.at(-1);
    if (parent) parent.children.push(element);
    else root = element;
  });
  try {
    parser.write(text).close();
  } catch (error) {
    if (error instanceof Refused) throw error;
    refuse('malformed');
  }
  return root ?? refuse('malformed');
}

const known: ReadonlySet<string> = new Set(Object.values(namespaces));

/** An absolute URI; the empty one takes the default namespace away, which is well defined. */
function isNamespace(uri: string): boolean {
  return known.has(uri) || uri === '' || /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7E]{1,200}$/.test(uri);
}

export const findChild = (element: XmlElement, name: string): XmlElement | undefined =>
  element.children.find((child) => child.name === name);

export const childrenOf = (element: XmlElement, name: string): readonly XmlElement[] =>
  element.children.filter((child) => child.name === name);

/** The element and everything below it, in document order. */
export function* everyElement(element: XmlElement): Generator<XmlElement> {
  yield element;
  for (const child of element.children) yield* everyElement(child);
}
