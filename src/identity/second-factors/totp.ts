import { createHmac, timingSafeEqual } from 'node:crypto';

/** RFC 6238 with the values that every authenticator app takes: SHA-1, 6 digits, 30 seconds. */
export const totpStepSeconds = 30;
/** RFC 4226, 4: 160 bits are advised, the length of SHA-1's output. */
export const totpSecretBytes = 20;
/** Steps on either side of the present one whose code is good: clocks of telephones differ (RFC 6238, 5.2). */
const windowSteps = 1;

/** The code of one step of time (RFC 4226, 5.3). */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const offset = mac[mac.length - 1]! & 0x0f;
  const number = mac.readUInt32BE(offset) & 0x7fff_ffff;
  return String(number % 1_000_000).padStart(6, '0');
}

/** What was typed as six digits; people and apps group them with spaces. Undefined: it is no such code. */
export function parseTotpCode(typed: string): string | undefined {
  const digits = typed.length <= 20 ? typed.replaceAll(/[\s-]/g, '') : '';
  return /^[0-9]{6}$/.test(digits) ? digits : undefined;
}

/**
 * The step that this code belongs to, if that is about now and later than every step that was used before. The caller stores it in the
 * statement that uses it; then each code is good once (RFC 6238, 5.2: a second use must be refused).
 * @param code six digits
 * @param nowSeconds Unix time of the database server
 */
export function findTotpStep(
  secret: Uint8Array,
  code: string,
  { nowSeconds, lastStep }: { nowSeconds: number; lastStep: number },
): number | undefined {
  const present = Math.floor(nowSeconds / totpStepSeconds);
  let found: number | undefined;
  // All of them in any case: the time taken tells nothing.
  for (let step = present - windowSteps; step <= present + windowSteps; step++) {
    const matches = timingSafeEqual(Buffer.from(totpCode(secret, step)), Buffer.from(code));
    if (matches && step > lastStep) found ??= step;
  }
  return found;
}

const base32Signs = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** RFC 4648, 6, without padding: what authenticator apps take as text. */
export function encodeBase32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => base32Signs[Number.parseInt(five.padEnd(5, '0'), 2)]).join('');
}

/** The address that a QR code brings to an app. A colon separates issuer and account, so neither has one. */
export function totpUri(secret: string, { issuer, account }: { issuer: string; account: string }): string {
  const plain = (text: string) => encodeURIComponent(text.replaceAll(':', ' '));
  return `otpauth://totp/${plain(issuer)}:${plain(account)}?secret=${secret}&issuer=${plain(issuer)}&algorithm=SHA1&digits=6&period=${totpStepSeconds}`;
}
