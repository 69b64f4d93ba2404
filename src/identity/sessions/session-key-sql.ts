import type { Id, UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { rotation } from './session-key.ts';

export interface Succession {
  readonly sessionId: Id<'ses'>;
  readonly hash: Buffer;
  readonly successorHash: Buffer;
}

/**
 * Makes the successor the key that counts, once: of many at the same time one finds the key that it replaces. A rotation is a use.
 * @returns false: another was first, it is not due any more, or the session is over
 */
export async function rotateKey(
  db: Queryable,
  { sessionId, hash, successorHash }: Succession,
  idleSeconds: number,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE freehold.sessions
     SET previous_token_hash = token_hash, token_hash = $3, generation = generation + 1, rotated_at = now(), key_used_at = NULL,
       last_used_at = now(), idle_expires_at = least(expires_at, now() + make_interval(secs => $4))
     WHERE session_id = $1 AND token_hash = $2
       AND rotated_at <= now() - make_interval(secs => $5) AND key_used_at <= now() - make_interval(secs => $6)
     RETURNING session_id`,
    [sessionId, hash, successorHash, idleSeconds, rotation.everySeconds, rotation.settleSeconds],
  );
  return rows.length > 0;
}

const isInGrace = '(s.key_used_at IS NULL OR s.key_used_at > now() - make_interval(secs => $4))';

/** Whether the successor counts now and who holds the key before it may still have it. */
export async function isOwedSuccessor(db: Queryable, { sessionId, hash, successorHash }: Succession): Promise<boolean> {
  const rows = await db.query(
    `SELECT 1 FROM freehold.sessions s
     WHERE s.session_id = $1 AND s.previous_token_hash = $2 AND s.token_hash = $3 AND ${isInGrace}`,
    [sessionId, hash, successorHash, rotation.graceSeconds],
  );
  return rows.length > 0;
}

/** Notes the first use of a key; from now on the one before it has its grace. */
export async function noteKeyUse(db: Queryable, sessionId: string, hash: Buffer): Promise<void> {
  await db.query(
    'UPDATE freehold.sessions SET key_used_at = now() WHERE session_id = $1 AND token_hash = $2 AND key_used_at IS NULL',
    [sessionId, hash],
  );
}

export interface PresentedKey {
  readonly sessionId: Id<'ses'>;
  readonly hash: Buffer;
  readonly generation: number;
}

// A key of a generation to come is not stale: the server went back in time, to a backup or an older copy.
const isStale = `s.session_id = $1 AND s.generation > $3 AND s.token_hash <> $2
  AND NOT (s.previous_token_hash IS NOT DISTINCT FROM $2 AND ${isInGrace})
  AND s.expires_at > now() AND s.idle_expires_at > now()
  AND EXISTS (SELECT 1 FROM freehold.users u WHERE u.user_id = s.user_id AND u.epoch = s.user_epoch AND u.state = 'active')`;

const staleValues = ({ sessionId, hash, generation }: PresentedKey) => [
  sessionId,
  hash,
  generation,
  rotation.graceSeconds,
];

/** Whether the session goes on, and this key of its past has no grace any more. */
export async function isReused(db: Queryable, key: PresentedKey): Promise<boolean> {
  const rows = await db.query(`SELECT 1 FROM freehold.sessions s WHERE ${isStale}`, staleValues(key));
  return rows.length > 0;
}

export interface ReusedSession {
  readonly userId: UserId;
  readonly generation: number;
}

/** Ends that session and leaves a notice for its user. Undefined: another was first. */
export async function endReused(
  db: Queryable,
  key: PresentedKey,
  address: string | undefined,
): Promise<ReusedSession | undefined> {
  const [row] = await db.query<ReusedSession>(
    `WITH ended AS (
       DELETE FROM freehold.sessions s WHERE ${isStale} RETURNING s.session_id, s.user_id, s.generation, s.user_agent
     ), noticed AS (
       INSERT INTO freehold.session_notices (session_id, user_id, reason, user_agent, address)
       SELECT session_id, user_id, 'key_reused', user_agent, $5 FROM ended
     )
     SELECT user_id AS "userId", generation FROM ended`,
    [...staleValues(key), address ?? null],
  );
  return row;
}

export interface SessionNoticeRow {
  readonly sessionId: Id<'ses'>;
  readonly reason: 'key_reused';
  readonly endedAt: Date;
  readonly userAgent: string | null;
  readonly address: string | null;
}

const noticeColumns = `session_id AS "sessionId", reason, ended_at AS "endedAt", user_agent AS "userAgent", address`;

/** Newest first; those that the user has put away are not among them. */
export function selectNotices(db: Queryable, userId: string): Promise<SessionNoticeRow[]> {
  return db.query<SessionNoticeRow>(
    `SELECT ${noticeColumns} FROM freehold.session_notices WHERE user_id = $1 AND seen_at IS NULL
     ORDER BY ended_at DESC LIMIT 20`,
    [userId],
  );
}

export async function findNotice(db: Queryable, sessionId: string): Promise<SessionNoticeRow | undefined> {
  const [row] = await db.query<SessionNoticeRow>(
    `SELECT ${noticeColumns} FROM freehold.session_notices WHERE session_id = $1`,
    [sessionId],
  );
  return row;
}

export async function markNoticesSeen(db: Queryable, userId: string): Promise<void> {
  await db.query('UPDATE freehold.session_notices SET seen_at = now() WHERE user_id = $1 AND seen_at IS NULL', [
    userId,
  ]);
}

/** Also one that may do nothing but enrol a second factor, which `isSessionLive` takes for none. Runs as the platform role. */
export async function isSessionThere(db: Queryable, sessionId: string): Promise<boolean> {
  const [row] = await db.query<{ there: boolean }>(
    `SELECT EXISTS (
       SELECT FROM freehold.sessions s CROSS JOIN LATERAL freehold.check_session(s.token_hash) c WHERE s.session_id = $1 AND c.session_id = s.session_id
     ) AS there`,
    [sessionId],
  );
  return row?.there === true;
}

/** Runs as the app role, like check_session. */
export async function isSessionLive(db: Queryable, sessionId: string): Promise<boolean> {
  const [row] = await db.query<{ live: boolean | null }>('SELECT freehold.is_session_live($1) AS live', [sessionId]);
  return row?.live === true;
}
