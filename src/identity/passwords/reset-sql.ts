import type { Queryable } from '#src/postgres/types.ts';
import type { UserRow } from '../sql.ts';

export interface ResetPolicy {
  readonly lifetimeSeconds: number;
  /** Links of one account that are good at the same time, asked for by strangers and by its known devices, each. */
  readonly maxLive: number;
  /** Between two of them. */
  readonly spacingSeconds: number;
  /** Of all accounts; beyond it an account gets no second link while one is good. */
  readonly perTenantAndHour: number;
}

export interface IssuedReset {
  /** Undefined: nobody has this address, or enough links of theirs are good. */
  readonly user: Pick<UserRow, 'userId' | 'email' | 'name'> | undefined;
  /** For the log: whose it is. */
  readonly userId: string | undefined;
  readonly expiresAt: Date;
}

/**
 * Writes one row whoever it is for: a link for the user, or one for nobody that opens nothing. An account always has a link that is good or
 * gets one, so whoever keeps asking in somebody's name cannot keep them from theirs.
 */
export async function issueReset(
  db: Queryable,
  emailKey: string,
  { tokenHash, isKnownDevice }: { tokenHash: Buffer; isKnownDevice: boolean },
  policy: ResetPolicy,
): Promise<IssuedReset> {
  // Of two requests for one address the second sees what the first wrote.
  await db.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 4))', [emailKey]);
  const [row] = await db.query<{
    user_id: string | null;
    email: string | null;
    name: string | null;
    known_id: string | null;
    expires_at: Date;
  }>(
    `WITH who AS (
       SELECT user_id, email, name, epoch FROM freehold.users WHERE email_key = $1 AND state = 'active'
     ), live AS (
       SELECT count(*) AS links, max(r.created_at) AS newest
       FROM freehold.password_resets r JOIN who ON who.user_id = r.user_id AND who.epoch = r.user_epoch
       WHERE r.expires_at > now() AND r.known_device = $3
     ), lately AS (
       SELECT count(*) AS links FROM freehold.password_resets WHERE created_at > now() - interval '1 hour' AND user_id IS NOT NULL
     ), allowed AS (
       SELECT who.user_id, who.email, who.name, who.epoch FROM who, live, lately
       WHERE live.links = 0
          OR (live.links < $5 AND live.newest < now() - make_interval(secs => $6) AND (lately.links < $7 OR $3))
     ), made AS (
       INSERT INTO freehold.password_resets (token_hash, user_id, user_epoch, known_device, expires_at)
       SELECT $2, allowed.user_id, allowed.epoch, $3, now() + make_interval(secs => $4)
       FROM (SELECT 1) AS one LEFT JOIN allowed ON true
       RETURNING expires_at
     )
     SELECT allowed.user_id, allowed.email, allowed.name, who.user_id AS known_id, made.expires_at
     FROM made LEFT JOIN allowed ON true LEFT JOIN who ON true`,
    [
      emailKey,
      tokenHash,
      isKnownDevice,
      policy.lifetimeSeconds,
      policy.maxLive,
      policy.spacingSeconds,
      policy.perTenantAndHour,
    ],
  );
  const { user_id: userId, email, name, known_id: knownId, expires_at: expiresAt } = row!;
  return {
    user: userId === null ? undefined : { userId: userId as UserRow['userId'], email: email!, name: name! },
    userId: knownId ?? undefined,
    expiresAt,
  };
}

/** A link that removes second factors, in the place of the user's other links. Undefined: no active user has this address. */
export async function replaceByAccessReset(
  db: Queryable,
  emailKey: string,
  tokenHash: Buffer,
  lifetimeSeconds: number,
): Promise<{ userId: string; email: string; expiresAt: Date } | undefined> {
  const [row] = await db.query<{ userId: string; email: string; expiresAt: Date }>(
    `WITH who AS (
       SELECT user_id, email, epoch FROM freehold.users WHERE email_key = $1 AND state = 'active'
     ), gone AS (
       DELETE FROM freehold.password_resets r USING who WHERE r.user_id = who.user_id
     ), made AS (
       INSERT INTO freehold.password_resets (token_hash, user_id, user_epoch, known_device, removes_factors, expires_at)
       SELECT $2, user_id, epoch, false, true, now() + make_interval(secs => $3) FROM who
       RETURNING user_id, expires_at
     )
     SELECT who.user_id AS "userId", who.email, made.expires_at AS "expiresAt" FROM who JOIN made USING (user_id)`,
    [emailKey, tokenHash, lifetimeSeconds],
  );
  return row;
}

/** A few of those that are over; kept for an hour, for counting. */
export async function pruneResets(db: Queryable): Promise<void> {
  await db.query(
    `DELETE FROM freehold.password_resets WHERE token_hash = ANY (ARRAY(
       SELECT token_hash FROM freehold.password_resets WHERE created_at < now() - interval '1 hour'
       ORDER BY created_at LIMIT 20 FOR UPDATE SKIP LOCKED))`,
  );
}

const isGood = `r.token_hash = $1 AND r.expires_at > now() AND u.user_id = r.user_id AND u.epoch = r.user_epoch AND u.state = 'active'`;

/** Whom the link is for, while it is good: not used, not expired, and nothing has changed about the user since. */
export async function findReset(
  db: Queryable,
  tokenHash: Buffer,
): Promise<{ userId: string; email: string; name: string; expiresAt: Date } | undefined> {
  const [row] = await db.query<{ userId: string; email: string; name: string; expiresAt: Date }>(
    `SELECT u.user_id AS "userId", u.email, u.name, r.expires_at AS "expiresAt"
     FROM freehold.password_resets r, freehold.users u WHERE ${isGood}`,
    [tokenHash],
  );
  return row;
}

export interface ResetUser extends Pick<UserRow, 'userId' | 'email' | 'name'> {
  /** The operator made the link, for somebody who has lost them. */
  readonly removesFactors: boolean;
}

/**
 * Uses the link and sets the password in one statement: of many who present it at once, one deletes the row and the others find none. The
 * user's other links, and every session, end with the epoch.
 */
export async function consumeReset(
  db: Queryable,
  tokenHash: Buffer,
  passwordHash: string,
): Promise<ResetUser | undefined> {
  const [row] = await db.query<ResetUser>(
    `WITH consumed AS (
       DELETE FROM freehold.password_resets r USING freehold.users u WHERE ${isGood} RETURNING r.user_id, r.user_epoch, r.removes_factors
     )
     UPDATE freehold.users SET password_hash = $2, password_changed_at = now(), epoch = epoch + 1
     FROM consumed WHERE users.user_id = consumed.user_id AND users.epoch = consumed.user_epoch AND users.state = 'active'
     RETURNING users.user_id AS "userId", users.email, users.name, consumed.removes_factors AS "removesFactors"`,
    [tokenHash, passwordHash],
  );
  return row;
}
