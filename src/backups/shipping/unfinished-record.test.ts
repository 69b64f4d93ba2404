import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Lsn, walSegmentBytes } from '#src/kernel/index.ts';
import type { ShippedPlace } from './shipped-place.ts';
import { isUnfinishedRecord } from './unfinished-record.ts';

/** WAL from `start` on in pieces of these lengths; at `record` one that says it is `length` bytes long. */
function placeWith(start: Lsn, pieceBytes: readonly number[], record: Lsn, length: number): ShippedPlace {
  const data = Buffer.alloc(pieceBytes.reduce((sum, bytes) => sum + bytes, 0));
  data.writeUInt32LE(length, Number(record - start));
  return {
    name: 'spool',
    timelines: async () => [1],
    history: async () => undefined,
    async *pieces(_timeline, from) {
      let at = start;
      for (const bytes of pieceBytes) {
        const [begin, end] = [at, at + BigInt(bytes)];
        at = end;
        if (end <= from) continue;
        yield { start: begin, end, open: async () => data.subarray(Number(begin - start), Number(end - start)) };
      }
    },
  };
}

const segment = 7n * walSegmentBytes;
const cases: [what: string, record: Lsn, length: number, held: Lsn, expected: boolean][] = [
  ['whole', segment + 100n, 60, segment + 160n, false],
  ['whole, and more behind it', segment + 100n, 60, segment + 400n, false],
  ['a byte is missing', segment + 100n, 60, segment + 159n, true],
  ['not even its length', segment + 100n, 60, segment + 103n, true],
  ['over the end of a page, and whole', segment + 8000n, 300, segment + 8324n, false],
  ['over the end of a page, its header not counted', segment + 8000n, 300, segment + 8300n, true],
  ['to the very end of a page', segment + 8000n, 192, segment + 8192n, false],
  ['over three pages', segment + 8000n, 9000, segment + 8000n + 9000n + 48n, false],
  ['over three pages, cut at a page', segment + 8000n, 9000, segment + 16384n, true],
];
for (const [what, record, length, held, expected] of cases)
  test(`the beginning of a record or a whole one: ${what}`, async () => {
    const place = placeWith(segment, [4096, 4096, 16384], record, length);
    assert.equal(await isUnfinishedRecord([place], { timeline: 1, lsn: record }, held), expected);
  });

test('at the beginning of a page or a segment the record lies behind the header', async () => {
  const page = placeWith(segment, [16384], segment + 8192n + 24n, 50);
  assert.equal(await isUnfinishedRecord([page], { timeline: 1, lsn: segment + 8192n }, segment + 8192n + 74n), false);
  assert.equal(await isUnfinishedRecord([page], { timeline: 1, lsn: segment + 8192n }, segment + 8192n + 73n), true);
  const first = placeWith(segment, [16384], segment + 40n, 50);
  assert.equal(await isUnfinishedRecord([first], { timeline: 1, lsn: segment }, segment + 90n), false);
  assert.equal(await isUnfinishedRecord([first], { timeline: 1, lsn: segment }, segment + 89n), true);
});

test('what cannot be looked at is not called unfinished', async () => {
  const later = placeWith(segment + 8192n, [8192], segment + 9000n, 50);
  const broken = { ...later, pieces: () => assert.fail('it is away') };
  assert.equal(await isUnfinishedRecord([broken, later], { timeline: 1, lsn: segment + 100n }, segment + 9000n), false);
});
