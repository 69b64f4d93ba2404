import { recordTenantAudit } from '#src/audit/index.ts';
import { newId, type UserId } from '#src/kernel/index.ts';
import { lazily } from '#src/postgres/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { hashPassword } from '../passwords/password-hash.ts';
import { createPasswordRules } from '../passwords/password-rules.ts';
import { insertUser } from '../sql.ts';
import type { Role } from '../types.ts';
import { parseEmail, parsePersonName } from './email.ts';
import { type Invitee, insertInvitation } from './invitations.ts';
import { deleteSecrets } from './invitations-sql.ts';

/**
 * For the lifecycle of tenants, in a transaction of the tenant's platform role.
 * Invites the first administrator; called again, the link of the first call stops working. The commit is not waited for: nobody is told
 * the link before the end of the creation is on the same disk.
 */
export async function createFirstInvitation(
  db: Queryable,
  invitee: Invitee,
): Promise<{ token: string; expiresAt: Date }> {
  await db.query(`SELECT ${lazily}`);
  const { token, invitation } = await insertInvitation(db, invitee, { invitedBy: 'system', mayReplaceOwner: true });
  return { token, expiresAt: invitation.expiresAt };
}

/** Removes from a copied database what would let somebody of the original in: sessions, invitations, known devices, second factors, counted failures. */
export async function stripClone(db: Queryable): Promise<void> {
  await deleteSecrets(db);
}

/** A user without an invitation, for demo data. The password keeps the same rules. */
export async function createDemoUser(
  db: Queryable,
  { email, name, role, password }: { email: string; name: string; role: Role; password: string },
): Promise<UserId> {
  const parsed = parseEmail(email);
  const passwordHash = await hashPassword(await createPasswordRules().parseNew(password, { email, name }));
  const userId = newId('usr');
  if (!(await insertUser(db, { userId, ...parsed, name: parsePersonName(name), role, passwordHash })))
    throw identityErrors.FH_USER_EXISTS();
  await recordTenantAudit(db, { name: 'user.created', actor: 'system', subject: userId, details: { role } });
  return userId;
}
