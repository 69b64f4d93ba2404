import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { setDatabaseName } from './sql.ts';

/** A tenant's database as it was, closed to everybody. */
export interface TenantSnapshot {
  readonly databaseName: string;
  readonly tenantId: TenantId;
  /** Of the app that it belongs to. */
  readonly version: string;
  readonly madeAt: Date;
  /** undefined: an operation has it. */
  readonly keepUntil: Date | undefined;
}

const columns =
  'database_name AS "databaseName", tenant_id AS "tenantId", version, made_at AS "madeAt", keep_until AS "keepUntil"';

type Row = Omit<TenantSnapshot, 'keepUntil'> & { readonly keepUntil: Date | null };

const toSnapshot = (row: Row): TenantSnapshot => ({ ...row, keepUntil: row.keepUntil ?? undefined });

export async function insertSnapshot(
  db: Queryable,
  { databaseName, tenantId, version }: Pick<TenantSnapshot, 'databaseName' | 'tenantId' | 'version'>,
  now: Date,
): Promise<void> {
  await db.query(
    'INSERT INTO tenant_snapshots (database_name, tenant_id, version, made_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
    [databaseName, tenantId, version, now],
  );
}

/** It stays as it is until the transaction ends. */
export async function lockSnapshot(tx: Queryable, databaseName: string): Promise<TenantSnapshot | undefined> {
  const [row] = await tx.query<Row>(`SELECT ${columns} FROM tenant_snapshots WHERE database_name = $1 FOR UPDATE`, [
    databaseName,
  ]);
  return row && toSnapshot(row);
}

export async function selectSnapshots(db: Queryable, tenantId: TenantId): Promise<TenantSnapshot[]> {
  const rows = await db.query<Row>(
    `SELECT ${columns} FROM tenant_snapshots WHERE tenant_id = $1 ORDER BY made_at, database_name`,
    [tenantId],
  );
  return rows.map(toSnapshot);
}

/** Those whose time is over. */
export async function selectDueSnapshots(db: Queryable, now: Date): Promise<TenantSnapshot[]> {
  const rows = await db.query<Row>(
    `SELECT ${columns} FROM tenant_snapshots WHERE keep_until <= $1 ORDER BY keep_until LIMIT 100`,
    [now],
  );
  return rows.map(toSnapshot);
}

/** undefined: an operation has it. */
export async function keepSnapshot(db: Queryable, databaseName: string, until: Date | undefined): Promise<void> {
  await db.query('UPDATE tenant_snapshots SET keep_until = $2 WHERE database_name = $1', [databaseName, until ?? null]);
}

export async function forgetSnapshot(db: Queryable, databaseName: string): Promise<void> {
  await db.query('DELETE FROM tenant_snapshots WHERE database_name = $1', [databaseName]);
}

/** The snapshot becomes the tenant's database, and what that was becomes a snapshot. Does nothing when it is so already. */
export async function exchangeDatabases(
  tx: Queryable,
  tenantId: TenantId,
  { from, to, version }: { readonly from: string; readonly to: string; readonly version: string },
  now: Date,
): Promise<void> {
  await forgetSnapshot(tx, to);
  await insertSnapshot(tx, { databaseName: from, tenantId, version }, now);
  await setDatabaseName(tx, tenantId, to);
}
