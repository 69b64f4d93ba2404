import { createCipheriv, createDecipheriv } from 'node:crypto';
import { keyErrors } from './errors.ts';

/**
 * The one implementation of STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015, as in age), under every sealed stream and sealed object:
 *
 *   chunk*  ciphertext (65,536; the last 0 … 65,536) ‖ tag (16)
 *
 * AES-256-GCM; nonce = chunk number (11 bytes, big-endian) ‖ 1 in the last chunk, else 0. So a chunk cut off, added, repeated or moved fails
 * to open. The last chunk is empty only when everything is: one plaintext has one length.
 */
export const streamChunkBytes = 65_536;
const tagBytes = 16;

export type StreamTransform = (source: AsyncIterable<Uint8Array>) => AsyncGenerator<Buffer, void, void>;

/** What all chunks of one stream share. */
export interface StreamSecret {
  /** 32 bytes for this one stream and no other: the nonces begin at 0 in each. */
  readonly streamKey: Buffer;
  /** What lies before the first chunk, or a digest of it; a chunk under any other does not open. */
  readonly associatedData: Buffer;
}

/** Bytes that the chunks of `plaintextBytes` take. */
export function sealedChunksBytes(plaintextBytes: number): number {
  return plaintextBytes + Math.max(1, Math.ceil(plaintextBytes / streamChunkBytes)) * tagBytes;
}

/** Seals what is left in `bytes`. */
export async function* sealChunks({ streamKey, associatedData }: StreamSecret, bytes: Reader): AsyncGenerator<Buffer> {
  let number = 0;
  for await (const { chunk, isLast } of inChunks(bytes, streamChunkBytes)) {
    const cipher = createCipheriv('aes-256-gcm', streamKey, nonceOf(number++, isLast), { authTagLength: tagBytes });
    cipher.setAAD(associatedData);
    const body = cipher.update(chunk);
    cipher.final();
    yield Buffer.concat([body, cipher.getAuthTag()]);
  }
}

/**
 * Opens what is left in `bytes`; throws FH_KEY_UNSEAL unless it is exactly what `sealChunks` made. Chunks are given out as they are authenticated:
 * what came before the error is genuine, but only what ended without one is complete.
 */
export async function* openChunks(secret: StreamSecret, bytes: Reader): AsyncGenerator<Buffer> {
  let number = 0;
  for await (const { chunk, isLast } of inChunks(bytes, streamChunkBytes + tagBytes)) {
    const isEmptyTail = number > 0 && chunk.length === tagBytes;
    if (chunk.length < tagBytes || isEmptyTail) throw keyErrors.FH_KEY_UNSEAL();
    const plaintext = openChunk(secret, nonceOf(number++, isLast), chunk);
    if (plaintext.length > 0) yield plaintext;
  }
}

function openChunk({ streamKey, associatedData }: StreamSecret, nonce: Buffer, chunk: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', streamKey, nonce, { authTagLength: tagBytes });
  decipher.setAAD(associatedData);
  decipher.setAuthTag(chunk.subarray(chunk.length - tagBytes));
  const plaintext = decipher.update(chunk.subarray(0, chunk.length - tagBytes));
  try {
    decipher.final();
  } catch {
    throw keyErrors.FH_KEY_UNSEAL();
  }
  return plaintext;
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

export interface Reader {
  /** The next `size` bytes, fewer at the end of the stream. */
  take(size: number): Promise<Buffer>;
  /** Lets go of the source, also when it was left early. */
  close(): Promise<void>;
}

export function createReader(source: AsyncIterable<Uint8Array>): Reader {
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
