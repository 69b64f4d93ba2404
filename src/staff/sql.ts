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
  token: { hash: Buffer; email: string | undefined; lifetimeSeconds: number },
): Promise<Date> {
  await db.query('DELETE FROM staff_setup_tokens');
  const [row] = await db.query<{ expires_at: Date }>(
    `INSERT INTO staff_setup_tokens (token_hash, email, expires_at) VALUES ($1, $2, now() + make_interval(secs => $3))
     RETURNING expires_at`,
    [token.hash, token.email ?? null, token.lifetimeSeconds],
  );
  return row!.expires_at;
}

export interface SetupTokenRow {
  readonly email: string | null;
  readonly expiresAt: Date;
}

export async function findSetupToken(db: Queryable, tokenHash: Buffer): Promise<SetupTokenRow | undefined> {
  const [row] = await db.query<SetupTokenRow>(
    `SELECT email, expires_at AS "expiresAt" FROM staff_setup_tokens WHERE token_hash = $1 AND expires_at > now()`,
    [tokenHash],
  );
  return row;
}

/** Of many who present the token at once, one deletes the row and the others find none. */
export async function consumeSetupToken(db: Queryable, tokenHash: Buffer): Promise<SetupTokenRow | undefined> {
  const [row] = await db.query<SetupTokenRow>(
    `DELETE FROM staff_setup_tokens WHERE token_hash = $1 AND expires_at > now() RETURNING email, expires_at AS "expiresAt"`,
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
    address: string | undefined;
    userAgent: string | undefined;
  },
): Promise<Date> {
  // What expired goes with whoever signs in next, so that no job is needed.
  await db.query('DELETE FROM staff_sessions WHERE expires_at <= now()');
  const [row] = await db.query<{ expires_at: Date }>(
    `INSERT INTO staff_sessions (token_hash, staff_id, created_at, last_used_at, expires_at, address, user_agent)
     VALUES ($1, $2, now(), now(), now() + make_interval(secs => $3), $4, $5) RETURNING expires_at`,
    [session.tokenHash, session.staffId, session.lifetimeSeconds, session.address ?? null, session.userAgent ?? null],
  );
  return row!.expires_at;
}

export interface StaffSessionRow {
  readonly staffId: StaffId;
  readonly email: string;
  readonly name: string;
  readonly expiresAt: Date;
  readonly idleSeconds: number;
}

export async function checkSession(
  db: Queryable,
  tokenHash: Buffer,
  maxIdleSeconds: number,
): Promise<StaffSessionRow | undefined> {
  const [row] = await db.query<StaffSessionRow>(
    `SELECT s.staff_id AS "staffId", m.email, m.name, s.expires_at AS "expiresAt",
       extract(epoch FROM now() - s.last_used_at)::float8 AS "idleSeconds"
     FROM staff_sessions s JOIN staff m ON m.staff_id = s.staff_id
     WHERE s.token_hash = $1 AND m.disabled_at IS NULL AND s.expires_at > now()
       AND s.last_used_at > now() - make_interval(secs => $2)`,
    [tokenHash, maxIdleSeconds],
  );
  return row;
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
