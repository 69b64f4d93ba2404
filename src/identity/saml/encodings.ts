import { inflateRawSync } from 'node:zlib';
import { refuse } from './refused.ts';
import { decodeText, type XmlLimits } from './xml.ts';

/** Base64 as the POST binding carries it: one line, or lines of one length (MIME); nothing else in between, canonical at the end. */
export function decodePost(field: string, limits: XmlLimits): string {
  return decodeText(decodeBase64(field, limits.bytes), limits);
}

/** The redirect binding's DEFLATE encoding, stopped at the limit (CVE-2025-25293). */
export function decodeRedirect(field: string, limits: XmlLimits): string {
  const packed = decodeBase64(field, limits.bytes);
  let bytes: Buffer;
  try {
    bytes = inflateRawSync(packed, { maxOutputLength: limits.bytes });
  } catch (error) {
    refuse((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? 'too_large' : 'not_base64');
  }
  return decodeText(bytes, limits);
}

export function decodeBase64(field: string, mostBytes: number): Buffer {
  // Four characters for three bytes, and line breaks at most every 60 characters.
  if (field.length > mostBytes * 1.4 + 4) refuse('too_large');
  const lines = field.replace(/\r?\n$/, '').split(/\r?\n/);
  const width = lines[0]!.length;
  if (lines.some((line, at) => (at < lines.length - 1 ? line.length !== width : line.length > width)))
    refuse('not_base64');
  const joined = lines.join('');
  const bytes = Buffer.from(joined, 'base64');
  if (joined === '' || bytes.toString('base64') !== joined) refuse('not_base64');
  if (bytes.length > mostBytes) refuse('too_large');
  return bytes;
}
