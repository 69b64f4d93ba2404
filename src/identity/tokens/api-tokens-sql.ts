import type { Id, UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { ApiTokenUse, Role, TokenScope } from '../types.ts';

/** The one read of a request with a token. Runs as the app role; the rules are in freehold.check_token. */
export const checkTokenText =
  'SELECT token_id, scope, user_id, email, name, role, created_at, expires_at, last_used_at FROM freehold.check_token($1)';

export interface CheckedToken {
  readonly use: ApiTokenUse;
  readonly lastUsedAt: Date | null;
}

/** @param rows the answer to `checkTokenText` */
export function readCheckedToken([row]: readonly object[]): CheckedToken | undefined {
  const found = row as
    | {
        readonly token_id: Id<'tok'> | null;
        readonly scope: TokenScope;
        readonly user_id: UserId;
        readonly email: string;
        readonly name: string;
        readonly role: Role;
        readonly expires_at: Date;
        readonly last_used_at: Date | null;
      }
    | undefined;
  // Nobody: a row of nulls.
  if (!found?.token_id) return undefined;
  const user = { userId: found.user_id, email: found.email, name: found.name, role: found.role };
  const use = { tokenId: found.token_id, scope: found.scope, user, expiresAt: found.expires_at };
  return { use, lastUsedAt: found.last_used_at };
}

export async function isTokenLive(db: Queryable, tokenId: string): Promise<boolean> {
  const [row] = await db.query<{ live: boolean }>('SELECT freehold.is_token_live($1) AS live', [tokenId]);
  return row?.live === true;
}

export interface TokenUsed {
  readonly everySeconds: number;
  readonly range: string | undefined;
  readonly userAgent: string | undefined;
}

/** Writes the last use, to the minute, unless somebody did a moment ago. */
export async function touchToken(db: Queryable, tokenId: string, used: TokenUsed): Promise<void> {
  await db.query(
    `UPDATE freehold.api_tokens SET last_used_at = date_trunc('minute', now()), last_used_range = $3, last_used_agent = $4
     WHERE token_id = $1 AND (last_used_at IS NULL OR last_used_at <= now() - make_interval(secs => $2))`,
    [tokenId, used.everySeconds, used.range ?? null, used.userAgent ?? null],
  );
}

export interface ApiTokenRow {
  readonly tokenId: Id<'tok'>;
  readonly userId: UserId;
  readonly userName: string;
  readonly name: string;
  readonly scope: TokenScope;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly expired: boolean;
  readonly lastUsedAt: Date | null;
  readonly lastUsedRange: string | null;
  readonly lastUsedAgent: string | null;
}

const columns = `t.token_id AS "tokenId", t.user_id AS "userId", u.name AS "userName", t.name, t.scope, t.created_at AS "createdAt",
  t.expires_at AS "expiresAt", t.expires_at <= now() AS expired, t.last_used_at AS "lastUsedAt", t.last_used_range AS "lastUsedRange",
  t.last_used_agent AS "lastUsedAgent"`;

/** Newest first, expired ones too. @param userId null: of everybody */
export function selectTokens(db: Queryable, userId: string | null): Promise<ApiTokenRow[]> {
  return db.query<ApiTokenRow>(
    `SELECT ${columns} FROM freehold.api_tokens t JOIN freehold.users u ON u.user_id = t.user_id
     WHERE $1::text IS NULL OR t.user_id = $1 ORDER BY t.created_at DESC, t.token_id`,
    [userId],
  );
}

export interface NewApiToken {
  readonly tokenId: Id<'tok'>;
  readonly tokenHash: Buffer;
  readonly userId: string;
  readonly name: string;
  readonly scope: TokenScope;
  readonly lifetimeSeconds: number;
}

/**
 * One more token of a user whose row the caller has locked, so that two at once are counted one after the other.
 * @returns false when the user has `maxLive` that are good
 */
export async function insertToken(db: Queryable, token: NewApiToken, maxLive: number): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO freehold.api_tokens (token_id, token_hash, user_id, name, scope, expires_at)
     SELECT $1, $2, $3, $4, $5, now() + make_interval(secs => $6)
     WHERE (SELECT count(*) FROM freehold.api_tokens WHERE user_id = $3 AND expires_at > now()) < $7
     RETURNING token_id`,
    [token.tokenId, token.tokenHash, token.userId, token.name, token.scope, token.lifetimeSeconds, maxLive],
  );
  return rows.length > 0;
}

/** Expired long enough for their user to have seen why a program stopped working. */
export async function pruneTokens(db: Queryable, userId: string, keptDays: number): Promise<void> {
  await db.query(
    'DELETE FROM freehold.api_tokens WHERE user_id = $1 AND expires_at < now() - make_interval(days => $2)',
    [userId, keptDays],
  );
}

/** Whose it is, with the role of today. */
export async function findTokenUser(
  db: Queryable,
  tokenId: string,
): Promise<{ userId: UserId; role: Role } | undefined> {
  const [row] = await db.query<{ userId: UserId; role: Role }>(
    `SELECT u.user_id AS "userId", u.role FROM freehold.api_tokens t JOIN freehold.users u ON u.user_id = t.user_id
     WHERE t.token_id = $1`,
    [tokenId],
  );
  return row;
}

/** @returns what it was called; undefined: the user has no such token */
export async function deleteToken(db: Queryable, userId: string, tokenId: string): Promise<string | undefined> {
  const [row] = await db.query<{ name: string }>(
    'DELETE FROM freehold.api_tokens WHERE user_id = $1 AND token_id = $2 RETURNING name',
    [userId, tokenId],
  );
  return row?.name;
}

/** All of a user. @returns how many were good */
export async function deleteTokens(db: Queryable, userId: string): Promise<number> {
  const rows = await db.query<{ live: boolean }>(
    'DELETE FROM freehold.api_tokens WHERE user_id = $1 RETURNING expires_at > now() AS live',
    [userId],
  );
  return rows.filter(({ live }) => live).length;
}
