import { buffer } from 'node:stream/consumers';
import { failpoint, walSegmentBytes } from '#src/kernel/index.ts';
import type { ObjectInfo, RegionStore } from '#src/objects/index.ts';
import type { WalPosition } from './timeline.ts';
import { findWalFloor, isBelowFloor } from './wal-floor.ts';
import {
  chunkFolder,
  historyFolder,
  openHistory,
  openWal,
  parseWalName,
  segmentFolder,
  segmentName,
  type WalOwner,
} from './wal-objects.ts';

export interface ReconcileOptions {
  readonly regions: readonly RegionStore[];
  readonly owner: WalOwner;
  /** Resolves when so many bytes more may be copied. */
  readonly pace: (bytes: number) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Copies what one region has of a cluster's WAL and another lacks: after a spool was lost with its machine while a region was away, or after a region was
 * replaced. Only what opens is copied, as it is; nothing is overwritten. Histories first, then segments, oldest first. What a region cannot use, because it is
 * from before its oldest base backup, stays away from it: retention removed it there, or would tomorrow, day after day.
 * @returns how many objects were copied
 */
export async function reconcileRegions(options: ReconcileOptions): Promise<number> {
  const { regions } = options;
  let copied = 0;
  for (const to of regions) for (const from of regions) if (from !== to) copied += await copyMissing(from, to, options);
  return copied;
}

async function copyMissing(from: RegionStore, to: RegionStore, options: ReconcileOptions): Promise<number> {
  const { owner, pace, signal } = options;
  let copied = 0;
  let floor: Promise<WalPosition | undefined> | undefined;
  for (const folder of [historyFolder, segmentFolder, chunkFolder].map((of) => of(owner.clusterId))) {
    for await (const name of missingNames(from.list(folder), to.list(folder))) {
      if (signal.aborted) return copied;
      floor ??= findWalFloor(to, owner);
      if (isBelowFloor(name, await floor)) continue;
      if (folder === chunkFolder(owner.clusterId) && (await hasSegmentOf(to, owner, name))) continue;
      const content = await from.get(name);
      // Compacted meanwhile: its segment comes another time.
      if (!content) continue;
      const sealed = await buffer(content);
      await requireOpens(name, sealed, owner);
      await pace(sealed.byteLength);
      await failpoint('shipping.reconcile.put');
      await to.put(name, sealed, { expectedBytes: sealed.byteLength, signal });
      copied++;
    }
  }
  return copied;
}

/** Names of the first list that are not in the second; both are in order. */
async function* missingNames(have: AsyncIterable<ObjectInfo>, want: AsyncIterable<ObjectInfo>) {
  const there = want[Symbol.asyncIterator]();
  let next = await there.next();
  for await (const { name } of have) {
    while (!next.done && next.value.name < name) next = await there.next();
    if (next.done || next.value.name !== name) yield name;
  }
}

async function hasSegmentOf(store: RegionStore, { clusterId }: WalOwner, chunk: string): Promise<boolean> {
  const parsed = parseWalName(chunk);
  return (
    parsed !== undefined && (await store.stat(segmentName(clusterId, parsed.timeline, parsed.number))) !== undefined
  );
}

/** A damaged object would keep its name from the right one for ever. */
async function requireOpens(name: string, sealed: Buffer, owner: WalOwner): Promise<void> {
  if (name.startsWith('history/')) {
    await openHistory(owner, Number.parseInt(name.slice(-8), 16), sealed);
    return;
  }
  const parsed = parseWalName(name);
  if (!parsed) throw new Error(`not a name of WAL: ${name}`);
  const { timeline, number } = parsed;
  const isSegment = name.startsWith('segments/');
  const start = isSegment ? number * walSegmentBytes : number;
  await openWal(isSegment ? 'segment' : 'wal', owner, { timeline, start }, sealed);
}
