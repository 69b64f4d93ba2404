import { type Lsn, segmentStart } from '#src/kernel/index.ts';
import type { BackedUpDatabase } from '../types.ts';
import { getCluster, isAlwaysRead, isDamagedFor, isOnLine, ownerOf, readableBackups, restorableFrom } from './bases.ts';
import { type Coverage, coverLine, holesOf } from './coverage.ts';
import type { PlanRequest, PlanResult, RestorePlan, RestoreTarget, WantedDatabase } from './plan-types.ts';
import { findReach } from './reach.ts';
import { beginningOf, findLine, type Line, timelinesOf } from './timelines.ts';
import type { ClusterCatalogue, ReadableBackup } from './types.ts';
import { databasesOf, type ResolvedWanted, resolveWanted } from './wanted.ts';

/**
 * How to restore what is wanted to the target from one region, or exactly why that cannot be done. Pure.
 *
 * Newest undamaged backup that ends before the target on the line of timelines that leads to it, and WAL without a hole from there to the target. A
 * suspect backup only when no other reaches it. Nothing here shortens a target: what cannot be reached is an error that names what is missing.
 */
export function planRestore(request: PlanRequest): PlanResult {
  const { catalogue, clusterId, target } = request;
  const region = catalogue.region;
  const cluster = getCluster(catalogue, clusterId);
  const wanted = resolveWanted(request, cluster);
  if ('outcome' in wanted) return wanted;

  const [first, ...later] = timelinesFor(cluster, target);
  if (first === undefined) return { outcome: 'before_oldest', region, oldest: undefined };
  let result = planOnTimeline(request, cluster, wanted, first);
  let parent = first;
  // Between the last commit of a timeline and the first of its child, no commit ends a recovery on the parent; on the child, one does.
  for (const timeline of later) {
    const end = openEndOf(result, target);
    if (end === undefined) break;
    const line = findLine(cluster, timeline);
    if (!line && result.outcome === 'plan') break;
    if (!line) return { outcome: 'history_missing', region, timeline };
    const switchedAt = line.find((stretch) => stretch.timeline === parent)?.end;
    if (switchedAt === undefined) break;
    const abandoned = end > switchedAt ? { timeline: parent, start: switchedAt, end } : undefined;
    // What was left behind may hold the target, and be what was live then.
    if (result.outcome === 'plan' && abandoned) break;
    const next = planOnTimeline(request, cluster, wanted, timeline);
    if (result.outcome === 'plan' && next.outcome !== 'plan') break;
    result = next;
    if (result.outcome === 'plan' && abandoned) result = { ...result, plan: { ...result.plan, abandoned } };
    parent = timeline;
  }
  return result;
}

/** Where the WAL of a timeline ends when it is not sure that recovery to a time ends on it; the child leads on from there. */
function openEndOf(result: PlanResult, target: RestoreTarget): Lsn | undefined {
  if (result.outcome === 'after_newest') return result.newest.lsn;
  if (result.outcome !== 'plan' || target.kind !== 'time' || result.plan.reach === 'known') return undefined;
  return result.plan.wal.at(-1)?.to;
}

/** The timeline to follow, then those that came after it. */
function timelinesFor(cluster: ClusterCatalogue, target: RestoreTarget): readonly number[] {
  if (target.timeline !== undefined) return [target.timeline];
  const all = timelinesOf(cluster);
  if (target.kind !== 'time') return all.slice(-1);
  const time = target.time.getTime();
  const live = all.findLastIndex((timeline) => (beginningOf(cluster, timeline) ?? Number.NEGATIVE_INFINITY) <= time);
  return all.slice(Math.max(live, 0));
}

function planOnTimeline(
  request: PlanRequest,
  cluster: ClusterCatalogue,
  wanted: ResolvedWanted,
  timeline: number,
): PlanResult {
  const { catalogue, target, now } = request;
  const region = catalogue.region;
  const line = findLine(cluster, timeline);
  if (!line) return { outcome: 'history_missing', region, timeline };
  const usable = readableBackups(cluster).filter(
    (backup) => isOnLine(line, backup) && isReadable(backup, wanted, request),
  );
  const candidates = usable.filter((backup) => endsBefore(cluster, backup, target));
  if (candidates.length === 0) return { outcome: 'before_oldest', region, oldest: oldestOf(cluster, usable) };

  const isDamaged = (backup: ReadableBackup) => isDamagedIn(backup, wanted, request);
  let failure: PlanResult | undefined;
  // An older undamaged one cannot help where the newest fails: it needs the same WAL and more. A damaged one that is newer may.
  for (const backup of [candidates.findLast((one) => !isDamaged(one)), candidates.findLast(isDamaged)]) {
    if (!backup) continue;
    const coverage = coverLine(cluster, line, segmentStart(backup.startLsn));
    const reach = findReach(line, coverage, backup.stopLsn, target, now);
    if (reach.outcome === 'reached') {
      const plan = toPlan(request, cluster, wanted, { line, backup, coverage });
      return {
        outcome: 'plan',
        plan: {
          ...plan,
          isSuspect: isDamaged(backup),
          wal: reach.wal,
          reach: reach.reach,
          clockWentBack: reach.clockWentBack,
        },
      };
    }
    failure ??=
      reach.outcome === 'gap'
        ? { outcome: 'gap', region, missing: reach.missing, backupId: backup.backupId }
        : { outcome: 'after_newest', region, newest: reach.newest };
  }
  return failure!;
}

function endsBefore(cluster: ClusterCatalogue, backup: ReadableBackup, target: RestoreTarget): boolean {
  if ('lsn' in target && target.lsn !== undefined) return backup.stopLsn <= target.lsn;
  const moment = target.kind === 'time' ? target.time : (target as { after: Date }).after;
  return restorableFrom(cluster, backup) <= moment.getTime();
}

function readOf(backup: ReadableBackup, wanted: ResolvedWanted, { destroyedKeys }: Pick<PlanRequest, 'destroyedKeys'>) {
  const all = databasesOf(backup, wanted);
  const isGone = (database: BackedUpDatabase) => destroyedKeys?.has(ownerOf(database)) ?? false;
  return { read: all.filter((database) => !isGone(database)), unreadable: all.filter(isGone) };
}

/** A page of what will be read of it failed its checksum. */
export function isDamagedIn(
  backup: ReadableBackup,
  wanted: ResolvedWanted,
  request: Pick<PlanRequest, 'destroyedKeys'>,
): boolean {
  return isDamagedFor(backup, readOf(backup, wanted, request).read);
}

/** What will be read of it is in this region. */
export function isReadable(
  backup: ReadableBackup,
  wanted: ResolvedWanted,
  request: Pick<PlanRequest, 'destroyedKeys'>,
): boolean {
  const missing = new Set(backup.missing);
  const { read } = readOf(backup, wanted, request);
  return !missing.has(backup.manifest.shared.object) && !read.some(({ object }) => missing.has(object));
}

function oldestOf(cluster: ClusterCatalogue, usable: readonly ReadableBackup[]) {
  const [oldest] = usable.toSorted((a, b) => restorableFrom(cluster, a) - restorableFrom(cluster, b));
  return (
    oldest && {
      backupId: oldest.backupId,
      timeline: oldest.manifest.timeline,
      lsn: oldest.stopLsn,
      time: new Date(restorableFrom(cluster, oldest)),
    }
  );
}

function toPlan(
  request: PlanRequest,
  cluster: ClusterCatalogue,
  wanted: ResolvedWanted,
  { line, backup, coverage }: { line: Line; backup: ReadableBackup; coverage: Coverage },
): Omit<RestorePlan, 'isSuspect' | 'wal' | 'reach' | 'clockWentBack'> {
  const { read, unreadable } = readOf(backup, wanted, request);
  return {
    region: request.catalogue.region,
    clusterId: request.clusterId,
    target: request.target,
    backup,
    timeline: line.at(-1)!.timeline,
    line,
    histories: line.flatMap(({ timeline }) => cluster.timelines.get(timeline)?.name ?? []),
    shared: backup.manifest.shared.object,
    databases: read,
    database: wanted.kind === 'cluster' ? undefined : databaseIn(backup, wanted),
    unreadable,
    nextHoles: holesOf(line, coverage),
  };
}

function databaseIn(backup: ReadableBackup, wanted: Extract<ResolvedWanted, { kind: 'database' }>): WantedDatabase {
  const found = databasesOf(backup, wanted).find((database) => !isAlwaysRead(database));
  return {
    oid: found?.oid ?? wanted.oid,
    name: wanted.name ?? found?.name,
    tenantId: wanted.tenantId,
    isMadeByWal: found === undefined,
  };
}
