import type { Queryable } from '#src/postgres/types.ts';
import type { ConnectionId } from './types.ts';

/**
 * To be called before the connection is changed: whoever is signing in over it, takes a second step or makes a token has the lock of their row, and is waited for, so that
 * what they began is seen and ended. Identities, users, connections: the order in which sign-ins lock.
 */
export async function lockPeopleOf(db: Queryable, connectionId: ConnectionId): Promise<void> {
  await db.query(
    'SELECT 1 FROM freehold.sign_on_identities WHERE connection_id = $1 ORDER BY subject FOR NO KEY UPDATE',
    [connectionId],
  );
  await db.query(
    `SELECT 1 FROM freehold.users u WHERE EXISTS (SELECT FROM freehold.sign_on_identities i WHERE i.connection_id = $1 AND i.user_id = u.user_id)
     ORDER BY u.user_id FOR NO KEY UPDATE`,
    [connectionId],
  );
}

/**
 * Revokes the API tokens of everybody who is linked over the connection, unless another one that is on speaks for them as well. A token was shown to nobody but its user
 * and stands for no session, so it goes by who may still sign in. @returns how many
 */
export async function revokeTokensOver(db: Queryable, connectionId: ConnectionId, keep: string): Promise<number> {
  const rows = await db.query(
    `DELETE FROM freehold.api_tokens t
     WHERE t.user_id <> $2
       AND EXISTS (SELECT FROM freehold.sign_on_identities i WHERE i.connection_id = $1 AND i.user_id = t.user_id)
       AND NOT EXISTS (
         SELECT FROM freehold.sign_on_identities i JOIN freehold.sign_on_connections c USING (connection_id)
         WHERE i.connection_id <> $1 AND i.user_id = t.user_id AND c.state = 'on')
     RETURNING t.token_id`,
    [connectionId, keep],
  );
  return rows.length;
}

/** Revokes the API tokens of all who could not sign in any more: linked over no connection that is on, and no owner who needs none. @returns how many */
export async function revokeTokensWithoutProvider(db: Queryable, keep: string): Promise<number> {
  const rows = await db.query(
    `DELETE FROM freehold.api_tokens t
     WHERE t.user_id <> $1
       AND NOT EXISTS (SELECT FROM freehold.break_glass_owners b WHERE b.user_id = t.user_id)
       AND NOT EXISTS (
         SELECT FROM freehold.sign_on_identities i JOIN freehold.sign_on_connections c USING (connection_id)
         WHERE i.user_id = t.user_id AND c.state = 'on')
     RETURNING t.token_id`,
    [keep],
  );
  return rows.length;
}

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
