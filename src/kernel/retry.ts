import { setTimeout as delay } from 'node:timers/promises';
import { jitter } from './random.ts';

export interface RetryOptions {
  /** Total tries, the first included. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** True for an error that another try may mend. */
  readonly isRetryable: (error: unknown) => boolean;
  readonly signal?: AbortSignal;
}

/** Runs `work` until it succeeds, an error is final, or the tries are used up; waits with exponential back-off and full jitter. */
export async function retry<T>(options: RetryOptions, work: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      if (attempt >= options.attempts || !options.isRetryable(error)) throw error;
      const ceiling = Math.min(options.maxDelayMs, options.firstDelayMs * 2 ** (attempt - 1));
      await delay(ceiling * (0.5 + jitter() / 2), undefined, { signal: options.signal });
    }
  }
}

/** Waits until `condition` gives a value other than undefined or false; throws after `deadlineMs`. */
export async function waitFor<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  { deadlineMs = 60_000, everyMs = 20 }: { deadlineMs?: number; everyMs?: number } = {},
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for ${what}`);
    await delay(everyMs);
  }
}
