import { createHash } from 'node:crypto';
import { randomBytes } from '#src/kernel/index.ts';
import { deriveKey } from './derive.ts';
import { keyErrors } from './errors.ts';
import { formatHeader, maxHeaderBytes, parseHeader, requireHeader } from './object-header.ts';
import { parseKeyId } from './owners.ts';
import { assertKey } from './sealer.ts';
import {
  createReader,
  openChunks,
  type Reader,
  type StreamTransform,
  sealChunks,
  sealedChunksBytes,
} from './stream.ts';
import type { KeyId, KeyOwner, ObjectHeader } from './types.ts';

/**
 * Sealed object, version 1 (docs/backup-format.md):
 *
 *   'FHO1' (4) ‖ length of the header (4, big-endian) ‖ header (canonical JSON, at most 4,096) ‖ salt (32) ‖ chunks as in `stream.ts`
 *
 * Stream key = HKDF-SHA-256(key, salt, 'sealed-object'); associated data of every chunk = SHA-256 of all before the first chunk. The header can be
 * read by anyone and changed by nobody.
 */
const magic = Buffer.from('FHO1', 'latin1');
const saltBytes = 32;

export interface OpenOptions {
  /** What the object must be; at least its kind. Name every field that tells it from another: owner, cluster, timeline, LSN, time, id. */
  readonly expect: Partial<ObjectHeader> & Pick<ObjectHeader, 'kind'>;
  /**
   * Whose key it must be sealed under. Name it whenever it is known: otherwise whoever holds any one key, of a tenant say, could make an object that
   * passes for another's.
   */
  readonly owner?: KeyOwner;
  /**
   * The key of 32 bytes; undefined: no such key. Called once, with an id that nobody has vouched for yet: it is not authentic before the object has opened.
   * What it throws is thrown (FH_KEY_DESTROYED, a store that is away).
   */
  readonly findKey: (keyId: KeyId) => Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

export interface OpenedObject {
  /** Authentic: the first chunk has opened. */
  readonly header: ObjectHeader;
  /** Read it to the end (only then it is complete; FH_KEY_UNSEAL otherwise), or call `return()`: it holds the source. */
  readonly content: AsyncIterableIterator<Buffer, void, void>;
}

/** Seals a stream as the object that `header` describes. Throws TypeError at once when the header is none. */
export function sealObject(key: Uint8Array, header: ObjectHeader): StreamTransform {
  assertKey(key);
  const headerBytes = formatHeader(header);
  return async function* seal(source) {
    const bytes = createReader(source);
    try {
      const preamble = Buffer.concat([magic, lengthOf(headerBytes), headerBytes, randomBytes(saltBytes)]);
      yield preamble;
      yield* sealChunks(secretOf(key, preamble), bytes);
    } finally {
      await bytes.close();
    }
  };
}

/**
 * Opens what `sealObject` made, when it is what is expected. Altered, cut, extended, another object, another key, another version: all are FH_KEY_UNSEAL,
 * here or while the content is read.
 */
export async function openObject(source: AsyncIterable<Uint8Array>, options: OpenOptions): Promise<OpenedObject> {
  const bytes = createReader(source);
  try {
    const { header, preamble } = await takePreamble(bytes);
    requireHeader(header, options.expect);
    if (options.owner !== undefined && parseKeyId(header.keyId).owner !== options.owner)
      throw keyErrors.FH_KEY_UNSEAL();
    const key = await options.findKey(header.keyId);
    if (!key) throw keyErrors.FH_KEY_UNSEAL();
    assertKey(key);
    const chunks = openAndClose(secretOf(key, preamble), bytes);
    return { header, content: resume(await chunks.next(), chunks) };
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** The same for content that fits in memory. */
export async function sealObjectBytes(key: Uint8Array, header: ObjectHeader, content: Uint8Array): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(sealObject(key, header)(once(content))));
}

/** The same for content that fits in memory: all of it, or FH_KEY_UNSEAL. */
export async function openObjectBytes(
  sealed: Uint8Array,
  options: OpenOptions,
): Promise<{ header: ObjectHeader; content: Buffer }> {
  const { header, content } = await openObject(once(sealed), options);
  return { header, content: Buffer.concat(await Array.fromAsync(content)) };
}

/** Bytes of the object that `sealObject` makes of `plaintextBytes`. */
export function sealedObjectBytes(header: ObjectHeader, plaintextBytes: number): number {
  return magic.length + 4 + formatHeader(header).length + saltBytes + sealedChunksBytes(plaintextBytes);
}

async function takePreamble(bytes: Reader): Promise<{ header: ObjectHeader; preamble: Buffer }> {
  const fixed = await bytes.take(magic.length + 4);
  if (fixed.length !== magic.length + 4 || !fixed.subarray(0, magic.length).equals(magic))
    throw keyErrors.FH_KEY_UNSEAL();
  const headerBytes = fixed.readUInt32BE(magic.length);
  if (headerBytes > maxHeaderBytes) throw keyErrors.FH_KEY_UNSEAL();
  const rest = await bytes.take(headerBytes + saltBytes);
  if (rest.length !== headerBytes + saltBytes) throw keyErrors.FH_KEY_UNSEAL();
  return { header: parseHeader(rest.subarray(0, headerBytes)), preamble: Buffer.concat([fixed, rest]) };
}

function secretOf(key: Uint8Array, preamble: Buffer) {
  const salt = preamble.subarray(preamble.length - saltBytes);
  return {
    streamKey: deriveKey(key, ['sealed-object'], salt),
    associatedData: createHash('sha256').update(preamble).digest(),
  };
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
}

async function* openAndClose(secret: ReturnType<typeof secretOf>, bytes: Reader): AsyncGenerator<Buffer, void, void> {
  try {
    yield* openChunks(secret, bytes);
  } finally {
    await bytes.close();
  }
}

/** Gives `first` again. A generator of its own would not do: left before its first step, it would never let go of the source. */
function resume(
  first: IteratorResult<Buffer, void>,
  rest: AsyncGenerator<Buffer, void, void>,
): AsyncIterableIterator<Buffer, void, void> {
  let held: IteratorResult<Buffer, void> | undefined = first;
  return {
    async next() {
      const result = held ?? (await rest.next());
      held = undefined;
      return result;
    },
    async return() {
      held = undefined;
      return rest.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
