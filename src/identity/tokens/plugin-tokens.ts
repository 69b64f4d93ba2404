import { newId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { TokenScope } from '../types.ts';
import { hashApiToken, newApiToken } from './api-token.ts';

/**
 * A token with which a plugin acts at its tenant's API for one run (docs/decisions/0045). It is checked like a user's (`freehold.check_token`), as a member that is
 * no user: nobody can sign in as it, and no list of users shows it. As the platform role.
 */
export async function issuePluginToken(
  db: Queryable,
  who: {
    readonly userId: string;
    readonly name: string;
    readonly scope: TokenScope;
    readonly lifetimeSeconds: number;
  },
): Promise<{ readonly token: string; readonly tokenId: string }> {
  const token = newApiToken();
  const tokenId = newId('tok');
  // What a process that died has left.
  await db.query('DELETE FROM freehold.plugin_tokens WHERE expires_at <= now()');
  await db.query(
    `INSERT INTO freehold.plugin_tokens (token_id, token_hash, user_id, plugin, scope, expires_at)
     VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))`,
    [tokenId, hashApiToken(token)!, who.userId, who.name, who.scope, who.lifetimeSeconds],
  );
  return { token, tokenId };
}

export async function revokePluginToken(db: Queryable, tokenId: string): Promise<void> {
  await db.query('DELETE FROM freehold.plugin_tokens WHERE token_id = $1', [tokenId]);
}
