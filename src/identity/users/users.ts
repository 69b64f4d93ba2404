import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import { type AttemptLimiter, attemptLimits } from '../sign-in/attempts.ts';
import {
  deleteSessions,
  findUserById,
  forgetDevices,
  lockActiveOwners,
  selectUsers,
  type UserRow,
  updateName,
  updateRole,
  updateState,
} from '../sql.ts';
import { deleteTokens } from '../tokens/api-tokens-sql.ts';
import type { Role, User } from '../types.ts';
import { emailKeyOf, parsePersonName } from './email.ts';

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
        if (user.role !== role) {
          await updateRole(db, userId, role);
          await deleteSessions(db, userId);
          await recordTenantAudit(db, {
            name: 'user.role_changed',
            actor: `user:${actor.session.user.userId}`,
            subject: userId,
            address: actor.address,
            details: { from: user.role, to: role },
          });
        }
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
        if (user.state !== state) {
          await updateState(db, userId, state);
          await deleteSessions(db, userId);
          if (state === 'disabled') await forgetDevices(db, userId);
          const tokens = state === 'disabled' ? await deleteTokens(db, userId) : 0;
          await recordTenantAudit(db, {
            name: state === 'disabled' ? 'user.disabled' : 'user.enabled',
            actor: `user:${actor.session.user.userId}`,
            subject: userId,
            address: actor.address,
            ...(state === 'disabled' && { details: { tokens } }),
          });
        }
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

function publicUser({ passwordHash: _, epoch: __, ...user }: UserRow): User {
  return user;
}
