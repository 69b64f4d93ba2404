import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { findUserById, type UserRow } from '../sql.ts';
import type { Role, Session } from '../types.ts';

/** Whoever acts, and where from. */
export interface Actor {
  readonly session: Session;
  readonly address?: string | undefined;
  readonly userAgent?: string | undefined;
}

export const administrators: readonly Role[] = ['owner', 'admin'];

/**
 * The acting user, read again inside the transaction of the act (ASVS 15.4.2): between the door and here the role may have been taken away.
 * Only owners may touch what makes or unmakes an owner.
 */
export async function requireRole(
  db: Queryable,
  { session }: Actor,
  allowed: readonly Role[],
  touchedRoles: readonly Role[] = [],
): Promise<UserRow> {
  const user = await findUserById(db, session.user.userId);
  if (user?.state !== 'active') throw identityErrors.FH_SESSION_REQUIRED();
  if (!allowed.includes(user.role)) throw identityErrors.FH_ROLE_REQUIRED();
  if (touchedRoles.includes('owner') && user.role !== 'owner')
    throw identityErrors.FH_ROLE_REQUIRED({ detail: 'only an owner may do this to an owner' });
  return user;
}
