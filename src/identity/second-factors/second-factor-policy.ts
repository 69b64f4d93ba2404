import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { TenantId } from '#src/kernel/index.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import type { OwnConfirmation, Shown } from '../sessions/own-confirmation.ts';
import { findPolicy, selectEnrolled, upsertPolicy } from './second-factor-sql.ts';

/** Of whom a tenant asks a second factor. `admins`: owners too. */
export const requiredOfs = ['off', 'admins', 'everyone'] as const;
export type RequiredOf = (typeof requiredOfs)[number];

/**
 * The tenant's policy. It counts for the very next request at every worker, because check_session reads it: who must have a factor and has none
 * may only set one up, in every session that they have, and their API tokens are good for nothing meanwhile.
 */
export interface SecondFactorPolicy {
  getSecondFactorPolicy(
    tenantId: TenantId,
    actor: Actor,
  ): Promise<{ requiredOf: RequiredOf; enrolled: readonly string[] }>;
  /** By an owner. Throws what `confirmSelf` does. */
  setSecondFactorPolicy(tenantId: TenantId, actor: Actor, requiredOf: RequiredOf, shown: Shown): Promise<void>;
}

export function createSecondFactorPolicy(
  databases: TenantDatabases,
  confirmSelf: OwnConfirmation['confirmSelf'],
): SecondFactorPolicy {
  return {
    getSecondFactorPolicy: (tenantId, actor) =>
      databases.platform.read(tenantId, async (db) => {
        await requireRole(db, actor, administrators);
        const requiredOf = ((await findPolicy(db)) ?? 'off') as RequiredOf;
        return { requiredOf, enrolled: await selectEnrolled(db) };
      }),
    setSecondFactorPolicy: (tenantId, actor, requiredOf, shown) =>
      confirmSelf(
        tenantId,
        actor,
        shown,
        { roles: ['owner'], refused: 'tenant.second_factor_policy_refused' },
        async (db, { userId }) => {
          const before = (await findPolicy(db)) ?? 'off';
          if (before === requiredOf) return;
          await upsertPolicy(db, requiredOf);
          await recordTenantAudit(db, {
            name: 'tenant.second_factor_policy_changed',
            actor: `user:${userId}`,
            subject: tenantId,
            address: actor.address,
            details: { from: before, to: requiredOf },
          });
        },
      ),
  };
}
