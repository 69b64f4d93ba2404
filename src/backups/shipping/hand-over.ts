import { joinStretches, type OwedStretch, type OwedWal } from './owed.ts';
import type { RegionSender } from './region-sender.ts';
import type { Spool, SpoolEntry } from './spool.ts';

export interface HandOverOptions {
  readonly spool: Spool;
  readonly owed: OwedWal;
  readonly senders: readonly RegionSender[];
  /** How much there may be afterwards of what some region lacks. */
  readonly keepBytes: number;
  readonly keepEntries: number;
}

/**
 * Makes room in a spool that is too full, oldest first: what one region lacks and another has read back is written down as owed by that one, and then
 * leaves the spool. What no region has stays, and so do histories: they are small, and sent before the WAL of their timeline.
 * Not to be called while entries are released otherwise.
 */
export async function handOver({ spool, owed, senders, keepBytes, keepEntries }: HandOverOptions): Promise<void> {
  const entries = spool.entries();
  let [bytes, count] = [spool.owedBytes(), entries.length];
  const leaving: SpoolEntry[] = [];
  const stretches = new Map<string, OwedStretch[]>();
  for (const entry of entries) {
    if (bytes <= keepBytes && count <= keepEntries) break;
    if (entry.kind !== 'wal' || spool.isReleased(entry)) continue;
    const lacking = senders.filter((sender) => !sender.hasShipped(entry));
    if (lacking.length === senders.length) continue;
    for (const { store } of lacking) {
      const ofRegion = stretches.get(store.region) ?? [];
      ofRegion.push({ ...entry.range, receivedAtMs: entry.receivedAtMs });
      stretches.set(store.region, ofRegion);
    }
    leaving.push(entry);
    bytes -= entry.sizeBytes;
    count--;
  }
  for (const [region, more] of stretches) await owed.add(region, joinStretches(more));
  for (const entry of leaving) await spool.release(entry);
}
