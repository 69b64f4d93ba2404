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
 * A source that does not answer, or whose object is damaged, keeps nobody from asking the next one. Resolves when nothing is owed. Rejects, with the rest still
 * owed, when no source could give what comes next and one of them had trouble: only when all sources answered, and none has the place, it is a gap.
 */
export async function catchUpRegion(options: CatchUpOptions): Promise<void> {
  const { to, writer, sources, owner, owed, pace, onCopied, onGap, signal } = options;
  const { clusterId } = owner;
  if (sources.length === 0) throw new Error(`there is no other region from which ${to.region} could get what it lacks`);
  /** Not asked again in this call: each answer that does not come takes its time. */
  const silent = new Map<RegionStore, unknown>();
  /** The first of this stretch: what a source has is not what was written. */
  let damage: unknown;

  for (let stretch = owed.of(to.region)[0]; stretch && !signal.aborted; stretch = owed.of(to.region)[0]) {
    damage = undefined;
    await copyHistory(stretch.timeline);
    const reached = await copySegment(stretch);
    if (signal.aborted) return;
    if (reached <= stretch.start) requireAnswers();
    const before = reached > stretch.start ? reached : await findNext(stretch);
    if (reached <= stretch.start) onGap(startOf(stretch), { timeline: stretch.timeline, lsn: before });
    await owed.settle(to.region, { timeline: stretch.timeline, lsn: before });
  }

  /** Throws what kept a source from giving what is looked for. */
  function requireAnswers(): void {
    const [silence] = silent.values();
    if (damage !== undefined || silence !== undefined) throw damage ?? silence;
  }

  /** The history of a timeline comes before its WAL. */
  async function copyHistory(timeline: number): Promise<void> {
    const name = historyName(clusterId, timeline);
    if (timeline === 1 || (await to.stat(name))) return;
    for (const source of sources) {
      const sealed = await openFrom(source, name, (content) => openHistory(owner, timeline, content));
      if (!sealed) continue;
      await writer.putHistory(timeline, sealed.content);
      return;
    }
    requireAnswers();
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
    const place = { timeline, start: segmentStart(lsn) };
    const found = await openFrom(source, name, (sealed) => openWal('segment', owner, place, sealed));
    if (!found) return undefined;
    const { content, opened } = found;
    await pace(content.byteLength);
    await failpoint('shipping.catch_up.put');
    await to.put(name, content, { expectedBytes: content.byteLength, signal });
    onCopied(content.byteLength);
    await failpoint('shipping.catch_up.copied');
    return opened.end;
  }

  /** Chunks that follow each other from `from` on; the first may begin before it. @returns the end of the last one */
  async function copyChunks(source: RegionStore, timeline: number, from: Lsn, wanted: Lsn): Promise<Lsn> {
    let reached = from;
    for (const start of (await ask(source, () => listChunks(source, timeline, from, wanted))) ?? []) {
      if (signal.aborted || start > reached) break;
      const name = chunkName(clusterId, { timeline, start });
      const found = await openFrom(source, name, (sealed) => openWal('wal', owner, { timeline, start }, sealed));
      if (!found || found.opened.end <= reached) continue;
      const { content, opened } = found;
      await pace(content.byteLength);
      await failpoint('shipping.catch_up.put');
      await writer.putChunk({ timeline, start, end: opened.end }, content);
      onCopied(content.byteLength);
      await failpoint('shipping.catch_up.copied');
      reached = opened.end;
    }
    return reached;
  }

  /** Where the chunks of a segment begin that may hold something between the two places. */
  async function listChunks(source: RegionStore, timeline: number, from: Lsn, wanted: Lsn): Promise<Lsn[]> {
    const starts: Lsn[] = [];
    for await (const start of chunkStarts(source, timeline, segmentStart(from))) {
      if (start >= wanted) break;
      starts.push(start);
    }
    return starts;
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

  /** What a source answers; undefined when it does not. Writing to the region is no part of it: that must succeed. */
  async function ask<T>(source: RegionStore, work: () => Promise<T>): Promise<T | undefined> {
    if (silent.has(source)) return undefined;
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      silent.set(source, error);
      return undefined;
    }
  }

  /** An object of a source, opened; undefined: it has none that is what its name says. */
  async function openFrom<T>(
    source: RegionStore,
    name: string,
    open: (sealed: Buffer) => Promise<T>,
  ): Promise<{ readonly content: Buffer; readonly opened: T } | undefined> {
    const content = await ask(source, async () => {
      const found = await source.get(name);
      return found && buffer(found);
    });
    if (!content) return undefined;
    try {
      return { content, opened: await open(content) };
    } catch (error) {
      damage ??= error;
      return undefined;
    }
  }
}
