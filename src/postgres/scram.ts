import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { randomBytes } from '#src/kernel/index.ts';

/**
 * Iterations of PBKDF2. RFC 7677 asks for at least 4,096 to slow down the guessing of passwords that people choose. Ours are 256
 * random bits: nobody can try them all, so stretching adds nothing and would cost every new connection of a gateway a millisecond.
 */
const iterations = 1;
const minPasswordLength = 43;

/** A password of 256 random bits, 43 characters of base64url. */
export function newPassword(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * What PostgreSQL keeps instead of a password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (RFC 5803, RFC 5802 §3).
 * Made here, so that the password itself is never in a statement or in a server's log. Refuses passwords shorter than `newPassword()` makes.
 */
export function scramVerifier(password: string): string {
  // Base64url is ASCII, so SASLprep (RFC 4013) leaves it as it is; anything else is not one of our passwords.
  if (password.length < minPasswordLength || !/^[A-Za-z0-9_-]+$/.test(password)) {
    throw new TypeError('a database password must be 256 random bits in base64url');
  }
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
