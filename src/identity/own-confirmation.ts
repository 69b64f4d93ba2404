import { recordTenantAudit } from '#src/audit/index.ts';
import type { AuditEvent, AuditEventName } from '#src/audit/types.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { FreeholdError, TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type Actor, requireRole } from './access.ts';
import { type AttemptLimiter, attemptLimits } from './attempts.ts';
import { identityErrors } from './errors.ts';
import type { PasswordQueue } from './hash-queue.ts';
import type { UserRow } from './sql.ts';
import type { Role } from './types.ts';

/** Acts for which a session is not enough: the owner shows again who they are. What is refused is recorded as well. */
export interface OwnConfirmation {
  /**
   * The user's own password, again, and then the act, in the transaction that finds that nothing changed meanwhile. What the act throws is
   * rolled back; FH_CODE_WRONG counts like a wrong password.
   */
  confirmSelf<T>(
    tenantId: TenantId,
    actor: Actor,
    password: string,
    policy: { readonly roles: readonly Role[]; readonly refused: AuditEventName },
    act: (db: Queryable, user: UserRow) => Promise<T>,
  ): Promise<T>;
  /**
   * The owner's own password, again. Throws FH_ROLE_REQUIRED, FH_PASSWORD_WRONG, FH_SIGN_IN_THROTTLED, FH_BUSY. Wrong ones count as for a
   * change of password: a stolen session must not become a place to guess it.
   */
  confirmOwner(
    tenantId: TenantId,
    actor: Actor,
    password: string,
    events: { readonly confirmed: AuditEventName; readonly refused: AuditEventName },
  ): Promise<void>;
  /** The role as it is now. Throws FH_ROLE_REQUIRED. */
  requireOwner(tenantId: TenantId, actor: Actor, refused: AuditEventName): Promise<void>;
  /** An act of this user in the tenant's security log. */
  recordOwnAct(tenantId: TenantId, actor: Actor, name: AuditEventName, details: AuditEvent['details']): Promise<void>;
}

export function createOwnConfirmation(deps: {
  readonly databases: TenantDatabases;
  readonly limiter: AttemptLimiter;
  readonly queue: PasswordQueue;
}): OwnConfirmation {
  const { databases, limiter, queue } = deps;

  async function recordOwnAct(
    tenantId: TenantId,
    { session, address }: Actor,
    name: AuditEventName,
    details: AuditEvent['details'],
  ): Promise<void> {
    const { userId } = session.user;
    await databases.platform.transact(tenantId, (db) =>
      recordTenantAudit(db, { name, actor: `user:${userId}`, subject: userId, address, details }),
    );
  }

  /** In a transaction of its own: that of the act is rolled back. */
  async function orRefuse<T>(
    tenantId: TenantId,
    actor: Actor,
    refused: AuditEventName,
    act: () => Promise<T>,
  ): Promise<T> {
    return act().catch(async (error: FreeholdError) => {
      if (/^FH_(ROLE_REQUIRED|PASSWORD_WRONG|CODE_WRONG|SIGN_IN_THROTTLED)$/.test(error.code))
        await recordOwnAct(tenantId, actor, refused, { reason: error.code });
      throw error;
    });
  }

  const confirmSelf: OwnConfirmation['confirmSelf'] = (tenantId, actor, password, { roles, refused }, act) =>
    orRefuse(tenantId, actor, refused, () =>
      queue.admit(async () => {
        const { userId } = actor.session.user;
        const attempts = [{ limit: attemptLimits.currentPassword, subject: userId }];
        const user = await databases.platform.transact(tenantId, async (db): Promise<UserRow> => {
          const found = await requireRole(db, actor, roles);
          await limiter.begin(db, attempts);
          return found;
        });
        const { matches } = await queue.verify(password, user.passwordHash);
        if (!matches)
          throw identityErrors.FH_PASSWORD_WRONG({ fields: { password: 'This is not your current password.' } });
        return databases.platform.transact(tenantId, async (db) => {
          // Taken away, or another password, while we were hashing.
          const { epoch } = await requireRole(db, actor, roles);
          if (epoch !== user.epoch) throw identityErrors.FH_SESSION_REQUIRED();
          const done = await act(db, user);
          await limiter.succeed(db, attempts);
          return done;
        });
      }),
    );

  return {
    confirmSelf,
    confirmOwner: (tenantId, actor, password, { confirmed, refused }) =>
      confirmSelf(tenantId, actor, password, { roles: ['owner'], refused }, async (db, { userId }) => {
        const { address } = actor;
        await recordTenantAudit(db, { name: confirmed, actor: `user:${userId}`, subject: userId, address });
      }),
    requireOwner: (tenantId, actor, refused) =>
      orRefuse(tenantId, actor, refused, async () => {
        await databases.platform.read(tenantId, (db) => requireRole(db, actor, ['owner']));
      }),
    recordOwnAct,
  };
}
