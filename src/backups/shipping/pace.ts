import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '#src/kernel/index.ts';

/** Waits so that on average no more than so many bytes pass in a second; ends at once when the signal is aborted. */
export function createPace(
  bytesPerSecond: number,
  clock: Clock,
  signal: AbortSignal,
): (bytes: number) => Promise<void> {
  let freeAtMs = 0;
  return async (bytes) => {
    const nowMs = clock.monotonicMs();
    const waitMs = freeAtMs - nowMs;
    freeAtMs = Math.max(freeAtMs, nowMs) + (bytes / bytesPerSecond) * 1_000;
    if (waitMs > 0) await delay(waitMs, undefined, { signal, ref: false }).catch(() => {});
  };
}
