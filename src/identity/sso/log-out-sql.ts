import type { UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { ConnectionId } from './types.ts';

export interface EndedSession {
  readonly sessionId: string;
  readonly userId: UserId;
}

/**
 * Ends the sessions that a provider names: those of this subject at this connection, and of them only those with one of the indexes, if there are any. A session
 * whose index the provider never told is not among them: nobody knows which one it is there.
 */
export function endNamedSessions(
  db: Queryable,
  connectionId: ConnectionId,
  { subject, indexes }: { subject: string; indexes: readonly string[] },
): Promise<EndedSession[]> {
  return db.query<EndedSession>(
    `DELETE FROM freehold.sessions s USING freehold.sign_on_sessions o
     WHERE o.session_id = s.session_id AND o.connection_id = $1 AND o.subject = $2
       AND (cardinality($3::text[]) = 0 OR o.session_index = ANY ($3::text[]))
     RETURNING s.session_id AS "sessionId", s.user_id AS "userId"`,
    [connectionId, subject, indexes],
  );
}

/** What the provider called a session; undefined: it did not come over one. */
export interface SignOnSession {
  readonly connectionId: ConnectionId;
  readonly subject: string;
  readonly sessionIndex: string | null;
}

export async function findSignOnSession(db: Queryable, sessionId: string): Promise<SignOnSession | undefined> {
  const [row] = await db.query<SignOnSession>(
    `SELECT connection_id AS "connectionId", subject, session_index AS "sessionIndex"
     FROM freehold.sign_on_sessions WHERE session_id = $1`,
    [sessionId],
  );
  return row;
}
