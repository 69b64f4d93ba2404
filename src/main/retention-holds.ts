import type { RetentionHolds } from '#src/backups/index.ts';
import type { RestoreMoment, RestorePort } from '#src/tenants/index.ts';

/** A restore keeps what was there when it began, also of moments before the horizon, which go any day. */
export function holdWhileRestoring<R extends RestorePort>(restores: R, holds: RetentionHolds): R {
  return {
    ...restores,
    async recoverArchive(request, ...rest) {
      const { tenant, moment } = request;
      const reason = `a restore of ${tenant.name} goes on`;
      const release = holds.hold({ kind: 'since', since: earliestOf(moment), reason });
      try {
        return await restores.recoverArchive(request, ...rest);
      } finally {
        release();
      }
    },
  };
}

/** A place in the WAL does not say when it was: everything. */
function earliestOf(moment: RestoreMoment): Date {
  if ('time' in moment) return new Date(moment.time);
  if ('after' in moment) return new Date(moment.after);
  return new Date('at' in moment ? moment.at : 0);
}
