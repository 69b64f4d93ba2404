import { constants, createDecipheriv, createPrivateKey, privateDecrypt } from 'node:crypto';
import { randomBytes } from '#src/kernel/index.ts';
import { keyErrors } from './errors.ts';

/** Ciphers of XML Encryption 1.1 for content. With CBC anybody who sees how an error differs reads the content (Jager and Somorovsky, 2011). */
const contentCiphers = {
  'aes-128-gcm': { keyBytes: 16, isAuthenticated: true },
  'aes-192-gcm': { keyBytes: 24, isAuthenticated: true },
  'aes-256-gcm': { keyBytes: 32, isAuthenticated: true },
  'aes-128-cbc': { keyBytes: 16, isAuthenticated: false },
  'aes-192-cbc': { keyBytes: 24, isAuthenticated: false },
  'aes-256-cbc': { keyBytes: 32, isAuthenticated: false },
} as const;

export type XmlContentCipher = keyof typeof contentCiphers;

export interface XmlEncrypted {
  readonly cipher: XmlContentCipher;
  /** RSA-OAEP with this hash for both the label and MGF1; PKCS #1 v1.5 is not offered (Bleichenbacher). */
  readonly oaepHash: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  readonly wrappedKey: Uint8Array;
  /** Nonce or initialisation vector, ciphertext and (GCM) tag, as XML Encryption 5.2 joins them. */
  readonly sealed: Uint8Array;
}

/**
 * Opens what an identity provider encrypted to one of our RSA keys (PEM, PKCS #8). Whatever is wrong, the error is the same FH_KEY_UNSEAL:
 * all keys are tried, and when none opens the wrapped key, a random one stands in, so that both failures take the same path. It is the
 * wrapped key that says which of ours is meant: CBC would take one key in sixteen for the right one.
 */
export function openXmlEncryption(privateKeys: readonly string[], encrypted: XmlEncrypted): Buffer {
  const unwrapped = privateKeys.map((privateKey) => unwrapKey(privateKey, encrypted)).find((key) => key !== undefined);
  const stand = randomBytes(contentCiphers[encrypted.cipher].keyBytes);
  const opened = openContent(unwrapped ?? stand, encrypted);
  if (!unwrapped || !opened) throw keyErrors.FH_KEY_UNSEAL();
  return opened;
}

function unwrapKey(privateKey: string, { cipher, oaepHash, wrappedKey }: XmlEncrypted): Buffer | undefined {
  try {
    const key = createPrivateKey(privateKey);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const opened = privateDecrypt({ key, padding, oaepHash }, wrappedKey);
    return opened.length === contentCiphers[cipher].keyBytes ? opened : undefined;
  } catch {
    return undefined;
  }
}

function openContent(key: Buffer, { cipher, sealed }: XmlEncrypted): Buffer | undefined {
  try {
    if (contentCiphers[cipher].isAuthenticated) {
      if (sealed.length < 12 + 16 + 1) return undefined;
      const decipher = createDecipheriv(cipher as 'aes-256-gcm', key, sealed.subarray(0, 12), { authTagLength: 16 });
      decipher.setAuthTag(sealed.subarray(-16));
      return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    }
    if (sealed.length < 32 || sealed.length % 16 !== 0) return undefined;
    const decipher = createDecipheriv(cipher, key, sealed.subarray(0, 16)).setAutoPadding(false);
    const padded = Buffer.concat([decipher.update(sealed.subarray(16)), decipher.final()]);
    // XML Encryption 5.2.2: only the last byte of the padding has a meaning.
    const padding = padded.at(-1)!;
    return padding >= 1 && padding <= 16 ? padded.subarray(0, -padding) : undefined;
  } catch {
    return undefined;
  }
}
