import { createHmac } from 'node:crypto';
import type { ObjectName } from '#src/objects/index.ts';

/**
 * Name of the object that holds this content: a keyed hash, because a plain one would let whoever lists the folder see
 * that a tenant owns a document he knows. The same content of another tenant has another name.
 */
export function objectNameOf(tenantId: string, filesKey: Uint8Array, sha256: string): ObjectName {
  const nameKey = createHmac('sha256', filesKey).update('freehold object names v1').digest();
  const name = createHmac('sha256', nameKey).update(sha256).digest('hex');
  return `${tenantId}/${name.slice(0, 2)}/${name}`;
}

const maxNameBytes = 255;
/** Control characters, and the marks that reverse the direction of text: `gpj.exe` must not look like `exe.jpg`. */
const invisible = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** A name that can be shown and saved: the last part of a path, without control characters, at most 255 bytes; never empty. */
export function cleanFileName(name: string): string {
  const last = name.toWellFormed().normalize('NFC').replace(invisible, '').split(/[/\\]/).at(-1)!.trim();
  if (last === '' || /^\.+$/.test(last)) return 'file';
  return shorten(last);
}

/** Cuts in the middle of the stem, between characters, and keeps the extension. */
function shorten(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name;
  const extension = /\.[A-Za-z0-9]{1,10}$/.exec(name)?.[0] ?? '';
  let stem = '';
  for (const character of name.slice(0, name.length - extension.length)) {
    if (Buffer.byteLength(stem + character + extension) > maxNameBytes) break;
    stem += character;
  }
  return stem + extension;
}

/** `type/subtype` in lower case without parameters; anything else is `application/octet-stream` (RFC 6838, 4.2). */
export function cleanMediaType(mediaType: string): string {
  const essence = mediaType.split(';')[0]!.trim().toLowerCase();
  return /^[a-z0-9][a-z0-9!#$&^_.+-]{0,62}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}$/.test(essence)
    ? essence
    : 'application/octet-stream';
}
