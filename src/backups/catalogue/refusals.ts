import { type FreeholdError, formatLsn } from '#src/kernel/index.ts';
import type { WalRange } from '../shipping/wal-objects.ts';
import { catalogueErrors } from './errors.ts';
import type { PlanResult } from './plan-types.ts';

/** Why there is no plan, as an error that may be shown: it names what is missing, and the nearest moment that can be had. */
export function toRefusal(result: Exclude<PlanResult, { outcome: 'plan' }>): FreeholdError {
  return catalogueErrors.FH_BACKUP_NOT_RESTORABLE({ detail: explain(result) });
}

function explain(result: Exclude<PlanResult, { outcome: 'plan' }>): string {
  switch (result.outcome) {
    case 'gap':
      return `WAL is missing in region ${result.region}: ${result.missing.map(formatRange).join('; ')}`;
    case 'history_missing':
      return `the history file of timeline ${result.timeline} is missing or unreadable in region ${result.region}`;
    case 'before_oldest':
      return result.oldest
        ? `the first moment that region ${result.region} can restore is ${result.oldest.time.toISOString()} (${formatLsn(result.oldest.lsn)})`
        : `region ${result.region} has no backup of it`;
    case 'after_newest': {
      const { timeline, lsn, time } = result.newest;
      const last = time ? `, last commit ${time.toISOString()}` : '';
      return `the WAL in region ${result.region} ends at ${formatLsn(lsn)} on timeline ${timeline}${last}`;
    }
    case 'unknown_database':
      return {
        never_known: `nothing in region ${result.region} is of this tenant`,
        not_yet: `the tenant had no database yet at this moment${result.since ? `; it has one since ${result.since.toISOString()}` : ''}`,
        no_longer: 'the tenant had no database any more at this moment',
      }[result.reason];
    case 'key_destroyed':
      return `the key of ${result.owner} is destroyed, so its backups cannot be read any more`;
  }
}

export function formatRange({ timeline, start, end }: WalRange): string {
  return `${formatLsn(start)} to ${formatLsn(end)} on timeline ${timeline}`;
}
