import type { Lsn } from '#src/kernel/index.ts';
import type { WalRange } from '../shipping/wal-objects.ts';
import { type Coverage, holesOf, type UsedPiece } from './coverage.ts';
import type { NewestMoment, RestoreTarget } from './plan-types.ts';
import type { Line } from './timelines.ts';

export type Reach =
  | {
      readonly outcome: 'reached';
      readonly wal: readonly UsedPiece[];
      readonly reach: 'known' | 'likely';
      readonly clockWentBack: boolean;
    }
  | { readonly outcome: 'gap'; readonly missing: readonly WalRange[] }
  | { readonly outcome: 'after_newest'; readonly newest: NewestMoment };

/** Whether the unbroken WAL of a line leads from a backup, which is consistent at `stopLsn`, to the target. */
export function findReach(line: Line, coverage: Coverage, stopLsn: Lsn, target: RestoreTarget, now: Date): Reach {
  // A backup without the WAL up to its own end is no backup (fault F22), wherever the target is.
  if (coverage.end < stopLsn)
    return { outcome: 'gap', missing: holesOf(line, coverage, neededUntil(coverage, stopLsn, target)) };
  switch (target.kind) {
    case 'lsn':
      // Recovery must read a record that begins at the LSN or behind it, so there must be at least one byte more.
      return reachLsn(line, coverage, stopLsn, target.lsn + 1n);
    case 'name':
      if (target.lsn !== undefined) return reachLsn(line, coverage, stopLsn, target.lsn);
      return { outcome: 'reached', wal: coverage.used, reach: 'likely', clockWentBack: false };
    case 'xid':
      return { outcome: 'reached', wal: coverage.used, reach: 'likely', clockWentBack: false };
    case 'time':
      return reachTime(line, coverage, stopLsn, target.time.getTime(), now.getTime());
  }
}

function neededUntil({ beyond }: Coverage, stopLsn: Lsn, target: RestoreTarget): Lsn {
  const wanted = 'lsn' in target && target.lsn !== undefined ? [target.lsn + 1n] : beyond.map(({ to }) => to);
  return wanted.reduce((latest, place) => (place > latest ? place : latest), stopLsn);
}

function reachLsn(line: Line, coverage: Coverage, stopLsn: Lsn, until: Lsn): Reach {
  if (coverage.end < until) return missed(line, coverage, until);
  const wal = upTo(coverage, until > stopLsn ? until : stopLsn);
  return { outcome: 'reached', wal, reach: 'known', clockWentBack: false };
}

/**
 * Recovery to a time ends at the first commit that says a later one, so one must be there. Without times in the headers, a piece that was
 * stored after the target may hold it: then all there is comes along, and recovery decides.
 */
function reachTime(line: Line, coverage: Coverage, stopLsn: Lsn, time: number, now: number): Reach {
  const { used } = coverage;
  // Of a piece in which the backup ends, the late commit may be in front of its end, when a clock was set back: only one behind it is sure.
  const goal = used.findIndex((part) => part.from >= stopLsn && isPast(part, time) === true);
  if (goal >= 0) {
    const rest = [...used.slice(goal + 1), ...coverage.beyond];
    const clockWentBack = rest.some(({ piece }) => piece.firstCommitAt && piece.firstCommitAt.getTime() <= time);
    return { outcome: 'reached', wal: used.slice(0, goal + 1), reach: 'known', clockWentBack };
  }
  const mayHoldIt = ({ piece, to }: UsedPiece) => {
    const storedAt = piece.storedAt.getTime();
    return to > stopLsn && storedAt > time && storedAt <= now;
  };
  const mayReach = (part: UsedPiece) => {
    const past = isPast(part, time);
    return past === undefined ? mayHoldIt(part) : past && part.to > stopLsn;
  };
  if (used.some(mayReach)) return { outcome: 'reached', wal: used, reach: 'likely', clockWentBack: false };
  return missed(line, coverage, undefined);
}

/** Whether a part holds a commit later than `time`; undefined: not known. */
function isPast({ piece, from, to }: UsedPiece, time: number): boolean | undefined {
  if (!piece.firstCommitAt || !piece.lastCommitAt) return undefined;
  if (piece.lastCommitAt.getTime() <= time) return false;
  if (piece.firstCommitAt.getTime() > time) return true;
  // The commit may be in the part that is cut off.
  return from === piece.start && to === piece.end ? true : undefined;
}

function missed(line: Line, coverage: Coverage, until: Lsn | undefined): Reach {
  if (coverage.beyond.length > 0) {
    const missing = holesOf(line, coverage, until);
    if (missing.length > 0) return { outcome: 'gap', missing };
  }
  const time = coverage.used.findLast(({ piece }) => piece.lastCommitAt)?.piece.lastCommitAt;
  return { outcome: 'after_newest', newest: { timeline: timelineAt(line, coverage.end), lsn: coverage.end, time } };
}

function timelineAt(line: Line, lsn: Lsn): number {
  return line.findLast((stretch) => stretch.start < lsn)?.timeline ?? line[0]!.timeline;
}

function upTo({ used }: Coverage, lsn: Lsn): readonly UsedPiece[] {
  const last = used.findIndex((part) => part.to >= lsn);
  return last < 0 ? used : used.slice(0, last + 1);
}
