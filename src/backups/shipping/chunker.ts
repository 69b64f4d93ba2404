import { type Clock, type Lsn, walSegmentBytes } from '#src/kernel/index.ts';
import type { WalPosition } from './timeline.ts';
import type { WalRange } from './wal-objects.ts';

export interface Chunk {
  readonly range: WalRange;
  readonly data: Buffer;
  /** Wall clock at which its first byte came. */
  readonly receivedAtMs: number;
}

export interface ChunkerOptions {
  readonly maxBytes: number;
  /** A chunk is cut this long after its first byte. */
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Called with one chunk at a time, in order. */
  readonly onChunk: (chunk: Chunk) => Promise<void>;
  /** Called once when `onChunk` failed; nothing is taken any more. */
  readonly onFailure: (error: unknown) => void;
}

/** Cuts WAL into chunks: never across a segment, never empty, nothing when nothing moves. */
export interface Chunker {
  /** Takes bytes that follow the last ones; resolves when there is room for more. */
  push(start: Lsn, data: Buffer): Promise<void>;
  /** End of what was taken. */
  received(): WalPosition;
  /** When the oldest byte that is not in a chunk yet came; undefined: none. */
  waitingSinceMs(): number | undefined;
  /** Cuts what there is and resolves when all of it was handed on; rejects with the error of `onChunk`. */
  drain(): Promise<void>;
}

/** Chunks that may wait to be sealed before `push` makes the sender wait. */
const queueLimit = 4;

export function createChunker(from: WalPosition, options: ChunkerOptions): Chunker {
  const { maxBytes, intervalMs, clock, onChunk, onFailure } = options;
  const { timeline } = from;
  let end = from.lsn;
  let pieces: Buffer[] = [];
  let heldBytes = 0;
  let firstAtMs = 0;
  let timer: NodeJS.Timeout | undefined;
  const queue: Chunk[] = [];
  let work: Promise<void> | undefined;
  let failure: { readonly error: unknown } | undefined;

  function cut(): void {
    clearTimeout(timer);
    timer = undefined;
    if (heldBytes === 0 || failure) return;
    const range = { timeline, start: end - BigInt(heldBytes), end };
    queue.push({ range, data: Buffer.concat(pieces, heldBytes), receivedAtMs: firstAtMs });
    pieces = [];
    heldBytes = 0;
    work ??= handOn();
  }

  async function handOn(): Promise<void> {
    try {
      while (queue.length > 0) {
        await onChunk(queue[0]!);
        queue.shift();
      }
    } catch (error) {
      failure = { error };
      onFailure(error);
    } finally {
      work = undefined;
    }
  }

  return {
    received: () => ({ timeline, lsn: end }),
    waitingSinceMs: () => queue[0]?.receivedAtMs ?? (heldBytes > 0 ? firstAtMs : undefined),
    async push(start, data) {
      if (start !== end) throw new Error(`WAL at ${start} does not follow ${end}`);
      for (let offset = 0; offset < data.length; ) {
        if (failure) throw failure.error;
        if (heldBytes === 0) {
          firstAtMs = clock.now();
          timer = setTimeout(cut, intervalMs);
        }
        const toSegmentEnd = Number(walSegmentBytes - (end % walSegmentBytes));
        const size = Math.min(data.length - offset, maxBytes - heldBytes, toSegmentEnd);
        pieces.push(data.subarray(offset, offset + size));
        heldBytes += size;
        offset += size;
        end += BigInt(size);
        if (heldBytes === maxBytes || size === toSegmentEnd) cut();
        while (queue.length > queueLimit && work) await work;
      }
    },
    async drain() {
      cut();
      while (work) await work;
      if (failure) throw failure.error;
    },
  };
}
