import { type Clock, type ClusterId, type Log, systemClock } from '#src/kernel/index.ts';
import type { BackupKey } from '#src/keys/types.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { ConnectionTarget } from '#src/postgres/index.ts';
import type { ShipperStatus, WalGap } from '../types.ts';
import { describeShipper } from './describe.ts';
import type { ShippingEvent } from './events.ts';
import { handOver } from './hand-over.ts';
import { openOwed } from './owed.ts';
import { createPace } from './pace.ts';
import { codeOf, startReceiver } from './receiver.ts';
import { reconcileRegions } from './reconcile.ts';
import { flushedBy } from './region-sender.ts';
import { startRegionShipping } from './region-shipping.ts';
import { findResumePosition } from './resume.ts';
import { createRegionPlace, createSpoolPlace } from './shipped-place.ts';
import { openSpool, type SpoolEntry } from './spool.ts';
import type { WalPosition } from './timeline.ts';
import { isUnfinishedRecord } from './unfinished-record.ts';
import type { FindKey } from './wal-objects.ts';
import { startWorker } from './worker.ts';

export interface ShipperOptions {
  readonly clusterId: ClusterId;
  /** Where the primary is now, as a role that may replicate; asked before each connection. A rejection is tried again. */
  readonly findPrimary: () => Promise<ConnectionTarget>;
  /** At least one; all get the same bytes. */
  readonly regions: readonly RegionStore[];
  /** The cluster's key as of now; later ones by `useKey`. */
  readonly key: BackupKey;
  /** Keys of earlier versions, to compact what was sealed under them. */
  readonly findKey: FindKey;
  /** Folder of the spool; made when it is not there. */
  readonly spoolDir: string;
  readonly log: Log;
  readonly onEvent?: (event: ShippingEvent) => void;
  /** A region that lacks something for this long is away. Default 30,000. */
  readonly awayAfterMs?: number;
  /**
   * Sealed bytes on the local disk. At the limit, what some region holds leaves the spool, and the others get it from there later; only while no region takes
   * anything, nothing is received. Default 8 GiB.
   */
  readonly spoolLimitBytes?: number;
  /** Chunks on the local disk; as above, but never stops receiving. Default 20,000. */
  readonly spoolLimitChunks?: number;
  /** Between regions, for what one of them missed. Default 32 MiB. */
  readonly catchUpBytesPerSecond?: number;
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
  /** Everything that is sealed from now on is sealed under this key, which must be in a region already. */
  useKey(key: BackupKey): void;
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
  const { clusterId, regions, log, clock = systemClock, slotName = 'freehold_shipper' } = options;
  const { awayAfterMs = 30_000, spoolLimitBytes = 8 * 2 ** 30, spoolLimitChunks = 20_000 } = options;
  if (regions.length === 0) throw new TypeError('WAL is shipped to at least one region');
  const owner = { clusterId, findKey: options.findKey };
  let currentKey = options.key;
  const key = () => currentKey;
  const ending = new AbortController();
  const { signal } = ending;
  const spool = await openSpool(options.spoolDir, clock);
  const owed = await openOwed(options.spoolDir);
  const gaps: WalGap[] = [];
  let isFull = false;
  let isNearLimit = false;
  let failure: unknown;
  const roomWaiters: (() => void)[] = [];

  function announce(event: ShippingEvent): void {
    if (event.kind === 'wal.gap')
      gaps.push({ timeline: event.from.timeline, from: event.from.lsn, to: event.to.lsn, noticedAtMs: clock.now() });
    const write = goodNews.has(event.kind) ? log.info : log.error;
    write(event.kind, printable(event));
    if (event.kind === 'region.back') reconciler.trigger();
    options.onEvent?.(event);
  }

  const pace = createPace(options.catchUpBytesPerSecond ?? 32 * 2 ** 20, clock, signal);
  const ships = regions.map((store) =>
    startRegionShipping({
      store,
      others: regions.filter((other) => other !== store),
      owner,
      key,
      spool,
      owed,
      awayAfterMs,
      pace,
      clock,
      log,
      signal,
      onShipped() {
        tick();
        tidySpool();
        receiver.report();
      },
      onCaughtUp() {
        receiver.report();
        reconciler.trigger();
      },
      onEvent: announce,
    }),
  );
  const senders = ships.map(({ sender }) => sender);

  const reconciler = startWorker({
    signal,
    async work() {
      // What is written down as owed is copied first, and then it begins again.
      if (ships.some((ship) => ship.owedBytes() > 0)) return;
      const copied = await reconcileRegions({ regions, owner, pace, signal });
      if (copied > 0) log.info('copied WAL from region to region', { objects: copied });
    },
    onError: (error) => log.warn('regions could not be compared', { error }),
  });
  reconciler.trigger();
  const daily = setInterval(() => reconciler.trigger(), reconcileEveryMs);

  const files = {
    list: async () => spool.entries().map(({ fileName }) => fileName),
    async read(fileName: string) {
      const entry = spool.entries().find((each) => each.fileName === fileName);
      return entry && spool.read(entry);
    },
  };
  // Whoever lends us the older ones is away where this is asked most: after a failover.
  const findKey: FindKey = (keyId) => (keyId === currentKey.keyId ? currentKey.key : options.findKey(keyId));
  const opener = { clusterId, findKey };
  const places = [createSpoolPlace(files, opener), ...regions.map((store) => createRegionPlace(store, opener))];
  const receiver = startReceiver({
    ...options,
    key,
    slotName,
    applicationName: slotName,
    spool,
    clock,
    signal,
    chunkBytes: options.chunkBytes ?? 2 ** 20,
    chunkIntervalMs: options.chunkIntervalMs ?? 100,
    resumeAt: () => findResumePosition({ spool, regions, owner, log }),
    held,
    room: roomInSpool,
    isUnfinished: (from, held) => isUnfinishedRecord(places, from, held),
    onSpooled() {
      for (const sender of senders) sender.wake();
    },
    onEvent: announce,
  });

  /**
   * `safe`: the least that any region has that is not away, what it is owed by another included; when all are away, the least of all.
   * `everywhere`: the least that all regions have without a hole.
   */
  function held(from: WalPosition) {
    const answering = ships.filter(({ watch }) => !watch.isAway());
    const counted = answering.length > 0 ? answering : ships;
    const least = (positions: readonly (WalPosition | undefined)[]) =>
      positions
        .map((position) => flushedBy(position, from) ?? 0n)
        .reduce((lowest, lsn) => (lsn < lowest ? lsn : lowest));
    return {
      safe: least(counted.map(({ sender }) => sender.reached())),
      everywhere: least(senders.map((sender) => sender.shipped())),
    };
  }

  const isOverBytes = () => spool.owedBytes() >= spoolLimitBytes;

  async function roomInSpool(): Promise<void> {
    while (isOverBytes() && !signal.aborted) {
      await tidySpool();
      if (!isOverBytes()) break;
      if (!isFull) {
        isFull = true;
        announce({ kind: 'spool.full', sizeBytes: spool.owedBytes(), limitBytes: spoolLimitBytes });
      }
      await new Promise<void>((resolve) => roomWaiters.push(resolve));
    }
    if (isFull && !signal.aborted) {
      isFull = false;
      announce({ kind: 'spool.has_room' });
    }
  }

  let tidying = Promise.resolve();
  /** Invariant: nothing leaves the spool before every region has it, or one has it and what the others lack is written down. */
  function tidySpool(): Promise<void> {
    tidying = tidying
      .then(async () => {
        const isShipped = (entry: SpoolEntry) => senders.every((sender) => sender.hasShipped(entry));
        for (const entry of spool.entries().filter(isShipped)) await spool.release(entry);
        if (isOverBytes() || spool.entries().length > spoolLimitChunks) await makeRoom();
      })
      // The file stays and is sent again after a restart, which is no harm.
      .catch((error) => log.warn('the spool could not be tidied', { error }))
      .finally(() => {
        for (const resolve of roomWaiters.splice(0)) resolve();
      });
    return tidying;
  }

  async function makeRoom(): Promise<void> {
    const before = ships.map((ship) => ship.owedBytes());
    await handOver({ spool, owed, senders, keepBytes: spoolLimitBytes / 2, keepEntries: spoolLimitChunks / 2 });
    ships.forEach((ship, index) => {
      if (ship.owedBytes() === before[index]) return;
      ship.catchUp.wake();
      const sizeBytes = ship.owedBytes();
      if (before[index] === 0) announce({ kind: 'region.owed', region: ship.store.region, sizeBytes });
    });
  }

  /** Looks at what changes with time alone. */
  function tick(): void {
    for (const { watch } of ships) watch.look();
    const { heldBytes, limitBytes } = receiver.slot();
    const isNear = limitBytes !== undefined && heldBytes > limitBytes * nearLimitShare;
    if (isNear !== isNearLimit) {
      isNearLimit = isNear;
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
    await Promise.allSettled(
      ships.flatMap(({ sender, compactor, catchUp }) => [sender.done, compactor.done, catchUp.done]),
    );
    await reconciler.done;
    await tidying;
  }

  const done = new Promise<void>((resolve, reject) => {
    signal.addEventListener('abort', () => {
      stopping = end();
      stopping.then(() => (failure === undefined ? resolve() : reject(failure)));
    });
    for (const { sender, catchUp } of ships)
      for (const part of [sender.done, catchUp.done])
        part.catch((error) => {
          failure ??= error;
          if (codeOf(error) === 'FH_WAL_SECOND_WRITER') announce({ kind: 'wal.second_writer', detail: error.detail });
          else log.error('shipping has ended', { error });
          ending.abort();
        });
  });
  // Whoever started it may look at it later.
  done.catch(() => {});

  return {
    status: () =>
      describeShipper({ clusterId, receiver, ships, spool, gaps, isFull, isNearLimit, failure, nowMs: clock.now() }),
    useKey(next) {
      currentKey = next;
    },
    stop() {
      ending.abort();
      return stopping!;
    },
    done,
  };
}

const goodNews: ReadonlySet<ShippingEvent['kind']> = new Set([
  'region.back',
  'region.caught_up',
  'spool.has_room',
  'slot.has_room',
]);

function printable(event: object): object {
  return JSON.parse(JSON.stringify(event, (_, value) => (typeof value === 'bigint' ? value.toString(16) : value)));
}
