import { type Lsn, walSegmentBytes } from '#src/kernel/index.ts';
import { type CompactOptions, compactRegion } from './compaction.ts';

/** Compacts one region, one run at a time. */
export interface Compactor {
  /** The region has everything up to here. */
  shippedTo(end: Lsn): void;
  /** Segments made since the start. */
  compacted(): number;
  /** Resolves when stopped. */
  readonly done: Promise<void>;
}

/** A run when the region gets its first chunk, for what an earlier process left, and one whenever a segment has become complete. */
export function startCompactor(options: CompactOptions): Compactor {
  const { store, log, signal } = options;
  let doneUpTo: Lsn | undefined;
  let isDue = false;
  let compacted = 0;
  let wake = () => {};

  async function run(): Promise<void> {
    while (!signal.aborted) {
      if (!isDue) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      isDue = false;
      try {
        compacted += await compactRegion(options);
      } catch (error) {
        // The chunks are still there; the next segment brings the next try.
        if (!signal.aborted) log.warn('chunks of WAL could not be compacted', { region: store.region, error });
      }
    }
  }
  signal.addEventListener('abort', () => wake(), { once: true });
  return {
    shippedTo(end) {
      const segment = end / walSegmentBytes;
      if (doneUpTo === segment) return;
      doneUpTo = segment;
      isDue = true;
      wake();
    },
    compacted: () => compacted,
    done: run(),
  };
}
