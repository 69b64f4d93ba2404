import type { Id, UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { PasskeyPurpose, PasskeySummary, ProvenPasskey } from './types.ts';

/** Of one browser and purpose, waiting at the same time: windows side by side do not take each other's. */
const challengesKept = 8;

export interface NewChallenge {
  readonly challengeHash: Buffer;
  readonly boundTo: Buffer;
  readonly purpose: PasskeyPurpose;
  /** Undefined: the passkey will say. */
  readonly user: { readonly userId: string; readonly epoch: number } | undefined;
  readonly rpId: string;
  readonly origin: string;
  readonly lifetimeSeconds: number;
}

export async function insertChallenge(db: Queryable, challenge: NewChallenge): Promise<void> {
  const { challengeHash, boundTo, purpose, user, rpId, origin, lifetimeSeconds } = challenge;
  await db.query(
    `DELETE FROM freehold.passkey_challenges WHERE challenge_hash = ANY (ARRAY(
       SELECT challenge_hash FROM freehold.passkey_challenges WHERE expires_at <= now()
       ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED))`,
  );
  await db.query(
    `DELETE FROM freehold.passkey_challenges WHERE challenge_hash = ANY (ARRAY(
       SELECT challenge_hash FROM freehold.passkey_challenges WHERE bound_to = $1 AND purpose = $2
       ORDER BY expires_at DESC OFFSET $3 FOR UPDATE SKIP LOCKED))`,
    [boundTo, purpose, challengesKept - 1],
  );
  await db.query(
    `INSERT INTO freehold.passkey_challenges (challenge_hash, bound_to, purpose, user_id, user_epoch, rp_id, origin, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))`,
    [challengeHash, boundTo, purpose, user?.userId ?? null, user?.epoch ?? null, rpId, origin, lifetimeSeconds],
  );
}

export interface SpentChallenge {
  readonly userId: UserId | null;
  readonly userEpoch: number | null;
  readonly rpId: string;
  readonly origin: string;
}

/** Uses it up, whatever becomes of what it is used for: of many who show it at once, one gets it. Undefined: not this browser's, not for this, or over. */
export async function spendChallenge(
  db: Queryable,
  { challengeHash, boundTo, purpose }: { challengeHash: Buffer; boundTo: Buffer; purpose: PasskeyPurpose },
): Promise<SpentChallenge | undefined> {
  const [row] = await db.query<SpentChallenge & { isLive: boolean }>(
    `DELETE FROM freehold.passkey_challenges WHERE challenge_hash = $1 AND bound_to = $2 AND purpose = $3
     RETURNING user_id AS "userId", user_epoch AS "userEpoch", rp_id AS "rpId", origin, expires_at > now() AS "isLive"`,
    [challengeHash, boundTo, purpose],
  );
  return row?.isLive ? row : undefined;
}

export interface PasskeyRow {
  readonly passkeyId: Id<'pky'>;
  readonly userId: UserId;
  readonly credentialId: Buffer;
  readonly publicKey: Buffer;
  readonly counter: number;
  readonly transports: string[];
  readonly isBackupEligible: boolean;
  readonly rpId: string;
  readonly name: string;
  readonly userHandle: Buffer;
  readonly userEmail: string;
  readonly userName: string;
}

const passkeyColumns = `k.passkey_id AS "passkeyId", k.user_id AS "userId", k.credential_id AS "credentialId", k.public_key AS "publicKey",
  k.counter::float8 AS counter, k.transports, k.backup_eligible AS "isBackupEligible", k.rp_id AS "rpId", k.name,
  h.handle AS "userHandle", u.email AS "userEmail", u.name AS "userName"`;
const passkeyTables = `freehold.passkeys k JOIN freehold.passkey_users h USING (user_id) JOIN freehold.users u USING (user_id)`;

export async function findPasskey(db: Queryable, credentialId: Buffer): Promise<PasskeyRow | undefined> {
  const [row] = await db.query<PasskeyRow>(
    `SELECT ${passkeyColumns} FROM ${passkeyTables} WHERE k.credential_id = $1`,
    [credentialId],
  );
  return row;
}

/** Those that work on this host; `rpId` undefined: all. */
export function selectPasskeys(db: Queryable, userId: string, rpId?: string): Promise<PasskeyRow[]> {
  return db.query<PasskeyRow>(
    `SELECT ${passkeyColumns} FROM ${passkeyTables} WHERE k.user_id = $1 AND ($2::text IS NULL OR k.rp_id = $2)
     ORDER BY k.created_at, k.passkey_id`,
    [userId, rpId ?? null],
  );
}

export function selectPasskeySummaries(db: Queryable, userId: string): Promise<PasskeySummary[]> {
  return db.query<PasskeySummary>(
    `SELECT passkey_id AS "passkeyId", name, created_at AS "createdAt", last_used_at AS "lastUsedAt", backed_up AS "isBackedUp", rp_id AS host
     FROM freehold.passkeys WHERE user_id = $1 ORDER BY created_at, passkey_id`,
    [userId],
  );
}

/** The user's, made at the first call. */
export async function ensureUserHandle(db: Queryable, userId: string, fresh: Buffer): Promise<Buffer> {
  await db.query(
    'INSERT INTO freehold.passkey_users (user_id, handle) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING',
    [userId, fresh],
  );
  const [row] = await db.query<{ handle: Buffer }>('SELECT handle FROM freehold.passkey_users WHERE user_id = $1', [
    userId,
  ]);
  return row!.handle;
}

export interface NewPasskey extends Omit<PasskeyRow, 'userHandle' | 'userEmail' | 'userName'> {
  readonly isBackedUp: boolean;
}

/** @returns false: somebody here has this credential already */
export async function insertPasskey(db: Queryable, passkey: NewPasskey): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO freehold.passkeys
       (passkey_id, user_id, credential_id, public_key, counter, transports, backup_eligible, backed_up, rp_id, name)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (credential_id) DO NOTHING RETURNING passkey_id`,
    [
      passkey.passkeyId,
      passkey.userId,
      passkey.credentialId,
      passkey.publicKey,
      passkey.counter,
      passkey.transports,
      passkey.isBackupEligible,
      passkey.isBackedUp,
      passkey.rpId,
      passkey.name,
    ],
  );
  return rows.length > 0;
}

/**
 * Takes what a passkey proved, in the transaction of what it was shown for. Of many with one counter, one gets true; only 0, of authenticators
 * that do not count, comes twice. Not that of somebody who may no longer sign in.
 */
export async function acceptPasskey(db: Queryable, proven: ProvenPasskey): Promise<boolean> {
  const rows = await db.query(
    `UPDATE freehold.passkeys k SET counter = $3, backed_up = $4, last_used_at = now() FROM freehold.users u
     WHERE k.passkey_id = $1 AND k.user_id = $2 AND u.user_id = k.user_id AND u.state = 'active'
       AND (k.counter < $3 OR (k.counter = 0 AND $3 = 0))
     RETURNING k.passkey_id`,
    [proven.passkeyId, proven.userId, proven.counter, proven.isBackedUp],
  );
  return rows.length > 0;
}

/** Whether anybody of this tenant signed in with this browser before. */
export async function isKnownBrowser(db: Queryable, deviceHash: Buffer): Promise<boolean> {
  const rows = await db.query('SELECT 1 FROM freehold.known_devices WHERE token_hash = $1 LIMIT 1', [deviceHash]);
  return rows.length > 0;
}

/** @returns its name; undefined: the user has none such */
export async function deletePasskey(db: Queryable, userId: string, passkeyId: string): Promise<string | undefined> {
  const [row] = await db.query<{ name: string }>(
    'DELETE FROM freehold.passkeys WHERE user_id = $1 AND passkey_id = $2 RETURNING name',
    [userId, passkeyId],
  );
  return row?.name;
}
