import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, type TenantId } from '#src/kernel/index.ts';
import { identityErrors } from '../errors.ts';
import { lockUser } from '../second-factors/second-factor-sql.ts';
import { type BrowserCookies, type Caller, clearPasskeyCookie, describeUserAgent } from '../sessions/browser.ts';
import { hashToken, newToken } from '../sessions/cookie.ts';
import { type StartedSession, startSession } from '../sessions/session-start.ts';
import { addressRange } from '../sign-in/address.ts';
import { type Attempt, type AttemptLimiter, attemptLimits } from '../sign-in/attempts.ts';
import { findUserById, isKnownDevice, noteSignIn } from '../sql.ts';
import { maySignInHere } from '../sso/sign-on-policy.ts';
import type { UserMail } from '../users/user-mail.ts';
import { acceptPasskey, isKnownBrowser } from './passkey-sql.ts';
import type { PasskeyProofs } from './proof.ts';
import type { PasskeyAssertion, PasskeyRequestOptions, RelyingParty } from './types.ts';

/** Signing in with a passkey and nothing else: it has verified its user, so it is two factors. */
export interface PasskeySignIn {
  /** What the browser is to be asked, whoever sits there. Names no user and no passkey. */
  beginPasskeySignIn(
    tenantId: TenantId,
    party: RelyingParty,
    caller: Caller,
  ): Promise<{ readonly options: PasskeyRequestOptions; readonly setCookies: readonly string[] }>;
  /**
   * Throws FH_PASSKEY_SIGN_IN_FAILED, the same for an unknown passkey, a wrong signature, a copy, a disabled user, and a challenge that is not this browser's, used or over;
   * FH_SIGN_IN_THROTTLED.
   */
  signInWithPasskey(tenantId: TenantId, assertion: PasskeyAssertion, caller: Caller): Promise<StartedSession>;
}

export function createPasskeySignIn(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly limiter: AttemptLimiter;
  readonly proofs: PasskeyProofs;
  readonly userMail: UserMail;
  readonly clock: Clock;
}): PasskeySignIn {
  const { databases, cookies, limiter, proofs, userMail, clock } = deps;

  return {
    async beginPasskeySignIn(tenantId, party, caller) {
      // One for all windows of this browser.
      const token = (await cookies.findPasskeyToken(tenantId, caller.cookieHeader)) ?? newToken();
      const asked = { purpose: 'sign_in', boundTo: hashToken(token) } as const;
      const options = await databases.platform.transact(tenantId, (db) =>
        proofs.askPasskey(db, asked, party, undefined),
      );
      return { options: options!, setCookies: [await cookies.setPasskey(tenantId, token)] };
    },

    async signInWithPasskey(tenantId, assertion, caller) {
      const { address } = caller;
      const token = await cookies.findPasskeyToken(tenantId, caller.cookieHeader);
      const deviceToken = await cookies.findDeviceToken(tenantId, caller.cookieHeader);
      const deviceHash = deviceToken && hashToken(deviceToken);
      const attempts = await databases.platform.transact(tenantId, async (db): Promise<Attempt[]> => {
        const isKnown = deviceHash && (await isKnownBrowser(db, deviceHash));
        const attempts = [
          isKnown
            ? { limit: attemptLimits.passkeyOnDevice, subject: deviceHash.toString('hex') }
            : { limit: attemptLimits.passkeyFromRange, subject: addressRange(address ?? '') },
        ];
        const { reached } = await limiter.begin(db, attempts);
        if (reached.length > 0)
          await recordTenantAudit(db, {
            name: 'session.login_throttled',
            actor: 'anonymous',
            subject: 'unknown',
            address,
            details: { limits: reached.join(' ') },
          });
        return attempts;
      });
      const asked = token && ({ purpose: 'sign_in', boundTo: hashToken(token) } as const);
      const proven = asked && (await proofs.provePasskey(tenantId, asked, assertion, caller));
      const done = await databases.platform.transact(tenantId, async (db) => {
        if (proven) await lockUser(db, proven.userId);
        if (!proven || !(await acceptPasskey(db, proven)) || !(await maySignInHere(db, proven.userId))) {
          await recordTenantAudit(db, {
            name: 'session.passkey_failed',
            actor: 'anonymous',
            subject: proven?.userId ?? 'unknown',
            address,
          });
          return undefined;
        }
        const user = (await findUserById(db, proven.userId))!;
        const known = deviceHash !== undefined && (await isKnownDevice(db, user.userId, deviceHash));
        await limiter.succeed(db, attempts);
        await noteSignIn(db, user.userId);
        const started = await startSession(db, cookies, tenantId, user, caller);
        await failpoint('identity.passkey.sign_in.before_commit');
        return { user, known, started };
      });
      if (!done) throw identityErrors.FH_PASSKEY_SIGN_IN_FAILED();
      const { user, known, started } = done;
      if (!known)
        userMail.send(tenantId, {
          kind: 'new_sign_in',
          to: user.email,
          name: user.name,
          at: new Date(clock.now()).toISOString(),
          address,
          browser: describeUserAgent(caller.userAgent),
        });
      return { ...started, setCookies: [...started.setCookies, clearPasskeyCookie] };
    },
  };
}
