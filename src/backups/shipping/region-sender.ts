import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, FreeholdError, failpoint, jitter, type Lsn } from '#src/kernel/index.ts';
import type { BackupKey } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { shippingErrors } from './errors.ts';
import { createLagHistogram, type LagHistogram } from './figures.ts';
import { compareEntries, type Spool, type SpoolEntry } from './spool.ts';
import { comparePositions, type WalPosition } from './timeline.ts';
import {
  chunkName,
  historyName,
  openHistory,
  openWal,
  sealWal,
  segmentName,
  type WalOwner,
  type WalRange,
} from './wal-objects.ts';

export interface RegionSenderOptions {
  readonly store: RegionStore;
  readonly owner: WalOwner;
  readonly key: BackupKey;
  readonly spool: Spool;
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
  const { store, owner, key, spool, clock, signal, onShipped, onTrouble } = options;
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
    if (entry.kind === 'history') await sendHistory(entry.timeline, sealed);
    else await sendChunk(entry.range, sealed);
  }

  async function sendChunk(range: WalRange, sealed: Buffer): Promise<void> {
    const name = chunkName(owner.clusterId, range);
    const { outcome } = await store.put(name, sealed, { expectedBytes: sealed.byteLength, signal });
    if (outcome === 'created') return;
    const there = await readObject(name);
    // Compacted and removed between our two looks: then its bytes were compared by whoever removed it.
    if (!there) {
      if (await store.stat(segmentName(owner.clusterId, range.timeline, range.start))) return;
      return sendChunk(range, sealed);
    }
    if (there.equals(sealed)) return;
    await sendWhatIsMissing(range, sealed, there);
  }

  /**
   * The name is taken by a chunk that was cut or sealed another time: after the spool was lost, WAL is received again. The same WAL is no harm, other
   * bytes at the same place are a second primary (fault F08).
   */
  async function sendWhatIsMissing(range: WalRange, sealed: Buffer, there: Buffer): Promise<void> {
    const theirs = await openWal('wal', owner, range, there);
    const ours = await openWal('wal', owner, range, sealed);
    const common = Math.min(theirs.data.length, ours.data.length);
    if (!theirs.data.subarray(0, common).equals(ours.data.subarray(0, common)))
      throw shippingErrors.FH_WAL_SECOND_WRITER({
        detail: `region ${store.region}, ${chunkName(owner.clusterId, range)}`,
      });
    if (theirs.end >= ours.end) return;
    const rest = { timeline: range.timeline, start: theirs.end, end: ours.end };
    const data = ours.data.subarray(common);
    await sendChunk(rest, await sealWal('wal', { clusterId: owner.clusterId, key }, rest, data));
  }

  async function sendHistory(timeline: number, sealed: Buffer): Promise<void> {
    const name = historyName(owner.clusterId, timeline);
    if ((await store.put(name, sealed, { expectedBytes: sealed.byteLength, signal })).outcome === 'created') return;
    const there = await readObject(name);
    if (!there) return sendHistory(timeline, sealed);
    if (there.equals(sealed)) return;
    const [theirs, ours] = [await openHistory(owner, timeline, there), await openHistory(owner, timeline, sealed)];
    if (!theirs.equals(ours)) throw shippingErrors.FH_WAL_SECOND_WRITER({ detail: `region ${store.region}, ${name}` });
  }

  async function readObject(name: string): Promise<Buffer | undefined> {
    const content = await store.get(name);
    return content && buffer(content);
  }

  signal.addEventListener('abort', () => wake?.(), { once: true });
  return {
    store,
    shipped: () => position,
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
