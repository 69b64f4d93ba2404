import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { CatalogueObject, Difference } from './catalogue.ts';
import type { DriftState, TenantDrift } from './types.ts';

/** Which of what is kept: another program or another server describes the same schema in other words. */
export interface CatalogueKey {
  readonly version: string;
  readonly format: number;
  readonly major: number;
}

export async function findCatalogue(db: Queryable, key: CatalogueKey): Promise<CatalogueObject[] | undefined> {
  const [row] = await db.query<{ objects: CatalogueObject[] }>(
    'SELECT objects FROM fleet_catalogues WHERE version = $1 AND format = $2 AND server_major = $3',
    [key.version, key.format, key.major],
  );
  return row?.objects;
}

export async function keepCatalogue(
  db: Queryable,
  key: CatalogueKey,
  { hash, objects }: { readonly hash: string; readonly objects: readonly CatalogueObject[] },
  now: Date,
): Promise<void> {
  await db.query(
    `INSERT INTO fleet_catalogues (version, format, server_major, hash, objects, made_at) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT DO NOTHING`,
    [key.version, key.format, key.major, hash, JSON.stringify(objects), now],
  );
}

/** A database that is made to be looked at lies beside the prepared ones: what a kill leaves is dropped by the next start. */
export async function noteProbe(
  db: Queryable,
  probe: { readonly name: string; readonly app: string; readonly version: string },
  now: Date,
): Promise<void> {
  await db.query(
    `INSERT INTO prepared_databases (database_name, app, template_version, state, made_at) VALUES ($1, $2, $3, 'making', $4)`,
    [probe.name, probe.app, probe.version, now],
  );
}

export async function forgetProbe(db: Queryable, name: string): Promise<void> {
  await db.query('DELETE FROM prepared_databases WHERE database_name = $1', [name]);
}

export interface Comparable {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly app: string;
  readonly databaseName: string;
}

/** Those that nobody works on: an import switches triggers off while it loads. */
export async function selectComparable(db: Queryable, tenantId?: TenantId): Promise<Comparable[]> {
  return db.query<Comparable>(
    `SELECT t.tenant_id AS "tenantId", t.name, t.app, t.database_name AS "databaseName" FROM tenants t
     WHERE t.database_name IS NOT NULL AND t.state IN ('active', 'suspended') AND ($1::text IS NULL OR t.tenant_id = $1)
       AND NOT EXISTS (SELECT FROM tenant_locks l WHERE l.tenant_id = t.tenant_id) ORDER BY t.tenant_id`,
    [tenantId ?? null],
  );
}

export interface Comparison {
  readonly tenantId: TenantId;
  readonly version: string;
  readonly state: DriftState;
  readonly hash: string | undefined;
  readonly differences: readonly Difference[];
  readonly reason: string | undefined;
}

/** Of a long list of differences, so many are kept; how many there are is kept as well. */
const keptDifferences = 200;

/** @returns the state before, and whether anything is otherwise now */
export async function keepComparison(
  tx: Queryable,
  { tenantId, version, state, hash, differences, reason }: Comparison,
  now: Date,
): Promise<{ before: DriftState | undefined; isNew: boolean }> {
  const [old] = await tx.query<{ state: DriftState; hash: string | null; version: string }>(
    'SELECT state, hash, version FROM fleet_drift WHERE tenant_id = $1 FOR UPDATE',
    [tenantId],
  );
  const isNew = old?.state !== state || old.version !== version || (state === 'drifted' && old.hash !== hash);
  await tx.query(
    `INSERT INTO fleet_drift AS f (tenant_id, version, state, hash, differences, count, reason, checked_at, since)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
     ON CONFLICT (tenant_id) DO UPDATE SET version = $2, state = $3, hash = $4, differences = $5, count = $6, reason = $7, checked_at = $8,
       since = CASE WHEN $9 THEN $8 ELSE f.since END`,
    [
      tenantId,
      version,
      state,
      hash ?? null,
      JSON.stringify(differences.slice(0, keptDifferences)),
      differences.length,
      reason ?? null,
      now,
      isNew,
    ],
  );
  return { before: old?.state, isNew };
}

export async function selectDrift(
  db: Queryable,
  {
    tenantId,
    states,
  }: { readonly tenantId?: TenantId | undefined; readonly states?: readonly DriftState[] | undefined },
): Promise<TenantDrift[]> {
  const rows = await db.query<TenantDrift & { reason: string | null }>(
    `SELECT f.tenant_id AS "tenantId", t.name, f.version, f.state, f.differences, f.count, f.reason, f.checked_at AS "checkedAt", f.since
     FROM fleet_drift f JOIN tenants t USING (tenant_id)
     WHERE t.state <> 'deleted' AND ($1::text IS NULL OR f.tenant_id = $1) AND ($2::text[] IS NULL OR f.state = ANY ($2))
     ORDER BY t.name, f.tenant_id`,
    [tenantId ?? null, states ?? null],
  );
  return rows.map((row) => ({ ...row, reason: row.reason ?? undefined }));
}
