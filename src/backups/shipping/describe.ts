import type { ClusterId } from '#src/kernel/index.ts';
import type { ShipperStatus, WalGap } from '../types.ts';
import { joinStretches } from './owed.ts';
import { codeOf, type Receiver } from './receiver.ts';
import { flushedBy } from './region-sender.ts';
import type { RegionShipping } from './region-shipping.ts';
import type { Spool } from './spool.ts';
import { comparePositions, type WalPosition } from './timeline.ts';

export interface DescribedShipper {
  readonly clusterId: ClusterId;
  readonly receiver: Receiver;
  readonly ships: readonly RegionShipping[];
  readonly spool: Spool;
  readonly gaps: readonly WalGap[];
  readonly isFull: boolean;
  readonly isNearLimit: boolean;
  readonly failure: unknown;
  readonly nowMs: number;
}

/** What a shipper says of itself; throws when an invariant does not hold. */
export function describeShipper(shipper: DescribedShipper): ShipperStatus {
  const { clusterId, receiver, ships, spool, gaps, isFull, isNearLimit, failure, nowMs } = shipper;
  const received = receiver.received();
  const spooled = receiver.spooled();
  assertInvariants(received, spooled, ships);
  const { heldBytes, limitBytes } = receiver.slot();
  return {
    clusterId,
    timeline: received?.timeline ?? 0,
    primary: receiver.primary(),
    received: received?.lsn ?? 0n,
    spooled: spooled?.lsn ?? 0n,
    flushed: receiver.flushed(),
    confirmed: receiver.confirmed(),
    spoolBytes: spool.sizeBytes(),
    spoolFull: isFull,
    receiver: {
      state: receiver.state(),
      sinceMs: nowMs - receiver.sinceMs(),
      ...describeError(receiver.lastError()),
    },
    slot: { state: isNearLimit ? 'near_limit' : 'fine', heldBytes, ...(limitBytes !== undefined && { limitBytes }) },
    gaps,
    ...(failure !== undefined && { stoppedBy: codeOf(failure) ?? 'FH_INTERNAL' }),
    regions: ships.map((ship) => describeRegion(ship, receiver, spool, nowMs)),
  };
}

function describeRegion(ship: RegionShipping, receiver: Receiver, spool: Spool, nowMs: number) {
  const { store, sender, watch, compactor, catchUp } = ship;
  const oldestMs = ship.oldestOwedMs() ?? sender.oldestOwed()?.receivedAtMs ?? receiver.waitingSinceMs();
  const shipped = sender.shipped();
  const began = receiver.began();
  return {
    region: store.region,
    // WAL of a former timeline that the server never had may go on far behind the branch: nothing of what the server has is in the region by it.
    shipped: (began ? flushedBy(shipped, began) : shipped?.lsn) ?? 0n,
    lagMs: oldestMs === undefined ? 0 : Math.max(0, nowMs - oldestMs),
    state: watch.state(),
    ...describeError(sender.lastError() ?? catchUp.lastError()),
    owedObjects: spool.entries().filter((entry) => !sender.hasShipped(entry)).length,
    owedBytes: ship.owedBytes(),
    lacking: lackingIn(ship, spool),
    copiedBytes: catchUp.copiedBytes(),
    lagCounts: [...sender.lag.counts()],
    lagSumMs: sender.lag.sumMs(),
    segmentsCompacted: compactor.compacted(),
  };
}

/** What other regions owe it, and what the spool has for it: an entry may go from there to those at any time. */
function lackingIn({ owed, sender }: RegionShipping, spool: Spool) {
  const spooled = spool
    .entries()
    .flatMap((entry) =>
      entry.kind === 'wal' && !sender.hasShipped(entry) ? [{ ...entry.range, receivedAtMs: entry.receivedAtMs }] : [],
    );
  return joinStretches([...owed(), ...spooled]).map(({ timeline, start, end }) => ({ timeline, start, end }));
}

/** `received ≥ spooled ≥ shipped[region]`. A region may be further than a spool that was lost, but only until WAL is received again. */
function assertInvariants(
  received: WalPosition | undefined,
  spooled: WalPosition | undefined,
  ships: readonly RegionShipping[],
): void {
  if (!received || !spooled) return;
  if (comparePositions(received, spooled) < 0) throw new Error('less WAL was received than spooled');
  for (const { sender } of ships) {
    const shipped = sender.shipped();
    if (shipped && shipped.timeline === spooled.timeline && shipped.lsn > spooled.lsn)
      throw new Error('more WAL was shipped than spooled');
  }
}

function describeError(error: unknown): { lastError?: string } {
  if (error === undefined) return {};
  return { lastError: error instanceof Error ? error.message : String(error) };
}
