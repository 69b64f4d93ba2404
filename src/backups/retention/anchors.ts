import type { KeyOwner } from '#src/keys/types.ts';
import { isDamagedFor, isOnLine, ownerOf, readableBackups, restorableFrom } from '../catalogue/bases.ts';
import { findLine, type Line, timelinesOf } from '../catalogue/timelines.ts';
import type { ClusterCatalogue, ReadableBackup } from '../catalogue/types.ts';

/** So many later backups must say an earlier time before that of one backup is taken for a clock that was wrong. */
const votesAgainst = 7;

export interface KeptBackup {
  readonly backup: ReadableBackup;
  readonly reason: string;
}

/**
 * Which backups a cluster needs so that every moment since the horizon stays restorable. No single clock makes a backup old: it is old when the server that made
 * it and the region that stored it both say so, and no backup before it in the WAL says otherwise (unless seven behind that one outvote it). On each history
 * that was live since the horizon, the newest good backup that is old is the anchor: it and everything behind it in the WAL stays, whatever
 * names and times say; what lies before it is needed by nobody.
 */
export function neededBackups(
  cluster: ClusterCatalogue,
  horizon: number,
  destroyedKeys: ReadonlySet<KeyOwner>,
): { readonly kept: readonly KeptBackup[]; readonly unknownTimelines: readonly number[] } {
  const backups = readableBackups(cluster);
  const isWhole = (backup: ReadableBackup) => isComplete(backup, destroyedKeys);
  const timelines = timelinesOf(cluster);
  const lines = new Map(timelines.map((timeline) => [timeline, findLine(cluster, timeline)]));
  const anchors = new Map<number, readonly ReadableBackup[]>();
  for (const [timeline, line] of lines) {
    if (!line) continue;
    const old = oldOnLine(cluster, line, backups, horizon).filter(isWhole);
    const good = old.findLast(isGood);
    anchors.set(timeline, good ? [good] : leastDamaged(old));
  }
  // A timeline was not live any more at the horizon when a good backup of a later one is old.
  const liveSince = Math.max(
    0,
    ...[...anchors.values()]
      .flat()
      .filter(isGood)
      .map(({ manifest }) => manifest.timeline),
  );

  const kept = new Map<ReadableBackup, string>();
  const keep = (backup: ReadableBackup, reason: string) => {
    if (!kept.has(backup)) kept.set(backup, reason);
  };
  for (const [timeline, line] of lines) {
    if (!line) {
      for (const backup of backups)
        if (backup.manifest.timeline === timeline)
          keep(backup, `the history of timeline ${timeline} is missing: nobody knows what needs it`);
      continue;
    }
    if (timeline < liveSince) continue;
    const found = anchors.get(timeline)!;
    for (const anchor of found) keep(anchor, 'the first moment within retention is restored from it');
    const newest = found.at(-1);
    for (const backup of backups) {
      if (!isOnLine(line, backup)) continue;
      // Of suspect ones that are old, those chosen are worth as much as all.
      if (newest && backup.startLsn < newest.startLsn) continue;
      keep(backup, newest ? 'within retention' : 'no older good backup');
    }
  }
  const newestWhole = backups.findLast(isWhole);
  if (newestWhole) keep(newestWhole, 'the newest complete backup');
  return {
    kept: [...kept].map(([backup, reason]) => ({ backup, reason })),
    unknownTimelines: timelines.filter((timeline) => !lines.get(timeline)),
  };
}

export function isGood(backup: ReadableBackup): boolean {
  return !isDamagedFor(backup, backup.manifest.databases);
}

/** What is missing of it, if anything, nobody could read any more. */
export function isComplete({ manifest, missing }: ReadableBackup, destroyedKeys: ReadonlySet<KeyOwner>): boolean {
  const unreadable = new Set(
    manifest.databases.filter((one) => destroyedKeys.has(ownerOf(one))).map(({ object }) => object),
  );
  return missing.every((name) => unreadable.has(name));
}

/** The later of what two clocks say: that of the server that made it, and the region's. */
function ageTime({ finishedAt, storedAt }: ReadableBackup): number {
  return Math.max(finishedAt.getTime(), storedAt.getTime());
}

/** Backups on a line that are surely from before the horizon, in order of the WAL. */
function oldOnLine(
  cluster: ClusterCatalogue,
  line: Line,
  backups: readonly ReadableBackup[],
  horizon: number,
): readonly ReadableBackup[] {
  const onLine = backups.filter((backup) => isOnLine(line, backup));
  const times = onLine.map(ageTime);
  const old: ReadableBackup[] = [];
  for (const [index, backup] of onLine.entries()) {
    if (times[index]! <= horizon && restorableFrom(cluster, backup) <= horizon) old.push(backup);
    else if (times[index]! > horizon) {
      let votes = 0;
      for (let later = index + 1; later < times.length && votes < votesAgainst; later++)
        if (times[later]! < times[index]!) votes++;
      // It is from after the horizon, and nobody contradicts: so is everything behind it, whatever that says.
      if (votes < votesAgainst) break;
    }
  }
  return old;
}

/** When all are suspect: the newest, and before it those in which a database is whole that is damaged in all newer ones. Oldest first. */
function leastDamaged(suspects: readonly ReadableBackup[]): readonly ReadableBackup[] {
  const covered = new Set<number>();
  const chosen: ReadableBackup[] = [];
  for (const backup of suspects.toReversed()) {
    const whole = backup.manifest.databases
      .filter((database) => !isDamagedFor(backup, [database]))
      .map(({ oid }) => oid);
    if (chosen.length > 0 && whole.every((oid) => covered.has(oid))) continue;
    chosen.unshift(backup);
    for (const oid of whole) covered.add(oid);
  }
  return chosen;
}
