import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { randomBytes } from '#src/kernel/index.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62^30 is more than 2^178. */
const randomLength = 30;
/** 62^6 is more than 2^32. */
const checksumLength = 6;

/** The prefix, 30 random characters of base62, and the CRC-32 of all before it in base62. Only its SHA-256 is stored. */
export function newTokenText(prefix: string): string {
  const unsigned = prefix + randomBase62(randomLength);
  return unsigned + checksumOf(unsigned);
}

/**
 * SHA-256 of a token that has the right shape and checksum; undefined for anything else, without asking anybody: what was mistyped or cut
 * off costs no statement. The checksum proves nothing; whether there is such a token only the tenant's database knows.
 * @param pattern prefix and 36 characters, nothing else
 */
export function hashTokenText(pattern: RegExp, text: string): Buffer | undefined {
  if (!pattern.test(text)) return undefined;
  const unsigned = text.slice(0, -checksumLength);
  if (checksumOf(unsigned) !== text.slice(-checksumLength)) return undefined;
  return createHash('sha256').update(text).digest();
}

/** CRC-32 (ISO-HDLC, as in gzip) of these characters, six digits of base62, most significant first. */
function checksumOf(unsigned: string): string {
  let rest = crc32(unsigned);
  let text = '';
  for (let at = 0; at < checksumLength; at++) {
    text = alphabet[rest % 62] + text;
    rest = Math.floor(rest / 62);
  }
  return text;
}

/** Every character equally likely: bytes of 248 (four times 62) and more are drawn again. */
function randomBase62(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) if (byte < 248 && text.length < length) text += alphabet[byte % 62];
  }
  return text;
}
