import type { KeyObject } from 'node:crypto';
import { isPlain } from './assertion.ts';
import { usableKeys } from './certificates.ts';
import { openEncrypted } from './decryption.ts';
import { decodePost } from './encodings.ts';
import { checkEnvelope, isSuccess } from './message.ts';
import { nameIdFormats, unspecifiedFormat } from './names.ts';
import { readSignedQuery } from './redirect.ts';
import { refuse } from './refused.ts';
import { readSigned } from './signature.ts';
import { checkStructure } from './structure.ts';
import { logOutMemoryMs, parseInstant, timeRules } from './times.ts';
import type { ExpectedLogout, LogoutMessage, LogoutRequest, LogoutResponse } from './types.ts';
import { childrenOf, findChild, messageLimits, readXml, type XmlElement } from './xml.ts';

type Kind = 'samlp:LogoutRequest' | 'samlp:LogoutResponse';

/** A request of the identity provider to sign somebody out (SAML profiles 4.4). Always signed. Throws Refused. */
export function judgeLogoutRequest(received: LogoutMessage, expected: ExpectedLogout, nowMs: number): LogoutRequest {
  const { message, relayState } = openSigned(received, 'samlp:LogoutRequest', expected, nowMs);
  const rules = timeRules(nowMs, expected.clockSkewMs);
  checkEnvelope(message, { trust: expected, destination: expected.sloUrl, rules });
  const end = message.attributes.get('NotOnOrAfter');
  if (end !== undefined && nowMs - rules.skewMs >= parseInstant(end)) refuse('expired');
  const nameId = nameIdOf(message, expected);
  const nameIdFormat = nameId.attributes.get('Format') ?? unspecifiedFormat;
  if (!isPlain(nameId.text, 256)) refuse('name_id');
  if (!nameIdFormats.has(nameIdFormat)) refuse('name_id_format');
  const sessionIndexes = childrenOf(message, 'samlp:SessionIndex').map(({ text }) => text);
  if (sessionIndexes.length > 100 || !sessionIndexes.every((index) => isPlain(index, 256))) refuse('structure');
  return {
    id: message.attributes.get('ID')!,
    issuer: expected.idpEntityId,
    nameId: nameId.text,
    nameIdFormat,
    nameQualifier: nameId.attributes.get('NameQualifier'),
    spNameQualifier: nameId.attributes.get('SPNameQualifier'),
    sessionIndexes,
    relayState,
    notOnOrAfter: new Date(parseInstant(message.attributes.get('IssueInstant')) + logOutMemoryMs),
  };
}

/** In the clear or encrypted to us, never both. What is encrypted lies under the signature of the request, which was verified. */
function nameIdOf(message: XmlElement, { decryptionKeys = [] }: ExpectedLogout): XmlElement {
  const nameId = findChild(message, 'saml:NameID');
  const encrypted = findChild(message, 'saml:EncryptedID');
  if (nameId && encrypted) refuse('name_id');
  if (!encrypted) return nameId ?? refuse('name_id');
  const { element } = openEncrypted(encrypted, { decryptionKeys, isAuthentic: true });
  if (element.name !== 'saml:NameID') refuse('decryption');
  checkStructure(element);
  return element;
}

/** The answer to a LogoutRequest of ours. A failure of others is no refusal: `isSuccess` says it. Throws Refused. */
export function judgeLogoutResponse(
  received: LogoutMessage,
  expected: ExpectedLogout & { readonly requestIds: readonly string[] },
  nowMs: number,
): LogoutResponse {
  const { message, relayState } = openSigned(received, 'samlp:LogoutResponse', expected, nowMs);
  const rules = timeRules(nowMs, expected.clockSkewMs);
  checkEnvelope(message, { trust: expected, destination: expected.sloUrl, rules });
  const inResponseTo = message.attributes.get('InResponseTo') ?? refuse('unsolicited');
  if (!expected.requestIds.includes(inResponseTo)) refuse('in_response_to');
  return {
    id: message.attributes.get('ID')!,
    issuer: expected.idpEntityId,
    inResponseTo,
    isSuccess: isSuccess(message),
    relayState,
  };
}

/** The message under its signature: the one in the XML for a POST, the one of the query string for a redirect. */
function openSigned(received: LogoutMessage, kind: Kind, expected: ExpectedLogout, nowMs: number) {
  const keys = () => usableKeys(expected.certificates, nowMs);
  if (received.binding === 'redirect') {
    const field = kind === 'samlp:LogoutRequest' ? 'SAMLRequest' : 'SAMLResponse';
    const { text, relayState } = readSignedQuery(received.rawQuery, field, keys);
    const message = readKind(text, kind);
    // Nobody puts one into a redirect, and one that is not looked at must not be there.
    if (findChild(message, 'ds:Signature')) refuse('signature_structure');
    return { message, relayState };
  }
  const text = decodePost(received.message, messageLimits);
  const message = readSignedPost(text, readKind(text, kind), keys());
  checkStructure(message);
  return { message, relayState: received.relayState };
}

function readKind(text: string, kind: Kind): XmlElement {
  const message = readXml(text, messageLimits);
  if (message.name !== kind) refuse('not_saml');
  checkStructure(message);
  return message;
}

function readSignedPost(text: string, message: XmlElement, keys: readonly KeyObject[]): XmlElement {
  return readSigned(text, { element: message, path: [] }, keys, messageLimits) ?? refuse('unsigned');
}
