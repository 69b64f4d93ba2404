import type { StaffId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';

/** What is being set up is good for so long. */
const setUpSeconds = 900;

/**
 * Whoever changes a member's factor, or lets the member in by it, takes this first and looks at it afterwards: no session begins beside an
 * enrolment without its factor.
 */
export async function lockStaff(db: Queryable, staffId: string): Promise<void> {
  await db.query('SELECT 1 FROM staff WHERE staff_id = $1 FOR NO KEY UPDATE', [staffId]);
}

export interface TotpRow {
  readonly sealedSecret: Buffer;
  readonly confirmedAt: Date | null;
  readonly lastStep: number;
  /** Unix time of the server. */
  readonly nowSeconds: number;
}

/** The factor, or what is being set up. */
export async function findTotp(db: Queryable, staffId: string): Promise<TotpRow | undefined> {
  const [row] = await db.query<TotpRow>(
    `SELECT sealed_secret AS "sealedSecret", confirmed_at AS "confirmedAt", last_step::float8 AS "lastStep",
       extract(epoch FROM clock_timestamp())::float8 AS "nowSeconds"
     FROM staff_totp_factors
     WHERE staff_id = $1 AND (confirmed_at IS NOT NULL OR created_at > now() - make_interval(secs => $2))`,
    [staffId, setUpSeconds],
  );
  return row;
}

export async function hasFactor(db: Queryable, staffId: string): Promise<boolean> {
  const rows = await db.query('SELECT 1 FROM staff_totp_factors WHERE staff_id = $1 AND confirmed_at IS NOT NULL', [
    staffId,
  ]);
  return rows.length > 0;
}

/** In place of what was being set up before. @returns false: there is a factor that counts */
export async function insertTotp(db: Queryable, staffId: string, sealedSecret: Buffer): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO staff_totp_factors AS f (staff_id, sealed_secret) VALUES ($1, $2)
     ON CONFLICT (staff_id) DO UPDATE SET sealed_secret = excluded.sealed_secret, created_at = now(), last_step = 0
     WHERE f.confirmed_at IS NULL
     RETURNING staff_id`,
    [staffId, sealedSecret],
  );
  return rows.length > 0;
}

/** Makes it count, once, and uses up the code that showed it. */
export async function confirmTotp(
  db: Queryable,
  staffId: string,
  sealedSecret: Buffer,
  step: number,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE staff_totp_factors SET confirmed_at = now(), last_step = $3
     WHERE staff_id = $1 AND sealed_secret = $2 AND confirmed_at IS NULL AND last_step < $3 RETURNING staff_id`,
    [staffId, sealedSecret, step],
  );
  return rows.length > 0;
}

/** Uses up the codes of this step and all before: of many who show one at once, one gets true. */
export async function spendTotpStep(db: Queryable, staffId: string, step: number): Promise<boolean> {
  const rows = await db.query(
    `UPDATE staff_totp_factors SET last_step = $2
     WHERE staff_id = $1 AND confirmed_at IS NOT NULL AND last_step < $2 RETURNING staff_id`,
    [staffId, step],
  );
  return rows.length > 0;
}

/** The factor and its recovery codes. */
export async function deleteFactor(db: Queryable, staffId: string): Promise<boolean> {
  const rows = await db.query<{ isConfirmed: boolean }>(
    `DELETE FROM staff_totp_factors WHERE staff_id = $1 RETURNING confirmed_at IS NOT NULL AS "isConfirmed"`,
    [staffId],
  );
  await db.query('DELETE FROM staff_recovery_codes WHERE staff_id = $1', [staffId]);
  return rows[0]?.isConfirmed ?? false;
}

export async function replaceRecoveryCodes(db: Queryable, staffId: string, hashes: readonly Buffer[]): Promise<void> {
  await db.query('DELETE FROM staff_recovery_codes WHERE staff_id = $1', [staffId]);
  await db.query(
    'INSERT INTO staff_recovery_codes (staff_id, code_hash) SELECT $1, code_hash FROM unnest($2::bytea[]) AS code_hash',
    [staffId, hashes],
  );
}

/** @returns whether this one was still good; of many who show it at once, one gets true */
export async function spendRecoveryCode(db: Queryable, staffId: string, hash: Buffer): Promise<boolean> {
  const rows = await db.query(
    'DELETE FROM staff_recovery_codes WHERE staff_id = $1 AND code_hash = $2 RETURNING staff_id',
    [staffId, hash],
  );
  return rows.length > 0;
}

export async function countRecoveryCodes(db: Queryable, staffId: string): Promise<number> {
  const [row] = await db.query<{ left: number }>(
    'SELECT count(*)::integer AS left FROM staff_recovery_codes WHERE staff_id = $1',
    [staffId],
  );
  return row!.left;
}

/** @returns when it ends; undefined: too many are waiting for this member's code in browsers that are not known */
export async function insertChallenge(
  db: Queryable,
  challenge: {
    tokenHash: Buffer;
    staffId: string;
    isKnownDevice: boolean;
    lifetimeSeconds: number;
    maxWaiting: number;
  },
): Promise<Date | undefined> {
  await db.query('DELETE FROM staff_sign_in_challenges WHERE expires_at <= now()');
  const [row] = await db.query<{ expires_at: Date }>(
    `INSERT INTO staff_sign_in_challenges (token_hash, staff_id, known_device, created_at, expires_at)
     SELECT $1::bytea, $2::text, $5::boolean, now(), now() + make_interval(secs => $3)
     WHERE $5 OR $4::integer > (SELECT count(*) FROM staff_sign_in_challenges
                                WHERE staff_id = $2 AND NOT known_device AND expires_at > now())
     RETURNING expires_at`,
    [challenge.tokenHash, challenge.staffId, challenge.lifetimeSeconds, challenge.maxWaiting, challenge.isKnownDevice],
  );
  return row?.expires_at;
}

const isOpen = 'c.token_hash = $1 AND c.expires_at > now() AND m.staff_id = c.staff_id AND m.disabled_at IS NULL';

export interface ChallengeRow {
  readonly staffId: StaffId;
  readonly email: string;
  readonly name: string;
  readonly expiresAt: Date;
  /** It was begun in a browser that was known then. */
  readonly isKnownDevice: boolean;
  /** Since the password was right. */
  readonly ageSeconds: number;
}

/** Whose it is, while it waits. */
export async function findChallenge(db: Queryable, tokenHash: Buffer): Promise<ChallengeRow | undefined> {
  const [row] = await db.query<ChallengeRow>(
    `SELECT c.staff_id AS "staffId", m.email, m.name, c.expires_at AS "expiresAt", c.known_device AS "isKnownDevice",
       extract(epoch FROM now() - c.created_at)::float8 AS "ageSeconds"
     FROM staff_sign_in_challenges c, staff m WHERE ${isOpen}`,
    [tokenHash],
  );
  return row;
}

/** Uses it up: of many who show it at once, one gets true. */
export async function spendChallenge(db: Queryable, tokenHash: Buffer): Promise<boolean> {
  const rows = await db.query(
    `DELETE FROM staff_sign_in_challenges c USING staff m WHERE ${isOpen} RETURNING c.staff_id`,
    [tokenHash],
  );
  return rows.length > 0;
}

export async function deleteChallenge(db: Queryable, tokenHash: Buffer): Promise<void> {
  await db.query('DELETE FROM staff_sign_in_challenges WHERE token_hash = $1', [tokenHash]);
}

export async function deleteChallengesOf(db: Queryable, staffId: string): Promise<void> {
  await db.query('DELETE FROM staff_sign_in_challenges WHERE staff_id = $1', [staffId]);
}
