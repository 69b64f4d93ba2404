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
import { type BackupId, type ClusterId, FreeholdError, type Log } from '#src/kernel/index.ts';
import type { BackupKeys } from '#src/keys/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { Jobs } from './jobs.ts';

const everyMs = 15 * 60_000;
const firstAfterMs = 3 * 60_000;
const retryAfterMs = 5 * 60_000;
/** A region that is away for a day is no news: its own warning says so. Two weeks without a copy are. */
const overdueAfterMs = 14 * 24 * 60 * 60_000;

/** `condemned`: retention takes it, or no region has it whole; it never comes. */
type Outcome = 'copied' | 'condemned' | 'not yet';

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
  async function readBackups(store: RegionStore): Promise<HeldBackups> {
    const found: HeldBackups = { readable: new Map(), unreadable: new Set() };
    for await (const backupId of listBackups(store, clusterId)) {
      try {
        const manifest = await findManifest(store, { clusterId, backupId }, (keyId) => keys.openKey(keyId));
        if (manifest) found.readable.set(backupId, manifest);
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        // Retention and verification tell of it; the others are copied all the same.
        log.warn('the manifest of a base backup cannot be read', { backupId, region: store.region, error });
        found.unreadable.add(backupId);
      }
    }
    return found;
  }

  async function copyOne(
    manifest: BackupManifest,
    from: RegionStore,
    to: RegionStore,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { backupId } = manifest;
    const reason = `backup ${backupId} is copied from region ${from.region} to region ${to.region}`;
    const objects = [manifest.shared, ...manifest.databases].map(({ object }) => object);
    // Held first, then looked whether it is to go: whoever removes does it the other way round, so one of the two always sees the other.
    const releases = [
      holds.beginBackup({ clusterId, backupId }),
      holds.hold({ kind: 'backup', backupId, reason }),
      ...objects.map((name) => holds.hold({ kind: 'object', name, reason })),
    ];
    try {
      if (await isCondemned(db, manifestName(clusterId, backupId))) return 'condemned';
      // What an interrupted copy has left is named by no manifest there: it may be going while we look at it.
      if (await isCondemned(db, ...objects)) return 'not yet';
      const { copiedObjects, copiedBytes } = await copyBackup({ from, to, manifest, log, signal });
      await recordAudit(db, {
        name: 'backup.copied',
        actor: 'system',
        subject: backupId,
        details: { from: from.region, to: to.region, objects: copiedObjects, bytes: copiedBytes },
      });
      return 'copied';
    } finally {
      for (const release of releases) release();
    }
  }

  /** From the first region that can give it. Rejects with the first error when none can. */
  async function copyFromAny(
    { manifest, from }: MissingBackup,
    to: RegionStore,
    signal: AbortSignal,
  ): Promise<Outcome> {
    let failure: unknown;
    for (const store of from) {
      signal.throwIfAborted();
      try {
        return await copyOne(manifest, store, to, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        const { backupId } = manifest;
        log.warn('a base backup could not be copied', { backupId, from: store.region, to: to.region, error });
        failure ??= error;
      }
    }
    throw failure;
  }

  async function copyMissing(signal: AbortSignal): Promise<{ copied: number }> {
    const held = new Map<RegionStore, HeldBackups>();
    let [copied, failure]: [number, unknown] = [0, undefined];
    for (const store of regions) {
      try {
        held.set(store, await readBackups(store));
      } catch (error) {
        log.warn('the base backups of a region could not be listed', { region: store.region, error });
        failure ??= error;
      }
    }
    for (const [to, there] of held)
      for (const missing of findMissing(held, there)) {
        let outcome: Outcome;
        try {
          outcome = await copyFromAny(missing, to, signal);
        } catch (error) {
          if (signal.aborted) throw error;
          failure ??= error;
          outcome = isUnreadable(error) ? 'condemned' : 'not yet';
        }
        if (outcome === 'copied') copied++;
        // A newer one there would make this one look like one that retention has taken.
        if (outcome === 'not yet') break;
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

/** Base backups with a manifest in one region. */
export interface HeldBackups {
  readonly readable: Map<BackupId, BackupManifest>;
  /** Never copied here, where their names are taken, nor from here. */
  readonly unreadable: Set<BackupId>;
}

export interface MissingBackup {
  readonly manifest: BackupManifest;
  /** Who has it. */
  readonly from: readonly RegionStore[];
}

/**
 * What a region lacks and others have, the oldest first, so that a copy which is interrupted leaves out only what is newer. What is older than everything that it has was
 * taken there by retention, or is about to be; a region without any gets all.
 */
export function findMissing(held: ReadonlyMap<RegionStore, HeldBackups>, there: HeldBackups): MissingBackup[] {
  const oldest = [...there.readable.values()].map(({ finishedAt }) => finishedAt).sort()[0];
  const found = new Map<BackupId, { manifest: BackupManifest; from: RegionStore[] }>();
  for (const [store, { readable }] of held)
    for (const [backupId, manifest] of readable) {
      if (there.readable.has(backupId) || there.unreadable.has(backupId)) continue;
      if (oldest !== undefined && manifest.finishedAt <= oldest) continue;
      const known = found.get(backupId);
      if (known) known.from.push(store);
      else found.set(backupId, { manifest, from: [store] });
    }
  return [...found.values()].sort((one, other) => one.manifest.finishedAt.localeCompare(other.manifest.finishedAt));
}

/** What another try does not mend; anything else (FH_REGION_UNAVAILABLE) may be over the next time. */
function isUnreadable(error: unknown): boolean {
  return error instanceof FreeholdError && /^FH_(KEY|BACKUP|BASE_BACKUP_NAME)_/.test(error.code);
}
