import { recordTenantAudit } from '#src/audit/index.ts';
import type { AuditEvent, AuditEventName } from '#src/audit/types.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, FreeholdError, TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { boundToSession, type PasskeyProofs } from '../passkeys/proof.ts';
import type { PasskeyAssertion, ProvenPasskey } from '../passkeys/types.ts';
import type { PasswordQueue } from '../passwords/hash-queue.ts';
import type { RedeemFactor } from '../second-factors/redeem.ts';
import { hasSecondFactor, lockUser } from '../second-factors/second-factor-sql.ts';
import { type AttemptLimiter, attemptLimits } from '../sign-in/attempts.ts';
import { isSessionThere, type UserRow } from '../sql.ts';
import type { Role } from '../types.ts';
import type { UserMail } from '../users/user-mail.ts';
import { type Actor, requireRole } from './access.ts';
import { describeUserAgent } from './browser.ts';

/** What users show again of themselves. */
export interface Shown {
  readonly password: string;
  /** Of their app, or a recovery code: for who has a second factor. */
  readonly code?: string | undefined;
  /** In place of a code: the answer to `askOwnPasskey`. */
  readonly passkey?: PasskeyAssertion | undefined;
}

/** Acts for which a session is not enough: the user shows again who they are. What is refused is recorded as well. */
export interface OwnConfirmation {
  /**
   * Password and second factor again, and then the act, in the transaction that finds that nothing changed meanwhile. What the act throws is rolled back.
   * Throws FH_ROLE_REQUIRED, FH_PASSWORD_WRONG, FH_CODE_REQUIRED, FH_CODE_WRONG, FH_PASSKEY_REFUSED, FH_SIGN_IN_THROTTLED, FH_BUSY. Wrong ones count as for a change of password: a
   * stolen session must not become a place to guess them.
   */
  confirmSelf<T>(
    tenantId: TenantId,
    actor: Actor,
    shown: Shown,
    policy: {
      readonly roles: readonly Role[];
      readonly refused: AuditEventName;
      /** What takes long, once the password is right and before the transaction of the act. */
      readonly prepare?: () => Promise<void>;
    },
    act: (db: Queryable, user: UserRow) => Promise<T>,
  ): Promise<T>;
  /** The same for an owner, as an act of its own. */
  confirmOwner(
    tenantId: TenantId,
    actor: Actor,
    shown: Shown,
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
  readonly redeem: RedeemFactor;
  readonly proofs: PasskeyProofs;
  readonly userMail: UserMail;
  readonly clock: Clock;
}): OwnConfirmation {
  const { databases, limiter, queue, redeem, proofs, userMail, clock } = deps;

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
      if (
        /^FH_(ROLE_REQUIRED|PASSWORD_WRONG|CODE_REQUIRED|CODE_WRONG|PASSKEY_REFUSED|SIGN_IN_THROTTLED)$/.test(
          error.code,
        )
      )
        await recordOwnAct(tenantId, actor, refused, { reason: error.code });
      throw error;
    });
  }

  /** Uses up what is shown, in the transaction of the act. Undefined: the user has no second factor. */
  async function showFactor(
    db: Queryable,
    tenantId: TenantId,
    userId: string,
    { code, passkey }: Pick<Shown, 'code' | 'passkey'>,
    proven: ProvenPasskey | undefined,
  ) {
    await lockUser(db, userId);
    if (!(await hasSecondFactor(db, userId))) return undefined;
    if (passkey) {
      const method = proven && (await redeem(db, tenantId, userId, { passkey: proven }));
      if (!method) throw identityErrors.FH_PASSKEY_REFUSED();
      return method;
    }
    if (!code) throw identityErrors.FH_CODE_REQUIRED({ fields: { code: 'Type a code, too.' } });
    const method = await redeem(db, tenantId, userId, { code });
    if (!method) throw identityErrors.FH_CODE_WRONG({ fields: { code: 'This code is not right.' } });
    return method;
  }

  const confirmSelf: OwnConfirmation['confirmSelf'] = (tenantId, actor, { password, code, passkey }, policy, act) =>
    orRefuse(tenantId, actor, policy.refused, () =>
      queue.admit(async () => {
        const { roles } = policy;
        const { userId } = actor.session.user;
        const attempts = [{ limit: attemptLimits.currentPassword, subject: userId }];
        const user = await databases.platform.transact(tenantId, async (db): Promise<UserRow> => {
          const found = await requireRole(db, actor, roles);
          await limiter.begin(db, attempts);
          return found;
        });
        const asked = { purpose: 'confirm', boundTo: boundToSession(actor.session) } as const;
        // Used up even if the password is wrong.
        const proven = passkey && (await proofs.provePasskey(tenantId, asked, passkey, actor));
        const { matches } = await queue.verify(password, user.passwordHash, true);
        if (!matches)
          throw identityErrors.FH_PASSWORD_WRONG({ fields: { password: 'This is not your current password.' } });
        await policy.prepare?.();
        const { method, done } = await databases.platform.transact(tenantId, async (db) => {
          // Taken away, signed out, or another password, while we were hashing; under the lock, so that whoever ends the session waits for what is done here.
          await lockUser(db, userId);
          const { epoch } = await requireRole(db, actor, roles);
          if (epoch !== user.epoch || !(await isSessionThere(db, actor.session.sessionId)))
            throw identityErrors.FH_SESSION_REQUIRED();
          const method = await showFactor(db, tenantId, userId, { code, passkey }, proven);
          const done = await act(db, user);
          await limiter.succeed(db, attempts);
          return { method, done };
        });
        if (method === 'recovery_code')
          userMail.send(tenantId, {
            kind: 'recovery_code_used',
            to: user.email,
            name: user.name,
            at: new Date(clock.now()).toISOString(),
            address: actor.address,
            browser: describeUserAgent(actor.userAgent),
          });
        return done;
      }, true),
    );

  return {
    confirmSelf,
    confirmOwner: (tenantId, actor, shown, { confirmed, refused }) =>
      confirmSelf(tenantId, actor, shown, { roles: ['owner'], refused }, async (db, { userId }) => {
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
