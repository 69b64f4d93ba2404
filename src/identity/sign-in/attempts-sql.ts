import type { Queryable } from '#src/postgres/types.ts';

/** Two tables of one shape: a tenant's own, and the console's (migrations/control/0005_staff_sign_in.sql). */
export type AttemptTable = 'freehold.sign_in_failures' | 'staff_sign_in_failures';

export interface Counter {
  readonly scope: string;
  /** SHA-256, hex. */
  readonly subject: string;
}

export interface CountedRow {
  readonly scope: string;
  readonly subject: string;
  readonly failures: number;
  readonly consecutive: number;
  /** Positive: still blocked for so many seconds. */
  readonly blocked_seconds: number | null;
}

/**
 * Counts one failure in each counter and keeps the rows locked, always in the same order, until the transaction ends.
 * Times further ahead than a whole window were written while the server's clock was ahead: now that it was set back, they must keep nobody
 * out for that long. (Every delay is shorter than its window.)
 */
export function countFailures(
  db: Queryable,
  table: AttemptTable,
  counters: readonly (Counter & { windowSeconds: number })[],
): Promise<CountedRow[]> {
  return db.query<CountedRow>(
    `INSERT INTO ${table} AS f (scope, subject, failures, consecutive, expires_at)
     SELECT scope, decode(subject, 'hex'), 1, 1, clock_timestamp() + make_interval(secs => window_seconds)
     FROM unnest($1::text[], $2::text[], $3::integer[]) AS counter (scope, subject, window_seconds)
     ORDER BY scope, subject
     ON CONFLICT (scope, subject) DO UPDATE SET
       failures = CASE WHEN f.expires_at <= clock_timestamp() OR f.expires_at > excluded.expires_at THEN 1 ELSE f.failures + 1 END,
       consecutive = f.consecutive + 1,
       blocked_until = CASE WHEN f.blocked_until > excluded.expires_at THEN NULL ELSE f.blocked_until END,
       expires_at = CASE WHEN f.expires_at <= clock_timestamp() THEN excluded.expires_at ELSE least(f.expires_at, excluded.expires_at) END
     RETURNING scope, encode(subject, 'hex') AS subject, failures, consecutive,
       extract(epoch FROM blocked_until - clock_timestamp())::float8 AS blocked_seconds`,
    [
      counters.map(({ scope }) => scope),
      counters.map(({ subject }) => subject),
      counters.map(({ windowSeconds }) => windowSeconds),
    ],
  );
}

export async function block(
  db: Queryable,
  table: AttemptTable,
  blocks: readonly (Counter & { seconds: number })[],
): Promise<void> {
  await db.query(
    `UPDATE ${table} AS f SET blocked_until = clock_timestamp() + make_interval(secs => seconds)
     FROM unnest($1::text[], $2::text[], $3::float8[]) AS block (scope, subject, seconds)
     WHERE f.scope = block.scope AND f.subject = decode(block.subject, 'hex')`,
    [blocks.map(({ scope }) => scope), blocks.map(({ subject }) => subject), blocks.map(({ seconds }) => seconds)],
  );
}

/**
 * Locks the counters in the order of `countFailures`, so that the two never wait for each other in a circle.
 * @returns those that there are. Only they may be changed then: one that somebody makes afterwards is locked by nobody's order.
 */
export async function lockCounters(
  db: Queryable,
  table: AttemptTable,
  counters: readonly Counter[],
): Promise<readonly Counter[]> {
  return db.query<Counter & Record<string, unknown>>(
    `SELECT f.scope, encode(f.subject, 'hex') AS subject FROM ${table} AS f
     JOIN unnest($1::text[], $2::text[]) AS counter (scope, subject)
       ON f.scope = counter.scope AND f.subject = decode(counter.subject, 'hex')
     ORDER BY f.scope, f.subject
     FOR UPDATE OF f`,
    [counters.map(({ scope }) => scope), counters.map(({ subject }) => subject)],
  );
}

export async function forgetFailures(db: Queryable, table: AttemptTable, counters: readonly Counter[]): Promise<void> {
  await db.query(
    `DELETE FROM ${table} AS f USING unnest($1::text[], $2::text[]) AS counter (scope, subject)
     WHERE f.scope = counter.scope AND f.subject = decode(counter.subject, 'hex')`,
    [counters.map(({ scope }) => scope), counters.map(({ subject }) => subject)],
  );
}

/** Takes back the one failure that a successful attempt had been counted as. */
export async function uncountFailures(db: Queryable, table: AttemptTable, counters: readonly Counter[]): Promise<void> {
  await db.query(
    `UPDATE ${table} AS f SET failures = greatest(f.failures - 1, 0), consecutive = 0, blocked_until = NULL
     FROM unnest($1::text[], $2::text[]) AS counter (scope, subject)
     WHERE f.scope = counter.scope AND f.subject = decode(counter.subject, 'hex')`,
    [counters.map(({ scope }) => scope), counters.map(({ subject }) => subject)],
  );
}

/** Removes a few counters that have been quiet for a month and were never near their limit; so the table stays small without a job. */
export async function pruneFailures(db: Queryable, table: AttemptTable, limit = 20): Promise<number> {
  const rows = await db.query(
    `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM ${table}
       WHERE expires_at < now() - CASE WHEN consecutive > 10 AND scope IN ('account', 'second-factor') THEN interval '10 years' ELSE interval '30 days' END
       ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING 1`,
    [limit],
  );
  return rows.length;
}
