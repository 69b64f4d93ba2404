import type { TenantId } from '#src/kernel/index.ts';
import type { KeyId } from '#src/keys/types.ts';
import { isOwnSchema, type Queryable } from '#src/postgres/index.ts';
import type { DumpedContent, DumpHeader, DumpId, DumpVerification, KnownDump, SurveyedContent } from './types.ts';

/** How far a standby has replayed, as PostgreSQL prints it; undefined: this is a primary. */
export async function readReplayed(db: Queryable): Promise<string | undefined> {
  const [row] = await db.query<{ lsn: string | null }>(
    'SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END::text AS lsn',
  );
  return row!.lsn ?? undefined;
}

export interface Position {
  readonly lsn: string;
  readonly isStandby: boolean;
  readonly serverVersion: string;
  readonly databaseBytes: number;
  /** They are in no table that `ContentPort` reads. */
  readonly largeObjects: number;
}

/** Where a server stands, and how much of the database is no rows of a table. */
export async function readPosition(db: Queryable): Promise<Position> {
  const [row] = await db.query<Position & Record<string, unknown>>(
    `SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text AS lsn,
            pg_is_in_recovery() AS "isStandby", split_part(current_setting('server_version'), ' ', 1) AS "serverVersion",
            pg_database_size(current_database())::float8 AS "databaseBytes",
            (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata)::float8 AS "largeObjects"`,
  );
  return row!;
}

export async function exportSnapshot(db: Queryable): Promise<string> {
  const [row] = await db.query<{ snapshot: string }>('SELECT pg_catalog.pg_export_snapshot() AS snapshot');
  return row!.snapshot;
}

/** `schema.table` of every table whose rows PostgreSQL promises to nobody. */
export async function selectUnloggedTables(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `SELECT n.nspname || '.' || c.relname AS name
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND ${isOwnSchema} ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/** In `dump_contents.tables`: one that is in the dump, or one of which it has only the definition. */
type TableRecord = DumpedContent['tables'][number] | { readonly name: string; readonly isUnlogged: true };

function toRecords({ tables, unlogged }: Pick<SurveyedContent, 'tables' | 'unlogged'>): TableRecord[] {
  return [...tables, ...unlogged.map((name) => ({ name, isUnlogged: true }) as const)];
}

function fromRecords(records: readonly TableRecord[]): Pick<SurveyedContent, 'tables' | 'unlogged'> {
  const isIn = (record: TableRecord): record is DumpedContent['tables'][number] => !('isUnlogged' in record);
  return { tables: records.filter(isIn), unlogged: records.filter((each) => !isIn(each)).map(({ name }) => name) };
}

/** A dump that was just written, and what was in it; the same call again changes nothing. */
export async function insertDump(
  tx: Queryable,
  {
    header,
    content,
    sizeBytes,
    regions,
  }: {
    readonly header: DumpHeader;
    readonly content: Pick<SurveyedContent, 'tables' | 'unlogged'>;
    readonly sizeBytes: number;
    readonly regions: readonly string[];
  },
): Promise<void> {
  const { tenantId, dumpId, madeAt, keyId, contentSha256, server, lsn } = header;
  await tx.query(
    `INSERT INTO dump_contents (dump_id, tenant_id, key_id, server, lsn, sha256, tables) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT DO NOTHING`,
    [dumpId, tenantId, keyId, server, lsn, contentSha256, JSON.stringify(toRecords(content))],
  );
  for (const region of regions) await insertCopy(tx, { region, tenantId, dumpId, sizeBytes, madeAt, storedAt: madeAt });
}

export async function insertCopy(
  tx: Queryable,
  copy: {
    readonly region: string;
    readonly tenantId: TenantId;
    readonly dumpId: DumpId;
    readonly sizeBytes: number;
    readonly madeAt: Date | string | null;
    readonly storedAt: Date | string;
  },
): Promise<void> {
  await tx.query(
    `INSERT INTO dumps (region, tenant_id, dump_id, size_bytes, made_at, stored_at) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT DO NOTHING`,
    [copy.region, copy.tenantId, copy.dumpId, copy.sizeBytes, copy.madeAt, copy.storedAt],
  );
}

export async function selectCopies(db: Queryable, region: string): Promise<Set<DumpId>> {
  const rows = await db.query<{ dumpId: DumpId }>('SELECT dump_id AS "dumpId" FROM dumps WHERE region = $1', [region]);
  return new Set(rows.map(({ dumpId }) => dumpId));
}

/** Rows of a region whose objects are gone. */
export async function deleteCopies(tx: Queryable, region: string, dumpIds: readonly DumpId[]): Promise<void> {
  await tx.query('DELETE FROM dumps WHERE region = $1 AND dump_id = ANY ($2::text[])', [region, dumpIds]);
}

/** Newest first. @param tenantId undefined: of every tenant */
export async function selectDumps(db: Queryable, tenantId?: TenantId): Promise<KnownDump[]> {
  const rows = await db.query<{
    dumpId: DumpId;
    tenantId: TenantId;
    madeAt: Date;
    sizeBytes: string;
    regions: string[];
    content: { keyId: KeyId; sha256: string; tables: TableRecord[] } | null;
  }>(
    `SELECT d.dump_id AS "dumpId", d.tenant_id AS "tenantId", min(coalesce(d.made_at, d.stored_at)) AS "madeAt", max(d.size_bytes) AS "sizeBytes",
            array_agg(d.region ORDER BY d.region) AS regions,
            (SELECT jsonb_build_object('keyId', c.key_id, 'sha256', c.sha256, 'tables', c.tables) FROM dump_contents c
             WHERE c.dump_id = d.dump_id) AS content
     FROM dumps d WHERE $1::text IS NULL OR d.tenant_id = $1
     GROUP BY d.tenant_id, d.dump_id ORDER BY "madeAt" DESC, d.dump_id`,
    [tenantId ?? null],
  );
  return rows.map(({ sizeBytes, content, ...row }) => ({
    ...row,
    sizeBytes: Number(sizeBytes),
    ...(content && { content: { ...content, ...fromRecords(content.tables) } }),
  }));
}

export interface NewestDump extends Pick<KnownDump, 'dumpId' | 'tenantId' | 'madeAt' | 'sizeBytes' | 'regions'> {
  /** Dumps of the tenant that are kept, this one included. */
  readonly kept: number;
  /** As `SurveyedContent`. */
  readonly unlogged: readonly string[];
}

/** The newest of every tenant. */
export async function selectNewestDumps(db: Queryable): Promise<NewestDump[]> {
  const rows = await db.query<Omit<NewestDump, 'sizeBytes'> & { sizeBytes: string }>(
    `SELECT DISTINCT ON (tenant_id) tenant_id AS "tenantId", dump_id AS "dumpId", made_at AS "madeAt", size_bytes AS "sizeBytes", regions, kept,
            ARRAY (SELECT record ->> 'name' FROM dump_contents c, jsonb_array_elements(c.tables) AS record
                   WHERE c.dump_id = each.dump_id AND record ? 'isUnlogged' ORDER BY 1) AS unlogged
     FROM (SELECT tenant_id, dump_id, min(coalesce(made_at, stored_at)) AS made_at, max(size_bytes) AS size_bytes,
                  array_agg(region ORDER BY region) AS regions, (count(*) OVER (PARTITION BY tenant_id))::int AS kept
           FROM dumps GROUP BY tenant_id, dump_id) AS each
     ORDER BY tenant_id, made_at DESC, dump_id`,
  );
  return rows.map(({ sizeBytes, ...row }) => ({ ...row, sizeBytes: Number(sizeBytes) }));
}

export interface DumpRun {
  readonly tenantId: TenantId;
  readonly endedAt: Date;
  readonly outcome: 'stored' | 'unchanged' | 'failed';
  /** The newest dump of the tenant after it; null: there is none. */
  readonly dumpId: DumpId | null;
  /** Code and words, when it failed. */
  readonly error: { readonly code: string; readonly text: string } | null;
}

/** How the last attempt at a tenant ended. */
export async function upsertRun(tx: Queryable, run: DumpRun): Promise<void> {
  await tx.query(
    `INSERT INTO dump_runs (tenant_id, ended_at, outcome, dump_id, error) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (tenant_id) DO UPDATE SET ended_at = excluded.ended_at, outcome = excluded.outcome, dump_id = excluded.dump_id, error = excluded.error`,
    [run.tenantId, run.endedAt, run.outcome, run.dumpId, run.error && JSON.stringify(run.error)],
  );
}

export async function selectRuns(db: Queryable): Promise<DumpRun[]> {
  return db.query<DumpRun & Record<string, unknown>>(
    'SELECT tenant_id AS "tenantId", ended_at AS "endedAt", outcome, dump_id AS "dumpId", error FROM dump_runs',
  );
}

export async function insertDumpVerification(tx: Queryable, verification: DumpVerification): Promise<void> {
  const { dumpId, tenantId, region, startedAt, finishedAt, passed, findings } = verification;
  await tx.query(
    `INSERT INTO verifications (kind, subject, tenant_id, region, started_at, finished_at, passed, findings)
     VALUES ('dump', $1, $2, $3, $4, $5, $6, $7)`,
    [dumpId, tenantId, region, startedAt, finishedAt, passed, JSON.stringify(findings)],
  );
}

/** Newest first. @param tenantId undefined: of every tenant @param dumpIds undefined: of every dump */
export async function selectDumpVerifications(
  db: Queryable,
  tenantId?: TenantId,
  dumpIds?: readonly DumpId[],
): Promise<DumpVerification[]> {
  return db.query<DumpVerification & Record<string, unknown>>(
    `SELECT subject AS "dumpId", tenant_id AS "tenantId", region, started_at AS "startedAt", finished_at AS "finishedAt", passed, findings
     FROM verifications WHERE kind = 'dump' AND ($1::text IS NULL OR tenant_id = $1) AND ($2::text[] IS NULL OR subject = ANY ($2))
     ORDER BY finished_at DESC, verification_id DESC`,
    [tenantId ?? null, dumpIds ?? null],
  );
}
