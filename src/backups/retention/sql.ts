import type { TenantId } from '#src/kernel/index.ts';
import type { ObjectName } from '#src/objects/types.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { RetentionJournal } from './apply.ts';

/** The journal in the control database: `retention_runs` and `retention_removals`. Also remembers the orphans of the decision. */
export function createRetentionJournal(db: Queryable, now: () => Date): RetentionJournal {
  return {
    async begin({ region, horizon, orphans, warnings }) {
      await saveOrphans(db, region, orphans, now());
      const [row] = await db.query<{ run_id: string }>(
        'INSERT INTO retention_runs (region, horizon, started_at, warnings) VALUES ($1, $2, $3, $4) RETURNING run_id',
        [region, horizon, now(), warnings],
      );
      const runId = row!.run_id;
      let position = 0;
      return {
        async note(names, { removedObjects, removedBytes }) {
          await db.query('INSERT INTO retention_removals (run_id, position, names) VALUES ($1, $2, $3)', [
            runId,
            position++,
            names,
          ]);
          await db.query('UPDATE retention_runs SET removed_objects = $2, removed_bytes = $3 WHERE run_id = $1', [
            runId,
            removedObjects,
            removedBytes,
          ]);
        },
        async finish({ removedObjects, removedBytes }) {
          await db.query(
            'UPDATE retention_runs SET finished_at = $2, removed_objects = $3, removed_bytes = $4 WHERE run_id = $1',
            [runId, now(), removedObjects, removedBytes],
          );
        },
      };
    },
  };
}

/** Those that are new are known from now on; those that are none any more are forgotten. */
async function saveOrphans(db: Queryable, region: string, names: readonly ObjectName[], now: Date): Promise<void> {
  await db.query('DELETE FROM region_orphans WHERE region = $1 AND name <> ALL ($2)', [region, names]);
  await db.query(
    'INSERT INTO region_orphans (region, name, seen_at) SELECT $1, name, $3 FROM unnest($2::text[]) AS n (name) ON CONFLICT DO NOTHING',
    [region, names, now],
  );
}

export async function loadOrphans(db: Queryable, region: string): Promise<ReadonlyMap<ObjectName, Date>> {
  const rows = await db.query<{ name: string; seen_at: Date }>(
    'SELECT name, seen_at FROM region_orphans WHERE region = $1',
    [region],
  );
  return new Map(rows.map((row) => [row.name, row.seen_at]));
}

/**
 * `lastHorizon` of the next decision: the furthest that was ever applied, because one that a hold kept back says nothing about the clock. One that was
 * interrupted counts: objects up to it may be gone. Before the first one, the day when the region was set up: nothing in it is older. Nor can it lie further
 * back than the first one would have been by itself: a restore of everything (`since` the beginning of time) may have kept back all there are.
 * undefined: unknown region.
 */
export async function findLastHorizon(db: Queryable, region: string, days: number): Promise<Date | undefined> {
  const rows = await db.query<{ horizon: Date | null }>(
    `SELECT CASE WHEN furthest IS NULL THEN set_up_at ELSE greatest(furthest, set_up_at - $2::float8 * interval '1 day') END AS horizon
     FROM (SELECT (SELECT max(horizon) FROM retention_runs WHERE region = $1) AS furthest,
                  (SELECT set_up_at FROM regions WHERE region = $1) AS set_up_at) AS known`,
    [region, days],
  );
  return rows[0]?.horizon ?? undefined;
}

/** Runs that a removal may still be under way of: only the newest ever is, and requests of it that hang. */
const recentRuns = 20;

/** Whether it is written down somewhere that one of the objects goes. Then it counts as gone, whether or not it is still there. */
export async function isCondemned(db: Queryable, ...objects: readonly ObjectName[]): Promise<boolean> {
  const rows = await db.query<{ found: boolean }>(
    `SELECT EXISTS (SELECT FROM retention_removals
                    WHERE run_id > (SELECT coalesce(max(run_id), 0) - $2 FROM retention_runs) AND $1 && names) AS found`,
    [objects, recentRuns],
  );
  return rows[0]!.found;
}

/**
 * Files of a tenant that no row refers to any more; whoever calls has proved it and keeps new rows away meanwhile. A clock that was set back must not
 * make them look old: no time is earlier than one that we wrote down before.
 */
export async function recordUnreferencedFiles(
  db: Queryable,
  tenantId: TenantId,
  names: readonly ObjectName[],
  now: Date,
): Promise<void> {
  await db.query(
    `INSERT INTO unreferenced_files AS f (tenant_id, name, since)
     SELECT $1, name, greatest($3::timestamptz, (SELECT max(started_at) FROM retention_runs)) FROM unnest($2::text[]) AS n (name)
     ON CONFLICT (tenant_id, name) DO UPDATE SET since = greatest(f.since, excluded.since)`,
    [tenantId, names, now],
  );
}

/** By tenant: what was recorded before a moment. A row may refer to it again by now. */
export async function loadUnreferencedFiles(
  db: Queryable,
  before: Date,
): Promise<ReadonlyMap<TenantId, ReadonlyMap<ObjectName, Date>>> {
  const rows = await db.query<{ tenant_id: TenantId; name: ObjectName; since: Date }>(
    'SELECT tenant_id, name, since FROM unreferenced_files WHERE since <= $1',
    [before],
  );
  return new Map(
    [...Map.groupBy(rows, (row) => row.tenant_id)].map(([tenantId, files]) => [
      tenantId,
      new Map(files.map(({ name, since }) => [name, since])),
    ]),
  );
}

/** The newest run about a region. */
export interface RetentionFact {
  readonly region: string;
  readonly horizon: Date;
  readonly startedAt: Date;
  /** undefined: it runs, or it was interrupted. */
  readonly finishedAt: Date | undefined;
  /** Of one that was interrupted: at least. */
  readonly removedObjects: number;
  readonly removedBytes: number;
  /** What all of its runs removed together. */
  readonly allRemovedBytes: number;
  readonly warnings: readonly string[];
}

/** Of each region. */
export async function loadRetentionFacts(db: Queryable): Promise<readonly RetentionFact[]> {
  const rows = await db.query<{
    region: string;
    horizon: Date;
    started_at: Date;
    finished_at: Date | null;
    removed_objects: string | null;
    removed_bytes: string | null;
    all_removed_bytes: string | null;
    warnings: readonly string[];
  }>(
    `SELECT DISTINCT ON (region) region, horizon, started_at, finished_at, removed_objects, removed_bytes, warnings,
            sum(removed_bytes) OVER (PARTITION BY region)::int8 AS all_removed_bytes
     FROM retention_runs ORDER BY region, run_id DESC`,
  );
  return rows.map((row) => ({
    region: row.region,
    horizon: row.horizon,
    startedAt: row.started_at,
    finishedAt: row.finished_at ?? undefined,
    removedObjects: Number(row.removed_objects ?? 0),
    removedBytes: Number(row.removed_bytes ?? 0),
    allRemovedBytes: Number(row.all_removed_bytes ?? 0),
    warnings: row.warnings,
  }));
}
