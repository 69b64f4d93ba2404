import { buffer } from 'node:stream/consumers';
import { failpoint, type Log, segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import type { BackupKey } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { chunkFolder, openWal, parseWalName, sealWal, segmentName, type WalOwner } from './wal-objects.ts';

export interface CompactOptions {
  readonly store: RegionStore;
  readonly owner: WalOwner;
  /** The cluster's current key. */
  readonly key: () => BackupKey;
  readonly log: Log;
  readonly signal: AbortSignal;
}

interface Group {
  readonly timeline: number;
  /** Places of the chunks of one segment, ascending. */
  readonly starts: bigint[];
  readonly names: string[];
}

/**
 * Makes segments of chunks in one region: when the chunks of a segment are complete, the segment is written, read back and compared with them byte for
 * byte, and only then its chunks are removed, the newest first, so that what is left is never a hole. Killed anywhere, the next run goes on: a segment
 * that is there already is compared in the same way.
 * @returns how many segments lost their chunks
 */
export async function compactRegion({ store, owner, key, log, signal }: CompactOptions): Promise<number> {
  let compacted = 0;
  for await (const group of groups(store, owner)) {
    if (signal.aborted) break;
    if (await compactSegment(group)) compacted++;
  }
  return compacted;

  async function compactSegment({ timeline, starts, names }: Group): Promise<boolean> {
    const start = segmentStart(starts[0]!);
    const end = start + walSegmentBytes;
    const name = segmentName(owner.clusterId, timeline, start);
    const range = { timeline, start, end };
    const isThere = (await store.stat(name)) !== undefined;
    // Without the last chunk a look at all others would be for nothing.
    const chunks = await readChunks(timeline, starts);
    if (!chunks) return false;
    if (!isThere) {
      const data = joinWhole(chunks, start);
      if (!data) return false;
      const sealed = await sealWal('segment', { clusterId: owner.clusterId, key: key() }, range, data);
      await failpoint('shipping.segment.put');
      await store.put(name, sealed, { expectedBytes: sealed.byteLength, signal });
      await failpoint('shipping.segment.written');
    }
    const content = await store.get(name);
    if (!content) return false;
    const segment = await openWal('segment', owner, range, await buffer(content));
    for (const chunk of chunks) {
      const offset = Number(chunk.start - start);
      if (!segment.data.subarray(offset, offset + chunk.data.length).equals(chunk.data)) {
        log.error('a chunk of WAL is not what its segment says; both are kept', { region: store.region, name });
        return false;
      }
    }
    await failpoint('shipping.segment.verified');
    for (const chunk of names.toReversed()) {
      await store.remove(chunk);
      await failpoint('shipping.segment.chunk_removed');
    }
    return true;
  }

  async function readChunks(timeline: number, starts: readonly bigint[]) {
    const chunks: Awaited<ReturnType<typeof openWal>>[] = [];
    for (const start of starts) {
      const content = await store.get(`${chunkFolder(owner.clusterId)}${nameOf(timeline, 8)}/${nameOf(start, 16)}`);
      if (!content) return undefined;
      chunks.push(await openWal('wal', owner, { timeline, start }, await buffer(content)));
    }
    return chunks;
  }
}

/** The bytes of a whole segment, or undefined when chunks leave a hole or the end is not here yet. */
function joinWhole(chunks: readonly { start: bigint; end: bigint; data: Buffer }[], start: bigint): Buffer | undefined {
  const whole = Buffer.alloc(Number(walSegmentBytes));
  let end = start;
  for (const chunk of chunks) {
    if (chunk.start > end) return undefined;
    chunk.data.copy(whole, Number(chunk.start - start));
    if (chunk.end > end) end = chunk.end;
  }
  return end === start + walSegmentBytes ? whole : undefined;
}

/** Chunks by segment; the last group of a timeline is left out, because more of it is to come (or never will). */
async function* groups(store: RegionStore, { clusterId }: WalOwner): AsyncGenerator<Group> {
  let group: Group | undefined;
  for await (const { name } of store.list(chunkFolder(clusterId))) {
    const parsed = parseWalName(name);
    if (!parsed) continue;
    const sameTimeline = group?.timeline === parsed.timeline;
    if (!sameTimeline || segmentStart(group!.starts[0]!) !== segmentStart(parsed.number)) {
      if (group && sameTimeline) yield group;
      group = { timeline: parsed.timeline, starts: [], names: [] };
    }
    group!.starts.push(parsed.number);
    group!.names.push(name);
  }
}

function nameOf(number: number | bigint, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}
