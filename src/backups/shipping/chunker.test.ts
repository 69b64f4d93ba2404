import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock, walSegmentBytes } from '#src/kernel/index.ts';
import { type Chunk, createChunker } from './chunker.ts';

const options = { maxBytes: 1_000, intervalMs: 60_000, clock: systemClock, onFailure: () => {} };

test('chunks are the bytes, in order, none empty, none too large, none across a segment', () =>
  fc.assert(
    fc.asyncProperty(
      fc.bigInt({ min: walSegmentBytes - 5_000n, max: walSegmentBytes + 5_000n }),
      fc.array(fc.uint8Array({ minLength: 0, maxLength: 3_000 }), { maxLength: 12 }),
      async (from, pieces) => {
        const chunks: Chunk[] = [];
        const chunker = createChunker(
          { timeline: 1, lsn: from },
          { ...options, onChunk: async (chunk) => void chunks.push(chunk) },
        );
        let at = from;
        for (const piece of pieces) {
          await chunker.push(at, Buffer.from(piece));
          at += BigInt(piece.length);
        }
        await chunker.drain();
        assert.deepEqual(chunker.received(), { timeline: 1, lsn: at });
        assert.ok(Buffer.concat(chunks.map(({ data }) => data)).equals(Buffer.concat(pieces)));
        let next = from;
        for (const { range, data } of chunks) {
          assert.equal(range.start, next);
          assert.equal(range.end - range.start, BigInt(data.length));
          assert.ok(data.length > 0 && data.length <= 1_000);
          assert.equal(range.start / walSegmentBytes, (range.end - 1n) / walSegmentBytes);
          next = range.end;
        }
      },
    ),
  ));

test('a chunk is cut some time after its first byte, and nothing when nothing moves', async () => {
  const cut = Promise.withResolvers<Chunk>();
  let count = 0;
  const chunker = createChunker(
    { timeline: 1, lsn: 0n },
    {
      ...options,
      intervalMs: 10,
      onChunk: async (chunk) => {
        count++;
        cut.resolve(chunk);
      },
    },
  );
  await chunker.push(0n, Buffer.from('first'));
  assert.ok(chunker.waitingSinceMs() !== undefined);
  assert.equal((await cut.promise).data.toString(), 'first');
  await chunker.drain();
  assert.equal(chunker.waitingSinceMs(), undefined);
  assert.equal(count, 1);
});

test('bytes that do not follow are refused; a failure is told once and ends it', async () => {
  const failures: unknown[] = [];
  const failing = createChunker(
    { timeline: 1, lsn: 0n },
    {
      ...options,
      onChunk: async () => {
        throw new Error('no room');
      },
      onFailure: (error) => failures.push(error),
    },
  );
  await assert.rejects(failing.push(5n, Buffer.from('x')), /does not follow/);
  await failing.push(0n, Buffer.from('x'));
  await assert.rejects(failing.drain(), /no room/);
  await assert.rejects(failing.push(1n, Buffer.from('y')), /no room/);
  assert.equal(failures.length, 1);
});
