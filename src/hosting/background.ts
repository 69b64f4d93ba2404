import { setTimeout as delay } from 'node:timers/promises';
import type { Log, TenantId } from '#src/kernel/index.ts';

interface Work {
  readonly tenantId: TenantId;
  readonly operation: string;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Time for aborted work to notice. Its database statements are cancelled by the same signal. */
const abortGraceMs = 2_000;

/** Work that goes on after its response. Invariant: after `stop` none runs, or it is named in the log. */
export interface BackgroundWork {
  start(tenantId: TenantId, operation: string, work: (signal: AbortSignal) => Promise<void>): void;
  evict(tenantId: TenantId): Promise<void>;
  stop(deadlineMs: number): Promise<void>;
}

export function createBackgroundWork(log: Log): BackgroundWork {
  const running = new Set<Work>();
  let isStopping = false;

  async function abort(works: readonly Work[]): Promise<void> {
    for (const work of works) work.abort.abort(new Error('the server drains or the tenant was closed'));
    await within(works, abortGraceMs);
    for (const { tenantId, operation } of works.filter((work) => running.has(work)))
      log.error('background work does not end', { tenantId, operation });
  }

  return {
    start(tenantId, operation, work) {
      const abort = new AbortController();
      if (isStopping) abort.abort(new Error('the server drains'));
      const entry: Work = { tenantId, operation, abort, done: run() };
      running.add(entry);
      async function run(): Promise<void> {
        // Begins after the caller's turn, so that `running` knows it first.
        await Promise.resolve();
        try {
          if (!abort.signal.aborted) await work(abort.signal);
          else log.warn('background work was not begun: the server drains', { tenantId, operation });
        } catch (error) {
          if (abort.signal.aborted) log.warn('background work was stopped', { tenantId, operation });
          else log.error('background work failed', { tenantId, operation, error });
        } finally {
          running.delete(entry);
        }
      }
    },
    evict: (tenantId) => abort([...running].filter((work) => work.tenantId === tenantId)),
    async stop(deadlineMs) {
      isStopping = true;
      await within([...running], deadlineMs);
      await abort([...running]);
    },
  };
}

/** Waits for all of them, but not longer than this. */
async function within(works: readonly Work[], ms: number): Promise<void> {
  if (works.length === 0) return;
  const timer = new AbortController();
  await Promise.race([
    Promise.all(works.map((work) => work.done)),
    delay(ms, undefined, { signal: timer.signal }).catch(() => undefined),
  ]);
  timer.abort();
}
