import type { Clock, Log } from '#src/kernel/index.ts';
import type { BackupKey } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { type CatchUpWorker, startCatchUpWorker } from './catch-up-worker.ts';
import { type Compactor, startCompactor } from './compactor.ts';
import type { ShippingEvent } from './events.ts';
import type { OwedStretch, OwedWal } from './owed.ts';
import { type RegionSender, startRegionSender } from './region-sender.ts';
import { createRegionWatch, type RegionWatch } from './region-watch.ts';
import type { Spool } from './spool.ts';
import type { WalOwner } from './wal-objects.ts';
import { createWalWriter } from './wal-writer.ts';

export interface RegionShippingOptions {
  readonly store: RegionStore;
  readonly others: readonly RegionStore[];
  readonly owner: WalOwner;
  readonly key: () => BackupKey;
  readonly spool: Spool;
  readonly owed: OwedWal;
  readonly awayAfterMs: number;
  readonly pace: (bytes: number) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onShipped: () => void;
  readonly onCaughtUp: () => void;
  readonly onEvent: (event: ShippingEvent) => void;
}

/** Everything that one region needs: new WAL from the spool, old WAL from other regions, and chunks made into segments. */
export interface RegionShipping {
  readonly store: RegionStore;
  readonly sender: RegionSender;
  readonly watch: RegionWatch;
  readonly compactor: Compactor;
  readonly catchUp: CatchUpWorker;
  /** WAL that other regions owe it, before compression. */
  owedBytes(): number;
  owed(): readonly OwedStretch[];
  /** When the oldest byte of that was received. */
  oldestOwedMs(): number | undefined;
}

export function startRegionShipping(options: RegionShippingOptions): RegionShipping {
  const { store, others, owner, key, spool, owed, clock, log, signal, onEvent } = options;
  const { region } = store;
  const writer = createWalWriter({ store, owner, key, signal });
  const compactor = startCompactor({ store, owner, key, log, signal });
  const sender = startRegionSender({
    store,
    writer,
    spool,
    owed: () => owed.of(region),
    clock,
    signal,
    onShipped(entry) {
      if (entry.kind === 'wal') compactor.shippedFrom(entry.range.start);
      options.onShipped();
    },
    onTrouble(error) {
      if (error === undefined) log.info('the region answers again', { region });
      else log.warn('the region did not take WAL', { region, error });
    },
  });
  const catchUp = startCatchUpWorker({
    to: store,
    writer,
    sources: others,
    owner,
    owed,
    pace: options.pace,
    signal,
    onGap: (from, to) => onEvent({ kind: 'wal.gap', from, to }),
    onDone() {
      onEvent({ kind: 'region.caught_up', region });
      options.onCaughtUp();
    },
    onTrouble: (error) => log.warn('a region could not be given what other regions owe it', { region, error }),
  });
  return {
    store,
    sender,
    watch: createRegionWatch({ sender, clock, awayAfterMs: options.awayAfterMs, onEvent }),
    compactor,
    catchUp,
    owedBytes: () => owed.bytesOf(region),
    owed: () => owed.of(region),
    oldestOwedMs: () => owed.of(region)[0]?.receivedAtMs,
  };
}
