import { createCipheriv, createDecipheriv } from 'node:crypto';
import { randomBytes } from '#src/kernel/index.ts';
import { keyErrors } from './errors.ts';
import type { Sealer } from './types.ts';

const formatVersion = 1;
const nonceBytes = 12;
const tagBytes = 16;
const overheadBytes = 1 + nonceBytes + tagBytes;
export const keyBytes = 32;

/**
 * A sealer under one key. Nonces are random, so one key may seal at most 2^32 values (NIST SP 800-38D, 8.3).
 * Every failure to open looks the same: the caller learns nothing about why (sealer.test.ts, every bit flipped).
 */
export function createSealer(key: Uint8Array): Sealer {
  assertKey(key);
  const secret = Buffer.from(key);
  return {
    seal(plaintext, context) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', secret, nonce, { authTagLength: tagBytes });
      cipher.setAAD(associatedData(context));
      const body = cipher.update(plaintext);
      return Buffer.concat([Buffer.of(formatVersion), nonce, body, cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed, context) {
      if (sealed.byteLength < overheadBytes || sealed[0] !== formatVersion) throw keyErrors.FH_KEY_UNSEAL();
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      const decipher = createDecipheriv('aes-256-gcm', secret, bytes.subarray(1, 1 + nonceBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(associatedData(context));
      decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes));
      try {
        const body = decipher.update(bytes.subarray(1 + nonceBytes, bytes.length - tagBytes));
        return Buffer.concat([body, decipher.final()]);
      } catch {
        throw keyErrors.FH_KEY_UNSEAL();
      }
    },
  };
}

export function assertKey(key: Uint8Array): void {
  if (key.byteLength !== keyBytes) throw new TypeError(`a key has ${keyBytes} bytes`);
}

/** The version is authenticated too: a later format must not be read as this one. */
function associatedData(context: string): Buffer {
  return Buffer.concat([Buffer.of(formatVersion), Buffer.from(context, 'utf8')]);
}
