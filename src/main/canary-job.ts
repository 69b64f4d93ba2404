import type { ShippingReport } from '#src/backups/index.ts';
import { waitFor } from '#src/kernel/index.ts';
import { type Queryable, readFlushedPlace } from '#src/postgres/index.ts';
import { isShipped } from './canaries.ts';
import { mainErrors } from './errors.ts';
import type { Job } from './jobs.ts';

const minuteMs = 60_000;

/**
 * A canary that must come to every region: on a server where nothing moves, nothing else would show that shipping has stopped. It is also the job by which
 * one sees soonest that no job runs at all.
 */
export function canaryJob({
  pool,
  report,
  deadlineMs = minuteMs,
}: {
  readonly pool: Queryable;
  readonly report: () => ShippingReport | undefined;
  readonly deadlineMs?: number;
}): Job {
  return {
    name: 'canary',
    everyMs: 15 * minuteMs,
    firstAfterMs: 2 * minuteMs,
    retryAfterMs: 2 * minuteMs,
    overdueAfterMs: 60 * minuteMs,
    async run(signal) {
      await pool.query('INSERT INTO canaries DEFAULT VALUES');
      const flushed = await readFlushedPlace(pool);
      const late = () => {
        const said = report();
        if (!said) return 'the shipper says nothing';
        const behind = said.regions.map(({ region }) => region).filter((region) => !isShipped(said, region, flushed));
        return behind.length > 0 ? `region ${behind.join(' and ')}` : undefined;
      };
      await waitFor('the canary to come to every region', () => signal.aborted || late() === undefined, {
        deadlineMs,
        everyMs: 100,
      }).catch(() => {});
      signal.throwIfAborted();
      const detail = late();
      if (detail) throw mainErrors.FH_CANARY_NOT_SHIPPED({ detail });
    },
  };
}
