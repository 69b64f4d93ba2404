import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, type FreeholdError, failpoint, type Log, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import { deleteSecondFactors, lockUser } from '../second-factors/second-factor-sql.ts';
import { type BrowserCookies, type Caller, clearSessionCookie, describeUserAgent } from '../sessions/browser.ts';
import { hashToken, newToken, tokenBytes } from '../sessions/cookie.ts';
import { addressRange } from '../sign-in/address.ts';
import { type AttemptLimit, type AttemptLimiter, attemptLimits } from '../sign-in/attempts.ts';
import { deleteSessions, findUserByEmail, forgetDevices, isKnownDevice, rememberDevice } from '../sql.ts';
import { releaseSignOn } from '../sso/sign-on-policy.ts';
import { deleteTokens } from '../tokens/api-tokens-sql.ts';
import { emailKeyOf } from '../users/email.ts';
import type { TenantWords } from '../users/invitations.ts';
import type { UserMail } from '../users/user-mail.ts';
import type { PasswordQueue } from './hash-queue.ts';
import type { PasswordRules } from './password-rules.ts';
import { consumeReset, findReset, issueReset, pruneResets, type ResetPolicy } from './reset-sql.ts';

/** A new password for somebody who can read the mail of the account. */
export interface PasswordResets {
  /**
   * Asks for a link. Returns the same way after the same work whether the address is known; the link is made and mailed afterwards.
   * Throws FH_RESET_THROTTLED by where the request comes from, and FH_BUSY; neither depends on the address.
   */
  requestReset(tenantId: TenantId, email: string, caller: Caller): Promise<void>;
  /** Whom the link is for. Throws FH_RESET_NOT_FOUND, the same for used, expired, replaced and never made. */
  getReset(tenantId: TenantId, token: string): Promise<{ email: string; name: string; expiresAt: Date }>;
  /**
   * Sets the password and ends every session and every other link. Signs nobody in, and changes nothing about second factors, unless the operator made the
   * link (`createAccessReset`): the next sign-in asks for them. The browser counts as known from now on, so that wrong passwords from elsewhere do not keep its user out.
   * @returns values of `Set-Cookie`
   */
  completeReset(
    tenantId: TenantId,
    tenant: TenantWords,
    reset: { token: string; password: string },
    caller: Caller,
  ): Promise<readonly string[]>;
  /** Waits for links that are being made. */
  settleResets(): Promise<void>;
}

const policy: ResetPolicy = { lifetimeSeconds: 900, maxLive: 3, spacingSeconds: 60, perTenantAndHour: 300 };
/** Links that are made at the same time in one worker; more than that is a flood. No tenant has all of them, and its strangers leave room for its known browsers. */
const maxRunning = 64;
const maxRunningPerTenant = 8;
const maxRunningForStrangers = 6;
const nobody = 'usr_nobody';

/** Every request counts, whatever becomes of it. */
const limits = {
  range: { scope: 'reset-range', free: 20, maxDelaySeconds: 900, windowSeconds: 3600, onSuccess: 'uncount' },
  /** A browser that its user signed in with is not slowed down by others behind the same address. */
  knownDevice: { scope: 'reset-device', free: 5, maxDelaySeconds: 300, windowSeconds: 3600, onSuccess: 'forget' },
} as const satisfies Record<string, AttemptLimit>;

export function createPasswordResets(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly limiter: AttemptLimiter;
  readonly queue: PasswordQueue;
  readonly rules: PasswordRules;
  readonly userMail: UserMail;
  readonly clock: Clock;
  readonly log: Log;
}): PasswordResets {
  const { databases, cookies, limiter, queue, rules, userMail, clock, log } = deps;
  const running = new Map<Promise<void>, TenantId>();

  /** Behind the answer. The same statements for a user and for nobody. */
  async function makeLink(tenantId: TenantId, emailKey: string, known: boolean, caller: Caller): Promise<void> {
    const token = newToken();
    const { user, expiresAt } = await databases.platform.transact(tenantId, async (db) => {
      const issued = await issueReset(db, emailKey, { tokenHash: hashToken(token), isKnownDevice: known }, policy);
      await pruneResets(db);
      await recordTenantAudit(db, {
        name: 'user.password_reset_requested',
        actor: 'anonymous',
        subject: issued.userId ?? 'unknown',
        address: caller.address,
        details: { knownDevice: known, mailed: issued.user !== undefined },
      });
      return issued;
    });
    await failpoint('reset.issued');
    if (user)
      userMail.send(tenantId, {
        kind: 'password_reset',
        to: user.email,
        name: user.name,
        token: token.toString('base64url'),
        expiresAt: expiresAt.toISOString(),
      });
  }

  return {
    async requestReset(tenantId, email, caller) {
      const emailKey = emailKeyOf(email);
      const deviceToken = await cookies.findDeviceToken(tenantId, caller.cookieHeader);
      const deviceHash = deviceToken && hashToken(deviceToken);
      const known = await databases.platform
        .transact(tenantId, async (db) => {
          const user = await findUserByEmail(db, emailKey);
          const isKnown = deviceHash ? await isKnownDevice(db, user?.userId ?? nobody, deviceHash) : false;
          const attempt = isKnown
            ? { limit: limits.knownDevice, subject: `${deviceHash!.toString('hex')} ${emailKey}` }
            : { limit: limits.range, subject: addressRange(caller.address ?? '') };
          await limiter.begin(db, [attempt]);
          return isKnown;
        })
        .catch((error: FreeholdError) => {
          if (error.code !== 'FH_SIGN_IN_THROTTLED') throw error;
          throw identityErrors.FH_RESET_THROTTLED({ retryAfterSeconds: error.retryAfterSeconds });
        });
      const inTenant = [...running.values()].filter((each) => each === tenantId).length;
      if (running.size >= maxRunning || inTenant >= (known ? maxRunningPerTenant : maxRunningForStrangers))
        throw identityErrors.FH_BUSY({ retryAfterSeconds: 3 });
      const making: Promise<void> = makeLink(tenantId, emailKey, known, caller)
        .catch((error) => log.warn('a link for a new password was not made', { tenantId, error }))
        .finally(() => running.delete(making));
      running.set(making, tenantId);
    },

    async getReset(tenantId, token) {
      const tokenHash = hashResetToken(token);
      const found = await databases.platform.read(tenantId, (db) => findReset(db, tokenHash));
      if (!found) throw identityErrors.FH_RESET_NOT_FOUND();
      return found;
    },

    completeReset: (tenantId, tenant, { token, password }, caller) =>
      queue.admit(async () => {
        const tokenHash = hashResetToken(token);
        const found = await databases.platform.read(tenantId, (db) => findReset(db, tokenHash));
        if (!found) throw identityErrors.FH_RESET_NOT_FOUND();
        const { email, name } = found;
        // Everything that may be refused or take long comes before the link is used up.
        const passwordHash = await queue.hash(
          await rules.parseNew(password, { email, name, tenant: [tenant.name, tenant.title] }),
        );
        const deviceToken = (await cookies.findDeviceToken(tenantId, caller.cookieHeader)) ?? newToken();
        await databases.platform.transact(tenantId, async (db) => {
          const user = await consumeReset(db, tokenHash, passwordHash);
          if (!user) throw identityErrors.FH_RESET_NOT_FOUND();
          const { userId } = user;
          if (user.removesFactors) await removeFactors(db, userId, caller);
          const sessions = await deleteSessions(db, userId);
          const tokens = await deleteTokens(db, userId);
          await forgetDevices(db, userId);
          await rememberDevice(db, userId, hashToken(deviceToken));
          await limiter.forget(db, [
            { limit: attemptLimits.account, subject: emailKeyOf(email) },
            { limit: attemptLimits.currentPassword, subject: userId },
            { limit: attemptLimits.secondFactor, subject: userId },
          ]);
          await recordTenantAudit(db, {
            name: 'user.password_reset',
            actor: `user:${userId}`,
            subject: userId,
            address: caller.address,
            details: { sessions, tokens },
          });
        });
        await failpoint('reset.completed');
        userMail.send(tenantId, {
          kind: 'password_was_reset',
          to: email,
          name,
          at: new Date(clock.now()).toISOString(),
          address: caller.address,
          browser: describeUserAgent(caller.userAgent),
        });
        return [clearSessionCookie, await cookies.setDevice(tenantId, deviceToken)];
      }),

    async settleResets() {
      await Promise.all(running.keys());
    },
  };
}

/** An owner whose factors go may have been the last who could sign in without a provider: then nobody has to use one any more. */
async function removeFactors(db: Queryable, userId: string, { address }: Caller): Promise<void> {
  await lockUser(db, userId);
  await deleteSecondFactors(db, userId);
  const subject = userId;
  await recordTenantAudit(db, { name: 'user.second_factor_reset', actor: `user:${userId}`, subject, address });
  if (await releaseSignOn(db))
    await recordTenantAudit(db, {
      name: 'sign_on.policy_changed',
      actor: `user:${userId}`,
      subject,
      address,
      details: { from: 'enforced', to: 'optional' },
    });
}

function hashResetToken(token: string): Buffer {
  const bytes = Buffer.from(token, 'base64url');
  // Exactly one spelling of a token is good.
  if (bytes.length !== tokenBytes || bytes.toString('base64url') !== token) throw identityErrors.FH_RESET_NOT_FOUND();
  return hashToken(bytes);
}
