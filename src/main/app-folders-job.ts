import type { Log } from '#src/kernel/index.ts';
import type { AppProcesses } from './app-processes.ts';
import { mainErrors } from './errors.ts';
import type { Job } from './jobs.ts';

const minuteMs = 60_000;

/** Folders of apps that run are kept every 15 minutes; of those that sleep, nothing has changed since they were put to sleep. */
export function appFoldersJob({
  processes,
  log,
}: {
  readonly processes: Pick<AppProcesses, 'list' | 'forTenants'>;
  readonly log: Log;
}): Job {
  return {
    name: 'folders of apps',
    everyMs: 15 * minuteMs,
    firstAfterMs: 5 * minuteMs,
    retryAfterMs: 5 * minuteMs,
    overdueAfterMs: 60 * minuteMs,
    async run(signal) {
      const failed: string[] = [];
      for (const { tenantId, state } of await processes.list()) {
        if (signal.aborted) return;
        if (state !== 'awake') continue;
        await processes.forTenants.keepFolder(tenantId).catch((error) => {
          log.warn('a folder could not be kept', { tenantId, error });
          failed.push(tenantId);
        });
      }
      if (failed.length > 0) throw mainErrors.FH_APP_FOLDERS_NOT_KEPT({ detail: failed.join(', ') });
    },
  };
}
