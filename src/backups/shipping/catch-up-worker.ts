import { setTimeout as delay } from 'node:timers/promises';
import { FreeholdError, jitter } from '#src/kernel/index.ts';
import { type CatchUpOptions, catchUpRegion } from './catch-up.ts';

export interface CatchUpWorkerOptions extends Omit<CatchUpOptions, 'onCopied'> {
  /** All is copied. */
  readonly onDone: () => void;
  /** A try failed; the next one comes by itself. */
  readonly onTrouble: (error: unknown) => void;
}

/** Copies to one region what others owe it, whenever there is something, until it is stopped. */
export interface CatchUpWorker {
  /** Something more is owed. */
  wake(): void;
  /** Sealed bytes that were copied since the start. */
  copiedBytes(): number;
  lastError(): unknown;
  /** Resolves when stopped; rejects with FH_WAL_SECOND_WRITER. */
  readonly done: Promise<void>;
}

const firstRetryMs = 250;
const maxRetryMs = 15_000;

export function startCatchUpWorker(options: CatchUpWorkerOptions): CatchUpWorker {
  const { to, owed, signal, onDone, onTrouble } = options;
  let copiedBytes = 0;
  let lastError: unknown;
  let wake = () => {};

  async function run(): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      if (owed.of(to.region).length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const before = copiedBytes;
      try {
        await catchUpRegion({
          ...options,
          onCopied: (bytes) => {
            copiedBytes += bytes;
          },
        });
        lastError = undefined;
        if (owed.of(to.region).length === 0) onDone();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof FreeholdError && error.code === 'FH_WAL_SECOND_WRITER') throw error;
        // Once per outage: the state is in the figures.
        if (lastError === undefined) onTrouble(error);
        lastError = error;
        failures = copiedBytes > before ? 0 : failures + 1;
        const ceiling = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures, 10));
        await delay(ceiling * (0.5 + jitter() / 2), undefined, { signal }).catch(() => {});
      }
    }
  }

  signal.addEventListener('abort', () => wake(), { once: true });
  return {
    wake: () => wake(),
    copiedBytes: () => copiedBytes,
    lastError: () => lastError,
    done: run(),
  };
}
