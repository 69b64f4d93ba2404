import type { ClusterId, Id, TenantId } from '#src/kernel/index.ts';
import type { KeyId, ObjectHeader } from '#src/keys/types.ts';
import type { Connection, ConnectionTarget } from '#src/postgres/types.ts';

export type DumpId = Id<'dmp'>;

/** What a tenant's database holds, told by one snapshot: equal exactly when the rows and sequences are equal. */
export interface DumpedContent {
  /** Of everything, hexadecimal. */
  readonly sha256: string;
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly sha256: string }[];
}

/** The same, and what is in no backup at all. */
export interface SurveyedContent extends DumpedContent {
  /** `schema.table`, sorted: their rows are in no WAL, so no standby, dump or restore has them, and a crash empties them. */
  readonly unlogged: readonly string[];
}

/** How the content of a tenant's database is told; wired to what archives use. */
export interface ContentPort {
  /** Settings of the session that reads: equal rows must print equally everywhere. */
  readonly settings: Readonly<Record<string, string>>;
  /** Tables whose rows stay out of a dump (`schema.table`): worth something only where they were made. */
  readonly withoutRows: readonly string[];
  /** In the caller's transaction. */
  read(db: Connection): Promise<DumpedContent>;
}

/** A server that the tenant can be dumped from, as the tenant's platform role. */
export interface DumpSource {
  readonly server: 'standby' | 'primary';
  readonly target: ConnectionTarget;
}

/** `dumps/<tenantId>/<dumpId>`: what the header says. */
export interface DumpHeader extends ObjectHeader {
  readonly kind: 'dump';
  readonly tenantId: TenantId;
  readonly dumpId: DumpId;
  readonly clusterId: ClusterId;
  /** ISO 8601: when its snapshot was taken, by our clock. */
  readonly madeAt: string;
  /** Where the WAL of that server stood then, as PostgreSQL prints it. */
  readonly lsn: string;
  readonly server: 'standby' | 'primary';
  /** For example `15.13`: pg_restore of this or a later major version reads it. */
  readonly serverVersion: string;
  readonly contentSha256: string;
  readonly tables: number;
  readonly rows: number;
  readonly largeObjects: number;
  /** Of the database on the server's disk. */
  readonly databaseBytes: number;
}

/** A dump that lies in at least one region. */
export interface KnownDump {
  readonly dumpId: DumpId;
  readonly tenantId: TenantId;
  readonly madeAt: Date;
  /** As it lies there, sealed. */
  readonly sizeBytes: number;
  readonly regions: readonly string[];
  /** Without it nobody remembers here what is in it; its header does. */
  readonly content?: SurveyedContent & { readonly keyId: KeyId };
}

export interface DumpFinding {
  readonly code: string;
  readonly text: string;
}

/** One dump, restored from one region and compared with what its snapshot held. */
export interface DumpVerification {
  readonly dumpId: DumpId;
  readonly tenantId: TenantId;
  readonly region: string;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly passed: boolean;
  readonly findings: readonly DumpFinding[];
}
