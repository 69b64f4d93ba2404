import type { BackupId, ClusterId, Lsn, TenantId } from '#src/kernel/index.ts';
import type { KeyOwner } from '#src/keys/types.ts';
import type { ObjectName } from '#src/objects/types.ts';
import type { WalRange } from '../shipping/wal-objects.ts';
import type { BackedUpDatabase } from '../types.ts';
import type { UsedPiece } from './coverage.ts';
import type { TenantLedger } from './ledger.ts';
import type { Line } from './timelines.ts';
import type { Catalogue, ReadableBackup } from './types.ts';

/**
 * Where a restore is to end, always explicit. `timeline`: the history to follow; default: for a time, what was live then; otherwise the newest.
 * - `time`: everything whose commit record says this time or earlier, up to the first that says later.
 * - `lsn`: every record that begins before it.
 * - `name`, `xid`: recovery finds them. Without an LSN the planner needs a moment that is surely `after`: one that is known to be before them.
 */
export type RestoreTarget =
  | { readonly kind: 'time'; readonly time: Date; readonly timeline?: number }
  | { readonly kind: 'lsn'; readonly lsn: Lsn; readonly timeline?: number }
  | { readonly kind: 'name'; readonly name: string; readonly lsn: Lsn; readonly timeline?: number }
  | {
      readonly kind: 'name';
      readonly name: string;
      readonly lsn?: undefined;
      readonly after: Date;
      readonly timeline?: number;
    }
  | { readonly kind: 'xid'; readonly xid: string; readonly after: Date; readonly timeline?: number };

export type Wanted =
  | { readonly kind: 'cluster' }
  | { readonly kind: 'tenant'; readonly tenantId: TenantId }
  | { readonly kind: 'database'; readonly oid: number };

export interface PlanRequest {
  readonly catalogue: Catalogue;
  readonly clusterId: ClusterId;
  readonly target: RestoreTarget;
  readonly wanted: Wanted;
  /** Of our clock: what a region says it stored later than this is not believed. */
  readonly now: Date;
  /** Which database was whose, when. Empty when a region is all there is: then the manifests tell. */
  readonly ledger?: TenantLedger;
  /** Owners whose keys are gone for ever: what is sealed under them is not read. */
  readonly destroyedKeys?: ReadonlySet<KeyOwner>;
}

export interface RestorePlan {
  readonly region: string;
  readonly clusterId: ClusterId;
  readonly target: RestoreTarget;
  readonly backup: ReadableBackup;
  /** A page of what is wanted failed its checksum in this backup, and no other backup reaches the target. */
  readonly isSuspect: boolean;
  /** `recovery_target_timeline`; the last of `line`. */
  readonly timeline: number;
  readonly line: Line;
  /** History files of the line, oldest first. */
  readonly histories: readonly ObjectName[];
  readonly shared: ObjectName;
  /** Whose files are read; folders of all others exist and stay empty. */
  readonly databases: readonly BackedUpDatabase[];
  /** What is wanted; undefined for a whole cluster. */
  readonly database: WantedDatabase | undefined;
  /** Of a whole cluster: databases whose keys are gone. */
  readonly unreadable: readonly BackedUpDatabase[];
  /** From the beginning of the segment in which replay begins (PostgreSQL reads the header of each segment's first page), without a hole. */
  readonly wal: readonly UsedPiece[];
  /** `known`: a record behind the target is in `wal`. `likely`: nothing says so, all there is comes along, and recovery fails when it is not there. */
  readonly reach: 'known' | 'likely';
  /** What is missing behind `wal`; named when the recovery does not reach its target. */
  readonly nextHoles: readonly WalRange[];
  /** Some commit behind the target says a time before it: the server's clock was set back, and the target is its first passing. */
  readonly clockWentBack: boolean;
  /** WAL that was live just before the target and is no part of the history that went on: a standby was promoted without it. */
  readonly abandoned?: WalRange;
}

export interface WantedDatabase {
  /** undefined: not known before recovery ends; then `name` is. */
  readonly oid: number | undefined;
  readonly name: string | undefined;
  readonly tenantId: TenantId | undefined;
  /** It is not in the base backup: the WAL makes it. */
  readonly isMadeByWal: boolean;
}

export type PlanResult =
  | { readonly outcome: 'plan'; readonly plan: RestorePlan }
  /** These ranges of WAL, needed for the target, are not in this region. */
  | {
      readonly outcome: 'gap';
      readonly region: string;
      readonly missing: readonly WalRange[];
      readonly backupId: BackupId;
    }
  /** This timeline's history file is missing or unreadable: what came before it is not known. */
  | { readonly outcome: 'history_missing'; readonly region: string; readonly timeline: number }
  /** No backup ends before the target. `oldest`: the first moment that some backup allows; undefined: none does. */
  | { readonly outcome: 'before_oldest'; readonly region: string; readonly oldest: OldestMoment | undefined }
  /** The WAL ends before the target. */
  | { readonly outcome: 'after_newest'; readonly region: string; readonly newest: NewestMoment }
  | {
      readonly outcome: 'unknown_database';
      readonly region: string;
      readonly reason: 'never_known' | 'not_yet' | 'no_longer';
      /** Not yet: since when it has one. */
      readonly since?: Date;
    }
  | { readonly outcome: 'key_destroyed'; readonly owner: KeyOwner };

export interface OldestMoment {
  readonly backupId: BackupId;
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly time: Date;
}

export interface NewestMoment {
  readonly timeline: number;
  readonly lsn: Lsn;
  /** Of the last commit; undefined: not known. */
  readonly time: Date | undefined;
}
