import type { Queryable } from '#src/postgres/types.ts';
import type { UserRow } from '../sql.ts';
import type { SignOnWay } from '../sso/types.ts';

/** What is being set up is good for so long. */
const setUpSeconds = 900;

/**
 * Whoever changes a user's factors, or lets the user in by them, takes this first and looks at them afterwards. So no session begins beside
 * an enrolment without its factor, and nobody waits for anybody in a circle.
 */
export async function lockUser(db: Queryable, userId: string): Promise<void> {
  await db.query('SELECT 1 FROM freehold.users WHERE user_id = $1 FOR NO KEY UPDATE', [userId]);
}

export interface TotpRow {
  readonly sealedSecret: Buffer;
  readonly confirmedAt: Date | null;
  readonly lastStep: number;
  /** Unix time of the server. */
  readonly nowSeconds: number;
}

/** The factor, or what is being set up. */
export async function findTotp(db: Queryable, userId: string): Promise<TotpRow | undefined> {
  const [row] = await db.query<TotpRow>(
    `SELECT sealed_secret AS "sealedSecret", confirmed_at AS "confirmedAt", last_step::float8 AS "lastStep",
       extract(epoch FROM clock_timestamp())::float8 AS "nowSeconds"
     FROM freehold.totp_factors
     WHERE user_id = $1 AND (confirmed_at IS NOT NULL OR created_at > now() - make_interval(secs => $2))`,
    [userId, setUpSeconds],
  );
  return row;
}

/** Which kinds count. Recovery codes are none: they stand in for one. */
export async function findFactors(db: Queryable, userId: string): Promise<{ app: boolean; passkeys: boolean }> {
  const [row] = await db.query<{ app: boolean; passkeys: boolean }>(
    `SELECT EXISTS (SELECT 1 FROM freehold.totp_factors WHERE user_id = $1 AND confirmed_at IS NOT NULL) AS app,
       EXISTS (SELECT 1 FROM freehold.passkeys WHERE user_id = $1) AS passkeys`,
    [userId],
  );
  return row!;
}

export async function hasSecondFactor(db: Queryable, userId: string): Promise<boolean> {
  const { app, passkeys } = await findFactors(db, userId);
  return app || passkeys;
}

/** In place of what was being set up before. @returns false: there is a factor that counts */
export async function insertTotp(db: Queryable, userId: string, sealedSecret: Buffer): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO freehold.totp_factors AS f (user_id, sealed_secret) VALUES ($1, $2)
     ON CONFLICT (user_id) DO UPDATE SET sealed_secret = excluded.sealed_secret, created_at = now(), last_step = 0
     WHERE f.confirmed_at IS NULL
     RETURNING user_id`,
    [userId, sealedSecret],
  );
  return rows.length > 0;
}

/** Makes it count, once, and uses up the code that showed it. */
export async function confirmTotp(db: Queryable, userId: string, sealedSecret: Buffer, step: number): Promise<boolean> {
  const rows = await db.query(
    `UPDATE freehold.totp_factors SET confirmed_at = now(), last_step = $3
     WHERE user_id = $1 AND sealed_secret = $2 AND confirmed_at IS NULL AND last_step < $3 RETURNING user_id`,
    [userId, sealedSecret, step],
  );
  return rows.length > 0;
}

/** Uses up the codes of this step and all before: of many who show one at once, one gets true. */
export async function spendTotpStep(db: Queryable, userId: string, step: number): Promise<boolean> {
  const rows = await db.query(
    `UPDATE freehold.totp_factors SET last_step = $2
     WHERE user_id = $1 AND confirmed_at IS NOT NULL AND last_step < $2 RETURNING user_id`,
    [userId, step],
  );
  return rows.length > 0;
}

/** The app, whether it counts or is being set up. */
export async function deleteTotp(db: Queryable, userId: string): Promise<void> {
  await db.query('DELETE FROM freehold.totp_factors WHERE user_id = $1', [userId]);
}

/** Every factor, of whatever kind. */
export async function deleteSecondFactors(db: Queryable, userId: string): Promise<void> {
  await deleteTotp(db, userId);
  await db.query('DELETE FROM freehold.passkeys WHERE user_id = $1', [userId]);
  await db.query('DELETE FROM freehold.passkey_challenges WHERE user_id = $1', [userId]);
  await deleteRecovery(db, userId);
}

/** Recovery codes, and every sign-in that waits for a factor. */
export async function deleteRecovery(db: Queryable, userId: string): Promise<void> {
  await db.query('DELETE FROM freehold.recovery_codes WHERE user_id = $1', [userId]);
  await db.query('DELETE FROM freehold.sign_in_challenges WHERE user_id = $1', [userId]);
}

export async function replaceRecoveryCodes(db: Queryable, userId: string, hashes: readonly Buffer[]): Promise<void> {
  await db.query('DELETE FROM freehold.recovery_codes WHERE user_id = $1', [userId]);
  await db.query(
    'INSERT INTO freehold.recovery_codes (user_id, code_hash) SELECT $1, code_hash FROM unnest($2::bytea[]) AS code_hash',
    [userId, hashes],
  );
}

/** @returns whether this one was still good; of many who show it at once, one gets true */
export async function spendRecoveryCode(db: Queryable, userId: string, hash: Buffer): Promise<boolean> {
  const rows = await db.query(
    'DELETE FROM freehold.recovery_codes WHERE user_id = $1 AND code_hash = $2 RETURNING user_id',
    [userId, hash],
  );
  return rows.length > 0;
}

export async function countRecoveryCodes(db: Queryable, userId: string): Promise<number> {
  const [row] = await db.query<{ left: number }>(
    'SELECT count(*)::integer AS left FROM freehold.recovery_codes WHERE user_id = $1',
    [userId],
  );
  return row!.left;
}

/** Undefined: nobody ever chose. */
export async function findPolicy(db: Queryable): Promise<string | undefined> {
  const [row] = await db.query<{ requiredOf: string }>(
    'SELECT required_of AS "requiredOf" FROM freehold.second_factor_policy',
  );
  return row?.requiredOf;
}

export async function upsertPolicy(db: Queryable, requiredOf: string): Promise<void> {
  await db.query(
    `INSERT INTO freehold.second_factor_policy (required_of) VALUES ($1)
     ON CONFLICT (single) DO UPDATE SET required_of = excluded.required_of`,
    [requiredOf],
  );
}

/** Users with a factor. */
export async function selectEnrolled(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ user_id: string }>(
    `SELECT user_id FROM freehold.totp_factors WHERE confirmed_at IS NOT NULL
     UNION SELECT user_id FROM freehold.passkeys ORDER BY user_id`,
  );
  return rows.map(({ user_id }) => user_id);
}

export interface NewChallenge {
  readonly tokenHash: Buffer;
  readonly user: Pick<UserRow, 'userId' | 'epoch'>;
  readonly isKnownDevice: boolean;
  readonly lifetimeSeconds: number;
  /** Of strangers, at the same time; browsers that signed in before are not counted. */
  readonly maxOfStrangers: number;
  /** Over which provider; undefined: with the password. */
  readonly way?: SignOnWay | undefined;
}

/** @returns when it ends; undefined: too many are waiting for this user's code */
export async function insertChallenge(db: Queryable, challenge: NewChallenge): Promise<Date | undefined> {
  const { tokenHash, user, isKnownDevice, lifetimeSeconds, maxOfStrangers, way } = challenge;
  await db.query(
    `DELETE FROM freehold.sign_in_challenges WHERE token_hash = ANY (ARRAY(
       SELECT token_hash FROM freehold.sign_in_challenges WHERE expires_at <= now()
       ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED))`,
  );
  const [row] = await db.query<{ expires_at: Date }>(
    `INSERT INTO freehold.sign_in_challenges (token_hash, user_id, user_epoch, known_device, expires_at,
       connection_id, subject, session_index, name_qualifier, sp_name_qualifier)
     SELECT $1::bytea, $2::text, $3::integer, $4::boolean, now() + make_interval(secs => $5), $7, $8, $9, $10, $11
     WHERE $4 OR $6::integer > (SELECT count(*) FROM freehold.sign_in_challenges
                       WHERE user_id = $2 AND NOT known_device AND expires_at > now())
     RETURNING expires_at`,
    [
      tokenHash,
      user.userId,
      user.epoch,
      isKnownDevice,
      lifetimeSeconds,
      maxOfStrangers,
      ...[way?.connectionId, way?.subject, way?.sessionIndex, way?.nameQualifier, way?.spNameQualifier].map(
        (value) => value ?? null,
      ),
    ],
  );
  return row?.expires_at;
}

const isOpen = `c.token_hash = $1 AND c.expires_at > now()
  AND u.user_id = c.user_id AND u.epoch = c.user_epoch AND u.state = 'active'`;

export interface ChallengeRow {
  readonly userId: UserRow['userId'];
  readonly isKnownDevice: boolean;
  readonly expiresAt: Date;
}

/** Whose it is, while it waits: not used, not over, and nothing has changed about the user since the password was right. */
export async function findChallenge(db: Queryable, tokenHash: Buffer): Promise<ChallengeRow | undefined> {
  const [row] = await db.query<ChallengeRow>(
    `SELECT c.user_id AS "userId", c.known_device AS "isKnownDevice", c.expires_at AS "expiresAt"
     FROM freehold.sign_in_challenges c, freehold.users u WHERE ${isOpen}`,
    [tokenHash],
  );
  return row;
}

/** Uses it up: of many who show it at once, one gets it. With the way over a provider, if that was it. */
export async function spendChallenge(
  db: Queryable,
  tokenHash: Buffer,
): Promise<{ readonly way: SignOnWay | undefined } | undefined> {
  const [row] = await db.query<{ way: SignOnWay | null }>(
    `DELETE FROM freehold.sign_in_challenges c USING freehold.users u WHERE ${isOpen}
     RETURNING CASE WHEN c.connection_id IS NOT NULL THEN jsonb_build_object('connectionId', c.connection_id, 'subject', c.subject,
       'sessionIndex', c.session_index, 'nameQualifier', c.name_qualifier, 'spNameQualifier', c.sp_name_qualifier) END AS way`,
    [tokenHash],
  );
  return row && { way: row.way ?? undefined };
}

export async function deleteChallenge(db: Queryable, tokenHash: Buffer): Promise<void> {
  await db.query('DELETE FROM freehold.sign_in_challenges WHERE token_hash = $1', [tokenHash]);
}
