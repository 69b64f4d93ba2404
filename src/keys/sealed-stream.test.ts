import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomBytes } from '#src/kernel/index.ts';
import { openSealedStream, sealedStreamBytes, sealStream, streamHeaderBytes } from './sealed-stream.ts';
import { type StreamTransform, streamChunkBytes } from './stream.ts';

const key = randomBytes(32);
const context = 'ten_a file_1';
const unsealError = { code: 'FH_KEY_UNSEAL' };
const sealedChunkBytes = streamChunkBytes + 16;

async function* pieces(bytes: Uint8Array, sizes: readonly number[] = [bytes.length || 1]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function run(transform: StreamTransform, bytes: Uint8Array, sizes?: readonly number[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(transform(pieces(bytes, sizes))));
}

const seal = (bytes: Uint8Array, sizes?: readonly number[]) => run(sealStream(key, context), bytes, sizes);
const open = (bytes: Uint8Array, sizes?: readonly number[]) => run(openSealedStream(key, context), bytes, sizes);

test('round trip at every boundary of a chunk', async () => {
  for (const chunks of [0, 1, 2])
    for (const extra of [-1, 0, 1, 17]) {
      const plaintext = randomBytes(Math.max(0, chunks * streamChunkBytes + extra));
      const sealed = await seal(plaintext, [1000, 70_000, 1]);
      assert.equal(sealed.length, sealedStreamBytes(plaintext.length));
      assert.ok((await open(sealed, [40_000, 3])).equals(plaintext));
    }
});

test('round trip however the stream is cut into pieces', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 150_000 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 200_000 }), sizes, sizes, async (length, sealSizes, openSizes) => {
      const plaintext = randomBytes(length);
      // One-byte pieces are slow and add nothing beyond a few of them.
      const bounded = (list: number[]) => [...list, 4096];
      assert.ok((await open(await seal(plaintext, bounded(sealSizes)), bounded(openSizes))).equals(plaintext));
    }),
    { numRuns: 40 },
  );
});

test('every flipped bit of a small stream is refused', async () => {
  const sealed = await seal(Buffer.from('a small file'));
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const altered = Buffer.from(sealed);
    altered[bit >> 3]! ^= 1 << (bit & 7);
    await assert.rejects(open(altered), unsealError);
  }
});

test('a small stream cut at any byte is refused', async () => {
  const sealed = await seal(Buffer.from('a small file'));
  for (let length = 0; length < sealed.length; length++)
    await assert.rejects(open(sealed.subarray(0, length)), unsealError);
});

test('a long stream is refused when cut around chunks, reordered, repeated, extended or spliced', async () => {
  const sealed = await seal(randomBytes(2 * streamChunkBytes + 100));
  const header = sealed.subarray(0, streamHeaderBytes);
  const chunk = (n: number) =>
    sealed.subarray(streamHeaderBytes + n * sealedChunkBytes, streamHeaderBytes + (n + 1) * sealedChunkBytes);
  for (const around of [0, 1, 2])
    for (const extra of [-17, -16, -1, 0, 1, 15, 16, 17]) {
      const length = streamHeaderBytes + around * sealedChunkBytes + extra;
      if (length < sealed.length) await assert.rejects(open(sealed.subarray(0, length)), unsealError);
    }
  const other = await seal(randomBytes(2 * streamChunkBytes + 100));
  const forged: Record<string, Buffer[]> = {
    reordered: [header, chunk(1), chunk(0), chunk(2)],
    repeated: [header, chunk(0), chunk(0), chunk(1), chunk(2)],
    dropped: [header, chunk(0), chunk(2)],
    extended: [sealed, Buffer.of(0)],
    doubled: [sealed, chunk(2)],
    'with an empty tail': [sealed, Buffer.alloc(16)],
    spliced: [header, chunk(0), other.subarray(streamHeaderBytes + sealedChunkBytes)],
    'under another header': [other.subarray(0, streamHeaderBytes), sealed.subarray(streamHeaderBytes)],
  };
  for (const [name, parts] of Object.entries(forged))
    await assert.rejects(open(Buffer.concat(parts)), unsealError, name);
});

test('a stream of another tenant, file or key is refused', async () => {
  const sealed = await seal(Buffer.from('content'));
  for (const transform of [
    openSealedStream(key, 'ten_b file_1'),
    openSealedStream(key, 'ten_a file_2'),
    openSealedStream(key, ''),
    openSealedStream(randomBytes(32), context),
  ])
    await assert.rejects(run(transform, sealed), unsealError);
});

test('one plaintext sealed twice shares no bytes of key or text', async () => {
  const plaintext = Buffer.alloc(1000);
  const [first, second] = [await seal(plaintext), await seal(plaintext)];
  assert.notDeepEqual(first.subarray(4, 36), second.subarray(4, 36));
  assert.notDeepEqual(first.subarray(36), second.subarray(36));
});

test('the source is let go when the reader leaves early or the stream is forged', async () => {
  let closed = 0;
  async function* source(bytes: Uint8Array) {
    try {
      yield* pieces(bytes, [1000]);
    } finally {
      closed++;
    }
  }
  const sealed = await seal(randomBytes(300_000));
  for await (const _ of openSealedStream(key, context)(source(sealed))) break;
  for await (const { length } of sealStream(key, context)(source(sealed))) if (length > streamHeaderBytes) break;
  await assert.rejects(Array.fromAsync(openSealedStream(key, context)(source(randomBytes(5000)))), unsealError);
  assert.equal(closed, 3);
});
