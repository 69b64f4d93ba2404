import type { TenantLifecycle } from '#src/tenants/index.ts';
import type { Job } from './jobs.ts';

const hourMs = 60 * 60_000;

/**
 * Destroys the keys of deleted tenants whose grace period is over. A certificate says "within a day after", so it is late when it has not
 * worked for a day; looking costs one query, so it looks more often.
 */
export function keyDestruction(lifecycle: Pick<TenantLifecycle, 'destroyDueKeys'>): Job {
  return {
    name: 'destruction of keys',
    everyMs: hourMs,
    firstAfterMs: 30_000,
    retryAfterMs: 10 * 60_000,
    overdueAfterMs: 24 * hourMs,
    run: async (signal) => void (await lifecycle.destroyDueKeys(signal)),
  };
}
