import type { TenantId } from '#src/kernel/index.ts';
import { isOwnSchema, type Queryable, quoteIdentifier } from '#src/postgres/index.ts';

export interface LockableTable {
  readonly schema: string;
  readonly table: string;
  /** Not in the WAL: empty after a restore, as PostgreSQL promises. */
  readonly isUnlogged: boolean;
  /** Of the file that holds its rows now, whatever the snapshot: TRUNCATE and ALTER TABLE give it another. null: it was dropped. */
  readonly fileNode: number | null;
}

export async function selectLockableTables(db: Queryable): Promise<LockableTable[]> {
  return db.query<LockableTable>(
    `SELECT n.nspname AS schema, c.relname AS table, c.relpersistence = 'u' AS "isUnlogged",
            pg_catalog.pg_relation_filenode(c.oid)::int8::float8 AS "fileNode"
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND ${isOwnSchema}
     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
}

/** Waits for writers that are under way and keeps new ones out, until the savepoint is rolled back to. Takes no snapshot. */
export async function holdWriters(db: Queryable, tables: readonly LockableTable[], waitMs: number): Promise<void> {
  await db.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await db.query(`SET LOCAL lock_timeout = ${Math.trunc(waitMs)}`);
  await db.query('SAVEPOINT writers_held');
  if (tables.length > 0) {
    const names = tables.map(({ schema, table }) => `ONLY ${quoteIdentifier(schema)}.${quoteIdentifier(table)}`);
    await db.query(`LOCK TABLE ${names.join(', ')} IN SHARE MODE`);
  }
}

/** The snapshot of the transaction is taken here and stays to its end. */
export async function takeSnapshot(db: Queryable): Promise<void> {
  await db.query('SELECT pg_catalog.pg_current_snapshot()');
}

export async function letWritersGo(db: Queryable): Promise<void> {
  await db.query('ROLLBACK TO SAVEPOINT writers_held');
}

export interface Place {
  readonly canaryId: string;
  readonly canaries: number;
  readonly lsn: string;
  readonly timeline: number;
}

/** Without them what was committed, or a page that other backups leave out, need not be there after a crash or a restore (PostgreSQL manual, 20.5). */
export async function selectUnsafeSettings(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `SELECT name FROM pg_catalog.pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name`,
  );
  return rows.map(({ name }) => name);
}

export async function insertCanary(control: Queryable): Promise<void> {
  await control.query('INSERT INTO canaries DEFAULT VALUES');
}

/** A canary, and the place behind its commit. */
export async function markPlace(control: Queryable): Promise<Place> {
  const [canary] = await control.query<{ canaryId: string }>(
    'INSERT INTO canaries DEFAULT VALUES RETURNING canary_id AS "canaryId"',
  );
  const [place] = await control.query<Omit<Place, 'canaryId'>>(
    `SELECT lsn::text, ('x' || substr(pg_walfile_name(lsn), 1, 8))::bit(32)::int AS timeline,
            (SELECT count(*)::int FROM canaries WHERE canary_id <= $1) AS canaries
     FROM pg_current_wal_insert_lsn() AS lsn`,
    [canary!.canaryId],
  );
  return { ...canary!, ...place! };
}

export async function countCanaries(
  restored: Queryable,
  canaryId: string,
): Promise<{ upTo: number; later: number; newest: Date | undefined }> {
  const [row] = await restored.query<{ upTo: number; later: number; newest: Date | null }>(
    `SELECT count(*) FILTER (WHERE canary_id <= $1)::int AS "upTo", count(*) FILTER (WHERE canary_id > $1)::int AS later,
            max(written_at) AS newest FROM canaries`,
    [canaryId],
  );
  return { ...row!, newest: row!.newest ?? undefined };
}

/** Versions of collations that differ from what the system has now; the name of each. `*`: the database's own. */
export async function selectChangedCollations(db: Queryable): Promise<{ name: string; was: string; is: string }[]> {
  return db.query(
    `SELECT '*' AS name, datcollversion AS was, pg_database_collation_actual_version(oid) AS is
     FROM pg_database WHERE datname = current_database() AND datcollversion <> pg_database_collation_actual_version(oid)
     UNION ALL
     SELECT collname, collversion, pg_collation_actual_version(oid) FROM pg_collation
     WHERE collversion <> pg_collation_actual_version(oid)
       AND oid IN (SELECT attcollation FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped)
     ORDER BY 1`,
  );
}

/** Prepared and closed databases let nobody in; on a scratch server nobody else can come. */
export async function openDatabases(db: Queryable, names: readonly string[]): Promise<void> {
  await db.query('UPDATE pg_database SET datallowconn = true, datconnlimit = -1 WHERE datname = ANY ($1)', [names]);
}

export async function selectDatabaseNames(db: Queryable): Promise<{ oid: number; name: string }[]> {
  return db.query('SELECT oid::int8::float8 AS oid, datname AS name FROM pg_database');
}

/** Contents of files that were put there before; one that came a moment ago may still be on its way. */
export async function countFileContents(db: Queryable, before: Date): Promise<number> {
  // A suspended tenant's database may be older than the view.
  const [found] = await db.query<{ hasView: boolean }>(
    `SELECT to_regclass('freehold.contents') IS NOT NULL AS "hasView"`,
  );
  const [row] = await db.query<{ count: number }>(
    `SELECT count(DISTINCT sha256)::int AS count FROM freehold.${found?.hasView ? 'contents' : 'files'} WHERE created_at < $1`,
    [before],
  );
  return row!.count;
}

/** Marks tenants as compared now. */
export async function upsertVerifiedTenants(db: Queryable, tenantIds: readonly TenantId[], at: Date): Promise<void> {
  await db.query(
    `INSERT INTO verified_tenants (tenant_id, verified_at) SELECT unnest($1::text[]), $2
     ON CONFLICT (tenant_id) DO UPDATE SET verified_at = excluded.verified_at`,
    [tenantIds, at],
  );
}
