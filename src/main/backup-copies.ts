import { recordAudit } from '#src/audit/index.ts';
import {
  type BackupManifest,
  copyBackup,
  findManifest,
  isCondemned,
  listBackups,
  manifestName,
  type RetentionHolds,
} from '#src/backups/index.ts';
import type { BackupId, ClusterId, Log } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { Jobs } from './jobs.ts';

const everyMs = 15 * 60_000;
const firstAfterMs = 3 * 60_000;
const retryAfterMs = 5 * 60_000;
/** A region that is away for a day is no news: its own warning says so. Two weeks without a copy are. */
const overdueAfterMs = 14 * 24 * 60 * 60_000;

export interface BackupCopies {
  /** Brings to every region the base backups that it missed. Rejects when a region did not answer, after the others were served. */
  copyMissing(signal: AbortSignal): Promise<{ readonly copied: number }>;
  /** Does so every quarter of an hour. */
  schedule(): void;
}

/** Base backups that were made while a region was away. What retention has taken from a region is not brought back. */
export function createBackupCopies({
  clusterId,
  regions,
  keys,
  holds,
  db,
  jobs,
  log,
}: {
  readonly clusterId: ClusterId;
  readonly regions: readonly RegionStore[];
  readonly keys: Pick<BackupKeys, 'openKey'>;
  readonly holds: RetentionHolds;
  readonly db: Queryable;
  readonly jobs: Pick<Jobs, 'add'>;
  readonly log: Log;
}): BackupCopies {
  async function readBackups(store: RegionStore): Promise<Map<BackupId, BackupManifest>> {
    const found = new Map<BackupId, BackupManifest>();
    for await (const backupId of listBackups(store, clusterId)) {
      const manifest = await findManifest(store, { clusterId, backupId }, (keyId) => keys.openKey(keyId));
      if (manifest) found.set(backupId, manifest);
    }
    return found;
  }

  async function copyOne(manifest: BackupManifest, from: RegionStore, to: RegionStore, signal: AbortSignal) {
    const { backupId } = manifest;
    const reason = `backup ${backupId} is copied from region ${from.region} to region ${to.region}`;
    // Held first, then looked whether it is to go: whoever removes does it the other way round, so one of the two always sees the other.
    const releases = [holds.beginBackup({ clusterId, backupId }), holds.hold({ kind: 'backup', backupId, reason })];
    for (const { object } of [manifest.shared, ...manifest.databases])
      releases.push(holds.hold({ kind: 'object', name: object, reason }));
    try {
      if (await isCondemned(db, manifestName(clusterId, backupId))) return false;
      const { copiedObjects, copiedBytes } = await copyBackup({ from, to, manifest, log, signal });
      await recordAudit(db, {
        name: 'backup.copied',
        actor: 'system',
        subject: backupId,
        details: { from: from.region, to: to.region, objects: copiedObjects, bytes: copiedBytes },
      });
      return true;
    } finally {
      for (const release of releases) release();
    }
  }

  async function copyMissing(signal: AbortSignal): Promise<{ copied: number }> {
    const held = new Map<RegionStore, Map<BackupId, BackupManifest>>();
    let [copied, failure]: [number, unknown] = [0, undefined];
    for (const store of regions) {
      try {
        held.set(store, await readBackups(store));
      } catch (error) {
        failure ??= error;
      }
    }
    for (const [to, there] of held)
      for (const [from, backups] of held)
        for (const manifest of findMissing(backups, there)) {
          signal.throwIfAborted();
          try {
            if (await copyOne(manifest, from, to, signal)) copied++;
            there.set(manifest.backupId, manifest);
          } catch (error) {
            if (signal.aborted) throw error;
            log.warn('a base backup could not be copied', { backupId: manifest.backupId, to: to.region, error });
            failure ??= error;
          }
        }
    if (failure !== undefined) throw failure;
    return { copied };
  }

  return {
    copyMissing,
    schedule() {
      const run = async (signal: AbortSignal) => void (await copyMissing(signal));
      jobs.add({ name: 'copies of base backups', everyMs, firstAfterMs, retryAfterMs, overdueAfterMs, run });
    },
  };
}

/**
 * What of one region another one lacks, the newest first. What is older than everything the other has was taken there by retention, or is
 * about to be; a region without any gets all.
 */
export function findMissing(
  have: ReadonlyMap<BackupId, BackupManifest>,
  there: ReadonlyMap<BackupId, BackupManifest>,
): BackupManifest[] {
  const oldest = [...there.values()].map(({ finishedAt }) => finishedAt).sort()[0];
  return [...have.values()]
    .filter(({ backupId, finishedAt }) => !there.has(backupId) && (oldest === undefined || finishedAt > oldest))
    .sort((one, other) => other.finishedAt.localeCompare(one.finishedAt));
}
