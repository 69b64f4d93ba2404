import type { Log } from '#src/kernel/index.ts';

export interface Loop {
  /** Runs the work soon, whatever the pause; several calls make one run. */
  wake(): void;
  /** No new run begins; resolves when the running one has ended. */
  stop(): Promise<void>;
}

/**
 * Repeats `work`, never twice at a time. `work` says how long to pause before the next run. A failure is logged once,
 * until it recovers; the loop goes on.
 */
export function startLoop(name: string, log: Log, errorPauseMs: number, work: () => Promise<number>): Loop {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let stopped = false;
  let failing = false;
  let again = false;

  async function run(): Promise<void> {
    let pauseMs = errorPauseMs;
    try {
      pauseMs = await work();
      if (failing) log.info(`${name} works again`);
      failing = false;
    } catch (error) {
      if (!failing) log.warn(`${name} failed`, { error });
      failing = true;
    }
    running = undefined;
    schedule(again ? 0 : pauseMs);
    again = false;
  }

  function schedule(pauseMs: number): void {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      running = run();
    }, pauseMs);
    timer.unref();
  }

  schedule(0);
  return {
    wake() {
      if (running) again = true;
      else schedule(0);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
