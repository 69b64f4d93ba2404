import { type Lsn, segmentStart } from '#src/kernel/index.ts';
import { parseTimelineHistory, type TimelineStep } from '../shipping/timeline.ts';
import { catalogueErrors } from './errors.ts';
import type { ClusterCatalogue } from './types.ts';

/**
 * The ancestors of a timeline, from its history file. Throws FH_BACKUP_HISTORY_MALFORMED on anything that PostgreSQL would not have written, because a
 * line that is misread is a restore of another history.
 */
export function parseAncestors(timeline: number, content: Uint8Array): readonly TimelineStep[] {
  const ancestors = readSteps(content);
  const isInOrder = ancestors.every(
    (step, index) => index === 0 || step.switchedAt >= ancestors[index - 1]!.switchedAt,
  );
  const parent = ancestors.at(-1);
  if (!parent || parent.timeline >= timeline || !isInOrder)
    throw catalogueErrors.FH_BACKUP_HISTORY_MALFORMED({ detail: `timeline ${timeline}` });
  return ancestors;
}

function readSteps(content: Uint8Array): TimelineStep[] {
  try {
    return parseTimelineHistory(content);
  } catch (cause) {
    throw catalogueErrors.FH_BACKUP_HISTORY_MALFORMED({ cause });
  }
}

/** Part of a line that runs on one timeline. */
export interface Stretch {
  readonly timeline: number;
  /** Where it left its parent; 0: the first. */
  readonly start: Lsn;
  /** Where the line leaves it for its child; undefined: the line ends on it. */
  readonly end: Lsn | undefined;
}

/** One line of timelines, oldest first: the one history that recovery to the last of them follows. */
export type Line = readonly Stretch[];

/** undefined: the history of this timeline is not in the region or cannot be read (fault F06), so nobody knows what came before it. */
export function findLine(cluster: Pick<ClusterCatalogue, 'timelines'>, timeline: number): Line | undefined {
  const ancestors = timeline === 1 ? [] : cluster.timelines.get(timeline)?.ancestors;
  if (!ancestors) return undefined;
  const line: Stretch[] = [];
  let start = 0n;
  for (const ancestor of ancestors) {
    line.push({ timeline: ancestor.timeline, start, end: ancestor.switchedAt });
    start = ancestor.switchedAt;
  }
  line.push({ timeline, start, end: undefined });
  return line;
}

/** The parts of a line that WAL of each timeline may serve: a child's first segment begins with the parent's bytes. */
export function servedBy({ start, end }: Stretch): { from: Lsn; to: Lsn | undefined } {
  return { from: segmentStart(start), to: end };
}

/** Every timeline that has a history, WAL or a backup in the region, in order; 1 when there is anything at all. */
export function timelinesOf(cluster: ClusterCatalogue): number[] {
  const found = new Set<number>([...cluster.timelines.keys(), ...cluster.pieces.keys()]);
  for (const backup of cluster.backups) if ('manifest' in backup) found.add(backup.manifest.timeline);
  for (const { ancestors } of cluster.timelines.values())
    for (const { timeline } of ancestors ?? []) found.add(timeline);
  return [...found].sort((a, b) => a - b);
}

/**
 * When a timeline was live at the latest, in milliseconds: the earliest of what its history, its first commit and its first backup say, because each of them
 * may have come to this region late. undefined: timeline 1, which was always there, and timelines nobody knows the beginning of.
 */
export function beginningOf(cluster: ClusterCatalogue, timeline: number): number | undefined {
  if (timeline === 1) return undefined;
  const history = cluster.timelines.get(timeline);
  const parent = history?.ancestors?.at(-1);
  const first = cluster.pieces.get(timeline)?.find((piece) => !parent || piece.start >= parent.switchedAt);
  const times = [history?.storedAt, first?.firstCommitAt ?? first?.storedAt];
  for (const backup of cluster.backups)
    if ('manifest' in backup && backup.manifest.timeline === timeline) times.push(backup.startedAt);
  const known = times.flatMap((time) => (time ? [time.getTime()] : []));
  return known.length > 0 ? Math.min(...known) : undefined;
}
