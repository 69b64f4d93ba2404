import type { Id } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { TokenUsed } from '../tokens/api-tokens-sql.ts';

/** Whose work a request with a SCIM token is: the directory's that the token was given to. */
export interface ScimTokenUse {
  readonly tokenId: Id<'sct'>;
  /** It may disable and enable owners. */
  readonly byOwner: boolean;
}

/** The one read of a request with such a token. Undefined alike for unknown, expired and revoked ones. */
export async function findScimToken(
  db: Queryable,
  tokenHash: Buffer,
): Promise<{ use: ScimTokenUse; lastUsedAt: Date | null } | undefined> {
  const [row] = await db.query<ScimTokenUse & { lastUsedAt: Date | null }>(
    `SELECT token_id AS "tokenId", by_owner AS "byOwner", last_used_at AS "lastUsedAt"
     FROM freehold.scim_tokens WHERE token_hash = $1 AND expires_at > now()`,
    [tokenHash],
  );
  return row && { use: { tokenId: row.tokenId, byOwner: row.byOwner }, lastUsedAt: row.lastUsedAt };
}

/** Again in the transaction of the act, which a revocation then waits for. @returns false: it is over */
export async function holdScimToken(db: Queryable, tokenId: string): Promise<boolean> {
  const rows = await db.query(
    'SELECT 1 FROM freehold.scim_tokens WHERE token_id = $1 AND expires_at > now() FOR KEY SHARE',
    [tokenId],
  );
  return rows.length > 0;
}

export async function touchScimToken(db: Queryable, tokenId: string, used: TokenUsed): Promise<void> {
  await db.query(
    `UPDATE freehold.scim_tokens SET last_used_at = date_trunc('minute', now()), last_used_range = $3, last_used_agent = $4
     WHERE token_id = $1 AND (last_used_at IS NULL OR last_used_at <= now() - make_interval(secs => $2))`,
    [tokenId, used.everySeconds, used.range ?? null, used.userAgent ?? null],
  );
}

export interface ScimTokenRow {
  readonly tokenId: Id<'sct'>;
  readonly name: string;
  readonly createdBy: string;
  readonly createdByName: string | null;
  readonly byOwner: boolean;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly expired: boolean;
  readonly lastUsedAt: Date | null;
  readonly lastUsedRange: string | null;
  readonly lastUsedAgent: string | null;
}

/** Newest first, expired ones too. */
export function selectScimTokens(db: Queryable): Promise<ScimTokenRow[]> {
  return db.query<ScimTokenRow>(
    `SELECT t.token_id AS "tokenId", t.name, t.created_by AS "createdBy", u.name AS "createdByName", t.by_owner AS "byOwner",
       t.created_at AS "createdAt", t.expires_at AS "expiresAt", t.expires_at <= now() AS expired, t.last_used_at AS "lastUsedAt",
       t.last_used_range AS "lastUsedRange", t.last_used_agent AS "lastUsedAgent"
     FROM freehold.scim_tokens t LEFT JOIN freehold.users u ON u.user_id = t.created_by ORDER BY t.created_at DESC, t.token_id`,
  );
}

export interface NewScimToken {
  readonly tokenId: Id<'sct'>;
  readonly tokenHash: Buffer;
  readonly name: string;
  readonly createdBy: string;
  readonly byOwner: boolean;
  readonly lifetimeSeconds: number;
}

/** The caller holds the lock of `lockScim`. @returns false when `maxLive` are good already */
export async function insertScimToken(db: Queryable, token: NewScimToken, maxLive: number): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO freehold.scim_tokens (token_id, token_hash, name, created_by, by_owner, expires_at)
     SELECT $1, $2, $3, $4, $5, now() + make_interval(secs => $6)
     WHERE (SELECT count(*) FROM freehold.scim_tokens WHERE expires_at > now()) < $7 RETURNING token_id`,
    [token.tokenId, token.tokenHash, token.name, token.createdBy, token.byOwner, token.lifetimeSeconds, maxLive],
  );
  return rows.length > 0;
}

export async function pruneScimTokens(db: Queryable, keptDays: number): Promise<void> {
  await db.query('DELETE FROM freehold.scim_tokens WHERE expires_at < now() - make_interval(days => $1)', [keptDays]);
}

/** Undefined: there is no such token. */
export async function deleteScimToken(
  db: Queryable,
  tokenId: string,
): Promise<{ name: string; byOwner: boolean } | undefined> {
  const [row] = await db.query<{ name: string; byOwner: boolean }>(
    'DELETE FROM freehold.scim_tokens WHERE token_id = $1 RETURNING name, by_owner AS "byOwner"',
    [tokenId],
  );
  return row;
}
