import type { TenantDatabases } from '#src/databases/types.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { deviceLifetimeSeconds } from './sessions/browser.ts';
import { pruneFailures } from './sign-in/attempts-sql.ts';
import { apiTokenLimits } from './tokens/api-tokens.ts';

/** Rows of one statement: a transaction that is over before anybody waits for it. */
const batchSize = 1_000;
/** Statements per table and run; what is left waits for the next run. */
const maxBatches = 50;
/** Links and tokens stay so long after their end, so that administrators see why something stopped working. */
const keptExpiredDays = apiTokenLimits.keptExpiredDays;

/**
 * What is good for nothing any more, by table: the key, and which rows. Whoever asks for such a row says when it ends, too, so nothing rests on its being gone: this only keeps tables
 * small that strangers can fill, at tenants where nobody comes by to tidy.
 */
const over: readonly { readonly table: string; readonly key: string; readonly where: string }[] = [
  { table: 'sign_on_requests', key: 'state_hash', where: 'expires_at <= now()' },
  { table: 'saml_messages', key: 'message_hash', where: 'expires_at <= now()' },
  { table: 'sign_in_challenges', key: 'token_hash', where: 'expires_at <= now()' },
  { table: 'passkey_challenges', key: 'challenge_hash', where: 'expires_at <= now()' },
  // Longer than what a code gave lives: until then its second use ends that.
  { table: 'provider_codes', key: 'code_hash', where: `expires_at < now() - interval '1 hour'` },
  { table: 'provider_access_tokens', key: 'token_hash', where: 'expires_at <= now()' },
  // An hour for counting (0020).
  { table: 'password_resets', key: 'token_hash', where: `created_at < now() - interval '1 hour'` },
  { table: 'sessions', key: 'session_id', where: 'expires_at <= now() OR idle_expires_at <= now()' },
  // Told, or never to be: who has not signed in for a year learns it from the security log.
  {
    table: 'session_notices',
    key: 'session_id',
    where: `seen_at < now() - interval '30 days' OR ended_at < now() - interval '366 days'`,
  },
  { table: 'invitations', key: 'invitation_id', where: `expires_at < now() - interval '${keptExpiredDays} days'` },
  { table: 'api_tokens', key: 'token_id', where: `expires_at < now() - interval '${keptExpiredDays} days'` },
  { table: 'scim_tokens', key: 'token_id', where: `expires_at < now() - interval '${keptExpiredDays} days'` },
  // Its cookie is gone from the browser by then.
  {
    table: 'known_devices',
    key: 'ctid',
    where: `last_used_at < now() - interval '${deviceLifetimeSeconds} seconds'`,
  },
];

const findOver = over
  .map(({ table, where }) => `SELECT '${table}' AS table WHERE EXISTS (SELECT FROM freehold.${table} WHERE ${where})`)
  .join(' UNION ALL ');

export interface Pruning {
  /** Removes what is over, in batches of their own, until there is none or the run has done its share. @returns how many rows, by table */
  pruneOneTimeRows(tenantId: TenantId, signal?: AbortSignal): Promise<Readonly<Record<string, number>>>;
}

export function createPruning(databases: Pick<TenantDatabases, 'platform'>): Pruning {
  return {
    async pruneOneTimeRows(tenantId, signal) {
      const removed: Record<string, number> = {};
      if (signal?.aborted) return removed;
      // At most tenants nothing is over: one read says so.
      const found = await databases.platform.read(tenantId, (db) => db.query<{ table: string }>(findOver));
      const tables = new Set(found.map(({ table }) => table));
      const prune = async (table: string, remove: (db: Queryable) => Promise<number>) => {
        for (let batch = 0; batch < maxBatches && !signal?.aborted; batch++) {
          const count = await databases.platform.transact(tenantId, remove);
          if (count > 0) removed[table] = (removed[table] ?? 0) + count;
          if (count < batchSize) return;
        }
      };
      for (const { table, key, where } of over.filter((one) => tables.has(one.table)))
        await prune(table, async (db) => {
          // Not those that somebody is using up at this moment.
          const rows = await db.query(
            `DELETE FROM freehold.${table} WHERE ${key} = ANY (ARRAY(
               SELECT ${key} FROM freehold.${table} WHERE ${where} LIMIT ${batchSize} FOR UPDATE SKIP LOCKED)) RETURNING 1`,
          );
          return rows.length;
        });
      await prune('sign_in_failures', (db) => pruneFailures(db, 'freehold.sign_in_failures', batchSize));
      return removed;
    },
  };
}
