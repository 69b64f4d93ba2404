import { type Lsn, parseLsn } from '#src/kernel/index.ts';
import type { Queryable } from './types.ts';

/** End of the WAL that the primary has flushed, on its timeline: everything committed by now lies before it. */
export async function readFlushedPlace(db: Queryable): Promise<{ readonly timeline: number; readonly lsn: Lsn }> {
  // At the very start of a segment, pg_walfile_name names the one before; that is of the same timeline.
  const [row] = await db.query<{ timeline: number; lsn: string }>(
    `SELECT lsn::text, ('x' || substr(pg_walfile_name(lsn), 1, 8))::bit(32)::int AS timeline
     FROM pg_current_wal_flush_lsn() AS lsn`,
  );
  return { timeline: row!.timeline, lsn: parseLsn(row!.lsn) };
}
