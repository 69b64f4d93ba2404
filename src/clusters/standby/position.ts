import { type Lsn, parseLsn, waitFor } from '#src/kernel/index.ts';
import { type ConnectionTarget, openConnection } from '#src/postgres/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { standbySlot } from './upstream.ts';

/** How far behind the standby is, as the primary knows it. */
export interface StandbyLag {
  /** WAL that is on the primary's disk and not replayed by the standby. */
  readonly lagBytes: number;
  /** Age of the oldest commit that the standby has not replayed; 0: none. undefined: nothing streams. */
  readonly lagMs: number | undefined;
  readonly isStreaming: boolean;
  /** Connected: streaming, or catching up. */
  readonly isAttached: boolean;
  /** The primary no longer has the WAL that the standby needs next. */
  readonly isLost: boolean;
}

/** Asks the primary; needs pg_monitor. undefined: no standby was ever attached. */
export async function measureStandbyLag(db: Queryable): Promise<StandbyLag | undefined> {
  const [row] = await db.query<{ lagBytes: string; lagMs: number | null; state: string | null; walStatus: string }>(
    `SELECT greatest(0, pg_wal_lsn_diff(pg_current_wal_flush_lsn(), coalesce(r.replay_lsn, s.restart_lsn)))::text AS "lagBytes",
            (extract(epoch from r.replay_lag) * 1000)::float8 AS "lagMs",
            r.state, coalesce(s.wal_status, 'reserved') AS "walStatus"
     FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
     WHERE s.slot_name = $1`,
    [standbySlot],
  );
  if (!row) return undefined;
  const lagBytes = Number(row.lagBytes ?? 0);
  const isStreaming = row.state === 'streaming';
  // When everything was replayed PostgreSQL soon says NULL: there is nothing whose age could be told.
  const lagMs = isStreaming ? (lagBytes === 0 ? 0 : Math.round(row.lagMs ?? 0)) : undefined;
  return { lagBytes, lagMs, isStreaming, isAttached: row.state !== null, isLost: row.walStatus === 'lost' };
}

/** How far a server that follows has come. */
export interface FollowerPosition {
  readonly inRecovery: boolean;
  /** End of what was replayed, exclusive. */
  readonly replayed: Lsn;
}

/** Asks the standby itself; rejects when it does not answer. */
export async function readFollowerPosition(target: ConnectionTarget): Promise<FollowerPosition> {
  return withConnection(target, async (connection) => {
    const [row] = await connection.query<{ inRecovery: boolean; replayed: string }>(
      `SELECT pg_is_in_recovery() AS "inRecovery", coalesce(pg_last_wal_replay_lsn(), '0/0')::text AS replayed`,
    );
    return { inRecovery: row!.inRecovery, replayed: parseLsn(row!.replayed) };
  });
}

/** Until a server that follows has replayed `end`, or nothing more comes. @returns where it is */
export async function waitUntilReplayed(
  target: ConnectionTarget,
  end: Lsn,
  deadlineMs: number,
): Promise<FollowerPosition> {
  const isReplayed = async () => (await readFollowerPosition(target)).replayed >= end;
  await waitFor('the standby to replay what it was handed', isReplayed, { deadlineMs, everyMs: 50 }).catch(() => {});
  return readFollowerPosition(target);
}

/** Databases whose commits wait for every region (recovery point zero), as this server knows them. */
export async function countWaitingDatabases(db: Queryable): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_db_role_setting
     WHERE setdatabase <> 0 AND setrole = 0 AND 'synchronous_commit=remote_apply' = ANY (setconfig)`,
  );
  return row!.count;
}

/** One short-lived session that does not wait long. */
export async function withConnection<T>(target: ConnectionTarget, ask: (db: Queryable) => Promise<T>): Promise<T> {
  const connection = await openConnection(target, {
    applicationName: 'freehold supervisor',
    connectTimeoutMs: 3_000,
    options: { statement_timeout: '3000' },
  });
  try {
    return await ask(connection);
  } finally {
    await connection.close();
  }
}
