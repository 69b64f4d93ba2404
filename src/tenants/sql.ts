import type { TenantId } from '#src/kernel/index.ts';
import { lazily, type Queryable, sqlState } from '#src/postgres/index.ts';
import { tenantErrors } from './errors.ts';
import { canMove } from './transitions.ts';
import type { Edition, RecoveryPoint, Residency, Tenant, TenantState } from './types.ts';

const tenantColumns = `t.tenant_id, t.name, t.title, t.state, t.edition, t.cluster, t.app, t.admin_email, t.database_name, t.created_at,
  t.state_changed_at, t.last_used_at, t.size_bytes, t.key_due_at, t.recovery_point, t.residency, t.residency_copies,
  (SELECT a.version FROM tenant_apps a WHERE a.tenant_id = t.tenant_id) AS app_version,
  coalesce((SELECT l.operation_id FROM tenant_locks l WHERE l.tenant_id = t.tenant_id),
           (SELECT o.operation_id FROM operations o WHERE o.tenant_id = t.tenant_id AND o.state = 'failed'
              AND NOT EXISTS (SELECT FROM operations newer WHERE newer.tenant_id = o.tenant_id AND newer.started_at > o.started_at)
            LIMIT 1)) AS operation_id`;

interface TenantRow {
  tenant_id: TenantId;
  name: string;
  title: string;
  state: TenantState;
  edition: Edition;
  cluster: string;
  app: string;
  app_version: string | null;
  admin_email: string;
  database_name: string | null;
  created_at: Date;
  state_changed_at: Date;
  last_used_at: Date | null;
  size_bytes: string | null;
  key_due_at: Date | null;
  recovery_point: RecoveryPoint;
  residency: string[] | null;
  residency_copies: string[] | null;
  operation_id: Tenant['operationId'] | null;
}

function toTenant(row: TenantRow): Tenant {
  return {
    tenantId: row.tenant_id,
    name: row.name,
    title: row.title,
    state: row.state,
    edition: row.edition,
    cluster: row.cluster,
    app: row.app,
    appVersion: row.app_version ?? undefined,
    adminEmail: row.admin_email,
    databaseName: row.database_name ?? undefined,
    createdAt: row.created_at,
    stateChangedAt: row.state_changed_at,
    lastUsedAt: row.last_used_at ?? undefined,
    sizeBytes: row.size_bytes === null ? undefined : Number(row.size_bytes),
    operationId: row.operation_id ?? undefined,
    keyDueAt: row.key_due_at ?? undefined,
    recoveryPoint: row.recovery_point,
    residency:
      row.residency && row.residency_copies ? { home: row.residency, copies: row.residency_copies } : undefined,
  };
}

export interface NewTenant {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly title: string;
  readonly edition: Edition;
  /** Default: the main one. */
  readonly cluster?: string | undefined;
  readonly app: string;
  /** Of an app that runs as a process. */
  readonly appVersion?: string | undefined;
  readonly adminEmail: string;
  readonly residency?: Residency | undefined;
}

/** Adds a tenant in state `creating`: `requested` lasts only as long as this statement. */
export async function insertTenant(db: Queryable, tenant: NewTenant, now: Date): Promise<void> {
  await db.query(
    `INSERT INTO tenants (tenant_id, name, title, state, edition, app, admin_email, created_at, state_changed_at, cluster, residency,
       residency_copies)
     VALUES ($1, $2, $3, 'creating', $4, $5, $6, $7, $7, coalesce($8, 'main'), $9, $10)`,
    [
      tenant.tenantId,
      tenant.name,
      tenant.title,
      tenant.edition,
      tenant.app,
      tenant.adminEmail,
      now,
      tenant.cluster ?? null,
      tenant.residency?.home ?? null,
      tenant.residency?.copies ?? null,
    ],
  );
  if (tenant.appVersion !== undefined)
    await db.query('INSERT INTO tenant_apps (tenant_id, app, version) VALUES ($1, $2, $3)', [
      tenant.tenantId,
      tenant.app,
      tenant.appVersion,
    ]);
}

export async function findTenant(db: Queryable, tenantId: TenantId): Promise<Tenant | undefined> {
  const rows = await db.query<TenantRow>(`SELECT ${tenantColumns} FROM tenants t WHERE t.tenant_id = $1`, [tenantId]);
  return rows[0] && toTenant(rows[0]);
}

/** By the name it has now; a former name finds nothing, so that no command hits a tenant that was meant by its old name. */
export async function findTenantByName(db: Queryable, name: string): Promise<Tenant | undefined> {
  const rows = await db.query<TenantRow>(
    `SELECT ${tenantColumns} FROM tenants t JOIN tenant_names n ON n.tenant_id = t.tenant_id
     WHERE n.name = $1 AND (n.status = 'current' OR (t.name = n.name AND t.state <> 'deleted'))`,
    [name],
  );
  return rows[0] && toTenant(rows[0]);
}

/** The state, read under a lock that holds until the transaction ends. */
export async function lockTenant(db: Queryable, tenantId: TenantId): Promise<{ state: TenantState; name: string }> {
  const rows = await db.query<{ state: TenantState; name: string }>(
    'SELECT state, name FROM tenants WHERE tenant_id = $1 FOR NO KEY UPDATE',
    [tenantId],
  );
  if (!rows[0]) throw tenantErrors.FH_TENANT_NOT_FOUND();
  return rows[0];
}

/** Moves a tenant through the transition table; does nothing when it is there already. */
export async function moveTenant(db: Queryable, tenantId: TenantId, to: TenantState, now: Date): Promise<void> {
  const { state } = await lockTenant(db, tenantId);
  if (state === to) return;
  if (!canMove(state, to)) throw tenantErrors.FH_TENANT_STATE({ detail: `${state} does not lead to ${to}` });
  await db.query('UPDATE tenants SET state = $2, state_changed_at = $3 WHERE tenant_id = $1', [tenantId, to, now]);
}

export const sortColumns = {
  name: 'lower(t.name)',
  createdAt: 't.created_at',
  lastUsedAt: 't.last_used_at',
  sizeBytes: 't.size_bytes',
  state: 't.state',
} as const;

export interface TenantQuery {
  /** Part of the name or title. */
  readonly search?: string;
  /** Default: every state but `deleted`. */
  readonly states?: readonly TenantState[];
  readonly sort?: keyof typeof sortColumns;
  readonly descending?: boolean;
  /** Default 50, at most 500. */
  readonly limit?: number;
  readonly offset?: number;
}

export interface TenantPage {
  readonly tenants: readonly Tenant[];
  /** How many match, on all pages. */
  readonly total: number;
}

export async function listTenants(db: Queryable, query: TenantQuery): Promise<TenantPage> {
  const direction = query.descending ? 'DESC' : 'ASC';
  const where = `($1::text IS NULL OR t.name ILIKE $1 OR t.title ILIKE $1 OR t.tenant_id = $2)
     AND (CASE WHEN $3::text[] IS NULL THEN t.state <> 'deleted' ELSE t.state = ANY($3) END)`;
  const pattern = query.search ? `%${query.search.replace(/[\\%_]/g, '\\$&')}%` : null;
  const values = [pattern, query.search ?? null, query.states ?? null];
  const rows = await db.query<TenantRow>(
    `SELECT ${tenantColumns} FROM tenants t WHERE ${where}
     ORDER BY ${sortColumns[query.sort ?? 'name']} ${direction} NULLS LAST, t.tenant_id LIMIT $4 OFFSET $5`,
    [...values, Math.min(query.limit ?? 50, 500), query.offset ?? 0],
  );
  const counted = await db.query<{ total: string }>(`SELECT count(*) AS total FROM tenants t WHERE ${where}`, values);
  return { tenants: rows.map(toTenant), total: Number(counted[0]!.total) };
}

export async function setDatabaseName(db: Queryable, tenantId: TenantId, databaseName: string | null): Promise<void> {
  await db.query('UPDATE tenants SET database_name = $2 WHERE tenant_id = $1', [tenantId, databaseName]);
}

export async function setRecoveryPoint(db: Queryable, tenantId: TenantId, point: RecoveryPoint): Promise<void> {
  await db.query('UPDATE tenants SET recovery_point = $2 WHERE tenant_id = $1', [tenantId, point]);
}

/** Forgets what a deleted tenant no longer needs: secrets, and the words that name people. */
export async function forgetTenant(db: Queryable, tenantId: TenantId): Promise<void> {
  await db.query('DELETE FROM tenant_secrets WHERE tenant_id = $1', [tenantId]);
  await db.query(
    `UPDATE tenants SET title = name, admin_email = '', database_name = NULL, size_bytes = NULL WHERE tenant_id = $1`,
    [tenantId],
  );
}

/** When the key of a deleted tenant is to be destroyed; null: it is. */
export async function setKeyDueAt(db: Queryable, tenantId: TenantId, dueAt: Date | null): Promise<void> {
  await db.query('UPDATE tenants SET key_due_at = $2 WHERE tenant_id = $1', [tenantId, dueAt]);
}

/** Deleted tenants whose keys are due, the longest due first; whether somebody is restoring one is looked at under its lock. */
export async function selectDueKeys(db: Queryable, now: Date): Promise<TenantId[]> {
  const rows = await db.query<{ tenant_id: TenantId }>(
    `SELECT tenant_id FROM tenants WHERE state = 'deleted' AND key_due_at <= $1 ORDER BY key_due_at, tenant_id`,
    [now],
  );
  return rows.map((row) => row.tenant_id);
}

/** Whether an operation reads this tenant to make another of it. */
export async function hasRunningCopy(db: Queryable, tenantId: TenantId): Promise<boolean> {
  const rows = await db.query(`SELECT FROM operations WHERE source_tenant_id = $1 AND state = 'running' LIMIT 1`, [
    tenantId,
  ]);
  return rows.length > 0;
}

/** Whether its key is being destroyed: by what ends the grace period, or by a deletion without one. */
export async function isKeyGoing(db: Queryable, tenantId: TenantId): Promise<boolean> {
  const rows = await db.query(
    `SELECT FROM operations WHERE tenant_id = $1 AND state = 'running'
       AND (kind = 'destroy' OR (kind = 'delete' AND NOT input ? 'keyDueAt')) LIMIT 1`,
    [tenantId],
  );
  return rows.length > 0;
}

export type SecretName = 'database.app' | 'database.platform';

export async function selectSecrets(db: Queryable, tenantId: TenantId): Promise<Map<SecretName, Buffer>> {
  const rows = await db.query<{ name: SecretName; sealed: Buffer }>(
    'SELECT name, sealed FROM tenant_secrets WHERE tenant_id = $1',
    [tenantId],
  );
  return new Map(rows.map((row) => [row.name, row.sealed]));
}

/** All of them or none. */
export async function upsertSecrets(
  db: Queryable,
  tenantId: TenantId,
  secrets: Readonly<Record<SecretName, Buffer>>,
): Promise<void> {
  // Lazily: they are worth nothing before the roles have them, which is later in the same WAL.
  await db.query(
    `INSERT INTO tenant_secrets (tenant_id, name, sealed)
     SELECT $1, secret.name, secret.sealed FROM unnest($2::text[], $3::bytea[]) AS secret (name, sealed) WHERE ${lazily}
     ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed`,
    [tenantId, Object.keys(secrets), Object.values(secrets)],
  );
}

/** Last use, to the minute: many requests, one write. */
export async function updateLastUsed(db: Queryable, tenantIds: readonly TenantId[], now: Date): Promise<void> {
  await db.query(
    `UPDATE tenants SET last_used_at = date_trunc('minute', $2::timestamptz)
     WHERE tenant_id = ANY($1) AND (last_used_at IS NULL OR last_used_at < date_trunc('minute', $2::timestamptz))`,
    [tenantIds, now],
  );
}

/** One tenant whose size is unknown, or that was used since it was measured, longer ago than `before`. */
export async function findTenantToMeasure(
  db: Queryable,
  before: Date,
): Promise<{ tenantId: TenantId; databaseName: string } | undefined> {
  const rows = await db.query<{ tenant_id: TenantId; database_name: string }>(
    `SELECT tenant_id, database_name FROM tenants
     WHERE state = 'active' AND database_name IS NOT NULL
       AND (size_measured_at IS NULL OR (size_measured_at < $1 AND last_used_at >= date_trunc('minute', size_measured_at)))
     ORDER BY size_measured_at NULLS FIRST LIMIT 1`,
    [before],
  );
  return rows[0] && { tenantId: rows[0].tenant_id, databaseName: rows[0].database_name };
}

export async function updateSize(
  db: Queryable,
  tenantId: TenantId,
  sizeBytes: number | null,
  now: Date,
): Promise<void> {
  await db.query(
    'UPDATE tenants SET size_bytes = coalesce($2, size_bytes), size_measured_at = $3 WHERE tenant_id = $1',
    [tenantId, sizeBytes, now],
  );
}

/** Every database that the registry accounts for. */
export async function selectKnownDatabases(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ database_name: string }>(
    `SELECT database_name FROM tenants WHERE database_name IS NOT NULL
     UNION SELECT database_name FROM prepared_databases
     UNION SELECT database_name FROM tenant_snapshots`,
  );
  return rows.map((row) => row.database_name);
}

/** True for SQLSTATE 23505: somebody else was first. */
export function isDuplicate(error: unknown): boolean {
  return sqlState(error) === '23505';
}

/** Another server, and the edition that goes with it. */
export async function setPlace(
  db: Queryable,
  tenantId: TenantId,
  { edition, cluster }: { readonly edition: Edition; readonly cluster: string },
): Promise<void> {
  await db.query('UPDATE tenants SET edition = $2, cluster = $3 WHERE tenant_id = $1', [tenantId, edition, cluster]);
}

/**
 * Whether a server is there for anybody besides this tenant: for those that are on it, and for those that were, because their moments of that time are restored with
 * its books. A deleted one counts as long as it can be restored.
 */
export async function isClusterInUse(db: Queryable, cluster: string, besides: TenantId): Promise<boolean> {
  const rows = await db.query(
    `SELECT 1 FROM tenants t WHERE t.tenant_id <> $2 AND (t.state <> 'deleted' OR t.key_due_at IS NOT NULL)
       AND (t.cluster = $1 OR EXISTS (SELECT FROM tenant_ledger l WHERE l.tenant_id = t.tenant_id AND l.database_name LIKE $3)) LIMIT 1`,
    [cluster, besides, `%\\_${cluster}`],
  );
  return rows.length > 0;
}

/** Every server of its own that a tenant is or was on. */
export async function selectPrivateClusters(db: Queryable, tenantId: TenantId): Promise<string[]> {
  const rows = await db.query<{ cluster: string }>(
    `SELECT cluster FROM tenants WHERE tenant_id = $1 AND cluster <> 'main'
     UNION SELECT split_part(database_name, '_', 3) FROM tenant_ledger WHERE tenant_id = $1 AND split_part(database_name, '_', 3) <> ''
     ORDER BY 1`,
    [tenantId],
  );
  return rows.map(({ cluster }) => cluster);
}

/** Of everybody who has data somewhere. */
export async function selectResidencies(db: Queryable): Promise<({ name: string } & Residency)[]> {
  return db.query<{ name: string } & Residency>(
    `SELECT name, residency AS home, residency_copies AS copies FROM tenants
     WHERE residency IS NOT NULL AND (state <> 'deleted' OR key_due_at IS NOT NULL) ORDER BY name`,
  );
}

export async function updateResidency(
  db: Queryable,
  tenantId: TenantId,
  residency: Residency | undefined,
): Promise<void> {
  await db.query('UPDATE tenants SET residency = $2, residency_copies = $3 WHERE tenant_id = $1', [
    tenantId,
    residency?.home ?? null,
    residency?.copies ?? null,
  ]);
}
