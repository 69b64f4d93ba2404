import { identityErrors } from '../errors.ts';

/** An address as it is shown, and as it is compared. */
export interface Email {
  readonly email: string;
  readonly emailKey: string;
}

/** RFC 5321, 4.5.3.1: 64 octets before the sign, 254 in all (erratum 1690). */
const maxLocalBytes = 64;
const maxBytes = 254;
const shape = /^[^\s@"(),:;<>[\]\\\p{C}]+@[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}.-]*[\p{L}\p{N}])?$/u;

/** Throws FH_EMAIL_REFUSED. Takes what mail systems use: no quoted local parts, no addresses of hosts, Unicode allowed (RFC 6531). */
export function parseEmail(text: string): Email {
  const email = text.trim().normalize('NFC');
  const local = email.slice(0, email.lastIndexOf('@'));
  const isGood =
    Buffer.byteLength(text) <= maxBytes * 2 &&
    Buffer.byteLength(email) <= maxBytes &&
    Buffer.byteLength(emailKeyOf(email)) <= maxBytes &&
    Buffer.byteLength(local) <= maxLocalBytes &&
    email.isWellFormed() &&
    shape.test(email) &&
    !email.includes('..') &&
    !local.startsWith('.') &&
    !local.endsWith('.');
  if (!isGood) throw identityErrors.FH_EMAIL_REFUSED({ fields: { email: 'Use an address such as name@example.com.' } });
  return { email, emailKey: emailKeyOf(email) };
}

/** How addresses are compared: NFC, lower case. Never throws: a sign-in with nonsense takes the same way as one with an unknown address. */
export function emailKeyOf(text: string): string {
  return text.slice(0, 1000).trim().normalize('NFC').toLowerCase().normalize('NFC').toWellFormed().replaceAll('\0', '');
}

/** A person's name: 1 to 100 characters, no control or invisible formatting characters. Throws FH_NAME_REFUSED. */
export function parsePersonName(text: string): string {
  const name = text.slice(0, 1000).normalize('NFC').replaceAll(/\s+/g, ' ').trim();
  if (
    name.length === 0 ||
    [...name].length > 100 ||
    /[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}]|[\u202a-\u202e\u2066-\u2069\u200b]/u.test(name)
  )
    throw identityErrors.FH_NAME_REFUSED({ fields: { name: 'Use 1 to 100 visible characters.' } });
  return name;
}

/** A first name to show until the person types one: the part before the sign. */
export function nameFromEmail(email: string): string {
  return email.slice(0, email.lastIndexOf('@')).slice(0, 100) || email.slice(0, 100);
}
