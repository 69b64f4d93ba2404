import { type ClusterId, type Lsn, segmentStart } from '#src/kernel/index.ts';
import { getCluster, isOnLine, readableBackups, restorableFrom } from './bases.ts';
import { coverLine, type UsedPiece } from './coverage.ts';
import { isDamagedIn, isReadable } from './plan.ts';
import type { PlanRequest } from './plan-types.ts';
import { beginningOf, findLine, type Line, timelinesOf } from './timelines.ts';
import type { ClusterCatalogue, ReadableBackup } from './types.ts';
import { resolveWanted } from './wanted.ts';

/** From its first moment until just before its end, every moment can be restored from one region. */
export interface RestorableStretch {
  readonly from: Date;
  readonly to: Date;
  /** It ends where the newest WAL of the region ends: what comes there next makes it longer. Only an open one may be empty. */
  readonly isOpen: boolean;
}

export interface RestorableRequest extends Pick<PlanRequest, 'catalogue' | 'destroyedKeys'> {
  readonly clusterId: ClusterId;
  /** Of the database, as PostgreSQL's files are named after it. */
  readonly oid: number;
}

/**
 * The moments of one database for which `planRestore` finds a plan in this region, as stretches in order of time: one pass over the WAL of each timeline instead of a
 * plan per moment. Pure. What lies behind the newest object of the region is not in them: whoever asks knows whether anything is owed.
 */
export function findRestorable({ catalogue, clusterId, oid, destroyedKeys }: RestorableRequest): RestorableStretch[] {
  const cluster = getCluster(catalogue, clusterId);
  // The moment does not matter to a database that is named by its OID.
  const request = {
    catalogue,
    clusterId,
    target: { kind: 'time', time: new Date(0) },
    wanted: { kind: 'database', oid },
    now: new Date(0),
    ...(destroyedKeys && { destroyedKeys }),
  } satisfies PlanRequest;
  const wanted = resolveWanted(request, cluster);
  if ('outcome' in wanted) return [];
  const found: Found[] = [];
  let isOpenUntil = Number.NEGATIVE_INFINITY;
  for (const timeline of timelinesOf(cluster)) {
    const line = findLine(cluster, timeline);
    if (!line) continue;
    const usable = readableBackups(cluster).filter(
      (backup) => isOnLine(line, backup) && isReadable(backup, wanted, request),
    );
    const begins = beginningOf(cluster, timeline) ?? Number.NEGATIVE_INFINITY;
    // What was live then decides: from its beginning on it is this timeline, before it an older one, as far as that one's WAL goes.
    const liveFrom = Math.min(begins, isOpenUntil);
    for (const stretch of found) {
      stretch.to = Math.min(stretch.to, Math.max(begins, stretch.from));
      stretch.isOpen = false;
    }
    isOpenUntil = Number.NEGATIVE_INFINITY;
    const isDamaged = (backup: ReadableBackup) => isDamagedIn(backup, wanted, request);
    for (const run of runsOf(cluster, line, usable[0]?.startLsn)) {
      const within = usable.filter(
        ({ startLsn, stopLsn }) => segmentStart(startLsn) >= run.start && startLsn < run.end && stopLsn <= run.end,
      );
      // A moment is reached from the newest undamaged backup before it, or else from the newest damaged one.
      for (const chosen of [within.filter((backup) => !isDamaged(backup)), within.filter(isDamaged)])
        for (const [index, backup] of chosen.entries()) {
          const next = chosen[index + 1];
          const from = Math.max(liveFrom, restorableFrom(cluster, backup));
          const to = Math.min(endOf(run.used, backup.stopLsn), next ? restorableFrom(cluster, next) : Infinity);
          found.push({ from, to: Math.max(from, to), isOpen: run.isLast && !next });
        }
      if (run.isLast && within.length > 0) isOpenUntil = Math.max(...found.map(({ to }) => to));
    }
  }
  return merge(found);
}

/** A recovery to a time needs a commit of a later one; where the headers tell no times, a piece that was stored later may hold it. */
function endOf(used: readonly UsedPiece[], stopLsn: Lsn): number {
  let end = Number.NEGATIVE_INFINITY;
  for (const { piece, to } of used)
    if (to > stopLsn) end = Math.max(end, (piece.lastCommitAt ?? piece.storedAt).getTime());
  return end;
}

interface Run {
  readonly start: Lsn;
  readonly end: Lsn;
  readonly used: readonly UsedPiece[];
  /** No WAL of the line lies behind it. */
  readonly isLast: boolean;
}

/** The unbroken WAL of a line, run by run, from the segment of `from` on. */
function* runsOf(cluster: ClusterCatalogue, line: Line, from: Lsn | undefined): Generator<Run> {
  let start = from === undefined ? undefined : segmentStart(from);
  while (start !== undefined) {
    const { used, end, beyond } = coverLine(cluster, line, start);
    if (used.length > 0) yield { start, end, used, isLast: beyond.length === 0 };
    start = beyond[0]?.from;
  }
}

interface Found {
  from: number;
  to: number;
  isOpen: boolean;
}

function merge(stretches: readonly Found[]): RestorableStretch[] {
  const merged: Found[] = [];
  for (const { from, to, isOpen } of stretches.toSorted((a, b) => a.from - b.from)) {
    // An open one may not have begun yet.
    if (to < from || (to === from && !isOpen)) continue;
    const last = merged.at(-1);
    if (last && from <= last.to) {
      last.to = Math.max(last.to, to);
      last.isOpen ||= isOpen;
    } else merged.push({ from, to, isOpen });
  }
  return merged.map(({ from, to, isOpen }) => ({ from: new Date(from), to: new Date(to), isOpen }));
}
