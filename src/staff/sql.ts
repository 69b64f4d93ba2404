import type { StaffId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';

export interface StaffRow {
  readonly staffId: StaffId;
  readonly email: string;
  readonly name: string;
  readonly passwordHash: string;
  readonly disabled: boolean;
}

/** Addresses are stored as emailKeyOf makes them; `lower` is here for the index. */
export async function findStaffByEmail(db: Queryable, emailKey: string): Promise<StaffRow | undefined> {
  const [row] = await db.query<StaffRow>(
    `SELECT staff_id AS "staffId", email, name, password_hash AS "passwordHash", disabled_at IS NOT NULL AS disabled
     FROM staff WHERE lower(email) = $1`,
    [emailKey],
  );
  return row;
}

export async function countStaff(db: Queryable): Promise<number> {
  const [row] = await db.query<{ count: number }>('SELECT count(*)::int AS count FROM staff WHERE disabled_at IS NULL');
  return row!.count;
}

/** @returns false when the address is taken */
export async function insertStaff(
  db: Queryable,
  staff: { staffId: StaffId; email: string; name: string; passwordHash: string },
): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO staff (staff_id, email, name, password_hash, created_at) VALUES ($1, $2, $3, $4, now())
     ON CONFLICT (lower(email)) DO NOTHING RETURNING staff_id`,
    [staff.staffId, staff.email, staff.name, staff.passwordHash],
  );
  return rows.length > 0;
}

export async function resetStaff(
  db: Queryable,
  staffId: string,
  { name, passwordHash }: { name: string; passwordHash: string },
): Promise<void> {
  await db.query('UPDATE staff SET name = $2, password_hash = $3 WHERE staff_id = $1', [staffId, name, passwordHash]);
}

/** @returns false when the member was disabled or got another password in the meantime */
export async function confirmPassword(
  db: Queryable,
  { staffId, passwordHash }: StaffRow,
  newPasswordHash: string,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE staff SET password_hash = $3 WHERE staff_id = $1 AND password_hash = $2 AND disabled_at IS NULL RETURNING staff_id`,
    [staffId, passwordHash, newPasswordHash],
  );
  return rows.length > 0;
}

/** One link is good at a time: a new one replaces the others. */
export async function replaceSetupToken(
  db: Queryable,
  token: { hash: Buffer; email: string | undefined; resetsFactor: boolean; lifetimeSeconds: number },
): Promise<Date> {
  await db.query('DELETE FROM staff_setup_tokens');
  const [row] = await db.query<{ expires_at: Date }>(
    `INSERT INTO staff_setup_tokens (token_hash, email, resets_factor, expires_at)
     VALUES ($1, $2, $3, now() + make_interval(secs => $4)) RETURNING expires_at`,
    [token.hash, token.email ?? null, token.resetsFactor, token.lifetimeSeconds],
  );
  return row!.expires_at;
}

export interface SetupTokenRow {
  readonly email: string | null;
  /** Whoever uses it gets rid of the second factor, too. */
  readonly resetsFactor: boolean;
  readonly expiresAt: Date;
}

export async function findSetupToken(db: Queryable, tokenHash: Buffer): Promise<SetupTokenRow | undefined> {
  const [row] = await db.query<SetupTokenRow>(
    `SELECT email, resets_factor AS "resetsFactor", expires_at AS "expiresAt"
     FROM staff_setup_tokens WHERE token_hash = $1 AND expires_at > now()`,
    [tokenHash],
  );
  return row;
}

/** Of many who present the token at once, one deletes the row and the others find none. */
export async function consumeSetupToken(db: Queryable, tokenHash: Buffer): Promise<SetupTokenRow | undefined> {
  const [row] = await db.query<SetupTokenRow>(
    `DELETE FROM staff_setup_tokens WHERE token_hash = $1 AND expires_at > now()
     RETURNING email, resets_factor AS "resetsFactor", expires_at AS "expiresAt"`,
    [tokenHash],
  );
  return row;
}

export async function insertSession(
  db: Queryable,
  session: {
    tokenHash: Buffer;
    staffId: string;
    lifetimeSeconds: number;
    /** Since the password was shown. Undefined: not known; it is asked for again. */
    passwordAgeSeconds: number | undefined;
    address: string | undefined;
    userAgent: string | undefined;
  },
): Promise<Date> {
  // What expired goes with whoever signs in next, so that no job is needed.
  await db.query('DELETE FROM staff_sessions WHERE expires_at <= now()');
  const [row] = await db.query<{ expires_at: Date }>(
    `INSERT INTO staff_sessions (token_hash, staff_id, created_at, last_used_at, password_shown_at, expires_at, address, user_agent)
     VALUES ($1, $2, now(), now(), now() - make_interval(secs => $4), now() + make_interval(secs => $3), $5, $6)
     RETURNING expires_at`,
    [
      session.tokenHash,
      session.staffId,
      session.lifetimeSeconds,
      session.passwordAgeSeconds ?? null,
      session.address ?? null,
      session.userAgent ?? null,
    ],
  );
  return row!.expires_at;
}

export interface StaffSessionRow {
  readonly staffId: StaffId;
  readonly email: string;
  readonly name: string;
  readonly expiresAt: Date;
  readonly idleSeconds: number;
  readonly mustEnrol?: boolean;
}

export async function checkSession(
  db: Queryable,
  tokenHash: Buffer,
  maxIdleSeconds: number,
): Promise<StaffSessionRow | undefined> {
  const [row] = await db.query<StaffSessionRow & { mustEnrol: boolean }>(
    `SELECT s.staff_id AS "staffId", m.email, m.name, s.expires_at AS "expiresAt",
       extract(epoch FROM now() - s.last_used_at)::float8 AS "idleSeconds",
       NOT EXISTS (SELECT 1 FROM staff_totp_factors f WHERE f.staff_id = m.staff_id AND f.confirmed_at IS NOT NULL) AS "mustEnrol"
     FROM staff_sessions s JOIN staff m ON m.staff_id = s.staff_id
     WHERE s.token_hash = $1 AND m.disabled_at IS NULL AND s.expires_at > now()
       AND s.last_used_at > now() - make_interval(secs => $2)`,
    [tokenHash, maxIdleSeconds],
  );
  if (!row) return undefined;
  const { mustEnrol, ...session } = row;
  return { ...session, ...(mustEnrol && { mustEnrol }) };
}

/** Never brings back a session that is locked already. */
export async function touchSession(db: Queryable, tokenHash: Buffer, maxIdleSeconds: number): Promise<void> {
  await db.query(
    `UPDATE staff_sessions SET last_used_at = now()
     WHERE token_hash = $1 AND last_used_at > now() - make_interval(secs => $2)`,
    [tokenHash, maxIdleSeconds],
  );
}

export async function deleteSession(db: Queryable, tokenHash: Buffer): Promise<boolean> {
  const rows = await db.query('DELETE FROM staff_sessions WHERE token_hash = $1 RETURNING staff_id', [tokenHash]);
  return rows.length > 0;
}

export async function deleteSessionsOf(db: Queryable, staffId: string): Promise<void> {
  await db.query('DELETE FROM staff_sessions WHERE staff_id = $1', [staffId]);
}

export async function findPasswordHash(db: Queryable, staffId: string): Promise<string | undefined> {
  const [row] = await db.query<{ password_hash: string }>('SELECT password_hash FROM staff WHERE staff_id = $1', [
    staffId,
  ]);
  return row?.password_hash;
}

/** Of a session that is open. */
export async function findStepUp(
  db: Queryable,
  tokenHash: Buffer,
  stepUpSeconds: number,
): Promise<{ confirmedUntil: Date | undefined; asksPassword: boolean }> {
  const [row] = await db.query<{ confirmed_until: Date | null; asks_password: boolean }>(
    `SELECT CASE WHEN confirmed_until > now() THEN confirmed_until END AS confirmed_until,
       coalesce(password_shown_at <= now() - make_interval(secs => $2), true) AS asks_password
     FROM staff_sessions WHERE token_hash = $1`,
    [tokenHash, stepUpSeconds],
  );
  return { confirmedUntil: row?.confirmed_until ?? undefined, asksPassword: row?.asks_password ?? true };
}

/** Whether dangerous acts are allowed in this session now. */
export async function isConfirmed(db: Queryable, tokenHash: Buffer, maxIdleSeconds: number): Promise<boolean> {
  const rows = await db.query(
    `SELECT 1 FROM staff_sessions s JOIN staff m ON m.staff_id = s.staff_id
     WHERE s.token_hash = $1 AND s.confirmed_until > now() AND s.expires_at > now() AND m.disabled_at IS NULL
       AND s.last_used_at > now() - make_interval(secs => $2)`,
    [tokenHash, maxIdleSeconds],
  );
  return rows.length > 0;
}

/**
 * Allows dangerous acts for a while, where the password is still the one that was looked at, and was shown just now or not long ago.
 * @returns until when; undefined: that is not so, or the session is over
 */
export async function confirmSession(
  db: Queryable,
  confirmed: {
    tokenHash: Buffer;
    passwordHash: string | undefined;
    isShown: boolean;
    maxIdleSeconds: number;
    stepUpSeconds: number;
  },
): Promise<Date | undefined> {
  const { tokenHash, passwordHash, isShown, maxIdleSeconds, stepUpSeconds } = confirmed;
  const [row] = await db.query<{ confirmed_until: Date }>(
    `UPDATE staff_sessions s SET confirmed_until = now() + make_interval(secs => $5),
       password_shown_at = CASE WHEN $3 THEN now() ELSE s.password_shown_at END
     FROM staff m
     WHERE s.token_hash = $1 AND m.staff_id = s.staff_id AND m.password_hash = $2 AND m.disabled_at IS NULL
       AND ($3 OR s.password_shown_at > now() - make_interval(secs => $5))
       AND s.expires_at > now() AND s.last_used_at > now() - make_interval(secs => $4)
     RETURNING s.confirmed_until`,
    [tokenHash, passwordHash ?? null, isShown, maxIdleSeconds, stepUpSeconds],
  );
  return row?.confirmed_until;
}

/** @returns false when the session ended or the password is another one by now */
export async function notePasswordShown(
  db: Queryable,
  tokenHash: Buffer,
  passwordHash: string | undefined,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE staff_sessions s SET password_shown_at = now() FROM staff m
     WHERE s.token_hash = $1 AND m.staff_id = s.staff_id AND m.password_hash = $2 RETURNING s.staff_id`,
    [tokenHash, passwordHash ?? null],
  );
  return rows.length > 0;
}
