import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Log } from '#src/kernel/index.ts';
import type { Lifetimes } from './lifetimes.ts';
import type { Listener } from './listener.ts';
import type { HostingPort } from './types.ts';

/** How long aborted requests may take to notice. */
const abortGraceMs = 1_000;
const pollMs = 10;
/** Of the event loop: each takes one connection over that the kernel has made already (libuv, `uv__server_io`). */
const acceptTurns = 64;

export interface DrainOptions {
  readonly listener: Listener;
  readonly lifetimes: Lifetimes;
  readonly hosting: HostingPort;
  readonly deadlineMs: number;
  readonly lingerMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Nobody is let in any more. First, what the kernel has connected already is taken over: closing would reset it. Then nobody is told
 * to leave for `settleMs`, or as long as there are connections: who is told comes again at once, and another worker, which shares the
 * port and was told to stop at the same moment, may be just about to close its own door.
 */
export async function closeDoor(listener: Listener, settleMs: number, clock: Clock): Promise<void> {
  for (let turn = 0; turn < acceptTurns; turn++) await nextTurn();
  listener.stopAccepting();
  await until(clock, () => listener.connections === 0, settleMs);
}

/**
 * After the door was closed, ends without failing a request: every answer from now on tells its client to leave; event streams end;
 * idle connections are kept a moment for requests that are on their way; running requests may finish until the deadline, then
 * they are aborted, which cancels their statements.
 */
export async function drain({
  listener,
  lifetimes,
  hosting,
  deadlineMs,
  lingerMs,
  clock,
  log,
}: DrainOptions): Promise<void> {
  const started = clock.monotonicMs();
  const left = () => started + deadlineMs - clock.monotonicMs();
  listener.sayGoodbye();
  for (const response of lifetimes.responses()) {
    if (response.req.httpVersionMajor === 1 && !response.headersSent) response.setHeader('connection', 'close');
  }
  const hostingStopped = hosting.stop?.(deadlineMs).catch((error: unknown) => {
    log.error('hosting did not stop in an orderly way', { error });
  });

  await until(clock, () => listener.connections === 0, Math.min(lingerMs, left()));
  await until(clock, () => lifetimes.count === 0, left());
  if (lifetimes.count > 0) {
    log.warn('requests were aborted at the end of the drain', { requests: lifetimes.count });
    lifetimes.abortAll(new Error('the server stops'));
    await until(clock, () => lifetimes.count === 0, abortGraceMs);
  }
  listener.closeIdle();
  await until(clock, () => listener.connections === 0, Math.min(abortGraceMs, Math.max(left(), 0)));
  listener.destroy();
  await hostingStopped;
}

/** Resolves when the condition holds, or after `ms`; never rejects. */
function until(clock: Clock, condition: () => boolean, ms: number): Promise<void> {
  const end = clock.monotonicMs() + ms;
  return new Promise((resolve) => {
    const look = () => {
      if (condition() || clock.monotonicMs() >= end) resolve();
      else setTimeout(look, pollMs);
    };
    look();
  });
}
