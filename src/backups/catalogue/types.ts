import type { BackupId, ClusterId, Lsn, TenantId } from '#src/kernel/index.ts';
import type { ObjectName } from '#src/objects/types.ts';
import type { TimelineStep } from '../shipping/timeline.ts';
import type { BackupManifest, WalPiece } from '../types.ts';

/**
 * What ONE region holds, as found there: nothing in it comes from another region, the control database or a clock of ours. Plain data, so
 * that planning a restore and deciding what may go are pure functions over it.
 */
export interface Catalogue {
  /** Name of the region, as configured. */
  readonly region: string;
  readonly clusters: ReadonlyMap<ClusterId, ClusterCatalogue>;
  /** Objects with the files of one database, of every owner; several manifests may name the same one. */
  readonly data: ReadonlyMap<ObjectName, StoredObject>;
  readonly dumps: readonly CataloguedDump[];
  readonly files: readonly CataloguedFile[];
  /** Keys, kits, the installation's own object: other parts of the product care for them. */
  readonly others: readonly ObjectName[];
  /** Names outside decision 0010: of nobody we know, so nobody of ours removes them. */
  readonly strangers: readonly ObjectName[];
}

export interface StoredObject {
  readonly name: ObjectName;
  readonly sizeBytes: number;
  /** When the region says that it was written: the region's clock, which may be wrong. */
  readonly storedAt: Date;
}

export interface ClusterCatalogue {
  readonly clusterId: ClusterId;
  /** In order of `startLsn`; those without a readable manifest come last. */
  readonly backups: readonly CataloguedBackup[];
  readonly timelines: ReadonlyMap<number, Timeline>;
  /** Per timeline, in order of their start; chunks and segments may overlap. */
  readonly pieces: ReadonlyMap<number, readonly CataloguedPiece[]>;
  /** WAL objects whose header cannot be read, so that nobody knows where they end. They count for nothing and are never removed. */
  readonly unreadablePieces: readonly StoredObject[];
}

/**
 * A folder `base/<clusterId>/<backupId>/`.
 * - `complete`: the manifest and every object that it names are in this region.
 * - `incomplete`: some object it names is not; a database whose objects are all there can still be restored.
 * - `unreadable`: there is a manifest, and it cannot be opened here.
 * - `unfinished`: no manifest. In progress, or given up.
 */
export type CataloguedBackup =
  | (BackupPlace & {
      readonly state: 'complete' | 'incomplete';
      readonly manifest: BackupManifest;
      readonly startLsn: Lsn;
      readonly stopLsn: Lsn;
      readonly startedAt: Date;
      readonly finishedAt: Date;
      /** Named by the manifest and not in this region; empty: complete. */
      readonly missing: readonly ObjectName[];
    })
  | (BackupPlace & { readonly state: 'unreadable' | 'unfinished' });

export type ReadableBackup = Extract<CataloguedBackup, { state: 'complete' | 'incomplete' }>;

export interface BackupPlace {
  readonly backupId: BackupId;
  readonly clusterId: ClusterId;
  /** Every object below its folder, the manifest included. */
  readonly objects: readonly StoredObject[];
  /** When the manifest was stored here; of an unfinished one: its first object. */
  readonly storedAt: Date;
}

/** A timeline after the first: where it left its parent. Timeline 1 has no history file and is not listed. */
export interface Timeline {
  readonly timeline: number;
  readonly name: ObjectName;
  readonly sizeBytes: number;
  readonly storedAt: Date;
  /** Every ancestor, oldest first, as PostgreSQL writes it; undefined: the file cannot be read here. */
  readonly ancestors: readonly TimelineStep[] | undefined;
}

/**
 * A piece of WAL with what is known of its time. Of the header of every `wal` object, `end` is needed (a segment's follows from its name). Wanted besides,
 * in the headers of both: `firstCommitAt` and `lastCommitAt`, ISO 8601 in UTC, the earliest and the latest time of a commit or abort record in it, as
 * PostgreSQL wrote it there; of a piece without such records, both are the latest time of any piece before it. Where they are absent, the planner restores
 * further than necessary and `recovery_target_time` stops the recovery.
 */
export interface CataloguedPiece extends WalPiece {
  readonly storedAt: Date;
  readonly firstCommitAt?: Date;
  readonly lastCommitAt?: Date;
}

export interface CataloguedDump extends StoredObject {
  readonly tenantId: TenantId;
  readonly dumpId: string;
  /** By the clock of whoever made it (`madeAt` in the header); undefined: not known. */
  readonly madeAt?: Date;
}

export interface CataloguedFile extends StoredObject {
  readonly tenantId: TenantId;
}
