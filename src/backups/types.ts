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
    readonly shipped: Lsn;
    /** Oldest byte that is owed waits this long. */
    readonly lagMs: number;
    readonly state: 'shipping' | 'behind' | 'away';
    readonly lastError?: string;
  }[];
  readonly spoolBytes: number;
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
