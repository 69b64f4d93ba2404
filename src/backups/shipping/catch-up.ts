import { buffer } from 'node:stream/consumers';
import { failpoint, type Lsn, lsnName, segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { type OwedStretch, type OwedWal, startOf } from './owed.ts';
import type { WalPosition } from './timeline.ts';
import {
  chunkName,
  chunksOf,
  historyName,
  openHistory,
  openWal,
  parseWalName,
  segmentName,
  segmentsOf,
  type WalOwner,
} from './wal-objects.ts';
import type { WalWriter } from './wal-writer.ts';

export interface CatchUpOptions {
  readonly to: RegionStore;
  readonly writer: WalWriter;
  /** The other regions; any of them may have what is owed. */
  readonly sources: readonly RegionStore[];
  readonly owner: WalOwner;
  readonly owed: OwedWal;
  /** Resolves when so many bytes more may be copied. */
  readonly pace: (bytes: number) => Promise<void>;
  /** Bytes that were written to the region. */
  readonly onCopied: (bytes: number) => void;
  /** No region holds this. */
  readonly onGap: (from: WalPosition, to: WalPosition) => void;
  readonly signal: AbortSignal;
}

/**
 * Copies to one region what other regions owe it, oldest first: whole segments where a source has them, chunks elsewhere, as they are. Each object is
 * opened before it is written, read back after, and what is done is written down per segment, so that it may be killed and called again.
 * Resolves when nothing is owed. Rejects, with the rest still owed, while a region does not answer: only when all sources answered, and none has the place,
 * it is a gap.
 */
export async function catchUpRegion(options: CatchUpOptions): Promise<void> {
  const { to, writer, sources, owner, owed, pace, onCopied, onGap, signal } = options;
  const { clusterId } = owner;
  if (sources.length === 0) throw new Error(`there is no other region from which ${to.region} could get what it lacks`);

  for (let stretch = owed.of(to.region)[0]; stretch && !signal.aborted; stretch = owed.of(to.region)[0]) {
    await copyHistory(stretch.timeline);
    const reached = await copySegment(stretch);
    const before = reached > stretch.start ? reached : await findNext(stretch);
    if (signal.aborted) return;
    if (reached <= stretch.start) onGap(startOf(stretch), { timeline: stretch.timeline, lsn: before });
    await owed.settle(to.region, { timeline: stretch.timeline, lsn: before });
  }

  /** The history of a timeline comes before its WAL. */
  async function copyHistory(timeline: number): Promise<void> {
    const name = historyName(clusterId, timeline);
    if (timeline === 1 || (await to.stat(name))) return;
    for (const source of sources) {
      const sealed = await read(source, name);
      if (!sealed) continue;
      await openHistory(owner, timeline, sealed);
      await writer.putHistory(timeline, sealed);
      return;
    }
    // The spool still has it, and sends it before anything else of this timeline.
  }

  /** Copies the segment in which the stretch begins. @returns the end of what the region has of it now without a hole */
  async function copySegment({ timeline, start, end }: OwedStretch): Promise<Lsn> {
    const segmentEnd = segmentStart(start) + walSegmentBytes;
    const wanted = end < segmentEnd ? end : segmentEnd;
    let reached = start;
    // Twice: chunks may become a segment while they are read.
    for (let look = 0; look < 2 && reached < wanted; look++) {
      if (await to.stat(segmentName(clusterId, timeline, start))) return segmentEnd;
      // The region itself last: what it has already is no gap.
      for (const source of [...sources, to]) {
        if (signal.aborted || reached >= wanted) break;
        reached = (await copyWhole(source, timeline, start)) ?? (await copyChunks(source, timeline, reached, wanted));
      }
    }
    return reached;
  }

  async function copyWhole(source: RegionStore, timeline: number, lsn: Lsn): Promise<Lsn | undefined> {
    const name = segmentName(clusterId, timeline, lsn);
    const sealed = await read(source, name);
    if (!sealed) return undefined;
    const { end } = await openWal('segment', owner, { timeline, start: segmentStart(lsn) }, sealed);
    await pace(sealed.byteLength);
    await failpoint('shipping.catch_up.put');
    await to.put(name, sealed, { expectedBytes: sealed.byteLength, signal });
    onCopied(sealed.byteLength);
    await failpoint('shipping.catch_up.copied');
    return end;
  }

  /** Chunks that follow each other from `from` on; the first may begin before it. @returns the end of the last one */
  async function copyChunks(source: RegionStore, timeline: number, from: Lsn, wanted: Lsn): Promise<Lsn> {
    let reached = from;
    for await (const start of chunkStarts(source, timeline, segmentStart(from))) {
      if (signal.aborted || start > reached || start >= wanted) break;
      const sealed = await read(source, chunkName(clusterId, { timeline, start }));
      if (!sealed) break;
      const { end } = await openWal('wal', owner, { timeline, start }, sealed);
      if (end <= reached) continue;
      await pace(sealed.byteLength);
      await failpoint('shipping.catch_up.put');
      await writer.putChunk({ timeline, start, end }, sealed);
      onCopied(sealed.byteLength);
      await failpoint('shipping.catch_up.copied');
      reached = end;
    }
    return reached;
  }

  /** Where the next WAL of any source begins behind the start of a stretch; its end when there is none. */
  async function findNext({ timeline, start, end }: OwedStretch): Promise<Lsn> {
    let next = end;
    for (const source of sources) {
      for await (const at of chunkStarts(source, timeline, start + 1n)) {
        if (at < next) next = at;
        break;
      }
      const after = segmentsOf(clusterId, timeline) + lsnName(start / walSegmentBytes);
      for await (const { name } of source.list(segmentsOf(clusterId, timeline), { after })) {
        const parsed = parseWalName(name);
        if (parsed && parsed.number * walSegmentBytes < next) next = parsed.number * walSegmentBytes;
        break;
      }
    }
    return next;
  }

  async function* chunkStarts(source: RegionStore, timeline: number, from: Lsn): AsyncGenerator<Lsn> {
    const folder = chunksOf(clusterId, timeline);
    for await (const { name } of source.list(folder, from > 0n ? { after: folder + lsnName(from - 1n) } : {})) {
      const parsed = parseWalName(name);
      if (parsed) yield parsed.number;
    }
  }
}

async function read(store: RegionStore, name: string): Promise<Buffer | undefined> {
  const content = await store.get(name);
  return content && buffer(content);
}
