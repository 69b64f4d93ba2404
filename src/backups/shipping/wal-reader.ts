import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { WalSource } from '#src/clusters/index.ts';
import { FreeholdError, formatLsn, type Lsn, segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import { keyErrors } from '#src/keys/index.ts';
import type { ObjectInfo, RegionStore } from '#src/objects/index.ts';
import type { WalPiece } from '../types.ts';
import { shippingErrors } from './errors.ts';
import { parseTimelineHistory, type TimelineStep, type WalPosition } from './timeline.ts';
import {
  chunksOf,
  historyFolder,
  historyName,
  openHistory,
  openWal,
  parseWalName,
  segmentName,
  segmentsOf,
  type WalOwner,
} from './wal-objects.ts';

export interface ReadWalOptions extends WalOwner {
  readonly store: RegionStore;
}

/** The beginning of a segment, up to `end`. */
interface Joined {
  readonly timeline: number;
  readonly start: Lsn;
  readonly end: Lsn;
  /** Of the whole segment. */
  readonly data: Buffer;
}

/** The WAL of one cluster in one region. Everything that is given out was opened, so it is genuine. Errors: those of the region, FH_KEY_UNSEAL. */
export interface WalArchive {
  /** Timelines of which there is WAL or a history, ascending. */
  timelines(): Promise<number[]>;
  /** The bytes of a piece; undefined: it was removed since it was listed. */
  openPiece(piece: WalPiece): Promise<Buffer | undefined>;
  /** Segments and chunks of a timeline from the segment that holds `from` on, in order of their places; they overlap while chunks are compacted. */
  pieces(timeline: number, options?: { readonly from?: Lsn }): AsyncIterable<WalPiece>;
  /** Stretches without a hole, ascending; more than one: what lies between them is missing. */
  coverage(timeline: number, options?: { readonly from?: Lsn }): Promise<{ readonly start: Lsn; readonly end: Lsn }[]>;
  /**
   * The 16 MiB segment file that holds `lsn`, filled up with zeros when it is the last of its timeline and not complete. undefined: nothing of it is here and
   * nothing comes after it. Throws FH_WAL_GAP when bytes are missing before others that are here.
   */
  openSegment(timeline: number, lsn: Lsn): Promise<Buffer | undefined>;
  /** The history file, as PostgreSQL wants it. */
  openHistory(timeline: number): Promise<Buffer | undefined>;
  /** Ancestors of a timeline; empty for timeline 1. Throws FH_WAL_GAP when its history is not here. */
  ancestors(timeline: number): Promise<TimelineStep[]>;
  /** End of the newest WAL on the newest timeline that has any. */
  end(): Promise<WalPosition | undefined>;
}

export function readWal({ store, ...owner }: ReadWalOptions): WalArchive {
  const { clusterId } = owner;

  async function readObject(name: string): Promise<Buffer | undefined> {
    const content = await store.get(name);
    return content && buffer(content);
  }

  /** undefined: removed after it was listed. */
  async function openChunk(timeline: number, start: Lsn) {
    const name = chunksOf(clusterId, timeline) + start.toString(16).padStart(16, '0');
    const sealed = await readObject(name);
    return sealed && named(name, openWal('wal', owner, { timeline, start }, sealed));
  }

  /** Sealing knows no names: whoever reads the message must know which object of which region it is about. */
  async function named<T>(name: string, opening: Promise<T>): Promise<T> {
    return opening.catch((cause) => {
      if (cause instanceof FreeholdError && (cause.code !== 'FH_KEY_UNSEAL' || cause.detail)) throw cause;
      const detail = `region ${store.region}, ${name} was changed, is damaged, or is sealed under another key`;
      throw keyErrors.FH_KEY_UNSEAL({ detail, cause });
    });
  }

  /** Listed after the last name before `first`, so that `first` itself is among them. */
  const namesFrom = (folder: string, first: bigint) =>
    store.list(folder, first > 0n ? { after: folder + (first - 1n).toString(16).padStart(16, '0') } : {});

  async function* pieces(timeline: number, { from = 0n }: { from?: Lsn } = {}): AsyncIterable<WalPiece> {
    const chunks = listed(namesFrom(chunksOf(clusterId, timeline), segmentStart(from)), 1n);
    const segments = listed(namesFrom(segmentsOf(clusterId, timeline), from / walSegmentBytes), walSegmentBytes);
    let [chunk, segment] = [await chunks.next(), await segments.next()];
    while (!chunk.done || !segment.done) {
      if (chunk.done || (!segment.done && segment.value.start <= chunk.value.start)) {
        const { name, start, sizeBytes } = segment.value!;
        yield { kind: 'segment', name, timeline, start, end: start + walSegmentBytes, sizeBytes };
        segment = await segments.next();
      } else {
        const { name, start, sizeBytes } = chunk.value;
        const opened = await openChunk(timeline, start);
        if (opened) yield { kind: 'wal', name, timeline, start, end: opened.end, sizeBytes };
        // Gone since it was listed: it is part of a segment now, which may be newer than our list of them.
        else if (await store.stat(segmentName(clusterId, timeline, start))) {
          const whole = segmentStart(start);
          const name = segmentName(clusterId, timeline, start);
          yield { kind: 'segment', name, timeline, start: whole, end: whole + walSegmentBytes, sizeBytes };
        }
        chunk = await chunks.next();
      }
    }
  }

  async function coverage(timeline: number, options: { from?: Lsn } = {}) {
    const stretches: { start: Lsn; end: Lsn }[] = [];
    for await (const { start, end } of pieces(timeline, options)) {
      const last = stretches.at(-1);
      if (!last || start > last.end) stretches.push({ start, end });
      else if (end > last.end) last.end = end;
    }
    return stretches;
  }

  async function openWhole(timeline: number, start: Lsn): Promise<Buffer | undefined> {
    const name = segmentName(clusterId, timeline, start);
    const sealed = await readObject(name);
    return sealed && (await named(name, openWal('segment', owner, { timeline, start }, sealed))).data;
  }

  async function openSegment(timeline: number, lsn: Lsn): Promise<Buffer | undefined> {
    const start = segmentStart(lsn);
    const end = start + walSegmentBytes;
    const whole = await openWhole(timeline, start);
    if (whole) return whole;
    let joined = await joinChunks({ timeline, start, end: start, data: Buffer.alloc(Number(walSegmentBytes)) });
    // Chunks that were there when listed and are not any more: the segment took their place meanwhile.
    while (joined !== 'changed' && joined.end < end) {
      const later = await firstAfter(timeline, joined.end);
      // Shipped since we looked: only what is new is read, or a busy server would be ahead of us for ever.
      if (later === joined.end && joined.end > start) joined = await joinChunks(joined);
      else if (
        later === joined.end ||
        (later !== undefined && (await store.stat(segmentName(clusterId, timeline, start))))
      )
        return openSegment(timeline, lsn);
      else if (later !== undefined) {
        const detail = `timeline ${timeline}, ${formatLsn(joined.end)} to ${formatLsn(later)}, region ${store.region}`;
        throw shippingErrors.FH_WAL_GAP({ detail });
      } else break;
    }
    if (joined === 'changed') return openSegment(timeline, lsn);
    return joined.end > start ? joined.data : undefined;
  }

  /** Adds what chunks hold from the end of `part` on; it is the beginning of a segment. */
  async function joinChunks(part: Joined): Promise<Joined | 'changed'> {
    const { timeline, start, data } = part;
    let { end } = part;
    for await (const { start: at } of listed(namesFrom(chunksOf(clusterId, timeline), end), 1n)) {
      if (at > end || at >= start + walSegmentBytes) break;
      const chunk = await openChunk(timeline, at);
      if (!chunk) return 'changed';
      chunk.data.copy(data, Number(at - start));
      if (chunk.end > end) end = chunk.end;
    }
    return { timeline, start, end, data };
  }

  /** Place of the first chunk or segment behind `lsn`. */
  async function firstAfter(timeline: number, lsn: Lsn): Promise<Lsn | undefined> {
    const chunk = await listed(namesFrom(chunksOf(clusterId, timeline), lsn), 1n).next();
    const next = (lsn + walSegmentBytes - 1n) / walSegmentBytes;
    const segment = await listed(namesFrom(segmentsOf(clusterId, timeline), next), walSegmentBytes).next();
    const places = [chunk, segment].flatMap((found) => (found.done ? [] : [found.value.start]));
    return places.sort((a, b) => (a < b ? -1 : 1))[0];
  }

  async function timelines(): Promise<number[]> {
    const found = new Set<number>();
    for await (const { name } of store.list(historyFolder(clusterId))) found.add(Number.parseInt(name.slice(-8), 16));
    for (const folder of [chunksOf(clusterId, 1), segmentsOf(clusterId, 1)])
      for await (const _ of store.list(folder)) {
        found.add(1);
        break;
      }
    return [...found].sort((a, b) => a - b);
  }

  const historyOf = async (timeline: number) => {
    const sealed = await readObject(historyName(clusterId, timeline));
    return sealed && openHistory(owner, timeline, sealed);
  };

  return {
    timelines,
    openPiece: async ({ kind, timeline, start }) =>
      kind === 'segment' ? openWhole(timeline, start) : (await openChunk(timeline, start))?.data,
    pieces,
    coverage,
    openSegment,
    openHistory: historyOf,
    async ancestors(timeline) {
      if (timeline === 1) return [];
      const content = await historyOf(timeline);
      if (!content) {
        const detail = `history of timeline ${timeline}, region ${store.region}`;
        throw shippingErrors.FH_WAL_GAP({ detail });
      }
      return parseTimelineHistory(content);
    },
    async end() {
      for (const timeline of (await timelines()).reverse()) {
        let end: Lsn | undefined;
        for await (const { start } of listed(store.list(segmentsOf(clusterId, timeline)), walSegmentBytes))
          end = start + walSegmentBytes;
        let lastChunk: Lsn | undefined;
        for await (const { start } of listed(store.list(chunksOf(clusterId, timeline)), 1n)) lastChunk = start;
        const chunk = lastChunk === undefined ? undefined : await openChunk(timeline, lastChunk);
        if (chunk && (end === undefined || chunk.end > end)) end = chunk.end;
        if (end !== undefined) return { timeline, lsn: end };
      }
      return undefined;
    },
  };
}

/** For `startRecovery`. A gap is an error there, never an end. */
export function asWalSource(archive: WalArchive): WalSource {
  return {
    async openSegment(timeline, start) {
      const segment = await archive.openSegment(timeline, start);
      return segment && Readable.from([segment]);
    },
    readHistory: (timeline) => archive.openHistory(timeline),
  };
}

/** Objects with the place that their name says; names of another shape are not ours and are left out. */
async function* listed(
  objects: AsyncIterable<ObjectInfo>,
  unit: bigint,
): AsyncGenerator<ObjectInfo & { readonly start: Lsn }, undefined> {
  for await (const object of objects) {
    const parsed = parseWalName(object.name);
    if (parsed) yield { ...object, start: parsed.number * unit };
  }
}
