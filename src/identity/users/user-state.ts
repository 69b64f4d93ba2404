import { recordTenantAudit } from '#src/audit/index.ts';
import type { AuditEvent } from '#src/audit/types.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { deleteSessions, forgetDevices, updateRole, updateState } from '../sql.ts';
import { deleteTokens } from '../tokens/api-tokens-sql.ts';
import type { Role, User } from '../types.ts';

/** Who changes a user, and where from: an administrator, or a directory. */
export type ChangedBy = Pick<AuditEvent, 'actor' | 'address'>;

/** Disabling ends sessions, known browsers and API tokens, so that it counts for the very next request. Does nothing where it is so already. */
export async function changeState(
  db: Queryable,
  user: Pick<User, 'userId' | 'state'>,
  state: User['state'],
  by: ChangedBy,
  details: AuditEvent['details'] = {},
): Promise<void> {
  const { userId } = user;
  if (user.state === state) return;
  await updateState(db, userId, state);
  await deleteSessions(db, userId);
  if (state === 'disabled') await forgetDevices(db, userId);
  const tokens = state === 'disabled' ? await deleteTokens(db, userId) : 0;
  await recordTenantAudit(db, {
    name: state === 'disabled' ? 'user.disabled' : 'user.enabled',
    ...by,
    subject: userId,
    details: { ...(state === 'disabled' && { tokens }), ...details },
  });
}

/** Another role ends the user's sessions, so that it counts from the very next request. Does nothing where it is so already. */
export async function changeRole(
  db: Queryable,
  user: Pick<User, 'userId' | 'role'>,
  role: Role,
  by: ChangedBy,
): Promise<void> {
  const { userId } = user;
  if (user.role === role) return;
  await updateRole(db, userId, role);
  await deleteSessions(db, userId);
  await recordTenantAudit(db, {
    name: 'user.role_changed',
    ...by,
    subject: userId,
    details: { from: user.role, to: role },
  });
}
