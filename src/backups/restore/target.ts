import type { RecoveryTarget } from '#src/clusters/index.ts';
import type { RestoreTarget } from '../catalogue/index.ts';

/** The planner's target in PostgreSQL's terms: an LSN is exclusive, everything else inclusive. */
export function recoveryTargetOf(target: RestoreTarget): RecoveryTarget {
  switch (target.kind) {
    case 'time':
      return { kind: 'time', time: target.time };
    case 'lsn':
      return { kind: 'lsn', lsn: target.lsn, inclusive: false };
    case 'name':
      return { kind: 'name', name: target.name };
    case 'xid':
      return { kind: 'xid', xid: target.xid };
  }
}
