import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { FleetRun, FleetSubject, HaltRule, RunId, RunState, SubjectState } from './types.ts';

/** Such a statement does not wait for the disk: whatever a crash of the server takes of it is found out again. */
const unhurried = `(SELECT set_config('synchronous_commit', 'off', true)) AS unhurried`;

/** A tenant that has a database. */
export interface Housed {
  readonly tenantId: TenantId;
  readonly app: string;
  readonly databaseName: string;
}

/** Most recently used first: whoever is at work meets the old schema for the shortest time. */
export async function selectHoused(db: Queryable): Promise<Housed[]> {
  return db.query<Housed>(
    `SELECT tenant_id AS "tenantId", app, database_name AS "databaseName" FROM tenants
     WHERE database_name IS NOT NULL AND state NOT IN ('deleting', 'deleted')
     ORDER BY last_used_at DESC NULLS LAST, tenant_id`,
  );
}

const runColumns = `r.run_id AS "runId", r.target, r.state, r.reason, r.is_whole AS "isWhole", r.max_failed_percent AS "maxFailedPercent", r.min_failed AS "minFailed",
  r.requested_by AS "requestedBy", r.started_at AS "startedAt", r.finished_at AS "finishedAt",
  (SELECT coalesce(jsonb_object_agg(c.state, c.n), '{}') FROM
     (SELECT f.state, count(*) AS n FROM fleet_tenants f WHERE f.run_id = r.run_id GROUP BY f.state) AS c) AS counts`;

type RunRow = Omit<FleetRun, 'reason' | 'finishedAt' | 'counts'> & {
  readonly reason: string | null;
  readonly finishedAt: Date | null;
  readonly counts: Partial<Record<SubjectState, number>>;
};

function toRun(row: RunRow): FleetRun {
  return {
    ...row,
    reason: row.reason ?? undefined,
    finishedAt: row.finishedAt ?? undefined,
    counts: { waiting: 0, running: 0, done: 0, failed: 0, skipped: 0, ...row.counts },
  };
}

/** The one that runs, or the last that did. @param whole only of those over everybody */
export async function findLatestRun(db: Queryable, { whole = false } = {}): Promise<FleetRun | undefined> {
  const [row] = await db.query<RunRow>(
    `SELECT ${runColumns} FROM fleet_runs r WHERE r.is_whole OR NOT $1
     ORDER BY (r.state = 'running') DESC, r.started_at DESC, r.run_id DESC LIMIT 1`,
    [whole],
  );
  return row && toRun(row);
}

export async function findRun(db: Queryable, runId: RunId): Promise<FleetRun | undefined> {
  const [row] = await db.query<RunRow>(`SELECT ${runColumns} FROM fleet_runs r WHERE r.run_id = $1`, [runId]);
  return row && toRun(row);
}

export interface NewRun extends HaltRule {
  readonly runId: RunId;
  readonly target: Readonly<Record<string, string>>;
  readonly isWhole: boolean;
  readonly requestedBy: string;
}

export async function insertRun(db: Queryable, run: NewRun, now: Date): Promise<void> {
  await db.query(
    `INSERT INTO fleet_runs (run_id, target, state, is_whole, max_failed_percent, min_failed, requested_by, started_at)
     VALUES ($1, $2, 'running', $3, $4, $5, $6, $7)`,
    [run.runId, JSON.stringify(run.target), run.isWhole, run.maxFailedPercent, run.minFailed, run.requestedBy, now],
  );
}

/** Holds the run as it is until the transaction ends. @returns false when it has ended */
export async function holdRunning(tx: Queryable, runId: RunId): Promise<boolean> {
  return (
    (await tx.query("SELECT FROM fleet_runs WHERE run_id = $1 AND state = 'running' FOR SHARE", [runId])).length > 0
  );
}

/** Makes it whole: whoever else is behind is taken along. */
export async function widenRun(tx: Queryable, runId: RunId): Promise<void> {
  await tx.query('UPDATE fleet_runs SET is_whole = true WHERE run_id = $1 AND NOT is_whole', [runId]);
}

/** @returns false when it had ended already, or is not done because somebody still waits */
export async function endRun(
  db: Queryable,
  runId: RunId,
  state: Exclude<RunState, 'running'>,
  reason: string | undefined,
  now: Date,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE fleet_runs SET state = $2, reason = $3, finished_at = $4 WHERE run_id = $1 AND state = 'running'
       AND ($2 <> 'done' OR NOT EXISTS (SELECT FROM fleet_tenants f WHERE f.run_id = $1 AND f.state IN ('waiting', 'running')))
     RETURNING run_id`,
    [runId, state, reason ?? null, now],
  );
  return rows.length > 0;
}

/** Adds those that the run does not have yet, and gives those that had failed another turn. @returns how many wait now because of it */
export async function enlist(
  db: Queryable,
  runId: RunId,
  subjects: readonly { readonly tenantId: TenantId; readonly from: string | undefined; readonly to: string }[],
  { again }: { readonly again: boolean },
): Promise<number> {
  if (subjects.length === 0) return 0;
  const rows = await db.query(
    `INSERT INTO fleet_tenants AS f (run_id, tenant_id, position, from_version, to_version)
     SELECT $1, s.tenant_id, s.position, s.from_version, s.to_version
     FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS s (tenant_id, from_version, to_version, position)
     ON CONFLICT (run_id, tenant_id) DO UPDATE
       SET state = 'waiting', attempts = 0, not_before = NULL, error_code = NULL, error_text = NULL, finished_at = NULL
       WHERE $5 AND f.state IN ('failed', 'skipped')
     RETURNING tenant_id`,
    [
      runId,
      subjects.map(({ tenantId }) => tenantId),
      subjects.map(({ from }) => from ?? null),
      subjects.map(({ to }) => to),
      again,
    ],
  );
  return rows.length;
}

/** After a kill: what others had, who are gone, waits again. */
export async function releaseClaims(db: Queryable, runId: RunId, except: string): Promise<number> {
  const rows = await db.query(
    `UPDATE fleet_tenants SET state = 'waiting', claimed_by = NULL, claimed_at = NULL
     WHERE run_id = $1 AND state = 'running' AND claimed_by IS DISTINCT FROM $2 RETURNING tenant_id`,
    [runId, except],
  );
  return rows.length;
}

export interface Claim {
  readonly tenantId: TenantId;
  readonly attempts: number;
  readonly app: string;
  readonly databaseName: string | null;
  readonly tenantState: string;
}

/** One statement decides who gets whom. A tenant that an operation has is passed over until that has ended. */
export async function claimNext(db: Queryable, runId: RunId, claimedBy: string, now: Date): Promise<Claim | undefined> {
  const [row] = await db.query<Claim>(
    `UPDATE fleet_tenants f SET state = 'running', claimed_by = $2, claimed_at = $3, attempts = f.attempts + 1
     FROM tenants t, ${unhurried}
     WHERE t.tenant_id = f.tenant_id AND f.run_id = $1 AND f.tenant_id = (
       SELECT w.tenant_id FROM fleet_tenants w
       WHERE w.run_id = $1 AND w.state = 'waiting' AND (w.not_before IS NULL OR w.not_before <= $3)
         AND EXISTS (SELECT FROM fleet_runs r WHERE r.run_id = $1 AND r.state = 'running')
         AND NOT EXISTS (SELECT FROM tenant_locks l WHERE l.tenant_id = w.tenant_id)
       ORDER BY w.position LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING f.tenant_id AS "tenantId", f.attempts, t.app, t.database_name AS "databaseName", t.state AS "tenantState"`,
    [runId, claimedBy, now],
  );
  return row;
}

export interface Settlement {
  readonly state: 'done' | 'failed' | 'skipped' | 'waiting';
  readonly durationMs?: number;
  readonly error?: { readonly code: string | undefined; readonly text: string };
  readonly notBefore?: Date;
}

/** What came of a claim; does nothing when somebody else has it by now. */
export async function settle(
  db: Queryable,
  runId: RunId,
  tenantId: TenantId,
  claimedBy: string,
  { state, durationMs, error, notBefore }: Settlement,
  now: Date,
): Promise<void> {
  await db.query(
    `UPDATE fleet_tenants SET state = $4, duration_ms = coalesce($5, duration_ms), error_code = $6, error_text = $7, not_before = $8,
            claimed_by = NULL, claimed_at = NULL, finished_at = CASE WHEN $4 = 'waiting' THEN NULL ELSE $9::timestamptz END
     FROM ${unhurried} WHERE run_id = $1 AND tenant_id = $2 AND claimed_by = $3 AND state = 'running'`,
    [
      runId,
      tenantId,
      claimedBy,
      state,
      durationMs === undefined ? null : Math.round(durationMs),
      error?.code ?? null,
      error?.text ?? null,
      notBefore ?? null,
      now,
    ],
  );
}

/** Of those that wait: the first moment at which one may be tried, and whether nothing but failed operations holds the rest. */
export async function countOpen(db: Queryable, runId: RunId): Promise<{ waiting: number; running: number }> {
  const [row] = await db.query<{ waiting: number; running: number }>(
    `SELECT count(*) FILTER (WHERE state = 'waiting')::int AS waiting, count(*) FILTER (WHERE state = 'running')::int AS running
     FROM fleet_tenants WHERE run_id = $1 AND state IN ('waiting', 'running')`,
    [runId],
  );
  return row!;
}

/** Whoever waits behind an operation that has stopped is not waited for: when it goes on, it brings its tenant forward. */
export async function skipStuck(db: Queryable, runId: RunId, now: Date): Promise<void> {
  await db.query(
    `UPDATE fleet_tenants f SET state = 'skipped', error_text = 'an operation that stopped has it', finished_at = $2
     FROM tenant_locks l JOIN operations o ON o.operation_id = l.operation_id
     WHERE f.run_id = $1 AND f.state = 'waiting' AND l.tenant_id = f.tenant_id AND o.state <> 'running'`,
    [runId, now],
  );
}

export interface SubjectQuery {
  readonly states?: readonly SubjectState[] | undefined;
  readonly limit?: number | undefined;
}

export async function selectSubjects(db: Queryable, runId: RunId, query: SubjectQuery = {}): Promise<FleetSubject[]> {
  const rows = await db.query<
    Omit<FleetSubject, 'error'> & { from: string | null; errorCode: string | null; errorText: string | null }
  >(
    `SELECT f.tenant_id AS "tenantId", t.name, f.state, f.from_version AS "from", f.to_version AS "to", f.attempts,
            f.duration_ms AS "durationMs", f.error_code AS "errorCode", f.error_text AS "errorText", f.finished_at AS "finishedAt"
     FROM fleet_tenants f JOIN tenants t USING (tenant_id)
     WHERE f.run_id = $1 AND ($2::text[] IS NULL OR f.state = ANY ($2)) ORDER BY f.position, f.tenant_id LIMIT $3`,
    [runId, query.states ?? null, query.limit ?? 10_000],
  );
  return rows.map(({ errorCode, errorText, ...row }) => ({
    ...row,
    from: row.from ?? undefined,
    durationMs: row.durationMs ?? undefined,
    finishedAt: row.finishedAt ?? undefined,
    error: errorText === null ? undefined : { code: errorCode ?? undefined, text: errorText },
  }));
}

export async function hasLock(db: Queryable, tenantId: TenantId): Promise<boolean> {
  return (await db.query('SELECT FROM tenant_locks WHERE tenant_id = $1', [tenantId])).length > 0;
}

/** Runs whose rows are kept. */
const keptRuns = 20;

export async function forgetOldRuns(db: Queryable): Promise<void> {
  await db.query(
    `DELETE FROM fleet_runs WHERE state <> 'running'
       AND run_id NOT IN (SELECT run_id FROM fleet_runs ORDER BY started_at DESC LIMIT $1)`,
    [keptRuns],
  );
}

/** Names of those that failed in the last run that had them. */
export async function selectUnmended(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `SELECT t.name FROM fleet_tenants f JOIN fleet_runs r USING (run_id) JOIN tenants t USING (tenant_id)
     WHERE f.state = 'failed' AND t.state <> 'deleted'
       AND NOT EXISTS (SELECT FROM fleet_tenants n JOIN fleet_runs later ON later.run_id = n.run_id
                       WHERE n.tenant_id = f.tenant_id AND later.started_at > r.started_at) ORDER BY t.name`,
  );
  return rows.map((row) => row.name);
}
