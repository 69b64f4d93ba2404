import { createHash } from 'node:crypto';
import { randomBytes } from '#src/kernel/index.ts';

export const recoveryCodeCount = 10;
/** Five bits a sign: 120 bits, so a plain hash of it is as good as the code itself (ASVS v5.0.0-6.5.2 asks for 112). */
const codeLength = 24;
const groupLength = 4;
/** Crockford's: no letter that looks like another sign. */
const signs = '0123456789abcdefghjkmnpqrstvwxyz';

/** `7k2m-9xpa-0d4t-hv3q-c8nr-5wj1` */
export function newRecoveryCode(): string {
  const code = [...randomBytes(codeLength)].map((byte) => signs[byte % signs.length]).join('');
  return code.match(new RegExp(`.{${groupLength}}`, 'g'))!.join('-');
}

/** In one spelling, from paper or memory: case, spaces and hyphens do not matter, nor letters that look like digits. Undefined: it is none. */
export function parseRecoveryCode(typed: string): string | undefined {
  if (typed.length > 100) return undefined;
  const plain = typed.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1');
  return plain.length === codeLength && [...plain].every((sign) => signs.includes(sign)) ? plain : undefined;
}

/** What is stored, bound to whose it is. */
export function hashRecoveryCode(userId: string, parsed: string): Buffer {
  return createHash('sha256').update(`freehold recovery code 1\0${userId}\0${parsed}`).digest();
}
