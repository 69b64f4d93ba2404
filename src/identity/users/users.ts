import type { TenantDatabases } from '#src/databases/types.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import { type AttemptLimiter, attemptLimits } from '../sign-in/attempts.ts';
import { findUserById, lockActiveOwners, selectUsers, type UserRow, updateName } from '../sql.ts';
import { keepBreakGlass } from '../sso/sign-on-policy.ts';
import type { Role, User } from '../types.ts';
import { emailKeyOf, parsePersonName } from './email.ts';
import { type ChangedBy, changeRole, changeState } from './user-state.ts';

export interface Users {
  /** Ordered by name. */
  listUsers(tenantId: TenantId): Promise<User[]>;
  /** Another role ends the user's sessions, so that it counts from the very next request. */
  setRole(tenantId: TenantId, actor: Actor, userId: string, role: Role): Promise<User>;
  /** Disabling ends the user's sessions and revokes their API tokens at once; enabling also forgets wrong passwords. */
  setUserState(tenantId: TenantId, actor: Actor, userId: string, state: User['state']): Promise<User>;
  setOwnName(tenantId: TenantId, actor: Actor, name: string): Promise<User>;
}

export function createUsers(databases: TenantDatabases, limiter: AttemptLimiter): Users {
  /** Locks the owners first, always, so that the rule of the last one holds whatever happens side by side. */
  async function change(
    db: Queryable,
    actor: Actor,
    userId: string,
    { endsOwner, touches }: { endsOwner: boolean; touches: readonly Role[] },
  ): Promise<UserRow> {
    const owners = await lockActiveOwners(db);
    const user = await findUserById(db, userId);
    await requireRole(db, actor, administrators, [...touches, ...(user ? [user.role] : [])]);
    if (!user) throw identityErrors.FH_USER_NOT_FOUND();
    if (endsOwner && owners.length === 1 && owners[0] === userId) throw identityErrors.FH_LAST_OWNER();
    return user;
  }

  return {
    listUsers: (tenantId) => databases.platform.read(tenantId, selectUsers),

    setRole: (tenantId, actor, userId, role) =>
      databases.platform.transact(tenantId, async (db) => {
        const user = await change(db, actor, userId, { endsOwner: role !== 'owner', touches: [role] });
        await changeRole(db, user, role, by(actor));
        if (user.role === 'owner') await keepBreakGlass(db);
        return publicUser({ ...user, role });
      }),

    setUserState: (tenantId, actor, userId, state) =>
      databases.platform.transact(tenantId, async (db) => {
        const user = await change(db, actor, userId, { endsOwner: state === 'disabled', touches: [] });
        if (state === 'active') {
          // Also for a user who is active already: this is how an administrator lifts the lock of too many wrong passwords.
          await limiter.forget(db, [
            { limit: attemptLimits.account, subject: emailKeyOf(user.email) },
            { limit: attemptLimits.secondFactor, subject: userId },
          ]);
        }
        await changeState(db, user, state, by(actor));
        if (user.role === 'owner') await keepBreakGlass(db);
        return publicUser({ ...user, state });
      }),

    setOwnName: (tenantId, actor, name) =>
      databases.platform.transact(tenantId, async (db) => {
        const user = await requireRole(db, actor, ['owner', 'admin', 'member']);
        const parsed = parsePersonName(name);
        await updateName(db, user.userId, parsed);
        return publicUser({ ...user, name: parsed });
      }),
  };
}

function by({ session, address }: Actor): ChangedBy {
  return { actor: `user:${session.user.userId}`, ...(address !== undefined && { address }) };
}

function publicUser({ passwordHash: _, epoch: __, ...user }: UserRow): User {
  return user;
}
