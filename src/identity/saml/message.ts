import { entityFormat, success } from './names.ts';
import { refuse } from './refused.ts';
import { checkIssueInstant, type TimeRules } from './times.ts';
import type { Trust } from './types.ts';
import { findChild, type XmlElement } from './xml.ts';

/** What every protocol message says about itself: version, issuer, destination, when it was written. Throws Refused. */
export function checkEnvelope(
  message: XmlElement,
  { trust, destination, rules }: { trust: Trust; destination: string; rules: TimeRules },
): void {
  if (message.attributes.get('Version') !== '2.0') refuse('version');
  checkIssuer(message, trust);
  if (message.attributes.get('Destination') !== destination) refuse('destination');
  checkIssueInstant(message.attributes.get('IssueInstant'), rules);
}

/** The Issuer must be there and be the identity provider, byte for byte: it is what keeps two connections apart (ASVS 6.8.1). */
export function checkIssuer(element: XmlElement, { idpEntityId }: Trust): void {
  const issuer = findChild(element, 'saml:Issuer') ?? refuse('issuer');
  if (idpEntityId === '' || issuer.text !== idpEntityId) refuse('issuer');
  const format = issuer.attributes.get('Format');
  if (format !== undefined && format !== entityFormat) refuse('issuer');
}

/** Success and nothing below it: a second-level code says that something was missing (SAML core 3.2.2.2). */
export function isSuccess(message: XmlElement): boolean {
  const status = findChild(message, 'samlp:Status') ?? refuse('status');
  const code = findChild(status, 'samlp:StatusCode')!;
  return code.attributes.get('Value') === success && code.children.length === 0;
}
