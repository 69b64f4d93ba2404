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
 * Stops without failing a request: no new connections; every answer from now on tells its client to leave; event streams end;
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
  listener.stopAccepting();
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

/**
 * Before anybody is told to leave, who would come again: a busy process finds connections that the kernel has made already. Closing would reset them, and their
 * clients could not know that nothing of theirs was read.
 */
export async function takeOverWaiting(): Promise<void> {
  for (let turn = 0; turn < acceptTurns; turn++) await nextTurn();
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
