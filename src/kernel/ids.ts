import { randomBytesForNames } from './random.ts';

/** Crockford base32 in lower case: no i, l, o, u, so an id can be read aloud and is safe in host names and SQL identifiers. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

export type IdPrefix =
  | 'ten'
  | 'usr'
  | 'stf'
  | 'key'
  | 'inv'
  | 'ses'
  | 'opr'
  | 'fil'
  | 'req'
  | 'aud'
  | 'crt'
  | 'clu'
  | 'bak'
  | 'dmp'
  | 'kit'
  | 'prj'
  | 'itm'
  | 'cmt'
  | 'imp'
  | 'tag';
export type Id<P extends IdPrefix = IdPrefix> = `${P}_${string}` & { readonly __id: P };
export type TenantId = Id<'ten'>;
export type UserId = Id<'usr'>;
export type StaffId = Id<'stf'>;
export type OperationId = Id<'opr'>;
export type FileId = Id<'fil'>;
export type RequestId = Id<'req'>;
export type ClusterId = Id<'clu'>;
export type BackupId = Id<'bak'>;

/** A new random id: prefix, underscore, 26 characters (130 bits). */
export function newId<P extends IdPrefix>(prefix: P): Id<P> {
  return `${prefix}_${randomName(26)}` as Id<P>;
}

/** `length` random characters of the id alphabet, five bits each. */
export function randomName(length: number): string {
  let text = '';
  const bytes = randomBytesForNames(length);
  for (let index = 0; index < length; index++) text += alphabet[bytes[index]! & 31];
  return text;
}

/** True when `value` has the exact shape of an id with this prefix. */
export function isId<P extends IdPrefix>(prefix: P, value: unknown): value is Id<P> {
  return (
    typeof value === 'string' &&
    value.startsWith(`${prefix}_`) &&
    /^[0-9a-hjkmnp-tv-z]{26}$/.test(value.slice(prefix.length + 1))
  );
}
