import type { Queryable } from '#src/postgres/types.ts';
import { pluginErrors } from './errors.ts';
import type { StateAnswer, StateCall } from './types.ts';

const mostKeys = 1_000;
const mostBytes = 4 * 2 ** 20;

/** What a plugin keeps lies in its tenant's own database: it is backed up, restored, copied and deleted with it. As the platform role; the app role has no right to it. */
export async function answerStateCall(db: Queryable, plugin: string, call: StateCall): Promise<StateAnswer> {
  switch (call.kind) {
    case 'get': {
      const [row] = await db.query<{ value: string }>(
        'SELECT value FROM freehold.plugin_state WHERE plugin = $1 AND key = $2',
        [plugin, call.key],
      );
      return row?.value ?? null;
    }
    case 'list': {
      const rows = await db.query<{ key: string }>(
        'SELECT key FROM freehold.plugin_state WHERE plugin = $1 AND starts_with(key, $2) ORDER BY key',
        [plugin, call.prefix],
      );
      return rows.map(({ key }) => key);
    }
    case 'delete':
      await db.query('DELETE FROM freehold.plugin_state WHERE plugin = $1 AND key = $2', [plugin, call.key]);
      return null;
    case 'set': {
      await db.query(
        `INSERT INTO freehold.plugin_state (plugin, key, value) VALUES ($1, $2, $3)
         ON CONFLICT (plugin, key) DO UPDATE SET value = excluded.value, changed_at = now()`,
        [plugin, call.key, call.value],
      );
      const [sum] = await db.query<{ keys: string; bytes: string }>(
        'SELECT count(*) AS keys, sum(octet_length(value)) AS bytes FROM freehold.plugin_state WHERE plugin = $1',
        [plugin],
      );
      // Thrown: the transaction takes it back.
      if (Number(sum!.keys) > mostKeys || Number(sum!.bytes) > mostBytes) throw pluginErrors.FH_PLUGIN_STATE_FULL();
      return null;
    }
  }
}

export async function deleteState(db: Queryable, plugin: string): Promise<void> {
  await db.query('DELETE FROM freehold.plugin_state WHERE plugin = $1', [plugin]);
}

export interface TenantEvent {
  readonly position: string;
  readonly eventId: string;
  readonly name: string;
  readonly at: Date;
  readonly actor: string;
  readonly subject: string;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** Oldest first. Addresses are left out: nobody has to give them to a plugin. */
export function selectEventsAfter(
  db: Queryable,
  names: readonly string[],
  { position, beyond }: { readonly position: string; readonly beyond: readonly string[] },
  limit: number,
): Promise<TenantEvent[]> {
  return db.query<TenantEvent>(
    `SELECT position::text AS position, event_id AS "eventId", name, recorded_at AS at, actor, subject, details FROM freehold.audit_events
     WHERE position > $1 AND name = ANY ($2) AND position <> ALL ($3) ORDER BY position LIMIT $4`,
    [position, [...names], [...beyond], limit],
  );
}

export async function findLastPosition(db: Queryable): Promise<string> {
  const [row] = await db.query<{ position: string }>(
    'SELECT coalesce(max(position), 0)::text AS position FROM freehold.audit_events',
  );
  return row!.position;
}

/** The last event that is so old that nothing before it can still become visible. */
export async function findSettledPosition(db: Queryable, settledSeconds: number): Promise<string> {
  const [row] = await db.query<{ position: string }>(
    `SELECT position::text AS position FROM freehold.audit_events
     WHERE recorded_at < now() - make_interval(secs => $1) ORDER BY audit_events.position DESC LIMIT 1`,
    [settledSeconds],
  );
  return row?.position ?? '0';
}
