import { setTimeout as delay } from 'node:timers/promises';
import {
  type Clock,
  type ClusterId,
  FreeholdError,
  failpoint,
  jitter,
  type Log,
  type Lsn,
  segmentStart,
} from '#src/kernel/index.ts';
import type { BackupKey } from '#src/keys/types.ts';
import {
  type ConnectionTarget,
  openReplication,
  type ReplicationConnection,
  sqlState,
  type TimelineEnd,
  type WalStream,
} from '#src/postgres/index.ts';
import { type Chunk, type Chunker, createChunker } from './chunker.ts';
import { shippingErrors } from './errors.ts';
import type { ShippingEvent } from './events.ts';
import type { Spool } from './spool.ts';
import { nextPlace, parseTimelineHistory, type TimelineStep, type WalPosition } from './timeline.ts';
import { sealHistory, sealWal } from './wal-objects.ts';

export interface ReceiverOptions {
  readonly clusterId: ClusterId;
  /** Where the primary is now; asked before each connection. */
  readonly findPrimary: () => Promise<ConnectionTarget>;
  readonly slotName: string;
  readonly applicationName: string;
  /** The cluster's current key. */
  readonly key: () => BackupKey;
  readonly spool: Spool;
  readonly chunkBytes: number;
  readonly chunkIntervalMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** End of what is held already; undefined: nothing, begin where the slot begins. Tried again when it rejects. */
  readonly resumeAt: () => Promise<WalPosition | undefined>;
  /** What may be reported on a stream that began at `from`: `safe`, the server need not keep it; `everywhere`, every region holds it. */
  readonly held: (from: WalPosition) => { readonly safe: Lsn; readonly everywhere: Lsn };
  /** Resolves when the spool may grow. */
  readonly room: () => Promise<void>;
  /** What is held behind `from`, up to `held`, is only the beginning of a record. */
  readonly isUnfinished: (from: WalPosition, held: Lsn) => Promise<boolean>;
  readonly onSpooled: () => void;
  readonly onEvent: (event: ShippingEvent) => void;
}

/** Receives WAL into the spool, for ever: over restarts of the server, failovers and gaps. */
export interface Receiver {
  state(): 'connecting' | 'streaming' | 'stopped';
  lastError(): unknown;
  /** Since when the state is what it is. */
  sinceMs(): number;
  /** End of the WAL of the server, as last heard. */
  primary(): Lsn;
  received(): WalPosition | undefined;
  spooled(): WalPosition | undefined;
  /** Where receiving began on the server that is received from now; undefined: from none yet. */
  began(): WalPosition | undefined;
  /** When the oldest byte that is received and not spooled came. */
  waitingSinceMs(): number | undefined;
  /** What was last reported on this stream as flushed: the server need not keep it. */
  flushed(): Lsn;
  /** What was last reported on this stream as applied: every region holds it. */
  confirmed(): Lsn;
  /** Bytes of WAL between what was reported as flushed and the server's end, and how many the slot keeps; undefined: no limit. */
  slot(): { readonly heldBytes: number; readonly limitBytes: number | undefined };
  /** Something changed that the server should know. */
  report(): void;
  /** Resolves when stopped. */
  readonly done: Promise<void>;
}

const statusEveryMs = 10_000;
const firstRetryMs = 50;
const maxRetryMs = 2_000;

export function startReceiver(options: ReceiverOptions): Receiver {
  const { clusterId, slotName, key, spool, clock, log, signal, onEvent } = options;
  let state: ReturnType<Receiver['state']> = 'connecting';
  let sinceMs = clock.now();
  let lastError: unknown;
  /** What was received could not be kept (a full disk): why, and when the oldest byte of it came. Until something is spooled again. */
  let unkept: { readonly error: unknown; readonly sinceMs: number } | undefined;
  /** Attempts since something was spooled. */
  let failures = 0;
  /** What comes next is no longer on the server. */
  let isGone = false;
  let primary = 0n;
  let reported = 0n;
  let confirmed = 0n;
  let limitBytes: number | undefined;
  /** Everything before it is in the spool. */
  let spooled: WalPosition | undefined;
  let began: WalPosition | undefined;
  let chunker: Chunker | undefined;
  let report = () => {};

  function setState(next: typeof state): void {
    if (state !== next) sinceMs = clock.now();
    state = next;
  }

  async function run(): Promise<void> {
    let resumed = false;
    while (!signal.aborted) {
      try {
        if (!resumed) spooled = await options.resumeAt();
        resumed = true;
        await receiveOnce();
      } catch (error) {
        if (signal.aborted) break;
        // The server says so only when it has agreed to stream. 58P01: the WAL is gone. 55000: the slot was invalidated.
        isGone = sqlState(error) === '58P01' || sqlState(error) === '55000';
        // Once per outage: the state and its age are in the status.
        if (lastError === undefined && !unkept) log.warn('receiving WAL was interrupted', { error });
        lastError = error;
      }
      setState('connecting');
      const ceiling = Math.min(maxRetryMs, firstRetryMs * 2 ** failures++);
      await delay(ceiling * (0.5 + jitter() / 2), undefined, { signal }).catch(() => {});
    }
    setState('stopped');
  }

  async function receiveOnce(): Promise<void> {
    const connection = await openReplication(await options.findPrimary(), { applicationName: options.applicationName });
    const hangUp = () => void connection.close();
    signal.addEventListener('abort', hangUp, { once: true });
    try {
      const identity = await connection.identifySystem();
      await spool.claim(identity.systemIdentifier);
      primary = identity.flushed;
      limitBytes = parseSize(await connection.showSetting('max_slot_wal_keep_size'));
      const slot = await ensureSlot(connection);
      spooled ??= { timeline: slot.timeline ?? identity.timeline, lsn: segmentStart(slot.lsn) };
      const steps = await ancestors(connection, identity.timeline);
      began = spooled = await place(spooled, identity.timeline, steps);
      if (isGone) began = spooled = await skipGap(connection, spooled, identity.timeline, steps);
      isGone = false;
      while (!signal.aborted) {
        await spoolHistory(connection, spooled.timeline);
        const stream = await connection.startReplication({
          slot: slotName,
          timeline: spooled.timeline,
          from: spooled.lsn,
        });
        setState('streaming');
        lastError = undefined;
        const end = await pump(connection, stream);
        // Without a next timeline the server is shutting down.
        if (!end) return;
        began = spooled = { timeline: end.nextTimeline, lsn: segmentStart(end.switchedAt) };
        log.info('the cluster went on to another timeline', { timeline: end.nextTimeline });
      }
    } finally {
      signal.removeEventListener('abort', hangUp);
      await connection.close();
    }
  }

  async function place(position: WalPosition, current: number, steps: readonly TimelineStep[]): Promise<WalPosition> {
    // An old primary that came back must not be taken for the cluster.
    if (current < position.timeline)
      throw shippingErrors.FH_WAL_OLD_PRIMARY({ detail: `timeline ${current}, held: ${position.timeline}` });
    const next = nextPlace(position, current, steps);
    if (next.kind === 'diverged' && !(await options.isUnfinished(next.lostFrom, position.lsn)))
      onEvent({ kind: 'wal.diverged', held: position, kept: next.lostFrom, from: next.from });
    return next.from;
  }

  async function ensureSlot(connection: ReplicationConnection): Promise<{ timeline: number | undefined; lsn: Lsn }> {
    const slot = await connection.readSlot(slotName);
    if (slot?.restartLsn !== undefined) return { timeline: slot.restartTimeline, lsn: slot.restartLsn };
    if (slot) {
      onEvent({ kind: 'slot.lost' });
      await connection.dropSlot(slotName);
    }
    await connection.createPhysicalSlot(slotName);
    return ensureSlot(connection);
  }

  /** The WAL behind `position` is gone from the server. Records the gap; @returns where the next timeline begins, on the last one the slot */
  async function skipGap(
    connection: ReplicationConnection,
    position: WalPosition,
    current: number,
    steps: readonly TimelineStep[],
  ): Promise<WalPosition> {
    const at = steps.findIndex(({ timeline }) => timeline === position.timeline);
    const step = steps[at];
    if (step) {
      // A server that was recovered from a region has nothing of the timelines before its own, and all of that one.
      onEvent({ kind: 'wal.gap', from: position, to: { timeline: step.timeline, lsn: step.switchedAt } });
      return { timeline: steps[at + 1]?.timeline ?? current, lsn: segmentStart(step.switchedAt) };
    }
    let slot = await ensureSlot(connection);
    if (slot.lsn <= position.lsn) {
      // It does not keep what it says: only a new one is worth something.
      await connection.dropSlot(slotName);
      slot = await ensureSlot(connection);
    }
    const to = { timeline: slot.timeline ?? position.timeline, lsn: segmentStart(slot.lsn) };
    onEvent({ kind: 'wal.gap', from: position, to });
    return to;
  }

  async function pump(connection: ReplicationConnection, stream: WalStream): Promise<TimelineEnd | undefined> {
    const from = spooled!;
    const cutter = createChunker(from, {
      maxBytes: options.chunkBytes,
      intervalMs: options.chunkIntervalMs,
      clock,
      onChunk: sealAndSpool,
      onFailure: () => void connection.close(),
    });
    chunker = cutter;
    report = () => {
      const { safe, everywhere } = options.held(from);
      // Invariant: nothing is reported that is not held. (A region may be further than a spool that was lost.)
      const write = spooled!.lsn;
      reported = safe > reported ? safe : reported;
      confirmed = everywhere > confirmed ? everywhere : confirmed;
      // The server drops WAL by what is flushed; a commit of a tenant with recovery point zero waits for what is applied. So a region that is away holds up
      // the commits of those tenants and nothing else.
      stream.sendStatus({ write, flush: reported, apply: confirmed });
    };
    reported = 0n;
    confirmed = 0n;
    const timer = setInterval(report, statusEveryMs);
    try {
      for await (const message of stream) {
        if (message.walEnd > primary) primary = message.walEnd;
        if (message.kind === 'keepalive') {
          if (message.replyRequested) report();
          continue;
        }
        await options.room();
        await cutter.push(message.start, message.data);
      }
    } finally {
      // What was received is worth keeping, whatever ended the stream.
      await cutter.drain().catch((error) => {
        lastError = error;
      });
      report();
      clearInterval(timer);
      report = () => {};
      chunker = undefined;
    }
    return stream.timelineEnd();
  }

  async function sealAndSpool({ range, data, receivedAtMs }: Chunk): Promise<void> {
    await failpoint('shipping.chunk.cut');
    try {
      const sealed = await sealWal('wal', { clusterId, key: key() }, range, data);
      await spool.addChunk(range, sealed, receivedAtMs);
    } catch (error) {
      if (!unkept) log.error('received WAL could not be kept', { error });
      unkept = { error, sinceMs: unkept?.sinceMs ?? receivedAtMs };
      throw error;
    }
    unkept = undefined;
    spooled = { timeline: range.timeline, lsn: range.end };
    failures = 0;
    options.onSpooled();
    report();
  }

  async function spoolHistory(connection: ReplicationConnection, timeline: number): Promise<void> {
    if (timeline === 1) return;
    const { content } = await connection.timelineHistory(timeline);
    await spool.addHistory(timeline, await sealHistory({ clusterId, key: key() }, timeline, content));
    await failpoint('shipping.history.spooled');
    options.onSpooled();
  }

  return {
    // Nor does a server that streams help while nothing of it is kept: every try begins anew.
    state: () => (unkept && state === 'streaming' ? 'connecting' : state),
    lastError: () => unkept?.error ?? lastError,
    sinceMs: () => sinceMs,
    primary: () => primary,
    received: () => chunker?.received() ?? spooled,
    spooled: () => spooled,
    began: () => began,
    waitingSinceMs: () => unkept?.sinceMs ?? chunker?.waitingSinceMs(),
    flushed: () => reported,
    confirmed: () => confirmed,
    slot: () => ({ heldBytes: reported > 0n && primary > reported ? Number(primary - reported) : 0, limitBytes }),
    report: () => report(),
    done: run(),
  };
}

async function ancestors(connection: ReplicationConnection, timeline: number): Promise<TimelineStep[]> {
  return timeline === 1 ? [] : parseTimelineHistory((await connection.timelineHistory(timeline)).content);
}

const unitBytes: Readonly<Record<string, number>> = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 };

/** `32GB` as SHOW prints it → bytes; `-1`: no limit. */
function parseSize(text: string): number | undefined {
  const match = /^(\d+)(B|kB|MB|GB|TB)?$/.exec(text);
  return match ? Number(match[1]) * (unitBytes[match[2] ?? 'MB'] ?? 1) : undefined;
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof FreeholdError ? error.code : sqlState(error);
}
