import { quoteLiteral } from '#src/postgres/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { ClusterOptions } from '../server.ts';
import { runAsSuperuser } from './superuser.ts';
import { standbySlot } from './upstream.ts';

/**
 * Gives the standby the slots that others have on the primary, at most as far: after a failover the new primary then still has the WAL
 * that they need next. PostgreSQL 15 does not do that by itself. Slots that the primary no longer has go.
 */
export async function mirrorSlots(primary: Queryable, standby: ClusterOptions): Promise<void> {
  const slots = await primary.query<{ name: string; lsn: string }>(
    `SELECT slot_name AS name, restart_lsn::text AS lsn FROM pg_replication_slots
     WHERE slot_type = 'physical' AND NOT temporary AND slot_name <> $1 AND restart_lsn IS NOT NULL`,
    [standbySlot],
  );
  const names = slots.map(({ name }) => quoteLiteral(name)).join(', ') || 'NULL';
  const statements = [
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
       WHERE NOT active AND (${slots.length === 0} OR slot_name NOT IN (${names}))`,
    ...slots.flatMap(({ name, lsn }) => [
      `SELECT pg_create_physical_replication_slot(${quoteLiteral(name)}, true)
         WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = ${quoteLiteral(name)})`,
      // Never backwards, and never beyond what is replayed: PostgreSQL refuses both.
      `SELECT pg_replication_slot_advance(slot_name, least(${quoteLiteral(lsn)}::pg_lsn, pg_last_wal_replay_lsn()))
         FROM pg_replication_slots WHERE slot_name = ${quoteLiteral(name)} AND NOT active
         AND restart_lsn < least(${quoteLiteral(lsn)}::pg_lsn, pg_last_wal_replay_lsn())`,
    ]),
  ];
  await runAsSuperuser(standby, statements.join(';\n'));
}
