import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import { type ReleaseId, type ReleaseState, type ReleaseTenantState, type Ring, rings } from './types.ts';

/** How many tenants of a ring run a version. */
export interface RingVersion {
  readonly app: string;
  readonly ring: Ring;
  readonly version: string;
  readonly tenants: number;
  /** Of them, that releases pass over. */
  readonly held: number;
}

export function selectRingVersions(db: Queryable): Promise<RingVersion[]> {
  return db.query(
    `SELECT a.app, a.ring, a.version, count(*)::integer AS tenants, (count(*) FILTER (WHERE a.is_held))::integer AS held
     FROM tenant_apps a JOIN tenants t ON t.tenant_id = a.tenant_id
     WHERE t.state NOT IN ('deleting', 'deleted')
     GROUP BY a.app, a.ring, a.version ORDER BY a.app, array_position($1::text[], a.ring), count(*) DESC, a.version`,
    [rings],
  );
}

export interface StandingRow {
  readonly app: string;
  readonly title: string;
  readonly version: string;
  readonly ring: Ring;
  readonly isHeld: boolean;
  readonly since: Date;
}

/** `since`: when it was last given this version; otherwise since it is there. Undefined: its app does not run as a process. */
export async function findTenantStanding(db: Queryable, tenantId: TenantId): Promise<StandingRow | undefined> {
  const [row] = await db.query<StandingRow>(
    `SELECT a.app, coalesce(v.manifest ->> 'title', a.app) AS title, a.version, a.ring, a.is_held AS "isHeld",
       coalesce((SELECT max(o.finished_at) FROM operations o
                 WHERE o.tenant_id = a.tenant_id AND o.kind = 'update' AND o.state = 'succeeded' AND o.input ->> 'version' = a.version),
                t.created_at) AS since
     FROM tenant_apps a JOIN tenants t ON t.tenant_id = a.tenant_id JOIN app_versions v ON v.app = a.app AND v.version = a.version
     WHERE a.tenant_id = $1`,
    [tenantId],
  );
  return row;
}

export interface VersionNotes {
  readonly version: string;
  readonly notes: string;
  readonly addedAt: Date;
}

/** This version, then those that were added before it, the newest first. */
export function selectNotes(db: Queryable, app: string, version: string, limit: number): Promise<VersionNotes[]> {
  return db.query(
    `SELECT v.version, v.notes, v.added_at AS "addedAt" FROM app_versions v
     JOIN app_versions c ON c.app = v.app AND c.version = $2
     WHERE v.app = $1 AND (v.version = $2 OR (v.state = 'ready' AND v.added_at < c.added_at))
     ORDER BY v.version = $2 DESC, v.added_at DESC, v.version DESC LIMIT $3`,
    [app, version, limit],
  );
}

/** Its content never changes; what people read of it may. */
export async function setNotes(tx: Queryable, app: string, version: string, notes: string): Promise<void> {
  await tx.query('UPDATE app_versions SET notes = $3 WHERE app = $1 AND version = $2', [app, version, notes]);
}

export interface ComingRow {
  readonly releaseId: ReleaseId;
  readonly version: string;
  readonly notes: string;
  readonly state: ReleaseState;
  /** That the release has reached. */
  readonly ring: Ring;
  readonly tenantState: ReleaseTenantState | null;
}

/** The release of its app that is open, and what has become of the tenant in it. */
export async function findOpenRelease(db: Queryable, tenantId: TenantId): Promise<ComingRow | undefined> {
  const [row] = await db.query<ComingRow>(
    `SELECT r.release_id AS "releaseId", r.version, v.notes, r.state, r.ring, rt.state AS "tenantState"
     FROM tenant_apps a JOIN releases r ON r.app = a.app AND r.state NOT IN ('returned', 'done') AND r.version <> a.version
     JOIN app_versions v ON v.app = r.app AND v.version = r.version
     LEFT JOIN release_tenants rt ON rt.release_id = r.release_id AND rt.tenant_id = a.tenant_id
     WHERE a.tenant_id = $1`,
    [tenantId],
  );
  return row;
}
