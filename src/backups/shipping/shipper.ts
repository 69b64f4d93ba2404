import { type Clock, type ClusterId, type Log, type Lsn, systemClock } from '#src/kernel/index.ts';
import type { BackupKey } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { ConnectionTarget } from '#src/postgres/index.ts';
import type { ShipperStatus, WalGap } from '../types.ts';
import { type Compactor, startCompactor } from './compactor.ts';
import type { ShippingEvent } from './events.ts';
import { codeOf, startReceiver } from './receiver.ts';
import { reconcileRegions } from './reconcile.ts';
import { flushedBy, type RegionSender, startRegionSender } from './region-sender.ts';
import { createRegionWatch, type RegionWatch } from './region-watch.ts';
import { findResumePosition } from './resume.ts';
import { openSpool, type Spool } from './spool.ts';
import { comparePositions, type WalPosition } from './timeline.ts';
import type { FindKey } from './wal-objects.ts';
import { startWorker } from './worker.ts';

export interface ShipperOptions {
  readonly clusterId: ClusterId;
  /** Where the primary is now, as a role that may replicate; asked before each connection. A rejection is tried again. */
  readonly findPrimary: () => Promise<ConnectionTarget>;
  /** At least one; all get the same bytes. */
  readonly regions: readonly RegionStore[];
  /** The cluster's current key. */
  readonly key: BackupKey;
  /** Keys of earlier versions, to compact what was sealed under them. */
  readonly findKey: FindKey;
  /** Folder of the spool; made when it is not there. */
  readonly spoolDir: string;
  readonly log: Log;
  readonly onEvent?: (event: ShippingEvent) => void;
  /** `strict`: a commit waits for every region for ever. `away` (default): no longer for one that is away. */
  readonly policy?: 'away' | 'strict';
  /** A region that lacks something for this long is away. Default 30,000. */
  readonly awayAfterMs?: number;
  /** Sealed bytes on the local disk; then nothing is received until there is room. Default 8 GiB. */
  readonly spoolLimitBytes?: number;
  /** Default 100. */
  readonly chunkIntervalMs?: number;
  /** Default 1 MiB. */
  readonly chunkBytes?: number;
  /** Default `freehold_shipper`; commits wait for the application of the same name. */
  readonly slotName?: string;
  readonly clock?: Clock;
}

export interface Shipper {
  status(): ShipperStatus;
  /** Keeps what was received, lets go of what is under way and resolves when nothing of it runs any more. May be called again. */
  stop(): Promise<void>;
  /** Resolves after `stop`; rejects when shipping has ended for good (FH_WAL_SECOND_WRITER): a person must act. */
  readonly done: Promise<void>;
}

const tickMs = 1_000;
const reconcileEveryMs = 24 * 3_600_000;
const nearLimitShare = 0.6;

/** Ships the WAL of one cluster to all regions until it is stopped; survives restarts of the server, failovers, regions that are away and its own death. */
export async function startShipper(options: ShipperOptions): Promise<Shipper> {
  const { clusterId, regions, key, log, clock = systemClock, slotName = 'freehold_shipper', policy = 'away' } = options;
  const { awayAfterMs = 30_000, spoolLimitBytes = 8 * 2 ** 30, onEvent = () => {} } = options;
  if (regions.length === 0) throw new TypeError('WAL is shipped to at least one region');
  const owner = { clusterId, findKey: options.findKey };
  const ending = new AbortController();
  const { signal } = ending;
  const spool = await openSpool(options.spoolDir, clock);
  const gaps: WalGap[] = [];
  let spoolFull = false;
  let nearLimit = false;
  let failure: unknown;
  const roomWaiters: (() => void)[] = [];

  function announce(event: ShippingEvent): void {
    if (event.kind === 'wal.gap')
      gaps.push({ timeline: event.from.timeline, from: event.from.lsn, to: event.to.lsn, noticedAtMs: clock.now() });
    const write = event.kind.endsWith('.back') || event.kind.endsWith('.has_room') ? log.info : log.error;
    write(event.kind, printable(event));
    if (event.kind === 'region.back') reconciler.trigger();
    onEvent(event);
  }

  const ships = regions.map((store) => {
    const compactor = startCompactor({ store, owner, key, log, signal });
    const sender = startRegionSender({
      store,
      owner,
      key,
      spool,
      clock,
      signal,
      onShipped(entry) {
        if (entry.kind === 'wal') compactor.shippedFrom(entry.range.start);
        tick();
        releaseShipped();
        receiver.report();
      },
      onTrouble(error) {
        if (error === undefined) log.info('the region answers again', { region: store.region });
        else log.warn('the region did not take WAL', { region: store.region, error });
      },
    });
    const watch = createRegionWatch({ sender, clock, awayAfterMs, onEvent: announce });
    return { store, sender, watch, compactor };
  });

  const reconciler = startWorker({
    signal,
    async work() {
      const copied = await reconcileRegions({ regions, owner, signal });
      if (copied > 0) log.info('copied WAL from region to region', { objects: copied });
    },
    onError: (error) => log.warn('regions could not be compared', { error }),
  });
  reconciler.trigger();
  const daily = setInterval(() => reconciler.trigger(), reconcileEveryMs);

  const receiver = startReceiver({
    ...options,
    clusterId,
    slotName,
    applicationName: slotName,
    spool,
    clock,
    signal,
    chunkBytes: options.chunkBytes ?? 2 ** 20,
    chunkIntervalMs: options.chunkIntervalMs ?? 100,
    resumeAt: () => findResumePosition({ spool, regions, owner, log }),
    flushed: flushedAcrossRegions,
    room: roomInSpool,
    onSpooled() {
      for (const { sender } of ships) sender.wake();
    },
    onEvent: announce,
  });

  /** The least of all regions that are waited for; when all are away, of all. */
  function flushedAcrossRegions(from: WalPosition): Lsn {
    const waitedFor = ships.filter(({ watch }) => policy === 'strict' || !watch.isAway());
    const counted = waitedFor.length > 0 ? waitedFor : ships;
    return counted
      .map(({ sender }) => flushedBy(sender.shipped(), from) ?? 0n)
      .reduce((least, lsn) => (lsn < least ? lsn : least));
  }

  async function roomInSpool(): Promise<void> {
    while (spool.owedBytes() >= spoolLimitBytes && !signal.aborted) {
      if (!spoolFull) {
        spoolFull = true;
        announce({ kind: 'spool.full', sizeBytes: spool.owedBytes(), limitBytes: spoolLimitBytes });
      }
      await new Promise<void>((resolve) => roomWaiters.push(resolve));
    }
    if (spoolFull && !signal.aborted) {
      spoolFull = false;
      announce({ kind: 'spool.has_room' });
    }
  }

  let releasing = Promise.resolve();
  /** Invariant: nothing of the spool is removed before every region has it. */
  function releaseShipped(): void {
    releasing = releasing
      .then(async () => {
        const shipped = (entry: ReturnType<Spool['entries']>[number]) =>
          ships.every(({ sender }) => sender.hasShipped(entry));
        for (const entry of spool.entries().filter(shipped)) await spool.release(entry);
      })
      // The file stays and is sent again after a restart, which is no harm.
      .catch((error) => log.warn('a shipped chunk could not be removed from the spool', { error }))
      .finally(() => {
        for (const resolve of roomWaiters.splice(0)) resolve();
      });
  }

  /** Looks at what changes with time alone. */
  function tick(): void {
    for (const { watch } of ships) watch.look();
    const { heldBytes, limitBytes } = receiver.slot();
    const isNear = limitBytes !== undefined && heldBytes > limitBytes * nearLimitShare;
    if (isNear !== nearLimit) {
      nearLimit = isNear;
      announce(isNear ? { kind: 'slot.near_limit', heldBytes, limitBytes: limitBytes! } : { kind: 'slot.has_room' });
    }
  }
  const ticker = setInterval(() => {
    tick();
    if (ships.some(({ watch }) => watch.isAway())) receiver.report();
  }, tickMs);

  let stopping: Promise<void> | undefined;
  async function end(): Promise<void> {
    clearInterval(ticker);
    clearInterval(daily);
    for (const resolve of roomWaiters.splice(0)) resolve();
    await receiver.done;
    await Promise.allSettled(ships.flatMap(({ sender, compactor }) => [sender.done, compactor.done]));
    await reconciler.done;
    await releasing;
  }

  const done = new Promise<void>((resolve, reject) => {
    signal.addEventListener('abort', () => {
      stopping = end();
      stopping.then(() => (failure === undefined ? resolve() : reject(failure)));
    });
    for (const { sender } of ships)
      sender.done.catch((error) => {
        failure ??= error;
        if (codeOf(error) === 'FH_WAL_SECOND_WRITER') announce({ kind: 'wal.second_writer', detail: error.detail });
        else log.error('shipping has ended', { error });
        ending.abort();
      });
  });
  // Whoever started it may look at it later.
  done.catch(() => {});

  return {
    status: () => describe(),
    stop() {
      ending.abort();
      return stopping!;
    },
    done,
  };

  function describe(): ShipperStatus {
    const now = clock.now();
    const received = receiver.received();
    const spooled = receiver.spooled();
    assertInvariants(received, spooled, ships);
    const { heldBytes, limitBytes } = receiver.slot();
    const waitingSinceMs = receiver.waitingSinceMs();
    const primary = receiver.primary();
    return {
      clusterId,
      timeline: received?.timeline ?? 0,
      primary,
      received: received?.lsn ?? 0n,
      spooled: spooled?.lsn ?? 0n,
      flushed: receiver.flushed(),
      spoolBytes: spool.sizeBytes(),
      spoolFull,
      receiver: {
        state: receiver.state(),
        sinceMs: now - receiver.sinceMs(),
        ...describeError(receiver.lastError()),
      },
      slot: { state: nearLimit ? 'near_limit' : 'fine', heldBytes, ...(limitBytes !== undefined && { limitBytes }) },
      gaps,
      ...(failure !== undefined && { stoppedBy: codeOf(failure) ?? 'FH_INTERNAL' }),
      regions: ships.map(({ store, sender, watch, compactor }) => {
        const oldestMs = sender.oldestOwed()?.receivedAtMs ?? waitingSinceMs;
        return {
          region: store.region,
          shipped: sender.shipped()?.lsn ?? 0n,
          lagMs: oldestMs === undefined ? 0 : Math.max(0, now - oldestMs),
          state: watch.state(),
          ...describeError(sender.lastError()),
          owedObjects: spool.entries().filter((entry) => !sender.hasShipped(entry)).length,
          lagCounts: [...sender.lag.counts()],
          lagSumMs: sender.lag.sumMs(),
          segmentsCompacted: compactor.compacted(),
        };
      }),
    };
  }
}

type Ship = { readonly sender: RegionSender; readonly watch: RegionWatch; readonly compactor: Compactor };

/** `received ≥ spooled ≥ shipped[region]`. A region may be further than a spool that was lost, but only until WAL is received again. */
function assertInvariants(
  received: WalPosition | undefined,
  spooled: WalPosition | undefined,
  ships: readonly Ship[],
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

function printable(event: object): object {
  return JSON.parse(JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? value.toString(16) : value)));
}
