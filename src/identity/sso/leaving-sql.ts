import type { Queryable } from '#src/postgres/types.ts';
import type { ConnectionId } from './types.ts';

/**
 * Ends the sessions of everybody who is linked over the connection, second steps that wait included, but not those that came over another
 * one. Those that came with a password end, too: such a user is to be who the provider says. @returns how many sessions
 */
export async function endSessionsOver(db: Queryable, connectionId: ConnectionId, keep: string): Promise<number> {
  await db.query(
    `DELETE FROM freehold.sign_in_challenges c
     WHERE EXISTS (SELECT FROM freehold.sign_on_identities i WHERE i.connection_id = $1 AND i.user_id = c.user_id)`,
    [connectionId],
  );
  const rows = await db.query(
    `DELETE FROM freehold.sessions s
     WHERE s.session_id <> $2
       AND EXISTS (SELECT FROM freehold.sign_on_identities i WHERE i.connection_id = $1 AND i.user_id = s.user_id)
       AND NOT EXISTS (SELECT FROM freehold.sign_on_sessions o WHERE o.session_id = s.session_id AND o.connection_id <> $1)
     RETURNING s.session_id`,
    [connectionId, keep],
  );
  return rows.length;
}

/** Ends what did not come over a provider, second steps that wait included, but not of owners who need none. @returns how many sessions */
export async function endSessionsWithoutProvider(db: Queryable, keep: string): Promise<number> {
  await db.query(
    `DELETE FROM freehold.sign_in_challenges c
     WHERE NOT EXISTS (SELECT FROM freehold.break_glass_owners b WHERE b.user_id = c.user_id)`,
  );
  const rows = await db.query(
    `DELETE FROM freehold.sessions s
     WHERE s.session_id <> $1
       AND NOT EXISTS (SELECT FROM freehold.break_glass_owners b WHERE b.user_id = s.user_id)
       AND NOT EXISTS (SELECT FROM freehold.sign_on_sessions o WHERE o.session_id = s.session_id)
     RETURNING s.session_id`,
    [keep],
  );
  return rows.length;
}
