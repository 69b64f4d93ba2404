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
  | 'tok'
  | 'sct'
  | 'grp'
  | 'pky'
  | 'con'
  | 'opr'
  | 'fil'
  | 'req'
  | 'aud'
  | 'mai'
  | 'crt'
  | 'clu'
  | 'bak'
  | 'dmp'
  | 'kit'
  | 'ins'
  | 'run'
  | 'rel'
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
export type KitId = Id<'kit'>;
export type InstallationId = Id<'ins'>;

/** A new random id: prefix, underscore, 26 characters (130 bits). */
export function newId<P extends IdPrefix>(prefix: P): Id<P> {
  return `${prefix}_${randomName(26)}` as Id<P>;
}

/** `length` random characters of the id alphabet, five bits each. */
export function randomName(length: number): string {
  return nameOf(randomBytesForNames(length));
}

/** The id that these bytes (26 or more, of a hash or a derived key) always make. */
export function idFrom<P extends IdPrefix>(prefix: P, bytes: Uint8Array): Id<P> {
  if (bytes.length < 26) throw new TypeError('an id takes 26 bytes');
  return `${prefix}_${nameOf(bytes.subarray(0, 26))}` as Id<P>;
}

function nameOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += alphabet[byte & 31];
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
