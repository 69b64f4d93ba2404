import { randomBytes } from '#src/kernel/index.ts';
import { deriveKey } from './derive.ts';
import { keyErrors } from './errors.ts';
import { assertKey } from './sealer.ts';
import { createReader, openChunks, type StreamTransform, sealChunks, sealedChunksBytes } from './stream.ts';

/**
 * Sealed stream, version 1:
 *
 *   header  'FHS' (3) ‖ version 1 (1) ‖ salt (32, random per stream)
 *   chunk*  as in `stream.ts`
 *
 * Stream key = HKDF-SHA-256(key, salt, 'sealed-stream' ‖ context); associated data of every chunk = header. So a changed header, and a chunk of
 * another stream, tenant or context, fail to open.
 */
const magic = Buffer.from('FHS\u0001', 'latin1');
const saltBytes = 32;
export const streamHeaderBytes = magic.length + saltBytes;

/** Seals a stream under `key` for `context`, for example `ten_… files sha256`. Use: `pipeline(source, sealStream(key, context), target)`. */
export function sealStream(key: Uint8Array, context: string): StreamTransform {
  assertKey(key);
  return async function* seal(source) {
    const header = Buffer.concat([magic, randomBytes(saltBytes)]);
    const bytes = createReader(source);
    try {
      yield header;
      yield* sealChunks(secretOf(key, header, context), bytes);
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
      yield* openChunks(secretOf(key, header, context), bytes);
    } finally {
      await bytes.close();
    }
  };
}

/** Bytes that `sealStream` makes of `plaintextBytes`. */
export function sealedStreamBytes(plaintextBytes: number): number {
  return streamHeaderBytes + sealedChunksBytes(plaintextBytes);
}

function secretOf(key: Uint8Array, header: Buffer, context: string) {
  const streamKey = deriveKey(key, ['sealed-stream', context], header.subarray(magic.length));
  return { streamKey, associatedData: header };
}
