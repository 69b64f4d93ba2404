/** Rows of `tenant_names`: which name is whose, answered by gateways, promised, or held back. */
import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { tenantErrors } from './errors.ts';

/**
 * Promises a name to a tenant. One statement decides: it takes a free name, one whose time of being held back is over, or one
 * that this tenant had before, or the deleted one whose heir it is. Anything else is FH_TENANT_NAME_TAKEN.
 */
export async function claimName(
  db: Queryable,
  name: string,
  tenantId: TenantId,
  now: Date,
  heirOf: TenantId = tenantId,
): Promise<void> {
  const rows = await db.query(
    `INSERT INTO tenant_names (name, tenant_id, status) VALUES ($1, $2, 'claimed')
     ON CONFLICT (name) DO UPDATE SET tenant_id = excluded.tenant_id, status = 'claimed', held_until = NULL
       WHERE tenant_names.status = 'former' AND (tenant_names.held_until <= $3 OR tenant_names.tenant_id IN (excluded.tenant_id, $4))
     RETURNING name`,
    [name, tenantId, now, heirOf],
  );
  if (rows.length === 0) throw tenantErrors.FH_TENANT_NAME_TAKEN({ detail: JSON.stringify(name) });
}

/** Makes the claimed name the one that gateways answer; a name that was current before is held back. Does nothing when it is done. */
export async function activateName(db: Queryable, tenantId: TenantId, name: string, heldUntil: Date): Promise<void> {
  await db.query(
    `UPDATE tenant_names SET status = 'former', held_until = $3 WHERE tenant_id = $1 AND status = 'current' AND name <> $2`,
    [tenantId, name, heldUntil],
  );
  await db.query(
    `UPDATE tenant_names SET status = 'current', held_until = NULL WHERE tenant_id = $1 AND name = $2 AND status <> 'current'`,
    [tenantId, name],
  );
  await db.query('UPDATE tenants SET name = $2 WHERE tenant_id = $1', [tenantId, name]);
}

interface Named {
  readonly tenantId: TenantId;
  readonly name: string;
}

/** Two tenants exchange their current names; given is how it shall be. Does nothing when it is done. In a transaction of the caller's. */
export async function swapNames(db: Queryable, one: Named, other: Named): Promise<void> {
  const rows = await db.query<{ name: string; tenant_id: TenantId }>(
    `SELECT name, tenant_id FROM tenant_names WHERE name IN ($1, $2) AND status = 'current' ORDER BY name FOR UPDATE`,
    [one.name, other.name],
  );
  const ownerOf = (name: string) => rows.find((row) => row.name === name)?.tenant_id;
  if (ownerOf(one.name) === one.tenantId && ownerOf(other.name) === other.tenantId) return;
  if (ownerOf(one.name) !== other.tenantId || ownerOf(other.name) !== one.tenantId)
    throw tenantErrors.FH_TENANT_NAME_TAKEN({ detail: 'the names belong to other tenants by now' });
  // A tenant has one current name at every moment, also between two statements: the first name steps aside.
  await db.query(`UPDATE tenant_names SET status = 'former', held_until = 'infinity' WHERE name = $1`, [one.name]);
  await db.query('UPDATE tenant_names SET tenant_id = $2 WHERE name = $1', [other.name, other.tenantId]);
  await db.query(`UPDATE tenant_names SET tenant_id = $2, status = 'current', held_until = NULL WHERE name = $1`, [
    one.name,
    one.tenantId,
  ]);
  for (const { tenantId, name } of [one, other])
    await db.query('UPDATE tenants SET name = $2 WHERE tenant_id = $1', [tenantId, name]);
}

/** Until when a name is held back for a tenant that had it; undefined: it is not. */
export async function findHeldName(db: Queryable, name: string, tenantId: TenantId): Promise<Date | undefined> {
  const [row] = await db.query<{ heldUntil: Date }>(
    `SELECT held_until AS "heldUntil" FROM tenant_names WHERE name = $1 AND tenant_id = $2 AND status = 'former' FOR UPDATE`,
    [name, tenantId],
  );
  return row?.heldUntil;
}

/** Holds a name back for a tenant again, after its heir has given it up. */
export async function holdName(db: Queryable, name: string, tenantId: TenantId, heldUntil: Date): Promise<void> {
  await db.query(
    `INSERT INTO tenant_names (name, tenant_id, status, held_until) VALUES ($1, $2, 'former', $3) ON CONFLICT DO NOTHING`,
    [name, tenantId, heldUntil],
  );
}

/** Gives up a promised name that was never answered. */
export async function releaseClaim(db: Queryable, tenantId: TenantId): Promise<void> {
  await db.query(`DELETE FROM tenant_names WHERE tenant_id = $1 AND status = 'claimed'`, [tenantId]);
}

/** Holds back every name of a tenant that goes away. */
export async function retireNames(db: Queryable, tenantId: TenantId, heldUntil: Date): Promise<void> {
  await db.query(
    `UPDATE tenant_names SET status = 'former', held_until = greatest(held_until, $2) WHERE tenant_id = $1`,
    [tenantId, heldUntil],
  );
}
