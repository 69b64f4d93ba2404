import type { Queryable } from '#src/postgres/types.ts';
import type { Role } from '../types.ts';

export interface CodeDraft {
  readonly codeHash: Uint8Array;
  readonly sessionId: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly nonce: string | undefined;
  readonly scope: string;
  readonly lifetimeSeconds: number;
}

export interface UsedCode {
  readonly sessionId: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly codeChallenge: string;
  readonly nonce: string | null;
  readonly scope: string;
  readonly isOver: boolean;
}

/** A person whose session goes on. */
export interface SignedInPerson {
  readonly userId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly sessionId: string;
  readonly signedInAt: Date;
}

export async function insertCode(db: Queryable, code: CodeDraft): Promise<void> {
  await db.query(
    `INSERT INTO freehold.provider_codes (code_hash, session_id, client_id, redirect_uri, code_challenge, nonce, scope, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))`,
    [
      code.codeHash,
      code.sessionId,
      code.clientId,
      code.redirectUri,
      code.codeChallenge,
      code.nonce ?? null,
      code.scope,
      code.lifetimeSeconds,
    ],
  );
}

/** Of a session, all but the newest so many that nobody has used: whoever asks again and again fills no table. */
export async function deleteOldestCodes(db: Queryable, sessionId: string, most: number): Promise<void> {
  await db.query(
    `DELETE FROM freehold.provider_codes WHERE code_hash IN
       (SELECT code_hash FROM freehold.provider_codes WHERE session_id = $1 AND used_at IS NULL ORDER BY expires_at DESC OFFSET $2)`,
    [sessionId, most],
  );
}

/** Of those who present a code at once, one gets it. */
export async function useCode(db: Queryable, codeHash: Uint8Array): Promise<UsedCode | undefined> {
  const [row] = await db.query<UsedCode>(
    `UPDATE freehold.provider_codes SET used_at = now() WHERE code_hash = $1 AND used_at IS NULL
     RETURNING session_id AS "sessionId", client_id AS "clientId", redirect_uri AS "redirectUri", code_challenge AS "codeChallenge", nonce, scope,
       expires_at <= now() AS "isOver"`,
    [codeHash],
  );
  return row;
}

/** @returns whose they were */
export function deleteTokensOfCode(
  db: Queryable,
  codeHash: Uint8Array,
): Promise<readonly { readonly sessionId: string }[]> {
  return db.query(
    'DELETE FROM freehold.provider_access_tokens WHERE code_hash = $1 RETURNING session_id AS "sessionId"',
    [codeHash],
  );
}

export async function insertAccessToken(
  db: Queryable,
  token: {
    readonly tokenHash: Uint8Array;
    readonly codeHash: Uint8Array;
    readonly sessionId: string;
    readonly scope: string;
    readonly lifetimeSeconds: number;
  },
): Promise<void> {
  await db.query(
    `INSERT INTO freehold.provider_access_tokens (token_hash, code_hash, session_id, scope, expires_at)
     VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))`,
    [token.tokenHash, token.codeHash, token.sessionId, token.scope, token.lifetimeSeconds],
  );
}

export async function findAccessToken(
  db: Queryable,
  tokenHash: Uint8Array,
): Promise<{ readonly sessionId: string; readonly scope: string } | undefined> {
  const [row] = await db.query<{ sessionId: string; scope: string }>(
    'SELECT session_id AS "sessionId", scope FROM freehold.provider_access_tokens WHERE token_hash = $1 AND expires_at > now()',
    [tokenHash],
  );
  return row;
}

/** As of now: role, state and sessions are looked up again for every token and every question. */
export async function findSignedIn(db: Queryable, sessionId: string): Promise<SignedInPerson | undefined> {
  const [row] = await db.query<SignedInPerson>(
    `SELECT u.user_id AS "userId", u.email, u.name, u.role, s.session_id AS "sessionId", s.created_at AS "signedInAt"
     FROM freehold.sessions s CROSS JOIN LATERAL freehold.check_session(s.token_hash) c JOIN freehold.users u ON u.user_id = s.user_id
     WHERE s.session_id = $1 AND c.session_id = s.session_id AND NOT c.must_enrol`,
    [sessionId],
  );
  return row;
}

/** The app's secret of this name. Releases make it when an app is started that has the tenant as its provider. */
export async function findClientSecret(db: Queryable): Promise<string | undefined> {
  const [row] = await db.query<{ value: string }>('SELECT value FROM freehold.app_secrets WHERE name = $1', [
    clientSecretName,
  ]);
  return row?.value;
}

/** No name that a manifest can give a secret of its own. */
export const clientSecretName = 'identity.clientSecret';

export interface StoredKey {
  readonly keyId: string;
  readonly sealedPrivateKey: Uint8Array;
  readonly publicJwk: Readonly<Record<string, string>>;
}

export async function findKey(db: Queryable): Promise<StoredKey | undefined> {
  const [row] = await db.query<StoredKey>(
    'SELECT key_id AS "keyId", sealed_private_key AS "sealedPrivateKey", public_jwk AS "publicJwk" FROM freehold.provider_keys',
  );
  return row;
}

/** Instead of `before`, or of none: of two who make one at once, one is heard. */
export async function putKey(db: Queryable, key: StoredKey, before: StoredKey | undefined): Promise<void> {
  await db.query(
    `INSERT INTO freehold.provider_keys (is_only, key_id, sealed_private_key, public_jwk) VALUES (true, $1, $2, $3)
     ON CONFLICT (is_only) DO UPDATE SET key_id = EXCLUDED.key_id, sealed_private_key = EXCLUDED.sealed_private_key, public_jwk = EXCLUDED.public_jwk, made_at = now()
     WHERE provider_keys.key_id = $4`,
    [key.keyId, key.sealedPrivateKey, JSON.stringify(key.publicJwk), before?.keyId ?? null],
  );
}
