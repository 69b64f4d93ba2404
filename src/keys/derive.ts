import { hkdfSync } from 'node:crypto';

/** HKDF-SHA-256 (RFC 5869). `label` separates uses of one key; its parts never contain the separator. */
export function deriveKey(key: Uint8Array, label: readonly string[], salt: Uint8Array = new Uint8Array(0)): Buffer {
  for (const part of label) if (part.includes('\0')) throw new TypeError('a label has no NUL');
  const info = Buffer.from(['freehold 1', ...label].join('\0'), 'utf8');
  return Buffer.from(hkdfSync('sha256', key, salt, info, 32));
}
