import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { AppManifest, AppVersion, AppVersionState } from './types.ts';

const columns = 'v.app, v.version, v.digest, v.manifest, v.notes, v.state, v.error, v.added_at, v.added_by';

interface VersionRow {
  readonly app: string;
  readonly version: string;
  readonly digest: string;
  readonly manifest: AppManifest;
  readonly notes: string;
  readonly state: AppVersionState;
  readonly error: string | null;
  readonly added_at: Date;
  readonly added_by: string;
}

function toVersion(row: VersionRow): AppVersion {
  return {
    app: row.app,
    version: row.version,
    digest: row.digest,
    // What JSON leaves out: undefined is a value of the type.
    manifest: { ...row.manifest, build: row.manifest.build, migrate: row.manifest.migrate },
    notes: row.notes,
    state: row.state,
    error: row.error ?? undefined,
    addedAt: row.added_at,
    addedBy: row.added_by,
  };
}

/** Adds a version in state `building`; false: there is one of this name, whatever its content. */
export async function insertVersion(
  db: Queryable,
  version: Pick<AppVersion, 'digest' | 'manifest' | 'notes' | 'addedAt' | 'addedBy'>,
): Promise<boolean> {
  const { digest, manifest, notes, addedAt, addedBy } = version;
  const rows = await db.query(
    `INSERT INTO app_versions (app, version, digest, manifest, notes, state, added_at, added_by)
     VALUES ($1, $2, $3, $4::jsonb, $5, 'building', $6, $7) ON CONFLICT DO NOTHING RETURNING app`,
    [manifest.name, manifest.version, digest, JSON.stringify(manifest), notes, addedAt, addedBy],
  );
  return rows.length > 0;
}

/** Builds a version once more: one that failed, or one that is ready in the books and lost on the disk. */
export async function reopenVersion(
  db: Queryable,
  { app, version, addedAt, addedBy, notes }: Pick<AppVersion, 'app' | 'version' | 'addedAt' | 'addedBy' | 'notes'>,
  state: 'failed' | 'ready',
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE app_versions SET state = 'building', error = NULL, added_at = $3, added_by = $4, notes = $5
     WHERE app = $1 AND version = $2 AND state = $6 RETURNING app`,
    [app, version, addedAt, addedBy, notes, state],
  );
  return rows.length > 0;
}

/** False: it is not being built. */
export async function finishVersion(
  db: Queryable,
  app: string,
  version: string,
  error: string | null,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE app_versions SET state = CASE WHEN $3::text IS NULL THEN 'ready' ELSE 'failed' END, error = $3
     WHERE app = $1 AND version = $2 AND state = 'building' RETURNING app`,
    [app, version, error],
  );
  return rows.length > 0;
}

export async function findVersion(db: Queryable, app: string, version: string): Promise<AppVersion | undefined> {
  const [row] = await db.query<VersionRow>(
    `SELECT ${columns} FROM app_versions v WHERE v.app = $1 AND v.version = $2`,
    [app, version],
  );
  return row && toVersion(row);
}

/** The newest first. @param app undefined: of all apps */
export async function selectVersions(db: Queryable, app?: string): Promise<AppVersion[]> {
  const rows = await db.query<VersionRow>(
    `SELECT ${columns} FROM app_versions v WHERE $1::text IS NULL OR v.app = $1 ORDER BY v.app, v.added_at DESC, v.version DESC`,
    [app ?? null],
  );
  return rows.map(toVersion);
}

export async function selectBuilding(db: Queryable): Promise<AppVersion[]> {
  const rows = await db.query<VersionRow>(
    `SELECT ${columns} FROM app_versions v WHERE v.state = 'building' ORDER BY v.added_at, v.app, v.version`,
  );
  return rows.map(toVersion);
}

export async function selectReadyApps(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ app: string }>(
    `SELECT DISTINCT app FROM app_versions WHERE state = 'ready' ORDER BY app`,
  );
  return rows.map(({ app }) => app);
}

/** `preferred` when it is ready, otherwise what releases have brought to production, otherwise the newest; it stays until the transaction ends. */
export async function lockReadyVersion(tx: Queryable, app: string, preferred?: string): Promise<string | undefined> {
  const [row] = await tx.query<{ version: string }>(
    `SELECT version FROM app_versions v WHERE app = $1 AND state = 'ready'
     ORDER BY version = $2 DESC NULLS LAST,
       EXISTS (SELECT FROM app_rings g WHERE g.app = v.app AND g.version = v.version AND g.ring = 'production') DESC,
       added_at DESC, version DESC LIMIT 1 FOR KEY SHARE OF v`,
    [app, preferred ?? null],
  );
  return row?.version;
}

/** Deletes it, and what deleted tenants that nobody can restore any more still say of it. False: it is not there, or being built. An error with SQLSTATE 23503: other tenants need it. */
export async function deleteVersion(tx: Queryable, app: string, version: string): Promise<boolean> {
  await tx.query(
    `DELETE FROM tenant_apps a USING tenants t
     WHERE t.tenant_id = a.tenant_id AND a.app = $1 AND a.version = $2 AND t.state = 'deleted' AND t.key_due_at IS NULL
       AND NOT EXISTS (SELECT FROM operations o WHERE o.source_tenant_id = t.tenant_id AND o.state = 'running')`,
    [app, version],
  );
  const rows = await tx.query(
    `DELETE FROM app_versions WHERE app = $1 AND version = $2 AND state <> 'building' RETURNING app`,
    [app, version],
  );
  return rows.length > 0;
}

/** Tenants of each version, deleted ones that can be restored among them. */
export async function countTenants(db: Queryable, app?: string): Promise<Map<string, number>> {
  const rows = await db.query<{ app: string; version: string; count: string }>(
    `SELECT a.app, a.version, count(*) AS count FROM tenant_apps a JOIN tenants t ON t.tenant_id = a.tenant_id
     WHERE ($1::text IS NULL OR a.app = $1) AND (t.state <> 'deleted' OR t.key_due_at IS NOT NULL) GROUP BY a.app, a.version`,
    [app ?? null],
  );
  return new Map(rows.map(({ app, version, count }) => [`${app} ${version}`, Number(count)]));
}

/** What a tenant runs, and its number. */
export interface TenantApp {
  readonly tenantId: TenantId;
  readonly app: string;
  readonly version: string;
  /** Its OS user is 1879048192 + this. */
  readonly place: number;
}

export async function findTenantApp(db: Queryable, tenantId: TenantId): Promise<TenantApp | undefined> {
  const [row] = await db.query<TenantApp>(
    'SELECT tenant_id AS "tenantId", app, version, place FROM tenant_apps WHERE tenant_id = $1',
    [tenantId],
  );
  return row;
}

/** Of the version that the tenant of this database runs; undefined: its app does not run as a process. */
export async function findConnectionLimit(db: Queryable, databaseName: string): Promise<number | undefined> {
  const [row] = await db.query<{ connections: number }>(
    `SELECT (v.manifest -> 'limits' ->> 'connections')::integer AS connections
     FROM tenants t JOIN tenant_apps a ON a.tenant_id = t.tenant_id JOIN app_versions v ON v.app = a.app AND v.version = a.version
     WHERE t.database_name = $1`,
    [databaseName],
  );
  return row?.connections;
}

/** False: the tenant's app does not run as a process. An error with SQLSTATE 23503: there is no such version. */
export async function updateTenantVersion(tx: Queryable, tenantId: TenantId, version: string): Promise<boolean> {
  const rows = await tx.query('UPDATE tenant_apps SET version = $2 WHERE tenant_id = $1 RETURNING tenant_id', [
    tenantId,
    version,
  ]);
  return rows.length > 0;
}

/** Releases pass the tenant over. */
export async function holdTenant(tx: Queryable, tenantId: TenantId): Promise<void> {
  await tx.query('UPDATE tenant_apps SET is_held = true WHERE tenant_id = $1', [tenantId]);
}
