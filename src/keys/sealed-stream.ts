import { createCipheriv, createDecipheriv } from 'node:crypto';
import { randomBytes } from '#src/kernel/index.ts';
import { deriveKey } from './derive.ts';
import { keyErrors } from './errors.ts';
import { assertKey } from './sealer.ts';

/**
 * Sealed stream, version 1:
 *
 *   header  'FHS' (3) ‖ version 1 (1) ‖ salt (32, random per stream)
 *   chunk*  ciphertext (65,536; the last 0 … 65,536) ‖ tag (16)
 *
 * Stream key = HKDF-SHA-256(key, salt, 'sealed-stream' ‖ context); AES-256-GCM; nonce = chunk number (11 bytes, big-endian) ‖ 1 in the
 * last chunk, else 0; associated data of every chunk = header. So a changed header, a chunk cut off, added, repeated, moved, or
 * taken from another stream, tenant or context fails to open. The last chunk is empty only in an empty stream: one plaintext has
 * one length. The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015), as in age.
 */
const magic = Buffer.from('FHS\u0001', 'latin1');
const saltBytes = 32;
const tagBytes = 16;
export const streamHeaderBytes = magic.length + saltBytes;
export const streamChunkBytes = 65_536;

export type StreamTransform = (source: AsyncIterable<Uint8Array>) => AsyncGenerator<Buffer, void, void>;

/** Seals a stream under `key` for `context`, for example `ten_… files sha256`. Use: `pipeline(source, sealStream(key, context), target)`. */
export function sealStream(key: Uint8Array, context: string): StreamTransform {
  assertKey(key);
  return async function* seal(source) {
    const header = Buffer.concat([magic, randomBytes(saltBytes)]);
    const streamKey = streamKeyOf(key, header, context);
    const bytes = createReader(source);
    try {
      yield header;
      let number = 0;
      for await (const { chunk, isLast } of inChunks(bytes, streamChunkBytes)) {
        const cipher = createCipheriv('aes-256-gcm', streamKey, nonceOf(number++, isLast), { authTagLength: tagBytes });
        cipher.setAAD(header);
        const body = cipher.update(chunk);
        cipher.final();
        yield Buffer.concat([body, cipher.getAuthTag()]);
      }
    } finally {
      await bytes.close();
    }
  };
}

/**
 * Opens what `sealStream` made with the same key and context; throws FH_KEY_UNSEAL otherwise. Chunks are given out as they are
 * authenticated: what came before the error is genuine, but only a stream that ended without one is complete.
 */
export function openSealedStream(key: Uint8Array, context: string): StreamTransform {
  assertKey(key);
  return async function* open(source) {
    const bytes = createReader(source);
    try {
      const header = await bytes.take(streamHeaderBytes);
      if (header.length !== streamHeaderBytes || !header.subarray(0, magic.length).equals(magic))
        throw keyErrors.FH_KEY_UNSEAL();
      const streamKey = streamKeyOf(key, header, context);
      let number = 0;
      for await (const { chunk, isLast } of inChunks(bytes, streamChunkBytes + tagBytes)) {
        const isEmptyTail = number > 0 && chunk.length === tagBytes;
        if (chunk.length < tagBytes || isEmptyTail) throw keyErrors.FH_KEY_UNSEAL();
        const plaintext = openChunk(streamKey, header, nonceOf(number++, isLast), chunk);
        if (plaintext.length > 0) yield plaintext;
      }
    } finally {
      await bytes.close();
    }
  };
}

function openChunk(streamKey: Buffer, header: Buffer, nonce: Buffer, chunk: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', streamKey, nonce, { authTagLength: tagBytes });
  decipher.setAAD(header);
  decipher.setAuthTag(chunk.subarray(chunk.length - tagBytes));
  const plaintext = decipher.update(chunk.subarray(0, chunk.length - tagBytes));
  try {
    decipher.final();
  } catch {
    throw keyErrors.FH_KEY_UNSEAL();
  }
  return plaintext;
}

/** Bytes that `sealStream` makes of `plaintextBytes`. */
export function sealedStreamBytes(plaintextBytes: number): number {
  const chunks = Math.max(1, Math.ceil(plaintextBytes / streamChunkBytes));
  return streamHeaderBytes + plaintextBytes + chunks * tagBytes;
}

function streamKeyOf(key: Uint8Array, header: Buffer, context: string): Buffer {
  return deriveKey(key, ['sealed-stream', context], header.subarray(magic.length));
}

function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(number, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** Cuts a stream into pieces of exactly `size` bytes and one last piece of 0 … `size`; the last is empty only when the stream is. */
async function* inChunks(bytes: Reader, size: number): AsyncGenerator<{ chunk: Buffer; isLast: boolean }> {
  let chunk = await bytes.take(size);
  for (;;) {
    const next = chunk.length === size ? await bytes.take(size) : Buffer.alloc(0);
    const isLast = next.length === 0;
    yield { chunk, isLast };
    if (isLast) return;
    chunk = next;
  }
}

interface Reader {
  /** The next `size` bytes, fewer at the end of the stream. */
  take(size: number): Promise<Buffer>;
  /** Lets go of the source, also when it was left early. */
  close(): Promise<void>;
}

function createReader(source: AsyncIterable<Uint8Array>): Reader {
  const iterator = source[Symbol.asyncIterator]();
  let pieces: Buffer[] = [];
  let heldBytes = 0;
  let ended = false;
  return {
    async take(size) {
      while (heldBytes < size && !ended) {
        const { value, done } = await iterator.next();
        if (done) ended = true;
        else if (value.byteLength > 0) {
          pieces.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
          heldBytes += value.byteLength;
        }
      }
      const joined = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
      const taken = joined.subarray(0, size);
      pieces = joined.length > size ? [joined.subarray(size)] : [];
      heldBytes = joined.length - taken.length;
      return taken;
    },
    async close() {
      if (!ended) await iterator.return?.();
    },
  };
}
