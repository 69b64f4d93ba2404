import type { KeyObject } from 'node:crypto';
import { judgeAssertion } from './assertion.ts';
import { usableKeys } from './certificates.ts';
import { openEncrypted } from './decryption.ts';
import { decodePost } from './encodings.ts';
import { checkEnvelope, isSuccess } from './message.ts';
import { refuse } from './refused.ts';
import { readSigned } from './signature.ts';
import { checkStructure } from './structure.ts';
import { type TimeRules, timeRules } from './times.ts';
import type { Assertion, ExpectedResponse } from './types.ts';
import { childrenOf, findChild, messageLimits, readXml, type XmlElement } from './xml.ts';

/**
 * Judges a response of the Web Browser SSO profile (SAML profiles 4.1.4) as of `nowMs`. The order: bytes, well-formedness, structure, what
 * the response says about itself, signatures, then once more what it says, now in the signed bytes. Throws Refused.
 */
export function judgeResponse(samlResponse: string, expected: ExpectedResponse, nowMs: number): Assertion {
  const text = decodePost(samlResponse, messageLimits);
  const response = readXml(text, messageLimits);
  if (response.name !== 'samlp:Response') refuse('not_saml');
  checkStructure(response);
  const rules = timeRules(nowMs, expected.clockSkewMs);
  checkResponse(response, expected, rules);
  const keys = usableKeys(expected.certificates, nowMs);

  const signedResponse = readSigned(text, { element: response, path: [] }, keys, messageLimits);
  if (signedResponse) {
    checkStructure(signedResponse);
    checkResponse(signedResponse, expected, rules);
  }
  const source = signedResponse ?? response;
  const isAuthentic = signedResponse !== undefined;
  const assertion = findChild(source, 'saml:EncryptedAssertion')
    ? openAssertion(findChild(source, 'saml:EncryptedAssertion')!, { expected, keys, isAuthentic })
    : takeAssertion(text, { original: response, signedResponse, keys });
  return judgeAssertion(assertion, { expected, rules, answers: source.attributes.get('InResponseTo') });
}

function checkResponse(response: XmlElement, expected: ExpectedResponse, rules: TimeRules): void {
  checkEnvelope(response, { trust: expected, destination: expected.acsUrl, rules });
  if (!isSuccess(response)) refuse('status');
  const assertions = ['saml:Assertion', 'saml:EncryptedAssertion'].flatMap((name) => childrenOf(response, name));
  if (assertions.length !== 1) refuse('structure');
}

/** An assertion in the clear: its own signature is verified wherever there is one; without it, the response's must cover it. */
function takeAssertion(
  text: string,
  { original, signedResponse, keys }: { original: XmlElement; signedResponse?: XmlElement; keys: readonly KeyObject[] },
): XmlElement {
  const position = original.children.findIndex((child) => child.name === 'saml:Assertion');
  const element = original.children[position]!;
  const signed = readSigned(text, { element, path: [position] }, keys, messageLimits);
  const covered = signedResponse && findChild(signedResponse, 'saml:Assertion');
  if (signed) checkStructure(signed);
  if (signed && covered && signed.attributes.get('ID') !== covered.attributes.get('ID')) refuse('signature_structure');
  return signed ?? covered ?? refuse('unsigned');
}

/** An encrypted assertion is a document of its own and goes through every gate again. */
function openAssertion(
  encrypted: XmlElement,
  { expected, keys, isAuthentic }: { expected: ExpectedResponse; keys: readonly KeyObject[]; isAuthentic: boolean },
): XmlElement {
  const { decryptionKeys = [] } = expected;
  const { text, element } = openEncrypted(encrypted, { decryptionKeys, isAuthentic });
  if (element.name !== 'saml:Assertion') refuse('decryption');
  checkStructure(element);
  const signed = readSigned(text, { element, path: [] }, keys, messageLimits);
  if (signed) checkStructure(signed);
  // Whoever has our public certificate can encrypt (CVE-2026-2092).
  return signed ?? (isAuthentic ? element : refuse('unsigned'));
}
