import type { ObjectName } from '#src/objects/types.ts';
import type { Queryable } from '#src/postgres/index.ts';
import type { RetentionJournal } from './apply.ts';

/** The journal in the control database: `retention_runs` and `retention_removals`. Also remembers the orphans of the decision. */
export function createRetentionJournal(db: Queryable, now: () => Date): RetentionJournal {
  return {
    async begin({ region, horizon, orphans }) {
      await saveOrphans(db, region, orphans, now());
      const [row] = await db.query<{ run_id: string }>(
        'INSERT INTO retention_runs (region, horizon, started_at) VALUES ($1, $2, $3) RETURNING run_id',
        [region, horizon, now()],
      );
      const runId = row!.run_id;
      let position = 0;
      return {
        async note(names) {
          await db.query('INSERT INTO retention_removals (run_id, position, names) VALUES ($1, $2, $3)', [
            runId,
            position++,
            names,
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

/** `lastHorizon` of the next decision; undefined: none was applied yet. One that was interrupted counts: objects up to it may be gone. */
export async function findLastHorizon(db: Queryable, region: string): Promise<Date | undefined> {
  const rows = await db.query<{ horizon: Date }>(
    'SELECT horizon FROM retention_runs WHERE region = $1 ORDER BY run_id DESC LIMIT 1',
    [region],
  );
  return rows[0]?.horizon;
}

export interface RetentionRun {
  readonly region: string;
  readonly horizon: Date;
  readonly startedAt: Date;
  /** undefined: it runs, or it was interrupted. */
  readonly finishedAt: Date | undefined;
  readonly removedObjects: number;
  readonly removedBytes: number;
}

/** Newest first. */
export async function listRetentionRuns(db: Queryable, limit = 50): Promise<readonly RetentionRun[]> {
  const rows = await db.query<{
    region: string;
    horizon: Date;
    started_at: Date;
    finished_at: Date | null;
    removed_objects: string | null;
    removed_bytes: string | null;
  }>(
    `SELECT region, horizon, started_at, finished_at, removed_objects, removed_bytes FROM retention_runs
     ORDER BY run_id DESC LIMIT $1`,
    [limit],
  );
  return rows.map((row) => ({
    region: row.region,
    horizon: row.horizon,
    startedAt: row.started_at,
    finishedAt: row.finished_at ?? undefined,
    removedObjects: Number(row.removed_objects ?? 0),
    removedBytes: Number(row.removed_bytes ?? 0),
  }));
}
