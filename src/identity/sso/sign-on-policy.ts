import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { hasSecondFactor, lockUser } from '../second-factors/second-factor-sql.ts';
import type { Actor } from '../sessions/access.ts';
import type { OwnConfirmation, Shown } from '../sessions/own-confirmation.ts';
import { deleteSessions, forgetDevices, lockActiveOwners, raiseEpoch } from '../sql.ts';
import { deleteTokens } from '../tokens/api-tokens-sql.ts';
import { changing } from './connections.ts';
import { signOnErrors } from './errors.ts';
import { endSessionsWithoutProvider, revokeTokensWithoutProvider } from './leaving-sql.ts';
import {
  closeEntrance,
  deleteIdentities,
  findSignOnPolicy,
  holdEntrance,
  lockSignOnPolicy,
  replacePolicy,
  selectBreakGlass,
} from './people-sql.ts';
import { selectConnections } from './sign-on-sql.ts';
import type { SignOnPolicy } from './types.ts';

/** Whether everybody has to come over a provider, and which owners need not. */
export interface SignOnPolicies {
  /**
   * Throws FH_CONNECTION_UNTESTED without a connection that is on and tested, FH_BREAK_GLASS_REQUIRED without an owner who stays able to sign in here, and what
   * `confirmSelf` does.
   */
  setSignOnPolicy(tenantId: TenantId, actor: Actor, policy: SignOnPolicy, shown: Shown): Promise<void>;
  /** So that another person at the provider can become this user, whose address was given to them; sessions and API tokens of the user end. Throws FH_USER_NOT_FOUND: nobody is linked. */
  unlinkUser(tenantId: TenantId, actor: Actor, userId: string, shown: Shown): Promise<void>;
}

/** Owners who are marked, active, and have a second factor: should the provider be away, they are who can still get in. */
async function hasBreakGlass(db: Queryable): Promise<boolean> {
  for (const userId of await selectBreakGlass(db)) if (await hasSecondFactor(db, userId)) return true;
  return false;
}

/**
 * After whatever may take an owner away, or an owner's second factor, in the same transaction: while single sign-on is enforced, one has
 * to stay who does not need it. Throws FH_BREAK_GLASS_REQUIRED.
 */
export async function keepBreakGlass(db: Queryable): Promise<void> {
  // Two who go at the same time would each see the other.
  await lockSignOnPolicy(db);
  const { enforced } = await findSignOnPolicy(db);
  if (enforced && !(await hasBreakGlass(db))) throw signOnErrors.FH_BREAK_GLASS_REQUIRED();
}

/** The other way round, where a factor has to go: without anybody who can sign in here, nobody has to use a provider. @returns whether that is new */
export async function releaseSignOn(db: Queryable): Promise<boolean> {
  await lockSignOnPolicy(db);
  const policy = await findSignOnPolicy(db);
  if (!policy.enforced || (await hasBreakGlass(db))) return false;
  await replacePolicy(db, { ...policy, enforced: false });
  return true;
}

/** Whether this user may sign in without a provider now. To be asked in the transaction that starts the session. */
export async function maySignInHere(db: Queryable, userId: string): Promise<boolean> {
  await holdEntrance(db);
  const { enforced } = await findSignOnPolicy(db);
  if (!enforced) return true;
  return (await selectBreakGlass(db)).some((one) => one === userId) && hasSecondFactor(db, userId);
}

export function createSignOnPolicies(confirmSelf: OwnConfirmation['confirmSelf']): SignOnPolicies {
  return {
    setSignOnPolicy: (tenantId, actor, policy, shown) =>
      confirmSelf(tenantId, actor, shown, changing, async (db, { userId }) => {
        const owners = await lockActiveOwners(db);
        // Sign-ins that have asked whether they may are waited for, and seen.
        await closeEntrance(db);
        if (policy.breakGlass.some((one) => !owners.some((owner) => owner === one)))
          throw signOnErrors.FH_BREAK_GLASS_REQUIRED({ detail: 'only active owners can be marked' });
        const before = await findSignOnPolicy(db);
        if (policy.enforced && !before.enforced) {
          const connections = await selectConnections(db);
          if (!connections.some(({ state, lastTest }) => state === 'on' && lastTest?.passed))
            throw signOnErrors.FH_CONNECTION_UNTESTED();
        }
        await replacePolicy(db, policy);
        await keepBreakGlass(db);
        const begins = policy.enforced && !before.enforced;
        const ended = begins && {
          sessionsEnded: await endSessionsWithoutProvider(db, actor.session.sessionId),
          tokens: await revokeTokensWithoutProvider(db, userId),
        };
        await recordTenantAudit(db, {
          name: 'sign_on.policy_changed',
          actor: `user:${userId}`,
          subject: tenantId,
          address: actor.address,
          details: {
            from: before.enforced ? 'enforced' : 'optional',
            to: policy.enforced ? 'enforced' : 'optional',
            breakGlass: policy.breakGlass.join(' '),
            ...ended,
          },
        });
      }),

    unlinkUser: (tenantId, actor, userId, shown) =>
      confirmSelf(tenantId, actor, shown, changing, async (db) => {
        if ((await deleteIdentities(db, userId)) === 0) throw identityErrors.FH_USER_NOT_FOUND();
        // Whoever came that way so far does not go on beside the person who comes next.
        await lockUser(db, userId);
        await raiseEpoch(db, userId);
        await deleteSessions(db, userId);
        await deleteTokens(db, userId);
        await forgetDevices(db, userId);
        await recordTenantAudit(db, {
          name: 'user.unlinked',
          actor: `user:${actor.session.user.userId}`,
          subject: userId,
          address: actor.address,
        });
      }),
  };
}
