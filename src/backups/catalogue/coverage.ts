import type { Lsn } from '#src/kernel/index.ts';
import type { WalRange } from '../shipping/wal-objects.ts';
import { type Line, servedBy } from './timelines.ts';
import type { CataloguedPiece, ClusterCatalogue } from './types.ts';

/** A piece with the part of it that recovery reads: the rest belongs to another history or is read from another piece. */
export interface UsedPiece {
  readonly piece: CataloguedPiece;
  readonly from: Lsn;
  /** Exclusive. */
  readonly to: Lsn;
}

export interface Coverage {
  /** Without a hole, in order, each as long as possible; the next begins where the last ended. */
  readonly used: readonly UsedPiece[];
  /** Where the unbroken WAL ends. */
  readonly end: Lsn;
  /** What lies on the line behind the first hole. */
  readonly beyond: readonly UsedPiece[];
}

/**
 * The unbroken WAL of one line from `start` on. Invariants: the parts used touch and do not overlap; a byte after a switch is never taken from the parent,
 * and a byte before it from the child only within the segment in which the child begins (there PostgreSQL copies the parent's).
 */
export function coverLine(cluster: Pick<ClusterCatalogue, 'pieces'>, line: Line, start: Lsn): Coverage {
  const parts = partsOf(cluster, line, start);
  const used: UsedPiece[] = [];
  let end = start;
  let index = 0;
  for (;;) {
    let best: UsedPiece | undefined;
    for (; index < parts.length && parts[index]!.from <= end; index++) {
      const part = parts[index]!;
      if (part.to > end && (!best || part.to > best.to || (part.to === best.to && part.piece.kind === 'segment')))
        best = part;
    }
    if (!best) break;
    used.push({ ...best, from: end });
    end = best.to;
  }
  return { used, end, beyond: parts.slice(index) };
}

/** What of each piece belongs to the line, in order of its start. */
function partsOf({ pieces }: Pick<ClusterCatalogue, 'pieces'>, line: Line, start: Lsn): UsedPiece[] {
  const parts: UsedPiece[] = [];
  for (const stretch of line) {
    if (stretch.end !== undefined && stretch.end <= start) continue;
    const serves = servedBy(stretch);
    for (const piece of pieces.get(stretch.timeline) ?? []) {
      const from = piece.start > serves.from ? piece.start : serves.from;
      const to = serves.to !== undefined && serves.to < piece.end ? serves.to : piece.end;
      if (to > from && to > start) parts.push({ piece, from, to });
    }
  }
  return parts.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
}

/** Every hole of a line from `start` on: before what lies behind it, and, when `until` is given, up to there. */
export function holesOf(line: Line, coverage: Coverage, until?: Lsn): readonly WalRange[] {
  const holes: WalRange[] = [];
  let end = coverage.end;
  for (const part of coverage.beyond) {
    if (until !== undefined && end >= until) break;
    if (part.from > end)
      holes.push(...splitByTimeline(line, end, until !== undefined && until < part.from ? until : part.from));
    if (part.to > end) end = part.to;
  }
  if (until !== undefined && end < until) holes.push(...splitByTimeline(line, end, until));
  return holes;
}

/** A range of a line as ranges of its timelines. */
function splitByTimeline(line: Line, start: Lsn, end: Lsn): WalRange[] {
  return line.flatMap((stretch) => {
    const from = start > stretch.start ? start : stretch.start;
    const to = stretch.end !== undefined && stretch.end < end ? stretch.end : end;
    return from < to ? [{ timeline: stretch.timeline, start: from, end: to }] : [];
  });
}
