import type { Lsn } from '#src/kernel/index.ts';
import { keyErrors } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { parseSpoolName } from './spool.ts';
import { openHistory, openWal, type WalOwner } from './wal-objects.ts';
import { readWal } from './wal-reader.ts';

/** A stretch of WAL of one timeline that lies somewhere. */
export interface Piece {
  readonly start: Lsn;
  readonly end: Lsn;
  /** undefined: it was removed since it was listed. */
  open(): Promise<Buffer | undefined>;
}

/** Where shipped WAL lies: a region, or the shipper's spool. */
export interface ShippedPlace {
  readonly name: string;
  /** Of which there is WAL or a history. */
  timelines(): Promise<number[]>;
  history(timeline: number): Promise<Buffer | undefined>;
  /** From the segment that holds `from` on. */
  pieces(timeline: number, from: Lsn): AsyncIterable<Piece>;
}

/** The folder of the spool, as whoever may read it gives it to one who may not. */
export interface SpoolFiles {
  list(): Promise<readonly string[]>;
  /** undefined: it left the spool, so every region has it, or another one owes it. */
  read(fileName: string): Promise<Uint8Array | undefined>;
}

export function createRegionPlace(store: RegionStore, owner: WalOwner): ShippedPlace {
  const archive = readWal({ store, ...owner });
  return {
    name: store.region,
    timelines: () => archive.timelines(),
    history: (timeline) => archive.openHistory(timeline),
    async *pieces(timeline, from) {
      for await (const piece of archive.pieces(timeline, { from }))
        yield { start: piece.start, end: piece.end, open: () => archive.openPiece(piece) };
    },
  };
}

/** Of a spool that nobody writes to any more. Names say what is in a file; when it is opened, its sealed header must say the same. */
export function createSpoolPlace(spool: SpoolFiles, owner: WalOwner): ShippedPlace {
  const entries = async () => (await spool.list()).flatMap((fileName) => parseSpoolName(fileName) ?? []);
  return {
    name: 'spool',
    async timelines() {
      // A history alone says nothing about the WAL that was received.
      const held = (await entries()).filter(({ kind }) => kind === 'wal');
      return held.length === 0 ? [] : [...new Set((await entries()).map(({ timeline }) => timeline))];
    },
    async history(timeline) {
      const entry = (await entries()).find((each) => each.kind === 'history' && each.timeline === timeline);
      const sealed = entry && (await spool.read(entry.fileName));
      return sealed && openHistory(owner, timeline, sealed);
    },
    async *pieces(timeline, from) {
      for (const entry of await entries()) {
        if (entry.kind !== 'wal' || entry.timeline !== timeline || entry.range.end <= from) continue;
        const { range, fileName } = entry;
        yield {
          start: range.start,
          end: range.end,
          async open() {
            const sealed = await spool.read(fileName);
            const opened = sealed && (await openWal('wal', owner, range, sealed));
            if (opened && opened.end !== range.end)
              throw keyErrors.FH_KEY_UNSEAL({ detail: `${fileName} of the spool holds other WAL than its name says` });
            return opened?.data;
          },
        };
      }
    },
  };
}
