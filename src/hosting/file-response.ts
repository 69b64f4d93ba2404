import type { FastifyReply } from 'fastify';
import type { AppFile } from '#sdk';

/** What a browser shows without running anything in it. Not here: HTML, SVG, XML and PDF, which can carry scripts. */
const inlineTypes = new Set([
  'image/avif',
  'image/bmp',
  'image/gif',
  'image/jpeg',
  'image/png',
  'image/webp',
  'audio/mpeg',
  'audio/ogg',
  'audio/wav',
  'video/mp4',
  'video/webm',
  'text/plain',
]);

/**
 * Headers for content that a user uploaded: never interpreted beyond its type, never with the rights of our pages, and
 * shown in place only when its type is harmless. ASVS 5.0 3.2.1, 5.4.
 */
export function setFileHeaders(reply: FastifyReply, file: AppFile, disposition: 'inline' | 'attachment'): void {
  const isInline = disposition === 'inline' && inlineTypes.has(file.mediaType);
  reply.header('content-type', contentTypeOf(file.mediaType, isInline));
  reply.header('content-length', file.sizeBytes);
  reply.header('content-disposition', contentDisposition(isInline ? 'inline' : 'attachment', file.name));
  reply.header('x-content-type-options', 'nosniff');
  reply.header(
    'content-security-policy',
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
  );
  // No copy stays in a browser that somebody else uses afterwards (ASVS 5.0 14.3.2).
  reply.header('cache-control', 'no-store');
  reply.header('etag', `"${file.sha256}"`);
}

function contentTypeOf(mediaType: string, isInline: boolean): string {
  if (!isInline) return inlineTypes.has(mediaType) ? mediaType : 'application/octet-stream';
  return mediaType.startsWith('text/') ? `${mediaType}; charset=utf-8` : mediaType;
}

/**
 * RFC 6266: a plain `filename` for old programs, with everything odd replaced, and `filename*` (RFC 8187) with the real name.
 * @param name as stored; may contain anything
 */
export function contentDisposition(kind: 'inline' | 'attachment', name: string): string {
  // `%` is replaced as well: some browsers decode it in the plain form (RFC 6266, appendix D).
  const plain = name.replace(/[^\x20-\x7e]|["\\%/]/g, '_');
  const extended = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${kind}; filename="${plain}"${plain === name ? '' : `; filename*=UTF-8''${extended}`}`;
}
