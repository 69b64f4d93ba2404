import { keyErrors } from './errors.ts';

/** Crockford base32, upper case on paper; what people take for another character is read as the one it is. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const mistaken: Readonly<Record<string, string>> = { O: '0', I: '1', L: '1' };

const charactersPerGroup = 4;
/** 32 bytes are 52 characters, the last 4 bits zero. */
const secretGroups = 13;
/** One more, with the first 20 bits of the secret's checksum. */
export const groupCount = secretGroups + 1;
const lastGroupBits = 20;

/**
 * A secret of 32 bytes as 14 groups: four characters and one that checks them and their place. In one group every single wrong character, every two
 * swapped neighbours and every swapped group are found for certain, anything else with 31 of 32; the last group finds what they let pass.
 */
export function formatGroups(secret: Uint8Array, checksum: Uint8Array): string[] {
  const characters = [...toFives(secret), ...toFives(checksum).slice(0, lastGroupBits / 5)];
  return Array.from({ length: groupCount }, (_, index) => {
    const data = characters.slice(index * charactersPerGroup, (index + 1) * charactersPerGroup);
    return [...data, checkOf(data, index)].map((five) => alphabet[five]).join('');
  });
}

/**
 * What somebody typed, scanned or pasted → the secret. Throws FH_RECOVERY_KIT_MISTYPED, which names the groups and never what is in them.
 * @param checksumOf as given to `formatGroups`
 */
export function parseGroups(groups: readonly string[], checksumOf: (secret: Buffer) => Uint8Array): Buffer {
  const wrong = groups.flatMap((group, index) => (index < groupCount && !readGroup(group, index) ? [index + 1] : []));
  if (groups.length !== groupCount) {
    const first = wrong[0] ? `; look at group ${wrong[0]} first` : '';
    throw mistyped(`there are ${groups.length} groups, the page has ${groupCount}${first}`);
  }
  if (wrong.length > 0) throw mistyped(`group${wrong.length > 1 ? 's' : ''} ${wrong.join(', ')}`);
  const fives = groups.flatMap((group, index) => readGroup(group, index)!);
  const secret = fromFives(fives.slice(0, secretGroups * charactersPerGroup));
  if (formatGroups(secret, checksumOf(secret)).every((group, index) => group === normalise(groups[index]!)))
    return secret;
  throw mistyped('each group is one of a kit, all together are not: compare every group with the page');
}

function readGroup(group: string, index: number): number[] | undefined {
  const fives = Array.from(normalise(group), (character) => alphabet.indexOf(character));
  if (fives.length !== charactersPerGroup + 1 || fives.includes(-1)) return undefined;
  const data = fives.slice(0, charactersPerGroup);
  return checkOf(data, index) === fives[charactersPerGroup] ? data : undefined;
}

function normalise(group: string): string {
  return Array.from(group.toUpperCase(), (character) => mistaken[character] ?? character).join('');
}

function mistyped(detail: string) {
  return keyErrors.FH_RECOVERY_KIT_MISTYPED({ detail });
}

/** A parity over GF(32), each place with a weight of its own (2, 4, 8, 16), plus the number of the group. */
function checkOf(data: readonly number[], index: number): number {
  return data.reduce((sum, five, place) => sum ^ times(five, 2 << place), index + 1);
}

/** Product in GF(2^5) modulo x^5 + x^2 + 1. */
function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 4; bit >= 0; bit--) {
    product <<= 1;
    if (product & 32) product ^= 0b100101;
    if (b & (1 << bit)) product ^= a;
  }
  return product;
}

/** Bits from the front in fives, the last filled up with zeros. */
function toFives(bytes: Uint8Array): number[] {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => Number.parseInt(five.padEnd(5, '0'), 2));
}

function fromFives(fives: readonly number[]): Buffer {
  const bits = fives.map((five) => five.toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}
