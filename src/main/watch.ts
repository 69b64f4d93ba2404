import { setTimeout as delay } from 'node:timers/promises';
import type { Health, HealthWarning } from '#src/console-api/index.ts';
import type { Clock, Log } from '#src/kernel/index.ts';
import type { Shutdown } from './shutdown.ts';

export interface Watch {
  /** Of the heartbeat itself. */
  warnings(): HealthWarning[];
}

export interface WatchOptions {
  /** Everything that may be wrong, overdue jobs among it. */
  readonly health: () => Promise<Pick<Health, 'warnings'>>;
  /** undefined: nobody outside listens. May hold a secret: never logged. */
  readonly heartbeatUrl: string | undefined;
  /** Tells the supervisor that this process does its work; `isWatching`: and has looked at everything within the last minutes. */
  readonly beat: (facts: { readonly isWatching: boolean }) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly shutdown: Shutdown;
  /** Default 60,000. */
  readonly everyMs?: number;
}

/** A look that takes longer is no look. */
const watchingWithinMs = 5 * 60_000;
const answerWithinMs = 10_000;

/**
 * Looks every minute at how everything is, and says so to two who notice silence: the supervisor, which ends a control that does nothing any more, and, when
 * nothing is wrong, whoever listens at the heartbeat's address, who notices when the whole machine is gone (facts F27).
 */
export function startWatch(options: WatchOptions): Watch {
  const { health, heartbeatUrl, beat, clock, log, shutdown, everyMs = 60_000 } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let lookedAtMs = clock.monotonicMs();
  let undelivered: string | undefined;

  async function sendHeartbeat(url: string): Promise<void> {
    let problem: string | undefined;
    try {
      const answer = await fetch(url, {
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
      });
      await answer.body?.cancel();
      if (!answer.ok) problem = `the answer was ${answer.status}`;
    } catch (error) {
      if (signal.aborted) return;
      // The message of a failed fetch names the address.
      problem = error instanceof Error && error.name === 'TimeoutError' ? 'nobody answered' : 'it could not be reached';
    }
    if (problem && !undelivered) log.warn('the heartbeat was not delivered', { problem });
    if (!problem && undelivered) log.info('the heartbeat is delivered again');
    undelivered = problem;
  }

  async function look(): Promise<void> {
    try {
      const { warnings } = await health();
      lookedAtMs = clock.monotonicMs();
      const isFine = warnings.every(({ severity }) => severity !== 'problem');
      if (heartbeatUrl && isFine) await sendHeartbeat(heartbeatUrl);
    } catch (error) {
      if (!signal.aborted) log.error('control could not look at how everything is', { error });
    }
  }

  async function keepLooking(): Promise<void> {
    let isLooking = false;
    while (!signal.aborted) {
      // A look that hangs keeps no beat from being sent.
      if (!isLooking) {
        isLooking = true;
        void look().finally(() => {
          isLooking = false;
        });
      }
      beat({ isWatching: clock.monotonicMs() - lookedAtMs < watchingWithinMs });
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }
  const running = keepLooking();
  shutdown.add('watch', 2_000, async () => {
    stopping.abort();
    await running;
  });

  return {
    warnings: () =>
      undelivered
        ? [
            {
              severity: 'risk',
              text: `The heartbeat is not delivered: ${undelivered}.`,
              hint: 'Whoever listens there thinks that something is wrong. Look at FREEHOLD_HEARTBEAT_URL and at the way there.',
            },
          ]
        : [],
  };
}
