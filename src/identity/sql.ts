import type { Id, UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { maxKnownDevices } from './sign-in/attempts.ts';
import type { Role, Session, User } from './types.ts';

export interface UserRow extends User {
  readonly epoch: number;
  readonly passwordHash: string;
}

const userColumns = `user_id AS "userId", email, name, role, state, created_at AS "createdAt", last_sign_in_at AS "lastSignInAt",
  epoch, password_hash AS "passwordHash"`;

export async function findUserByEmail(db: Queryable, emailKey: string): Promise<UserRow | undefined> {
  const [row] = await db.query<UserRow>(`SELECT ${userColumns} FROM freehold.users WHERE email_key = $1`, [emailKey]);
  return row;
}

export async function findUserById(db: Queryable, userId: string): Promise<UserRow | undefined> {
  const [row] = await db.query<UserRow>(`SELECT ${userColumns} FROM freehold.users WHERE user_id = $1`, [userId]);
  return row;
}

export function selectUsers(db: Queryable): Promise<User[]> {
  return db.query<User>(
    `SELECT user_id AS "userId", email, name, role, state, created_at AS "createdAt", last_sign_in_at AS "lastSignInAt"
     FROM freehold.users ORDER BY lower(name), user_id`,
  );
}

/** Names for the security log. */
export async function selectUserNames(db: Queryable, userIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await db.query<{ user_id: string; name: string }>(
    'SELECT user_id, name FROM freehold.users WHERE user_id = ANY ($1::text[])',
    [userIds],
  );
  return new Map(rows.map(({ user_id, name }) => [user_id, name]));
}

export interface NewUser {
  readonly userId: UserId;
  readonly email: string;
  readonly emailKey: string;
  readonly name: string;
  readonly role: Role;
  readonly passwordHash: string;
}

/** @returns false when there is a user with this address already */
export async function insertUser(db: Queryable, user: NewUser): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO freehold.users (user_id, email, email_key, name, role, password_hash) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (email_key) DO NOTHING RETURNING user_id`,
    [user.userId, user.email, user.emailKey, user.name, user.role, user.passwordHash],
  );
  return rows.length > 0;
}

/** Locks every active owner, so that two changes side by side cannot each remove "another" last one. */
export async function lockActiveOwners(db: Queryable): Promise<UserId[]> {
  const rows = await db.query<{ user_id: UserId }>(
    `SELECT user_id FROM freehold.users WHERE role = 'owner' AND state = 'active' ORDER BY user_id FOR UPDATE`,
  );
  return rows.map(({ user_id }) => user_id);
}

export async function updateRole(db: Queryable, userId: string, role: Role): Promise<void> {
  await db.query('UPDATE freehold.users SET role = $2, epoch = epoch + 1 WHERE user_id = $1', [userId, role]);
}

export async function updateState(db: Queryable, userId: string, state: User['state']): Promise<void> {
  await db.query('UPDATE freehold.users SET state = $2, epoch = epoch + 1 WHERE user_id = $1', [userId, state]);
}

export async function updateName(db: Queryable, userId: string, name: string): Promise<void> {
  await db.query('UPDATE freehold.users SET name = $2 WHERE user_id = $1', [userId, name]);
}

/** Ends every session of the user by raising the epoch; undefined: the user changed in the meantime. */
export async function updatePassword(
  db: Queryable,
  user: { userId: string; epoch: number },
  passwordHash: string,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE freehold.users SET password_hash = $3, password_changed_at = now(), epoch = epoch + 1
     WHERE user_id = $1 AND epoch = $2 AND state = 'active' RETURNING user_id`,
    [user.userId, user.epoch, passwordHash],
  );
  return rows.length > 0;
}

export async function raiseEpoch(db: Queryable, userId: string): Promise<void> {
  await db.query('UPDATE freehold.users SET epoch = epoch + 1 WHERE user_id = $1', [userId]);
}

/**
 * That the user is still the one whose password was checked. Holds the row until the transaction ends, so what is read after it, for
 * example about second factors, stays true for the session that begins.
 * @returns the epoch for the new session; undefined: disabled or changed in the meantime
 */
export async function keepPassword(
  db: Queryable,
  user: { userId: string; passwordHash: string },
  newPasswordHash: string,
): Promise<number | undefined> {
  const [row] = await db.query<{ epoch: number }>(
    `UPDATE freehold.users SET password_hash = $3
     WHERE user_id = $1 AND password_hash = $2 AND state = 'active' RETURNING epoch`,
    [user.userId, user.passwordHash, newPasswordHash],
  );
  return row?.epoch;
}

export async function noteSignIn(db: Queryable, userId: string): Promise<void> {
  await db.query('UPDATE freehold.users SET last_sign_in_at = now() WHERE user_id = $1', [userId]);
}

export interface CheckedSession {
  readonly session: Session;
  readonly lastUsedAt: Date;
  readonly keyState: KeyState | null;
}

/** What is to be done about the key that was presented: check_session, migrations/tenant/0007. */
export type KeyState = 'due' | 'unused' | 'replaced';

/** The one read of every request. Runs as the app role; the rules are in freehold.check_session. */
export const checkSessionText =
  'SELECT session_id, user_id, email, name, role, created_at, expires_at, last_used_at, key_state, must_enrol FROM freehold.check_session($1)';

/** @param rows the answer to `checkSessionText` */
export function readCheckedSession([row]: readonly object[]): CheckedSession | undefined {
  const found = row as
    | {
        readonly session_id: Id<'ses'> | null;
        readonly user_id: UserId;
        readonly email: string;
        readonly name: string;
        readonly role: Role;
        readonly created_at: Date;
        readonly expires_at: Date;
        readonly last_used_at: Date;
        readonly key_state: KeyState | null;
        readonly must_enrol: boolean;
      }
    | undefined;
  // Nobody: a row of nulls.
  if (!found?.session_id) return undefined;
  const user = { userId: found.user_id, email: found.email, name: found.name, role: found.role };
  const session: Session = {
    sessionId: found.session_id,
    user,
    createdAt: found.created_at,
    expiresAt: found.expires_at,
    ...(found.must_enrol && { mustEnrol: true }),
  };
  return { session, lastUsedAt: found.last_used_at, keyState: found.key_state };
}

export interface NewSession {
  readonly sessionId: Id<'ses'>;
  readonly tokenHash: Buffer;
  readonly userId: string;
  readonly epoch: number;
  readonly lifetimeSeconds: number;
  readonly idleSeconds: number;
  readonly address: string | undefined;
  readonly userAgent: string | undefined;
}

export async function insertSession(db: Queryable, session: NewSession): Promise<{ createdAt: Date; expiresAt: Date }> {
  const [row] = await db.query<{ createdAt: Date; expiresAt: Date }>(
    `INSERT INTO freehold.sessions (session_id, token_hash, user_id, user_epoch, expires_at, idle_expires_at, address, user_agent)
     VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), now() + make_interval(secs => $6), $7, $8)
     RETURNING created_at AS "createdAt", expires_at AS "expiresAt"`,
    [
      session.sessionId,
      session.tokenHash,
      session.userId,
      session.epoch,
      session.lifetimeSeconds,
      session.idleSeconds,
      session.address ?? null,
      session.userAgent ?? null,
    ],
  );
  return row!;
}

/** Writes the last use, unless somebody did a moment ago; so many requests at once write once. */
export async function touchSession(
  db: Queryable,
  sessionId: string,
  { idleSeconds, everySeconds }: { idleSeconds: number; everySeconds: number },
): Promise<void> {
  await db.query(
    `UPDATE freehold.sessions
     SET last_used_at = now(), idle_expires_at = least(expires_at, now() + make_interval(secs => $2))
     WHERE session_id = $1 AND last_used_at < now() - make_interval(secs => $3) AND idle_expires_at > now()`,
    [sessionId, idleSeconds, everySeconds],
  );
}

export interface SessionRow {
  readonly sessionId: Id<'ses'>;
  readonly createdAt: Date;
  readonly lastUsedAt: Date;
  readonly expiresAt: Date;
  readonly address: string | null;
  readonly userAgent: string | null;
}

export function selectSessions(db: Queryable, userId: string): Promise<SessionRow[]> {
  return db.query<SessionRow>(
    `SELECT s.session_id AS "sessionId", s.created_at AS "createdAt", s.last_used_at AS "lastUsedAt", s.expires_at AS "expiresAt",
       s.address, s.user_agent AS "userAgent"
     FROM freehold.sessions s JOIN freehold.users u ON u.user_id = s.user_id AND u.epoch = s.user_epoch
     WHERE s.user_id = $1 AND s.expires_at > now() AND s.idle_expires_at > now()
     ORDER BY s.last_used_at DESC, s.session_id`,
    [userId],
  );
}

/** @returns false when the user has no such session */
export async function deleteSession(db: Queryable, userId: string, sessionId: string): Promise<boolean> {
  const rows = await db.query(
    'DELETE FROM freehold.sessions WHERE user_id = $1 AND session_id = $2 RETURNING session_id',
    [userId, sessionId],
  );
  return rows.length > 0;
}

/** Of whoever it is: the browser has shown a cookie of it. */
export async function deleteHeldSession(db: Queryable, sessionId: string): Promise<void> {
  await db.query('DELETE FROM freehold.sessions WHERE session_id = $1', [sessionId]);
}

export async function deleteSessions(db: Queryable, userId: string): Promise<number> {
  const rows = await db.query('DELETE FROM freehold.sessions WHERE user_id = $1 RETURNING session_id', [userId]);
  return rows.length;
}

export async function isSessionThere(db: Queryable, sessionId: string): Promise<boolean> {
  const rows = await db.query('SELECT 1 FROM freehold.sessions WHERE session_id = $1', [sessionId]);
  return rows.length > 0;
}

export async function deleteOtherSessions(db: Queryable, userId: string, sessionId: string): Promise<number> {
  const rows = await db.query(
    'DELETE FROM freehold.sessions WHERE user_id = $1 AND session_id <> $2 RETURNING session_id',
    [userId, sessionId],
  );
  return rows.length;
}

/** Removes what no longer counts, and the longest unused beyond `keep`. */
export async function pruneSessions(db: Queryable, userId: string, keep: number): Promise<void> {
  await db.query(
    `DELETE FROM freehold.sessions WHERE user_id = $1 AND (expires_at <= now() OR idle_expires_at <= now() OR session_id IN (
       SELECT session_id FROM freehold.sessions WHERE user_id = $1 ORDER BY last_used_at DESC, created_at DESC OFFSET $2))`,
    [userId, keep],
  );
}

export async function isKnownDevice(db: Queryable, userId: string, tokenHash: Buffer): Promise<boolean> {
  const rows = await db.query('SELECT 1 FROM freehold.known_devices WHERE token_hash = $1 AND user_id = $2', [
    tokenHash,
    userId,
  ]);
  return rows.length > 0;
}

export async function rememberDevice(db: Queryable, userId: string, tokenHash: Buffer): Promise<void> {
  await db.query(
    `INSERT INTO freehold.known_devices (token_hash, user_id) VALUES ($1, $2)
     ON CONFLICT (token_hash, user_id) DO UPDATE SET last_used_at = now()`,
    [tokenHash, userId],
  );
  await db.query(
    `DELETE FROM freehold.known_devices WHERE user_id = $1 AND token_hash IN (
       SELECT token_hash FROM freehold.known_devices WHERE user_id = $1 ORDER BY last_used_at DESC OFFSET $2)`,
    [userId, maxKnownDevices],
  );
}

export async function forgetDevice(db: Queryable, userId: string, tokenHash: Buffer): Promise<void> {
  await db.query('DELETE FROM freehold.known_devices WHERE token_hash = $1 AND user_id = $2', [tokenHash, userId]);
}

export async function forgetDevices(db: Queryable, userId: string): Promise<void> {
  await db.query('DELETE FROM freehold.known_devices WHERE user_id = $1', [userId]);
}
