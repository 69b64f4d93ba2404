import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, FreeholdError, failpoint, jitter, type Lsn } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { createLagHistogram, type LagHistogram } from './figures.ts';
import { type OwedStretch, startOf } from './owed.ts';
import { compareEntries, type Spool, type SpoolEntry } from './spool.ts';
import { comparePositions, type WalPosition } from './timeline.ts';
import type { WalWriter } from './wal-writer.ts';

export interface RegionSenderOptions {
  readonly store: RegionStore;
  readonly writer: WalWriter;
  readonly spool: Spool;
  /** What left the spool without having reached the region, oldest first. */
  readonly owed: () => readonly OwedStretch[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The region has it now, read back. */
  readonly onShipped: (entry: SpoolEntry) => void;
  /** A try failed (`error`), or the first one succeeded after failures (undefined). */
  readonly onTrouble: (error: unknown) => void;
}

/** Brings the entries of the spool into one region, in order, for ever. */
export interface RegionSender {
  readonly store: RegionStore;
  /** Everything up to here is in the region; undefined: nothing was sent yet. */
  shipped(): WalPosition | undefined;
  /** Everything up to here is in the region or owed to it by another one. */
  reached(): WalPosition | undefined;
  hasShipped(entry: SpoolEntry): boolean;
  /** Oldest entry that is owed. */
  oldestOwed(): SpoolEntry | undefined;
  lastError(): unknown;
  readonly lag: LagHistogram;
  /** Something was added to the spool. */
  wake(): void;
  /** Resolves when stopped; rejects with FH_WAL_SECOND_WRITER. */
  readonly done: Promise<void>;
}

const firstRetryMs = 100;
const maxRetryMs = 5_000;

export function startRegionSender(options: RegionSenderOptions): RegionSender {
  const { store, writer, spool, owed, clock, signal, onShipped, onTrouble } = options;
  const lag = createLagHistogram();
  let last: SpoolEntry | undefined;
  let position: WalPosition | undefined;
  let lastError: unknown;
  let wake: (() => void) | undefined;

  const isOwed = (entry: SpoolEntry) => last === undefined || compareEntries(entry, last) > 0;
  const oldestOwed = () => spool.entries().find(isOwed);

  async function run(): Promise<void> {
    // Not before whoever started us has everything that `onShipped` needs.
    await Promise.resolve();
    for (let failures = 0; !signal.aborted; ) {
      const entry = oldestOwed();
      if (!entry) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      try {
        await send(entry);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof FreeholdError && error.code === 'FH_WAL_SECOND_WRITER') throw error;
        // It left the spool meanwhile: another region owes it.
        if (!spool.entries().includes(entry)) continue;
        lastError = error;
        onTrouble(error);
        const ceiling = Math.min(maxRetryMs, firstRetryMs * 2 ** failures++);
        await delay(ceiling * (0.5 + jitter() / 2), undefined, { signal }).catch(() => {});
        continue;
      }
      failures = 0;
      if (lastError !== undefined) {
        lastError = undefined;
        onTrouble(undefined);
      }
      last = entry;
      if (entry.kind === 'wal') {
        const now = { timeline: entry.timeline, lsn: entry.range.end };
        // Invariant: what a region has never becomes less.
        if (position && comparePositions(now, position) < 0) throw new Error('a region went back in the WAL');
        position = now;
        lag.add(clock.now() - entry.receivedAtMs);
      }
      await failpoint('shipping.region.shipped');
      onShipped(entry);
    }
  }

  async function send(entry: SpoolEntry): Promise<void> {
    const sealed = await spool.read(entry);
    await failpoint('shipping.region.put');
    if (entry.kind === 'history') await writer.putHistory(entry.timeline, sealed);
    else await writer.putChunk(entry.range, sealed);
  }

  function shipped(): WalPosition | undefined {
    const [hole] = owed();
    if (!hole) return position;
    const before = startOf(hole);
    return position && comparePositions(position, before) < 0 ? position : before;
  }

  signal.addEventListener('abort', () => wake?.(), { once: true });
  return {
    store,
    shipped,
    reached: () => position,
    hasShipped: (entry) => !isOwed(entry),
    oldestOwed,
    lastError: () => lastError,
    lag,
    wake: () => wake?.(),
    done: run(),
  };
}

/** What a status to PostgreSQL may say: everything before it is in the region. `from` is where the stream began. */
export function flushedBy(position: WalPosition | undefined, from: WalPosition): Lsn | undefined {
  if (!position) return undefined;
  if (position.timeline === from.timeline) return position.lsn;
  // A place on an older timeline says nothing of the newer one from the branch on.
  return position.timeline < from.timeline && position.lsn < from.lsn ? position.lsn : from.lsn;
}
