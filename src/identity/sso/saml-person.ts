import type { Assertion } from '../saml/index.ts';
import { isFactorEvidence } from './factor-evidence.ts';
import type { SamlSettings, SignOnPerson } from './types.ts';

/** How providers call the address of somebody, the plainest name first: Okta and Google, LDAP, AD FS and Entra ID, eduPerson. */
const emailNames = [
  'email',
  'mail',
  'emailAddress',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress',
  'urn:oid:0.9.2342.19200300.100.1.3',
];
const nameNames = [
  'displayName',
  'name',
  'http://schemas.microsoft.com/identity/claims/displayname',
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name',
  'urn:oid:2.16.840.1.113730.3.1.241',
];
export const emailFormat = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress';

/**
 * Who a verified assertion speaks of, as the connection was set up to read it. The first known attribute that has exactly one value counts: of two addresses nobody
 * knows which one is meant. Roles come from the attribute that the connection names and from no other, whatever it is called. Undefined: the name belongs to another
 * namespace than the provider's own (SAML core 8.3.7), where it may be somebody else's.
 */
export function personOf(assertion: Assertion, settings: SamlSettings): SignOnPerson | undefined {
  const { attributes, nameId, nameIdFormat, nameQualifier } = assertion;
  if (nameQualifier !== undefined && nameQualifier !== settings.idpEntityId) return undefined;
  const firstOf = (names: readonly string[]) =>
    names.map((name) => attributes.get(name)).find((values) => values?.length === 1 && values[0] !== '')?.[0];
  const { roleClaim } = settings;
  return {
    subject: nameId,
    email: firstOf(emailNames) ?? (nameIdFormat === emailFormat ? nameId : undefined),
    // SAML has no word for it: the owner says it of all of this provider's addresses, or nobody gets in.
    isEmailVerified: undefined,
    name: firstOf(nameNames),
    roleValues: roleClaim === null ? [] : (attributes.get(roleClaim) ?? []),
    hasFactorEvidence: isFactorEvidence({ acr: assertion.authnContext }),
    claims: [...attributes.keys()],
    sessionIndex: assertion.sessionIndex,
    nameQualifier,
    spNameQualifier: assertion.spNameQualifier,
    authnInstant: assertion.authnInstant,
  };
}
