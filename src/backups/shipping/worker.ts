/** Work that is due now and then, one run at a time; due while it runs: it runs once more. */
export interface Worker {
  trigger(): void;
  /** Resolves when stopped. */
  readonly done: Promise<void>;
}

export interface WorkerOptions {
  readonly work: () => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly signal: AbortSignal;
}

export function startWorker({ work, onError, signal }: WorkerOptions): Worker {
  let isDue = false;
  let wake = () => {};
  async function run(): Promise<void> {
    while (!signal.aborted) {
      if (!isDue) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      isDue = false;
      await work().catch((error) => {
        if (!signal.aborted) onError(error);
      });
    }
  }
  signal.addEventListener('abort', () => wake(), { once: true });
  return {
    trigger() {
      isDue = true;
      wake();
    },
    done: run(),
  };
}
