import type { TenantLifecycle } from '#src/tenants/index.ts';
import type { Job } from './jobs.ts';

const hourMs = 60 * 60_000;

/** What an update leaves to go back to takes as much room as the tenant itself, so it goes within the hour in which its day is over. */
export function snapshotExpiry(lifecycle: Pick<TenantLifecycle, 'dropDueSnapshots'>): Job {
  return {
    name: 'expiry of snapshots',
    everyMs: hourMs,
    firstAfterMs: 60_000,
    retryAfterMs: 10 * 60_000,
    overdueAfterMs: 24 * hourMs,
    run: async (signal) => void (await lifecycle.dropDueSnapshots(signal)),
  };
}
