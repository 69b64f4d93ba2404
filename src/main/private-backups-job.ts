import type { Log } from '#src/kernel/index.ts';
import { everyMs } from './base-backups.ts';
import { canaryJob } from './canary-job.ts';
import type { Job } from './jobs.ts';
import type { PrivateClusters } from './private-clusters.ts';

const minuteMs = 60_000;

/**
 * Base backups, canaries and books of private servers: looked at every few minutes, because a server that is new must not wait for a day. One that fails keeps no other
 * from its turn.
 */
export function privateBackupsJob(clusters: Pick<PrivateClusters, 'list' | 'openAll'>, log: Log): Job {
  return {
    name: 'backups of private servers',
    everyMs: 15 * minuteMs,
    firstAfterMs: 2 * minuteMs,
    retryAfterMs: 5 * minuteMs,
    overdueAfterMs: 2 * everyMs,
    async run(signal) {
      await clusters.openAll();
      let failure: unknown;
      for (const { name, books, backups } of clusters.list()) {
        if (!backups) continue;
        const { shipping, baseBackups } = backups;
        try {
          signal.throwIfAborted();
          await canaryJob({ pool: books, report: () => shipping.shipper.report }).run(signal);
          await baseBackups.runWhenDue();
        } catch (error) {
          if (signal.aborted) throw error;
          log.error('the backups of a private server are not as they should be', { cluster: name, error });
          failure ??= error;
        }
      }
      if (failure) throw failure;
    },
  };
}
