import { type Lsn, walSegmentBytes } from '#src/kernel/index.ts';
import { type CompactOptions, compactRegion } from './compaction.ts';
import { startWorker } from './worker.ts';

/** Compacts one region, one run at a time. */
export interface Compactor {
  /** The region has everything before this place, and a chunk that begins here. */
  shippedFrom(start: Lsn): void;
  /** Segments made since the start. */
  compacted(): number;
  /** Resolves when stopped. */
  readonly done: Promise<void>;
}

/** A run when the region gets its first chunk, for what an earlier process left, and one whenever a segment has become complete. */
export function startCompactor(options: CompactOptions): Compactor {
  const { store, log, signal } = options;
  /** Number of the segment that is being filled. */
  let current: bigint | undefined;
  let compacted = 0;
  const worker = startWorker({
    signal,
    async work() {
      compacted += await compactRegion(options);
    },
    // The chunks are still there; the next segment brings the next try.
    onError: (error) => log.warn('chunks of WAL could not be compacted', { region: store.region, error }),
  });
  return {
    shippedFrom(start: Lsn) {
      const segment = start / walSegmentBytes;
      if (current === segment) return;
      current = segment;
      worker.trigger();
    },
    compacted: () => compacted,
    done: worker.done,
  };
}
