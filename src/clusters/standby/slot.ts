import type { ClusterOptions } from '../server.ts';
import { runAsSuperuser } from './superuser.ts';
import { standbySlot } from './upstream.ts';

/** The slot of the standby on a primary, holding WAL from now on; one that has lost its WAL is made anew. Idempotent. */
export async function ensureStandbySlot(primary: ClusterOptions): Promise<void> {
  await runAsSuperuser(
    primary,
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
       WHERE slot_name = '${standbySlot}' AND wal_status = 'lost' AND NOT active;
     SELECT pg_create_physical_replication_slot('${standbySlot}', true)
       WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '${standbySlot}')`,
  );
}

/** Nobody wants WAL that stands by: removed, or the primary keeps it until its disk is full. */
export async function dropStandbySlot(primary: ClusterOptions): Promise<void> {
  await runAsSuperuser(
    primary,
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${standbySlot}' AND NOT active`,
  );
}
