import type { FreeholdError } from '#src/kernel/index.ts';
import { parsePersonName } from '../users/email.ts';
import { signOnErrors } from './errors.ts';
import { type FactorTrust, factorTrusts, type PeopleSettings } from './types.ts';

/** As an owner types it. */
export interface PeopleInput {
  readonly createsUsers?: boolean;
  readonly trustsEmails?: boolean;
  readonly secondFactor?: FactorTrust;
  readonly roleClaim?: string | null;
  readonly adminValues?: readonly string[];
}

export const peopleDefaults: PeopleSettings = {
  createsUsers: true,
  trustsEmails: false,
  secondFactor: 'own',
  roleClaim: null,
  adminValues: [],
};

const refused = (field: string, text: string): FreeholdError =>
  signOnErrors.FH_CONNECTION_REFUSED({ detail: text, fields: { [field]: text } });

/** Over what there was. Throws FH_CONNECTION_REFUSED. */
export function parsePeople(input: PeopleInput, before: PeopleSettings = peopleDefaults): PeopleSettings {
  const { createsUsers, trustsEmails, secondFactor, roleClaim, adminValues } = { ...before, ...input };
  if (!factorTrusts.includes(secondFactor)) throw refused('secondFactor', 'Choose one of the three.');
  const claim = roleClaim?.trim() || null;
  if (claim !== null && claim.length > 300) throw refused('roleClaim', 'Use at most 300 characters.');
  const values = [...new Set(adminValues.map((value) => value.trim()).filter(Boolean))];
  if (values.length > 50 || values.some((value) => value.length > 300))
    throw refused('adminValues', 'Use at most 50 values of at most 300 characters.');
  if (claim !== null && values.length === 0)
    throw refused('adminValues', 'Name at least one value that makes an admin of somebody.');
  return { createsUsers, trustsEmails, secondFactor, roleClaim: claim, adminValues: values };
}

/** Throws FH_CONNECTION_REFUSED. */
export function parseConnectionName(text: string): string {
  try {
    const name = parsePersonName(text);
    if ([...name].length <= 60) return name;
  } catch {
    // Said below.
  }
  throw refused('name', 'Use 1 to 60 visible characters.');
}

/** OpenID Connect Discovery 1.0, section 2: https, no query, no fragment. Throws FH_CONNECTION_REFUSED. */
export function parseIssuer(text: string): string {
  const issuer = text.trim();
  const url = issuer.length <= 500 && URL.canParse(issuer) ? new URL(issuer) : undefined;
  const isGood = url?.protocol === 'https:' && !url.username && !url.password && !url.search && !url.hash;
  if (!isGood)
    throw refused('issuer', 'Enter the issuer as the provider writes it, for example https://login.example.com.');
  // Compared byte by byte with what the provider says, so it is kept as it was typed.
  return issuer.replace(/\/\.well-known\/openid-configuration$/, '');
}

/** Throws FH_CONNECTION_REFUSED. */
export function parseVisible(field: string, text: string, maxLength: number): string {
  const value = text.trim();
  if (value === '' || value.length > maxLength || !/^[\x20-\x7e]+$/.test(value))
    throw refused(field, `Use 1 to ${maxLength} characters, as the provider shows it.`);
  return value;
}
