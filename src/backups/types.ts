import type { BackupId, ClusterId, Lsn, TenantId } from '#src/kernel/index.ts';
import type { KeyId } from '#src/keys/types.ts';

/** Where the WAL of one cluster stands. Every figure is the end of what is held, exclusive. */
export interface ShippingStatus {
  readonly clusterId: ClusterId;
  readonly timeline: number;
  /** Flushed by the primary, as last heard. */
  readonly primary: Lsn;
  readonly received: Lsn;
  readonly spooled: Lsn;
  readonly regions: readonly {
    readonly region: string;
    /** Of the primary's own history: WAL of a former timeline counts up to where the primary's began. */
    readonly shipped: Lsn;
    /** Oldest byte that is owed waits this long. */
    readonly lagMs: number;
    readonly state: 'shipping' | 'behind' | 'away';
    readonly lastError?: string;
  }[];
  readonly spoolBytes: number;
}

/** WAL that no region holds and none will: a restore to a moment inside fails, and so does one across it without a newer base backup. */
export interface WalGap {
  readonly timeline: number;
  readonly from: Lsn;
  readonly to: Lsn;
  /** Milliseconds since the Unix epoch. */
  readonly noticedAtMs: number;
}

/** What the shipper says of itself besides; JSON once the LSNs are text. */
export interface ShipperStatus extends ShippingStatus {
  readonly receiver: {
    readonly state: 'connecting' | 'streaming' | 'stopped';
    readonly sinceMs: number;
    /** Of the present interruption. */
    readonly lastError?: string;
  };
  /** Reported to the primary as flushed: it need not keep what is before. */
  readonly flushed: Lsn;
  /** Reported to the primary as applied: every region holds it, and commits of tenants with recovery point zero have waited for it. */
  readonly confirmed: Lsn;
  readonly regions: readonly (ShippingStatus['regions'][number] & {
    /** Chunks and histories of the spool that the region lacks. */
    readonly owedObjects: number;
    /** WAL that the region lacks and the spool no longer holds: another region does, from which it is copied. */
    readonly owedBytes: number;
    /** WAL that the region lacks, wherever it lies now: what is removed elsewhere must be none of it. */
    readonly lacking: readonly { readonly timeline: number; readonly start: Lsn; readonly end: Lsn }[];
    /** Sealed bytes that were copied from other regions since the start of the shipper. */
    readonly copiedBytes: number;
    /** Chunks by how long they took from receipt to the region; bounds: `lagBucketsMs`. */
    readonly lagCounts: readonly number[];
    readonly lagSumMs: number;
    readonly segmentsCompacted: number;
  })[];
  readonly slot: {
    readonly state: 'fine' | 'near_limit';
    /** WAL that the primary keeps for us. */
    readonly heldBytes: number;
    /** undefined: it keeps everything. */
    readonly limitBytes?: number;
  };
  /** Since this process started. */
  readonly gaps: readonly WalGap[];
  readonly spoolFull: boolean;
  /** Code of the error that ended shipping. */
  readonly stoppedBy?: string;
}

/** A stretch of WAL that lies in a region. */
export interface WalPiece {
  readonly kind: 'wal' | 'segment';
  readonly name: string;
  readonly timeline: number;
  readonly start: Lsn;
  readonly end: Lsn;
  readonly sizeBytes: number;
}

/** One database in a base backup. */
export interface BackedUpDatabase {
  readonly oid: number;
  /** Name in PostgreSQL at the time, for example `t_…`. */
  readonly name: string;
  /** undefined: of no tenant (postgres, templates, control's own, prepared ones). */
  readonly tenantId?: TenantId;
  /** Object that holds its files, sealed under `keyId`; may be of an earlier backup. */
  readonly object: string;
  readonly keyId: KeyId;
  /** Hash over paths, sizes and bytes of its files. */
  readonly contentSha256: string;
  readonly sizeBytes: number;
  readonly storedBytes: number;
  /** Of the object as it lies in the regions, hexadecimal: a copy can be checked without a key. */
  readonly storedSha256: string;
  /** Files in which a page failed its checksum. */
  readonly damagedFiles?: readonly string[];
}

/** `base/<clusterId>/<backupId>/manifest`, sealed JSON under the cluster's key; LSNs as text (`16/B374D848`). */
export interface BackupManifest {
  readonly format: 1;
  readonly backupId: BackupId;
  readonly clusterId: ClusterId;
  /** What its installation calls it; undefined: the main one. A cluster that is there for one tenant is put back by this name. */
  readonly cluster?: string;
  readonly systemIdentifier: string;
  readonly serverVersion: string;
  readonly timeline: number;
  /** Replay begins here. */
  readonly startLsn: string;
  /** Consistent from here on. */
  readonly stopLsn: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly dataChecksums: boolean;
  readonly fullPageWrites: boolean;
  readonly shared: {
    readonly object: string;
    readonly keyId: KeyId;
    readonly sizeBytes: number;
    readonly storedBytes: number;
    readonly storedSha256: string;
    /** Files outside databases in which a page failed its checksum. */
    readonly damagedFiles?: readonly string[];
  };
  readonly databases: readonly BackedUpDatabase[];
  /** A page failed its checksum; kept all the same. */
  readonly suspect: boolean;
}
