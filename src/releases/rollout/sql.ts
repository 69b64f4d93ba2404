import type { OperationId, TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import {
  openStates,
  type Release,
  type ReleaseId,
  type ReleaseSettings,
  type ReleaseState,
  type ReleaseTenant,
  type ReleaseTenantState,
  type Ring,
  rings,
} from './types.ts';

const columns =
  'r.release_id, r.app, r.version, r.state, r.ring, r.soaks_since, r.is_promoted, r.settings, r.reason, r.requested_by, r.started_at, r.finished_at';

interface ReleaseRow {
  readonly release_id: ReleaseId;
  readonly app: string;
  readonly version: string;
  readonly state: ReleaseState;
  readonly ring: Ring;
  readonly soaks_since: Date | null;
  readonly is_promoted: boolean;
  readonly settings: ReleaseSettings;
  readonly reason: string | null;
  readonly requested_by: string;
  readonly started_at: Date;
  readonly finished_at: Date | null;
  readonly counts: { ring: Ring; state: ReleaseTenantState; count: number }[];
}

async function selectReleases(db: Queryable, condition: string, values: readonly unknown[]): Promise<Release[]> {
  const rows = await db.query<ReleaseRow>(
    `SELECT ${columns}, coalesce((SELECT jsonb_agg(jsonb_build_object('ring', c.ring, 'state', c.state, 'count', c.count))
       FROM (SELECT ring, state, count(*) FROM release_tenants t WHERE t.release_id = r.release_id GROUP BY ring, state) c), '[]') AS counts
     FROM releases r WHERE ${condition} ORDER BY r.started_at DESC, r.release_id LIMIT 100`,
    values,
  );
  return rows.map(toRelease);
}

function toRelease(row: ReleaseRow): Release {
  const countsOf = (ring: Ring) =>
    Object.fromEntries(row.counts.filter((each) => each.ring === ring).map(({ state, count }) => [state, count]));
  return {
    releaseId: row.release_id,
    app: row.app,
    version: row.version,
    state: row.state,
    ring: row.ring,
    soaksSince: row.soaks_since ?? undefined,
    isPromoted: row.is_promoted,
    settings: row.settings,
    reason: row.reason ?? undefined,
    requestedBy: row.requested_by,
    startedAt: row.started_at,
    finishedAt: row.finished_at ?? undefined,
    counts: { alpha: countsOf('alpha'), beta: countsOf('beta'), production: countsOf('production') },
  };
}

export async function findRelease(db: Queryable, releaseId: ReleaseId): Promise<Release | undefined> {
  return (await selectReleases(db, 'r.release_id = $1', [releaseId]))[0];
}

/** The newest first. @param app undefined: of all apps */
export function listReleases(db: Queryable, app?: string): Promise<Release[]> {
  return selectReleases(db, '$1::text IS NULL OR r.app = $1', [app ?? null]);
}

export function selectOpen(db: Queryable): Promise<Release[]> {
  return selectReleases(db, 'r.state = ANY($1)', [openStates]);
}

export async function insertRelease(
  db: Queryable,
  {
    releaseId,
    app,
    version,
    settings,
    requestedBy,
  }: Pick<Release, 'releaseId' | 'app' | 'version' | 'settings' | 'requestedBy'>,
  now: Date,
): Promise<void> {
  // With the first release of an app: what most of its tenants run is what its rings run.
  await db.query(
    `INSERT INTO app_rings (app, ring, version)
     SELECT $1, ring, coalesce((SELECT version FROM tenant_apps WHERE app = $1 AND version <> $2 GROUP BY version ORDER BY count(*) DESC, version LIMIT 1), $2)
     FROM unnest($3::text[]) AS ring ON CONFLICT DO NOTHING`,
    [app, version, rings],
  );
  await db.query(
    `INSERT INTO releases (release_id, app, version, state, ring, settings, before, requested_by, started_at)
     VALUES ($1, $2, $3, 'checking', $4, $5::jsonb, (SELECT jsonb_object_agg(ring, version) FROM app_rings WHERE app = $2), $6, $7)`,
    [releaseId, app, version, rings[0], JSON.stringify(settings), requestedBy, now],
  );
}

/** Its rings run again what they ran before it. */
export async function returnRings(tx: Queryable, releaseId: ReleaseId): Promise<void> {
  await tx.query(
    `UPDATE app_rings g SET version = r.before ->> g.ring FROM releases r
     WHERE r.release_id = $1 AND g.app = r.app AND g.version = r.version AND r.before ? g.ring`,
    [releaseId],
  );
}

/** Nobody looks any more who writes: from here on, whoever goes back keeps what is there now. */
export async function endTrials(tx: Queryable, releaseId: ReleaseId, now: Date): Promise<void> {
  await tx.query(
    `UPDATE release_tenants SET written_at = $2 WHERE release_id = $1 AND state = 'done' AND written_at IS NULL`,
    [releaseId, now],
  );
}

/** Moves it from one of these states; false: it was in none of them. */
export async function moveRelease(
  db: Queryable,
  releaseId: ReleaseId,
  from: readonly ReleaseState[],
  to: ReleaseState,
  { reason, now }: { readonly reason?: string | undefined; readonly now: Date },
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE releases SET state = $3, reason = coalesce($4, reason), finished_at = CASE WHEN $3 IN ('done', 'returned') THEN $5::timestamptz END
     WHERE release_id = $1 AND state = ANY($2) RETURNING release_id`,
    [releaseId, from, to, reason ?? null, now],
  );
  return rows.length > 0;
}

/** False: it does not run any more. */
export async function setRing(
  db: Queryable,
  releaseId: ReleaseId,
  { ring, soaksSince }: { readonly ring: Ring; readonly soaksSince: Date | undefined },
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE releases SET ring = $2, soaks_since = $3, is_promoted = is_promoted AND ring = $2
     WHERE release_id = $1 AND state = 'running' RETURNING release_id`,
    [releaseId, ring, soaksSince ?? null],
  );
  return rows.length > 0;
}

/** False: it neither runs nor waits. */
export async function promote(db: Queryable, releaseId: ReleaseId): Promise<boolean> {
  const rows = await db.query(
    `UPDATE releases SET is_promoted = true WHERE release_id = $1 AND state = 'running' RETURNING release_id`,
    [releaseId],
  );
  return rows.length > 0;
}

/** What the ring runs from now on, newcomers included. */
export async function setRingVersion(db: Queryable, app: string, ring: Ring, version: string): Promise<void> {
  await db.query(
    `INSERT INTO app_rings (app, ring, version) VALUES ($1, $2, $3)
     ON CONFLICT (app, ring) DO UPDATE SET version = excluded.version`,
    [app, ring, version],
  );
}

/** Somebody who is to get it, of the first ring that has any; who was used last. */
export async function findSubject(
  db: Queryable,
  { app, version }: Pick<Release, 'app' | 'version'>,
): Promise<{ readonly tenantId: TenantId; readonly version: string } | undefined> {
  const [row] = await db.query<{ tenantId: TenantId; version: string }>(
    `SELECT a.tenant_id AS "tenantId", a.version FROM tenant_apps a JOIN tenants t ON t.tenant_id = a.tenant_id
     WHERE a.app = $1 AND a.version <> $2 AND NOT a.is_held AND t.state = 'active'
     ORDER BY array_position($3::text[], a.ring), t.last_used_at DESC NULLS LAST, a.tenant_id LIMIT 1`,
    [app, version, rings],
  );
  return row;
}

/** Copies that a rehearsal has made, and that are still there. */
export async function selectCopies(db: Queryable, prefix: string): Promise<TenantId[]> {
  const rows = await db.query<{ tenantId: TenantId }>(
    `SELECT tenant_id AS "tenantId" FROM tenants WHERE starts_with(name, $1) AND state NOT IN ('deleting', 'deleted')`,
    [prefix],
  );
  return rows.map(({ tenantId }) => tenantId);
}

/** Releases pass it over. */
export async function holdOne(db: Queryable, tenantId: TenantId): Promise<void> {
  await db.query('UPDATE tenant_apps SET is_held = true WHERE tenant_id = $1', [tenantId]);
}

/** Adds tenants of the ring that run another version and are not held by a person; who was used last goes first. @returns how many are new */
export async function enlist(db: Queryable, { releaseId, app, version, ring }: Release): Promise<number> {
  const rows = await db.query(
    `INSERT INTO release_tenants (release_id, tenant_id, ring, state, from_version)
     SELECT $1, a.tenant_id, a.ring, 'waiting', a.version
     FROM tenant_apps a JOIN tenants t ON t.tenant_id = a.tenant_id
     WHERE a.app = $2 AND a.ring = $4 AND a.version <> $3 AND NOT a.is_held AND t.state IN ('active', 'migrating')
     ON CONFLICT DO NOTHING RETURNING tenant_id`,
    [releaseId, app, version, ring],
  );
  return rows.length;
}

export interface Claimed {
  readonly tenantId: TenantId;
  readonly fromVersion: string;
  readonly attempts: number;
  readonly isWritten: boolean;
}

/** One statement: whoever has it, nobody else has. `done` ones are claimed to go back. */
export async function claimNext(
  db: Queryable,
  releaseId: ReleaseId,
  to: { readonly from: 'waiting' | 'done'; readonly state: 'running' | 'returning'; readonly ring?: Ring },
  now: Date,
): Promise<Claimed | undefined> {
  const [row] = await db.query<Claimed>(
    `UPDATE release_tenants SET state = $3, attempts = attempts + 1, operation_id = NULL
     WHERE release_id = $1 AND tenant_id = (
       SELECT r.tenant_id FROM release_tenants r JOIN tenants t ON t.tenant_id = r.tenant_id
       WHERE r.release_id = $1 AND r.state = $2 AND ($4::text IS NULL OR r.ring = $4) AND (r.not_before IS NULL OR r.not_before <= $5)
       ORDER BY t.last_used_at DESC NULLS LAST, r.tenant_id LIMIT 1 FOR UPDATE OF r SKIP LOCKED)
     RETURNING tenant_id AS "tenantId", from_version AS "fromVersion", attempts, written_at IS NOT NULL AS "isWritten"`,
    [releaseId, to.from, to.state, to.ring ?? null, now],
  );
  return row;
}

/** This one, unless it is not done any more. */
export async function claimOne(db: Queryable, releaseId: ReleaseId, tenantId: TenantId): Promise<Claimed | undefined> {
  const [row] = await db.query<Claimed>(
    `UPDATE release_tenants SET state = 'returning', attempts = attempts + 1, operation_id = NULL
     WHERE release_id = $1 AND tenant_id = $2 AND state = 'done'
     RETURNING tenant_id AS "tenantId", from_version AS "fromVersion", attempts, written_at IS NOT NULL AS "isWritten"`,
    [releaseId, tenantId],
  );
  return row;
}

/** What a process that ended had. */
export function selectClaimed(
  db: Queryable,
  releaseId: ReleaseId,
): Promise<(Claimed & { state: ReleaseTenantState })[]> {
  return db.query(
    `SELECT tenant_id AS "tenantId", from_version AS "fromVersion", attempts, written_at IS NOT NULL AS "isWritten", state
     FROM release_tenants WHERE release_id = $1 AND state IN ('running', 'returning') ORDER BY tenant_id`,
    [releaseId],
  );
}

/** The operation that gives this tenant this version for the release, if one was begun. */
export async function findUpdate(
  db: Queryable,
  releaseId: ReleaseId,
  tenantId: TenantId,
  version: string,
): Promise<OperationId | undefined> {
  const [row] = await db.query<{ operation_id: OperationId }>(
    `SELECT operation_id FROM operations
     WHERE tenant_id = $1 AND kind = 'update' AND input ->> 'onBehalfOf' = $2 AND input ->> 'version' = $3
     ORDER BY started_at DESC, operation_id LIMIT 1`,
    [tenantId, releaseId, version],
  );
  return row?.operation_id;
}

export interface Settlement {
  readonly state: ReleaseTenantState;
  readonly operationId?: OperationId | undefined;
  readonly notBefore?: Date;
  readonly isDataBack?: boolean;
  readonly error?: { readonly code: string | undefined; readonly text: string } | undefined;
}

export async function settle(
  db: Queryable,
  releaseId: ReleaseId,
  tenantId: TenantId,
  { state, operationId, notBefore, isDataBack, error }: Settlement,
  now: Date,
): Promise<void> {
  await db.query(
    `UPDATE release_tenants SET state = $3, operation_id = coalesce($4, operation_id), not_before = $5, is_data_back = coalesce($6, is_data_back),
       error_code = coalesce($7, error_code), error_text = coalesce($8, error_text),
       finished_at = CASE WHEN $3 IN ('waiting', 'running', 'returning') THEN NULL ELSE $9::timestamptz END
     WHERE release_id = $1 AND tenant_id = $2`,
    [
      releaseId,
      tenantId,
      state,
      operationId ?? null,
      notBefore ?? null,
      isDataBack ?? null,
      error?.code ?? null,
      error?.text ?? null,
      now,
    ],
  );
}

export async function selectTenants(
  db: Queryable,
  releaseId: ReleaseId,
  states?: readonly ReleaseTenantState[],
): Promise<ReleaseTenant[]> {
  const rows = await db.query<Omit<ReleaseTenant, 'error'> & { errorCode: string | null; errorText: string | null }>(
    `SELECT r.tenant_id AS "tenantId", t.name, r.ring, r.state, r.from_version AS "fromVersion", r.operation_id AS "operationId",
       r.written_at AS "writtenAt", r.is_data_back AS "isDataBack", r.error_code AS "errorCode", r.error_text AS "errorText"
     FROM release_tenants r JOIN tenants t ON t.tenant_id = r.tenant_id
     WHERE r.release_id = $1 AND ($2::text[] IS NULL OR r.state = ANY($2)) ORDER BY t.name`,
    [releaseId, states ?? null],
  );
  return rows.map(({ errorCode, errorText, ...row }) => ({
    ...row,
    operationId: row.operationId ?? undefined,
    writtenAt: row.writtenAt ?? undefined,
    isDataBack: row.isDataBack ?? undefined,
    error: errorText === null ? undefined : { code: errorCode ?? undefined, text: errorText },
  }));
}

/** Its database as it was at this version; the newest. */
export async function findSnapshotOf(db: Queryable, tenantId: TenantId, version: string): Promise<string | undefined> {
  const [row] = await db.query<{ name: string }>(
    `SELECT database_name AS name FROM tenant_snapshots WHERE tenant_id = $1 AND version = $2 AND keep_until IS NOT NULL
     ORDER BY made_at DESC LIMIT 1`,
    [tenantId, version],
  );
  return row?.name;
}

/** Only the first is kept. False: the tenant is on its way back with its content, so nobody may write any more. */
export async function noteWritten(db: Queryable, tenantId: TenantId, now: Date): Promise<boolean> {
  // In the row that a way back is claimed by: one of the two comes first, and the other sees it.
  await db.query(
    `UPDATE release_tenants rt SET written_at = $2 FROM releases r
     WHERE r.release_id = rt.release_id AND r.state = ANY($3) AND rt.tenant_id = $1 AND rt.written_at IS NULL AND rt.state IN ('running', 'done')`,
    [tenantId, now, openStates],
  );
  const leaving = await db.query(
    `SELECT FROM release_tenants WHERE tenant_id = $1 AND state = 'returning' AND written_at IS NULL`,
    [tenantId],
  );
  return leaving.length === 0;
}

/** From now on it goes with this ring, also when a person had held it. False: its app does not run as a process. */
export async function setTenantRing(db: Queryable, tenantId: TenantId, ring: Ring): Promise<boolean> {
  const rows = await db.query(
    'UPDATE tenant_apps SET ring = $2, is_held = false WHERE tenant_id = $1 RETURNING tenant_id',
    [tenantId, ring],
  );
  return rows.length > 0;
}

/** Active tenants, not held, that do not run what their ring runs, although no release is under way and none has failed on them. */
export function selectStragglers(db: Queryable): Promise<{ tenantId: TenantId; version: string }[]> {
  return db.query(
    `SELECT a.tenant_id AS "tenantId", g.version
     FROM tenant_apps a JOIN tenants t ON t.tenant_id = a.tenant_id JOIN app_rings g ON g.app = a.app AND g.ring = a.ring
     WHERE a.version <> g.version AND NOT a.is_held AND t.state = 'active'
       AND NOT EXISTS (SELECT FROM releases r WHERE r.app = a.app AND r.state = ANY($1))
       AND NOT EXISTS (SELECT FROM release_tenants rt JOIN releases r ON r.release_id = rt.release_id
                       WHERE rt.tenant_id = a.tenant_id AND r.version = g.version AND rt.state = 'failed')
     ORDER BY a.tenant_id LIMIT 100`,
    [openStates],
  );
}

/** Whether this update has put former content back. */
export async function isWithSnapshot(db: Queryable, operationId: OperationId): Promise<boolean> {
  const [row] = await db.query<{ is: boolean }>(
    `SELECT input ? 'snapshot' AS is FROM operations WHERE operation_id = $1`,
    [operationId],
  );
  return row?.is === true;
}
