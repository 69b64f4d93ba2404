import { createHash } from 'node:crypto';
import type { UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { logOutMemoryMs } from '../saml/index.ts';
import type { ConnectionId, SignOnPerson, SignOnWay } from './types.ts';

export interface EndedSession {
  readonly sessionId: string;
  readonly userId: UserId;
}

/** Of a subject at a connection: sessions with one of the indexes; none: all of them. */
export interface NamedSessions {
  readonly connectionId: ConnectionId;
  readonly subject: string;
  readonly indexes: readonly string[];
}

const isNamed = (table: string) =>
  `${table}.connection_id = $1 AND ${table}.subject = $2 AND (cardinality($3::text[]) = 0 OR ${table}.session_index = ANY ($3::text[]))`;

/**
 * Ends the sessions that a provider names, second steps that wait included. A session whose index the provider never told is not among those with an index: nobody
 * knows which one it is there.
 */
export async function endNamedSessions(
  db: Queryable,
  { connectionId, subject, indexes }: NamedSessions,
): Promise<EndedSession[]> {
  const values = [connectionId, subject, indexes];
  // Whoever signs in at this moment has it: either their session is there afterwards, or they find what `rememberEnded` wrote.
  await db.query(
    'SELECT 1 FROM freehold.sign_on_identities WHERE connection_id = $1 AND subject = $2 FOR NO KEY UPDATE',
    [connectionId, subject],
  );
  await db.query(`DELETE FROM freehold.sign_in_challenges c WHERE ${isNamed('c')}`, values);
  return db.query<EndedSession>(
    `DELETE FROM freehold.sessions s USING freehold.sign_on_sessions o WHERE o.session_id = s.session_id AND ${isNamed('o')}
     RETURNING s.session_id AS "sessionId", s.user_id AS "userId"`,
    values,
  );
}

/**
 * Remembers what was ended, for as long as the request could have come: an assertion for such a session may arrive after it, and must begin none
 * (SAML core 3.7.3.2). `rememberUntil`: `LogoutRequest.notOnOrAfter`, from which follows when it was written.
 */
export async function rememberEnded(
  db: Queryable,
  { connectionId, subject, indexes }: NamedSessions,
  rememberUntil: Date,
): Promise<void> {
  const hashes =
    indexes.length === 0
      ? [hashOf(connectionId, subject)]
      : indexes.map((index) => hashOf(connectionId, subject, index));
  await db.query(
    `INSERT INTO freehold.saml_messages AS m (message_hash, expires_at) SELECT DISTINCT unnest($1::bytea[]), $2::timestamptz
     ON CONFLICT (message_hash) DO UPDATE SET expires_at = greatest(m.expires_at, excluded.expires_at)`,
    [hashes, rememberUntil],
  );
}

/** Whether the provider ended the session after it was begun there. */
export async function wasEnded(
  db: Queryable,
  connectionId: ConnectionId,
  { subject, sessionIndex, authnInstant }: SignOnPerson,
): Promise<boolean> {
  if (!authnInstant) return false;
  const hashes = [
    hashOf(connectionId, subject),
    ...(sessionIndex === undefined ? [] : [hashOf(connectionId, subject, sessionIndex)]),
  ];
  const rows = await db.query(
    'SELECT 1 FROM freehold.saml_messages WHERE message_hash = ANY ($1) AND expires_at > now() AND expires_at >= $2',
    [hashes, new Date(authnInstant.getTime() + logOutMemoryMs)],
  );
  return rows.length > 0;
}

const hashOf = (...parts: readonly string[]) =>
  createHash('sha256')
    .update(JSON.stringify(['ended', ...parts]))
    .digest();

/** How somebody came; undefined: not over a provider. */
export async function findSignOnSession(db: Queryable, sessionId: string): Promise<SignOnWay | undefined> {
  const [row] = await db.query<SignOnWay>(
    `SELECT connection_id AS "connectionId", subject, session_index AS "sessionIndex", name_qualifier AS "nameQualifier",
       sp_name_qualifier AS "spNameQualifier"
     FROM freehold.sign_on_sessions WHERE session_id = $1`,
    [sessionId],
  );
  return row;
}
