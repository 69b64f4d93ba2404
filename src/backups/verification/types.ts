import type { ClusterId, TenantId } from '#src/kernel/index.ts';
import type { Connection } from '#src/postgres/index.ts';

/** One thing that is wrong with what was restored, for staff. */
export interface Finding {
  /** Of docs/errors.md. */
  readonly code: string;
  /** The cause, in words, with the object, table or place that it is about. */
  readonly text: string;
  /** Whose data it is about; absent: everybody's. */
  readonly tenantId?: TenantId;
  /** As it was called at the time. */
  readonly tenantName?: string;
}

/** What was compared. Absent figures: it did not come so far. */
export interface Checked {
  /** Tenants of whom every table was compared with the ledger, and how many there are. */
  readonly tenants?: number;
  readonly ofTenants?: number;
  /** Tables that were compared, and the rows in them. */
  readonly tables?: number;
  readonly rows?: number;
  /** Canaries found. */
  readonly canaries?: number;
  /** The place in the WAL that had to be reached, as PostgreSQL prints it. */
  readonly target?: string;
  /** Of the sample, and not compared with all of their tables, because somebody wrote or locked them; they are the first the next time. */
  readonly busyTenants?: number;
  /** Whose key was destroyed: what backups hold of them is never readable again, as was wanted. */
  readonly destroyedTenants?: number;
  /** The base backup that was restored. */
  readonly backupId?: string;
}

export interface TableContent {
  /** `schema.table`. */
  readonly name: string;
  readonly rows: number;
  /** Over all rows, whatever their order on the disk; hexadecimal. */
  readonly sha256: string;
}

export interface LedgerTenant {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly database: string;
  readonly oid: number;
  readonly tables: readonly TableContent[];
}

/** What tenants' databases held at one place in the WAL, as the running server told a client. Kept outside the cluster and the regions (decision 0016). */
export interface RowLedger {
  readonly format: 1;
  readonly clusterId: ClusterId;
  readonly timeline: number;
  /** Every transaction whose rows were counted committed before it, and no later one did. */
  readonly lsn: string;
  readonly takenAt: string;
  /** The last canary before `lsn`; a later one must not be in what was restored. */
  readonly canaryId: string;
  readonly canaries: number;
  readonly tenants: readonly LedgerTenant[];
  /** Of the sample, and could not be held still for a moment; the log says why. */
  readonly busy: readonly TenantId[];
  /** Of the sample, and their running databases cannot be read. Absent: nobody is known to be. */
  readonly unread?: readonly UnreadTenant[];
  /** Of `fsync` and `full_page_writes`, those that the running server has turned off. Absent: nobody looked. */
  readonly unsafeSettings?: readonly string[];
}

/** A tenant whose running database cannot be read: whatever its backups are worth, it is a fault. */
export interface UnreadTenant {
  readonly tenantId: TenantId;
  readonly name: string;
  /** Why. */
  readonly text: string;
}

/** How the rows of a database are counted and hashed; the same for the running server and for what was restored. */
export interface RowReader {
  /** Settings of the session, so that equal rows print equally. */
  readonly settings: Readonly<Record<string, string>>;
  /** In a transaction with one snapshot. */
  contentOf(db: Connection): Promise<{ readonly tables: readonly TableContent[] }>;
}

/** A tenant whose rows can be asked for on the running server. */
export interface LedgerSource {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly database: string;
  readonly oid: number;
  /** A session that sees every row, with the settings of the `RowReader`. */
  open(): Promise<Connection>;
}

export type OnCheckProgress = (progress: { readonly fraction: number; readonly text: string }) => void;
