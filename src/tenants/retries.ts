import type { Log, OperationId } from '#src/kernel/index.ts';

export interface RetriesDeps {
  /** Drives the operation again when it still needs it; rejects when the books are away. */
  readonly goOn: (operationId: OperationId) => Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Doubled after each try, up to `longestPauseMs`. Default 5,000. */
  readonly firstPauseMs?: number;
  /** Default five minutes. */
  readonly longestPauseMs?: number;
}

export interface Retries {
  /** After the next pause of this operation. */
  schedule(operationId: OperationId): void;
  /** It needs no more tries. */
  forget(operationId: OperationId): void;
  /** How often it was scheduled without being forgotten since. */
  triesOf(operationId: OperationId): number;
}

/**
 * Operations that may not be left as they are and whose cause another try now would not mend, for example a full disk: dropping a half-made
 * database needs a checkpoint, and a checkpoint needs room. They are tried again with growing pauses for as long as it takes.
 * Nothing here is kept: what is to be tried again stands in the books, and the next start begins with it.
 */
export function createRetries(deps: RetriesDeps): Retries {
  const { goOn, signal, log, firstPauseMs = 5_000, longestPauseMs = 5 * 60_000 } = deps;
  const waiting = new Map<OperationId, { tries: number; timer?: NodeJS.Timeout }>();
  signal.addEventListener('abort', () => {
    for (const { timer } of waiting.values()) clearTimeout(timer);
    waiting.clear();
  });

  function schedule(operationId: OperationId): void {
    if (signal.aborted) return;
    const entry = waiting.get(operationId) ?? { tries: 0 };
    waiting.set(operationId, entry);
    clearTimeout(entry.timer);
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(entry.tries, 20));
    entry.tries++;
    entry.timer = setTimeout(() => {
      goOn(operationId).catch((error) => {
        log.debug('an operation could not be tried again yet', { operationId, error });
        schedule(operationId);
      });
    }, pauseMs);
  }

  return {
    schedule,
    forget(operationId) {
      clearTimeout(waiting.get(operationId)?.timer);
      waiting.delete(operationId);
    },
    triesOf: (operationId) => waiting.get(operationId)?.tries ?? 0,
  };
}
