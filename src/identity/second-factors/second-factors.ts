import { recordTenantAudit } from '#src/audit/index.ts';
import type { AuditEventName } from '#src/audit/types.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, randomBytes, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { selectPasskeySummaries } from '../passkeys/passkey-sql.ts';
import type { PasskeySummary } from '../passkeys/types.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import { type BrowserCookies, type Caller, describeUserAgent } from '../sessions/browser.ts';
import type { OwnConfirmation, Shown } from '../sessions/own-confirmation.ts';
import { type AttemptLimiter, attemptLimits } from '../sign-in/attempts.ts';
import { deleteSessions, findUserById, isSessionThere, lockActiveOwners, raiseEpoch } from '../sql.ts';
import { keepBreakGlass } from '../sso/sign-on-policy.ts';
import { roles } from '../types.ts';
import type { TenantWords } from '../users/invitations.ts';
import type { UserMail } from '../users/user-mail.ts';
import { type Enrolment, enrolled, forgetFactorsIfNone, makeRecoveryCodes } from './enrolment.ts';
import type { FactorSecrets } from './redeem.ts';
import {
  confirmTotp,
  countRecoveryCodes,
  deleteSecondFactors,
  deleteTotp,
  findTotp,
  hasSecondFactor,
  insertTotp,
  lockUser,
} from './second-factor-sql.ts';
import { encodeBase32, findTotpStep, parseTotpCode, totpSecretBytes, totpUri } from './totp.ts';

export interface SecondFactorState {
  /** Undefined: no app is set up. */
  readonly enrolledAt: Date | undefined;
  readonly recoveryCodesLeft: number;
  /** Oldest first. */
  readonly passkeys: readonly PasskeySummary[];
}

/** What users do about their app and their recovery codes, and administrators about those of others. */
export interface SecondFactors {
  getSecondFactor(tenantId: TenantId, actor: Actor): Promise<SecondFactorState>;
  /**
   * Begins to set up an app, in place of what was being set up before. The secret is in this answer and nowhere else in the clear.
   * Throws FH_SECOND_FACTOR_EXISTS and what `confirmSelf` does.
   */
  beginTotp(
    tenantId: TenantId,
    actor: Actor,
    tenant: TenantWords,
    shown: Shown,
  ): Promise<{ secret: string; uri: string }>;
  /**
   * A first right code: from now on the app counts. The user's first factor, of whatever kind, ends their other sessions and comes with recovery codes.
   * Throws FH_CODE_WRONG, FH_CODE_THROTTLED, FH_SECOND_FACTOR_NOT_FOUND.
   */
  confirmTotp(tenantId: TenantId, actor: Actor, code: string, caller: Caller): Promise<Enrolment>;
  /** The app; with the last factor go the recovery codes. Throws FH_SECOND_FACTOR_NOT_FOUND and what `confirmSelf` does. */
  removeSecondFactor(tenantId: TenantId, actor: Actor, shown: Shown, caller: Caller): Promise<void>;
  /** New ones, shown this once; the old ones are worthless. Throws as above. */
  renewRecoveryCodes(tenantId: TenantId, actor: Actor, shown: Shown, caller: Caller): Promise<readonly string[]>;
  /**
   * All of them, by an administrator who shows who they are, for somebody who has lost everything; for an owner only by another owner. Ends the user's sessions.
   * Throws FH_SECOND_FACTOR_NOT_FOUND, FH_USER_NOT_FOUND and what `confirmSelf` does.
   */
  resetSecondFactor(tenantId: TenantId, actor: Actor, userId: string, shown: Shown): Promise<void>;
}

export function createSecondFactors(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly limiter: AttemptLimiter;
  readonly secrets: FactorSecrets;
  readonly confirmSelf: OwnConfirmation['confirmSelf'];
  readonly userMail: UserMail;
  readonly clock: Clock;
}): SecondFactors {
  const { databases, cookies, limiter, secrets, confirmSelf, userMail, clock } = deps;
  const policy = { roles, refused: 'user.second_factor_refused' } as const;

  const noticeOf = (user: { email: string; name: string }, address?: string, userAgent?: string) => ({
    to: user.email,
    name: user.name,
    at: new Date(clock.now()).toISOString(),
    address,
    browser: describeUserAgent(userAgent),
  });

  function record(db: Queryable, { session, address }: Actor, name: AuditEventName, subject?: string): Promise<void> {
    const { userId } = session.user;
    return recordTenantAudit(db, { name, actor: `user:${userId}`, subject: subject ?? userId, address });
  }

  /** Password and code, then the act. */
  const stepUp = <T>(
    tenantId: TenantId,
    actor: Actor,
    shown: Shown,
    act: (db: Queryable, userId: string) => Promise<T>,
  ): Promise<T> =>
    confirmSelf(tenantId, actor, shown, policy, async (db, { userId }) => {
      if (!(await hasSecondFactor(db, userId))) throw identityErrors.FH_SECOND_FACTOR_NOT_FOUND();
      return act(db, userId);
    });

  return {
    getSecondFactor: (tenantId, { session }) =>
      databases.platform.read(tenantId, async (db) => {
        const { userId } = session.user;
        const factor = await findTotp(db, userId);
        return {
          enrolledAt: factor?.confirmedAt ?? undefined,
          recoveryCodesLeft: await countRecoveryCodes(db, userId),
          passkeys: await selectPasskeySummaries(db, userId),
        };
      }),

    async beginTotp(tenantId, actor, tenant, shown) {
      const { userId, email } = actor.session.user;
      const secret = randomBytes(totpSecretBytes);
      const sealed = await secrets.seal(tenantId, userId, secret);
      // Before anything is asked for that would be for nothing.
      const there = await databases.platform.read(tenantId, (db) => findTotp(db, userId));
      if (there?.confirmedAt) throw identityErrors.FH_SECOND_FACTOR_EXISTS();
      await confirmSelf(tenantId, actor, shown, policy, async (db) => {
        await lockUser(db, userId);
        if (!(await insertTotp(db, userId, sealed))) throw identityErrors.FH_SECOND_FACTOR_EXISTS();
      });
      const text = encodeBase32(secret);
      return { secret: text, uri: totpUri(text, { issuer: tenant.title, account: email }) };
    },

    async confirmTotp(tenantId, actor, code, caller) {
      const { userId } = actor.session.user;
      const attempts = [{ limit: attemptLimits.firstCode, subject: userId }];
      // What is refused is returned, so that its count stays.
      const done = await databases.platform.transact(tenantId, async (db) => {
        await lockUser(db, userId);
        const user = await requireRole(db, actor, roles);
        // Ended since the door, perhaps by whoever held the lock: a code that comes late makes no factor of somebody who was thrown out.
        if (!(await isSessionThere(db, actor.session.sessionId))) throw identityErrors.FH_SESSION_REQUIRED();
        const factor = await findTotp(db, userId);
        if (factor?.confirmedAt) throw identityErrors.FH_SECOND_FACTOR_EXISTS();
        if (!factor) throw identityErrors.FH_SECOND_FACTOR_NOT_FOUND();
        await limiter.begin(db, attempts).catch((error) => {
          throw error.code === 'FH_SIGN_IN_THROTTLED'
            ? identityErrors.FH_CODE_THROTTLED({ retryAfterSeconds: error.retryAfterSeconds })
            : error;
        });
        const digits = parseTotpCode(code);
        const secret = await secrets.open(tenantId, userId, factor.sealedSecret);
        const step = secret && digits !== undefined ? findTotpStep(secret, digits, factor) : undefined;
        const isFirst = !(await hasSecondFactor(db, userId));
        if (step === undefined || !(await confirmTotp(db, userId, factor.sealedSecret, step))) return undefined;
        await limiter.succeed(db, attempts);
        await record(db, actor, 'user.second_factor_enrolled');
        const enrolment = await enrolled(db, cookies, tenantId, { user, isFirst, caller });
        await failpoint('identity.enrol.before_commit');
        return { user, enrolment };
      });
      if (!done) throw identityErrors.FH_CODE_WRONG({ fields: { code: 'This code is not right.' } });
      const { user, enrolment } = done;
      userMail.send(tenantId, {
        kind: 'second_factor_enrolled',
        ...noticeOf(user, caller.address, caller.userAgent),
      });
      return enrolment;
    },

    async removeSecondFactor(tenantId, actor, shown, caller) {
      await stepUp(tenantId, actor, shown, async (db, userId) => {
        if (!(await findTotp(db, userId))?.confirmedAt) throw identityErrors.FH_SECOND_FACTOR_NOT_FOUND();
        await deleteTotp(db, userId);
        await forgetFactorsIfNone(db, userId);
        await keepBreakGlass(db);
        await record(db, actor, 'user.second_factor_removed');
      });
      userMail.send(tenantId, {
        kind: 'second_factor_removed',
        ...noticeOf(actor.session.user, caller.address, caller.userAgent),
      });
    },

    async renewRecoveryCodes(tenantId, actor, shown, caller) {
      const codes = await stepUp(tenantId, actor, shown, async (db, userId) => {
        await record(db, actor, 'user.recovery_codes_replaced');
        return makeRecoveryCodes(db, userId);
      });
      userMail.send(tenantId, {
        kind: 'recovery_codes_replaced',
        ...noticeOf(actor.session.user, caller.address, caller.userAgent),
      });
      return codes;
    },

    async resetSecondFactor(tenantId, actor, userId, shown) {
      const by = { ...policy, roles: administrators };
      const user = await confirmSelf(tenantId, actor, shown, by, async (db) => {
        await lockActiveOwners(db);
        await lockUser(db, userId);
        const found = await findUserById(db, userId);
        await requireRole(db, actor, administrators, found ? [found.role] : []);
        if (!found) throw identityErrors.FH_USER_NOT_FOUND();
        if (userId === actor.session.user.userId)
          throw identityErrors.FH_ROLE_REQUIRED({ detail: 'your own is turned off in your account, with a code' });
        if (!(await hasSecondFactor(db, userId))) throw identityErrors.FH_SECOND_FACTOR_NOT_FOUND();
        await deleteSecondFactors(db, userId);
        await keepBreakGlass(db);
        await raiseEpoch(db, userId);
        await deleteSessions(db, userId);
        await limiter.forget(db, [{ limit: attemptLimits.secondFactor, subject: userId }]);
        await record(db, actor, 'user.second_factor_reset', userId);
        return found;
      });
      userMail.send(tenantId, { kind: 'second_factor_reset', ...noticeOf(user) });
    },
  };
}
