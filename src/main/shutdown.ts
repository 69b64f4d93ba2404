import type { Log } from '#src/kernel/index.ts';

interface Phase {
  readonly name: string;
  readonly deadlineMs: number;
  readonly run: () => Promise<void>;
  readonly endAtOnce: (() => void) | undefined;
}

/**
 * Stops what was started, in reverse, each phase bounded; works after a failed start, because a phase is added right after its part began.
 */
export class Shutdown {
  readonly #phases: Phase[] = [];
  readonly #log: Log;
  #running: Promise<void> | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param endAtOnce for what would go on by itself after this process has ended */
  add(name: string, deadlineMs: number, run: () => Promise<void>, endAtOnce?: () => void): void {
    this.#phases.push({ name, deadlineMs, run, endAtOnce });
  }

  /** Waits for nothing; the process is to exit right after. Also while `run` runs. */
  endAtOnce(): void {
    for (const { endAtOnce } of this.#phases) endAtOnce?.();
  }

  /** From the first moment on: whatever ends now was meant to end. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Runs every phase once; later calls wait for the same run. */
  run(): Promise<void> {
    this.#running ??= this.#runPhases();
    return this.#running;
  }

  async #runPhases(): Promise<void> {
    for (const phase of this.#phases.reverse()) {
      let timer: NodeJS.Timeout | undefined;
      const deadline = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, phase.deadlineMs, 'late');
      });
      try {
        if ((await Promise.race([phase.run(), deadline])) === 'late')
          this.#log.warn('a part did not stop in time', { phase: phase.name, deadlineMs: phase.deadlineMs });
      } catch (error) {
        this.#log.error('a part failed to stop', { phase: phase.name, error });
      } finally {
        clearTimeout(timer);
      }
    }
  }
}
