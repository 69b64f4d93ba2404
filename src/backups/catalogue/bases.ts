import type { ClusterId } from '#src/kernel/index.ts';
import type { KeyOwner } from '#src/keys/types.ts';
import type { BackedUpDatabase } from '../types.ts';
import type { Line } from './timelines.ts';
import type { ClusterCatalogue, ReadableBackup } from './types.ts';

/** Backups whose manifest could be read, in order of their start. */
export function readableBackups(cluster: ClusterCatalogue): readonly ReadableBackup[] {
  return cluster.backups.filter((backup): backup is ReadableBackup => 'manifest' in backup);
}

/** Whether recovery can follow the line from this backup: it was taken on one of its timelines, and ended before the line left that one (fault F07). */
export function isOnLine(line: Line, { manifest, startLsn, stopLsn }: ReadableBackup): boolean {
  const stretch = line.find(({ timeline }) => timeline === manifest.timeline);
  return stretch !== undefined && startLsn >= stretch.start && (stretch.end === undefined || stopLsn <= stretch.end);
}

/**
 * The first time, in milliseconds, that can be restored from a backup: recovery stops at the first commit that says a later time than the target, and
 * that must not come before the backup's end. So it is the latest time of the commits up to there. Where the WAL tells no times, the time at which
 * the backup was finished stands for it, by the clock of the server that made it.
 */
export function restorableFrom(cluster: ClusterCatalogue, backup: ReadableBackup): number {
  const known = moments.get(cluster) ?? new WeakMap<ReadableBackup, number>();
  moments.set(cluster, known);
  const moment = known.get(backup) ?? findRestorableFrom(cluster, backup);
  known.set(backup, moment);
  return moment;
}

/** A catalogue never changes, and every plan asks for the same moments. */
const moments = new WeakMap<ClusterCatalogue, WeakMap<ReadableBackup, number>>();

function findRestorableFrom(cluster: ClusterCatalogue, backup: ReadableBackup): number {
  const finishedAt = backup.finishedAt.getTime();
  let latest = Number.NEGATIVE_INFINITY;
  let straddles = false;
  for (const piece of piecesWithin(cluster, backup)) {
    if (!piece.firstCommitAt || !piece.lastCommitAt) continue;
    const [first, last] = [piece.firstCommitAt.getTime(), piece.lastCommitAt.getTime()];
    if (piece.end <= backup.stopLsn) latest = Math.max(latest, last);
    else {
      // Part of it is behind the backup. What the backup's own clock says counts as far as the piece does not contradict it; should that clock have
      // been set back just then, recovery itself refuses a target before the backup's end.
      straddles = true;
      latest = Math.max(latest, Math.min(Math.max(finishedAt, first), last));
    }
  }
  return straddles ? latest : Math.max(latest, finishedAt);
}

function piecesWithin({ pieces }: ClusterCatalogue, { manifest, startLsn, stopLsn }: ReadableBackup) {
  return (pieces.get(manifest.timeline) ?? []).filter((piece) => piece.start < stopLsn && piece.end > startLsn);
}

/** Databases that every recovery reads: those of no tenant, which others may have been copied from, without those prepared for future tenants. */
export function isAlwaysRead({ tenantId, name }: BackedUpDatabase): boolean {
  return tenantId === undefined && !name.startsWith('t_');
}

/** Whether a page of what will be read failed its checksum. A suspect backup that names no file is suspect as a whole. */
export function isDamagedFor({ manifest }: ReadableBackup, databases: readonly BackedUpDatabase[]): boolean {
  if (!manifest.suspect) return false;
  const isDamaged = (files: readonly string[] | undefined) => files !== undefined && files.length > 0;
  if (isDamaged(manifest.shared.damagedFiles) || databases.some((database) => isDamaged(database.damagedFiles)))
    return true;
  return !manifest.databases.some((database) => isDamaged(database.damagedFiles));
}

export function ownerOf({ keyId }: { readonly keyId: string }): KeyOwner {
  return keyId.slice(0, keyId.lastIndexOf('.')) as KeyOwner;
}

export function getCluster(
  catalogue: { clusters: ReadonlyMap<ClusterId, ClusterCatalogue> },
  clusterId: ClusterId,
): ClusterCatalogue {
  return (
    catalogue.clusters.get(clusterId) ?? {
      clusterId,
      backups: [],
      timelines: new Map(),
      pieces: new Map(),
      unreadablePieces: [],
    }
  );
}
