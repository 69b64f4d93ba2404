import { segmentStart, walSegmentBytes } from '#src/kernel/index.ts';
import type { ObjectName } from '#src/objects/types.ts';
import { readableBackups } from '../catalogue/bases.ts';
import { namesIn } from '../catalogue/build.ts';
import { parseObjectName } from '../catalogue/names.ts';
import { findLine, timelinesOf } from '../catalogue/timelines.ts';
import type { CataloguedPiece, ClusterCatalogue } from '../catalogue/types.ts';
import { type KeptBackup, neededBackups } from './anchors.ts';
import { inSafeOrder } from './order.ts';
import type { RetentionDecision, RetentionRequest } from './types.ts';
import { createWalFloors, type WalNeed } from './wal-floors.ts';
import { backupWarnings, catalogueWarnings } from './warnings.ts';

export const dayMs = 86_400_000;
/** The horizon moves at most so far from one run to the next: a clock that leaps ahead a year costs history only slowly, and meanwhile somebody is warned. */
export const longestStepDays = 2;

/**
 * What may go from one region, and who needs the rest. Pure; the only place that decides it. Invariants: every moment since the horizon that `planRestore`
 * could restore before can be restored after; whatever is not understood stays.
 */
export function decideRetention(request: RetentionRequest): RetentionDecision {
  const { catalogue, policy, now } = request;
  const destroyedKeys = request.destroyedKeys ?? new Set();
  const verdicts = createVerdicts(request);
  const wanted = Math.min(
    now.getTime() - policy.days * dayMs,
    ...request.holds.flatMap((hold) => (hold.kind === 'since' ? [hold.since.getTime()] : [])),
  );
  const limit = (request.lastHorizon?.getTime() ?? Number.POSITIVE_INFINITY) + longestStepDays * dayMs;
  const horizon = Math.min(wanted, limit);
  const warnings = catalogueWarnings(request);
  if (limit < wanted)
    warnings.push(
      'what is too old goes two days at a time: the region was away, retention was shortened, or the clock leapt ahead',
    );

  const namedBy = new Map<ObjectName, string>();
  const namedOnce = new Set<ObjectName>();
  for (const cluster of catalogue.clusters.values()) {
    if (destroyedKeys.has(cluster.clusterId)) {
      for (const name of namesOfCluster(cluster)) verdicts.drop(name);
      continue;
    }
    const { kept, unknownTimelines } = neededBackups(cluster, horizon, destroyedKeys);
    warnings.push(...backupWarnings(cluster, unknownTimelines, policy, now));
    const all = [...kept, ...heldBackups(cluster, kept, request)];
    for (const { backup } of all) for (const name of namesIn(backup.manifest)) namedBy.set(name, backup.backupId);
    for (const { manifest } of readableBackups(cluster)) for (const name of namesIn(manifest)) namedOnce.add(name);
    decideBackups(cluster, all, verdicts);
    decideWal(cluster, all, request, verdicts);
  }
  decideData(request, namedBy, namedOnce, verdicts);
  decideDumps(request, horizon, verdicts);
  decideFiles(request, horizon, verdicts);
  for (const name of [...catalogue.others, ...catalogue.strangers]) verdicts.keep(name, 'not a backup');
  return {
    region: catalogue.region,
    horizon: new Date(horizon),
    remove: inSafeOrder(verdicts.dropped()),
    keep: verdicts.kept,
    orphans: verdicts.orphans,
    warnings,
  };
}

type Verdicts = ReturnType<typeof createVerdicts>;

/** Collects; what is held or owed to another region stays whatever else is said. */
function createVerdicts({ holds, owed = [], inProgress, orphanSince, now, policy }: RetentionRequest) {
  const kept = new Map<ObjectName, readonly string[]>();
  const dropped = new Set<ObjectName>();
  const orphans: ObjectName[] = [];
  const graceBefore = now.getTime() - policy.fullEveryDays * dayMs;
  const held = new Map(holds.flatMap((hold) => (hold.kind === 'object' ? [[hold.name, hold.reason] as const] : [])));
  const heldTenants = new Map(
    holds.flatMap((hold) => (hold.kind === 'tenant' ? [[hold.tenantId as string, hold.reason] as const] : [])),
  );

  function heldReason(name: ObjectName): string | undefined {
    const lacking = owed.find(({ names }) => names.has(name));
    const tenant = /^(?:data|dumps|files)\/(ten_[^/]+)\//.exec(name)?.[1];
    return held.get(name) ?? (tenant && heldTenants.get(tenant)) ?? (lacking && `owed to region ${lacking.region}`);
  }
  const keep = (name: ObjectName, ...reasons: readonly string[]) => {
    kept.set(name, reasons);
  };
  return {
    kept,
    orphans,
    dropped: () => [...dropped],
    keep,
    drop(name: ObjectName) {
      const reason = heldReason(name);
      if (reason) keep(name, reason);
      else dropped.add(name);
    },
    /** Of no manifest: it may be written right now. It goes when it was known for long, by our clock and by the region's. */
    judgeOrphan(
      this: void,
      { name, storedAt }: { name: ObjectName; storedAt: Date },
      writer: string | undefined,
    ): 'keep' | 'drop' {
      if (writer && inProgress.some(({ backupId }) => backupId === writer)) {
        keep(name, `backup ${writer} is under way`);
        return 'keep';
      }
      orphans.push(name);
      const since = orphanSince?.get(name);
      if (since && since.getTime() <= graceBefore && storedAt.getTime() <= graceBefore) return 'drop';
      keep(name, 'of no finished backup, and not known for long enough to be left behind');
      return 'keep';
    },
  };
}

/** Backups that somebody holds, and those whose manifest another region lacks. */
function heldBackups(
  cluster: ClusterCatalogue,
  kept: readonly KeptBackup[],
  { holds, owed = [], inProgress }: RetentionRequest,
): KeptBackup[] {
  return readableBackups(cluster).flatMap((backup) => {
    if (kept.some((one) => one.backup === backup)) return [];
    const hold = holds.find((one) => one.kind === 'backup' && one.backupId === backup.backupId);
    const lacking = owed.find(({ names }) => names.has(`base/${cluster.clusterId}/${backup.backupId}/manifest`));
    const isUnderWay = inProgress.some(({ backupId }) => backupId === backup.backupId);
    const reason =
      hold?.reason ??
      (lacking && `owed to region ${lacking.region}`) ??
      (isUnderWay ? 'it is just being finished' : undefined);
    if (reason === undefined) return [];
    return [{ backup, reason }];
  });
}

function decideBackups(cluster: ClusterCatalogue, kept: readonly KeptBackup[], verdicts: Verdicts) {
  const reasons = new Map(kept.map(({ backup, reason }) => [backup.backupId, reason]));
  for (const backup of cluster.backups) {
    for (const object of backup.objects) {
      const reason = reasons.get(backup.backupId);
      if (reason !== undefined) verdicts.keep(object.name, `backup ${backup.backupId}: ${reason}`);
      else if (backup.state === 'unreadable')
        verdicts.keep(object.name, 'its manifest cannot be read: nobody knows what it is for');
      else if (backup.state !== 'unfinished' || verdicts.judgeOrphan(object, backup.backupId) === 'drop')
        verdicts.drop(object.name);
    }
  }
}

function decideWal(
  cluster: ClusterCatalogue,
  kept: readonly KeptBackup[],
  request: RetentionRequest,
  verdicts: Verdicts,
) {
  const needs: WalNeed[] = kept.map(({ backup }) => ({
    timeline: backup.manifest.timeline,
    from: backup.startLsn,
    reason: `replayed from backup ${backup.backupId}`,
  }));
  for (const { clusterId, backupId, start } of request.inProgress)
    if (clusterId === cluster.clusterId && start && needs.length > 0)
      needs.push({ timeline: start.timeline, from: start.lsn, reason: `backup ${backupId} is under way` });
  const neededBy = createWalFloors(cluster, needs);
  const alive = new Set<number>(needs.map(({ timeline }) => timeline));
  for (const [timeline, pieces] of cluster.pieces) {
    const isCompacted = compactedIn(pieces, request.verifiedSegments);
    for (const piece of pieces) {
      const reason = neededBy(piece);
      if (reason === undefined || isCompacted(piece)) verdicts.drop(piece.name);
      else verdicts.keep(piece.name, reason);
      if (reason !== undefined) alive.add(timeline);
    }
  }
  for (const { name } of cluster.unreadablePieces) verdicts.keep(name, 'it cannot be read: nobody knows what it holds');
  decideHistories(cluster, alive, verdicts);
}

/** Chunks whose segment is here and was compared with them; never by what a listing says alone. */
function compactedIn(pieces: readonly CataloguedPiece[], verified: ReadonlySet<ObjectName> | undefined) {
  const segments = new Set(
    pieces.filter(({ kind, name }) => kind === 'segment' && verified?.has(name)).map(({ start }) => start),
  );
  return ({ kind, start, end }: CataloguedPiece): boolean =>
    kind === 'wal' && segments.has(segmentStart(start)) && end <= segmentStart(start) + walSegmentBytes;
}

/** A history stays as long as anything of its timeline or of one that came from it. The newest stays for ever: PostgreSQL counts on from it. */
function decideHistories(cluster: ClusterCatalogue, alive: ReadonlySet<number>, verdicts: Verdicts) {
  const newest = timelinesOf(cluster).at(-1);
  const needed = new Set(
    [...alive].flatMap((timeline) => findLine(cluster, timeline)?.map((stretch) => stretch.timeline) ?? [timeline]),
  );
  for (const { timeline, name, ancestors } of cluster.timelines.values()) {
    if (timeline === newest) verdicts.keep(name, 'the newest timeline');
    else if (needed.has(timeline)) verdicts.keep(name, 'WAL or backups of its line are kept');
    else if (!ancestors) verdicts.keep(name, 'it cannot be read');
    else verdicts.drop(name);
  }
}

/**
 * Databases. An object under a destroyed key is of no use to anyone; but while a kept manifest names it, that backup would look as if somebody had taken
 * something from it. It goes with the last such manifest.
 */
function decideData(
  { catalogue, destroyedKeys }: RetentionRequest,
  namedBy: ReadonlyMap<ObjectName, string>,
  namedOnce: ReadonlySet<ObjectName>,
  verdicts: Verdicts,
) {
  const unreadable = [...catalogue.clusters.values()]
    .filter(({ clusterId }) => !destroyedKeys?.has(clusterId))
    .flatMap(({ backups }) => backups.filter(({ state }) => state === 'unreadable'));
  for (const object of catalogue.data.values()) {
    const named = parseObjectName(object.name);
    const isDestroyed = named?.kind === 'data' && destroyedKeys?.has(named.owner);
    const by = namedBy.get(object.name);
    if (by) {
      verdicts.keep(
        object.name,
        isDestroyed ? `unreadable, but backup ${by} would be incomplete without it` : `of backup ${by}`,
      );
    } else if (namedOnce.has(object.name)) {
      if (unreadable.length > 0 && !isDestroyed)
        verdicts.keep(object.name, `backup ${unreadable[0]!.backupId} cannot be read and may name it`);
      else verdicts.drop(object.name);
    } else if (unreadable.length > 0)
      verdicts.keep(object.name, `backup ${unreadable[0]!.backupId} cannot be read and may name it`);
    else if (verdicts.judgeOrphan(object, /\/(bak_[^_/]+)_\d+$/.exec(object.name)?.[1]) === 'drop')
      verdicts.drop(object.name);
  }
}

/** Dumps go when both the clock of whoever made them and the region's say so; the last of a tenant stays. */
function decideDumps({ catalogue, destroyedKeys }: RetentionRequest, horizon: number, verdicts: Verdicts) {
  const timeOf = (dump: { storedAt: Date; madeAt?: Date }) => (dump.madeAt ?? dump.storedAt).getTime();
  for (const [tenantId, dumps] of Map.groupBy(catalogue.dumps, (dump) => dump.tenantId)) {
    const newest = dumps.toSorted((a, b) => timeOf(a) - timeOf(b) || (a.name < b.name ? -1 : 1)).at(-1);
    for (const dump of dumps) {
      const isOld = dump.madeAt !== undefined && dump.madeAt.getTime() <= horizon && dump.storedAt.getTime() <= horizon;
      if (destroyedKeys?.has(tenantId)) verdicts.drop(dump.name);
      else if (dump === newest) verdicts.keep(dump.name, 'the last dump of its tenant');
      else if (isOld) verdicts.drop(dump.name);
      else verdicts.keep(dump.name, dump.madeAt ? 'within retention' : 'nobody knows when it was made');
    }
  }
}

/** A file is needed as long as a database can be restored to a moment at which a row referred to it. */
function decideFiles(
  { catalogue, destroyedKeys, unreferencedFiles }: RetentionRequest,
  horizon: number,
  verdicts: Verdicts,
) {
  for (const { name, tenantId } of catalogue.files) {
    const since = unreferencedFiles?.get(name);
    if (destroyedKeys?.has(tenantId) || (since && since.getTime() <= horizon)) verdicts.drop(name);
    else verdicts.keep(name, since ? 'a moment within retention refers to it' : 'its tenant may refer to it');
  }
}

function namesOfCluster(cluster: ClusterCatalogue): ObjectName[] {
  return [
    ...cluster.backups.flatMap(({ objects }) => objects),
    ...[...cluster.pieces.values()].flat(),
    ...cluster.unreadablePieces,
    ...cluster.timelines.values(),
  ].map(({ name }) => name);
}
