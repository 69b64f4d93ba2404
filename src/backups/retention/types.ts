import type { BackupId, ClusterId, Lsn, TenantId } from '#src/kernel/index.ts';
import type { KeyOwner } from '#src/keys/types.ts';
import type { ObjectName } from '#src/objects/types.ts';
import type { Catalogue } from '../catalogue/types.ts';

export interface RetentionPolicy {
  /** Every moment of the last so many days stays restorable. Default of the product: 180. */
  readonly days: number;
  /** Base backups are never further apart than this; so no WAL is kept longer than `days` and this together. Default of the product: 7. */
  readonly fullEveryDays: number;
}

/** A base backup that some process works on, in whatever region. */
export interface BackupInProgress {
  readonly clusterId: ClusterId;
  readonly backupId: BackupId;
  /** Where it will be replayed from; undefined: not known yet. */
  readonly start?: { readonly timeline: number; readonly lsn: Lsn };
}

/** Somebody who still needs something: a restore that runs, a court. `reason` is shown to staff. */
export type RetentionHold = { readonly reason: string } & (
  | { readonly kind: 'backup'; readonly backupId: BackupId }
  | { readonly kind: 'object'; readonly name: ObjectName }
  | { readonly kind: 'tenant'; readonly tenantId: TenantId }
  /** Every moment since then. */
  | { readonly kind: 'since'; readonly since: Date }
);

export interface RetentionRequest {
  /** Of the one region that is decided about. Each region is decided by itself, because each must restore alone. */
  readonly catalogue: Catalogue;
  readonly policy: RetentionPolicy;
  readonly now: Date;
  readonly inProgress: readonly BackupInProgress[];
  readonly holds: readonly RetentionHold[];
  /** What other regions lack and may have to be brought from here. */
  readonly owed?: readonly { readonly region: string; readonly names: ReadonlySet<ObjectName> }[];
  /** Owners whose keys are destroyed: what is sealed under them cannot be read by anyone any more. */
  readonly destroyedKeys?: ReadonlySet<KeyOwner>;
  /** Segments of this region that were read back and compared with their chunks. */
  readonly verifiedSegments?: ReadonlySet<ObjectName>;
  /** Files that no row of their tenant refers to any more, and since when, by our clock. A file that is not in it stays. */
  readonly unreferencedFiles?: ReadonlyMap<ObjectName, Date>;
  /** Nobody could tell about the files of these: all of theirs stay. */
  readonly unansweredTenants?: readonly TenantId[];
  /** Since when an object is known to be an orphan, by our clock (`RetentionDecision.orphans` of earlier runs). */
  readonly orphanSince?: ReadonlyMap<ObjectName, Date>;
  /** `horizon` of the last decision about this region that was applied. The next one moves at most `longestStepDays`, however far a clock has leapt. */
  readonly lastHorizon?: Date;
}

export interface RetentionDecision {
  readonly region: string;
  /** Every moment since then that is restorable stays restorable. */
  readonly horizon: Date;
  /** In an order in which removal may stop anywhere: a backup ceases to be one before anything that it needs goes. */
  readonly remove: readonly ObjectName[];
  /** Who still needs each of the others, in words for staff. */
  readonly keep: ReadonlyMap<ObjectName, readonly string[]>;
  /** Of no backup that is finished or known to be under way. */
  readonly orphans: readonly ObjectName[];
  /** What a person should look at; in words. */
  readonly warnings: readonly string[];
}
