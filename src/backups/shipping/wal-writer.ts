import { buffer } from 'node:stream/consumers';
import type { BackupKey } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { shippingErrors } from './errors.ts';
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

export interface WalWriterOptions {
  readonly store: RegionStore;
  readonly owner: WalOwner;
  /** The cluster's current key. */
  readonly key: () => BackupKey;
  readonly signal: AbortSignal;
}

/**
 * Puts sealed WAL into one region. What is there already is compared and never replaced. Errors: those of the region, FH_KEY_…,
 * FH_WAL_SECOND_WRITER when other WAL has the place.
 */
export interface WalWriter {
  /** Resolves when the region has all of the range. */
  putChunk(range: WalRange, sealed: Buffer): Promise<void>;
  putHistory(timeline: number, sealed: Buffer): Promise<void>;
}

export function createWalWriter({ store, owner, key, signal }: WalWriterOptions): WalWriter {
  const { clusterId } = owner;

  async function putChunk(range: WalRange, sealed: Buffer): Promise<void> {
    const name = chunkName(clusterId, range);
    const { outcome } = await store.put(name, sealed, { expectedBytes: sealed.byteLength, signal });
    if (outcome === 'created') return;
    const there = await readObject(name);
    // Compacted and removed between our two looks: then its bytes were compared by whoever removed it.
    if (!there) {
      if (await store.stat(segmentName(clusterId, range.timeline, range.start))) return;
      return putChunk(range, sealed);
    }
    if (there.equals(sealed)) return;
    await putWhatIsMissing(range, sealed, there);
  }

  /**
   * The name is taken by a chunk that was cut or sealed another time: after the spool was lost, WAL is received again. The same WAL is no harm, other
   * bytes at the same place are a second primary (fault F08).
   */
  async function putWhatIsMissing(range: WalRange, sealed: Buffer, there: Buffer): Promise<void> {
    const theirs = await openWal('wal', owner, range, there);
    const ours = await openWal('wal', owner, range, sealed);
    const common = Math.min(theirs.data.length, ours.data.length);
    if (!theirs.data.subarray(0, common).equals(ours.data.subarray(0, common)))
      throw shippingErrors.FH_WAL_SECOND_WRITER({
        detail: `region ${store.region}, ${chunkName(clusterId, range)}`,
      });
    if (theirs.end >= ours.end) return;
    const rest = { timeline: range.timeline, start: theirs.end, end: ours.end };
    const data = ours.data.subarray(common);
    await putChunk(rest, await sealWal('wal', { clusterId, key: key() }, rest, data));
  }

  async function putHistory(timeline: number, sealed: Buffer): Promise<void> {
    const name = historyName(clusterId, timeline);
    if ((await store.put(name, sealed, { expectedBytes: sealed.byteLength, signal })).outcome === 'created') return;
    const there = await readObject(name);
    if (!there) return putHistory(timeline, sealed);
    if (there.equals(sealed)) return;
    const [theirs, ours] = [await openHistory(owner, timeline, there), await openHistory(owner, timeline, sealed)];
    if (!theirs.equals(ours)) throw shippingErrors.FH_WAL_SECOND_WRITER({ detail: `region ${store.region}, ${name}` });
  }

  async function readObject(name: string): Promise<Buffer | undefined> {
    const content = await store.get(name);
    return content && buffer(content);
  }

  return { putChunk, putHistory };
}
