import { recordTenantAudit } from '#src/audit/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { hashToken, newToken } from '../sessions/cookie.ts';
import { emailKeyOf } from '../users/email.ts';
import { replaceByAccessReset } from './reset-sql.ts';

const lifetimeSeconds = 3_600;

/** Path of the page that takes the link. What follows the # never reaches a server's log. */
export function resetPath(token: string): string {
  return `/-/reset-password#token=${token}`;
}

/**
 * For the operator, in a transaction of the tenant's platform role: a link with which a user who lost password and second factors chooses a password and is
 * rid of the factors. Good once, for an hour; it takes the place of every other link of theirs. Nothing else changes until it is used. Throws FH_USER_NOT_FOUND, for
 * disabled users as well.
 */
export async function createAccessReset(
  db: Queryable,
  email: string,
  actor: string,
): Promise<{ token: string; email: string; expiresAt: Date }> {
  const token = newToken();
  const made = await replaceByAccessReset(db, emailKeyOf(email), hashToken(token), lifetimeSeconds);
  if (!made) throw identityErrors.FH_USER_NOT_FOUND({ detail: 'no active user has this address' });
  await recordTenantAudit(db, { name: 'user.access_reset_created', actor, subject: made.userId });
  return { token: token.toString('base64url'), email: made.email, expiresAt: made.expiresAt };
}
