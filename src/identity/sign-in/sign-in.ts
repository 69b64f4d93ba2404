import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, TenantId } from '#src/kernel/index.ts';
import { identityErrors } from '../errors.ts';
import type { PasswordQueue } from '../passwords/hash-queue.ts';
import { normalisePassword } from '../passwords/password-hash.ts';
import { type AwaitedSignIn, awaitSecondFactor } from '../second-factors/challenge.ts';
import { hasSecondFactor } from '../second-factors/second-factor-sql.ts';
import { type BrowserCookies, type Caller, describeUserAgent } from '../sessions/browser.ts';
import { hashToken } from '../sessions/cookie.ts';
import { type StartedSession, startSession } from '../sessions/session-start.ts';
import { findUserByEmail, forgetDevice, isKnownDevice, keepPassword, noteSignIn } from '../sql.ts';
import { maySignInHere } from '../sso/sign-on-policy.ts';
import { emailKeyOf } from '../users/email.ts';
import type { UserMail } from '../users/user-mail.ts';
import { addressRange } from './address.ts';
import { type Attempt, type AttemptLimiter, attemptLimits } from './attempts.ts';

export interface SignInDeps {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly limiter: AttemptLimiter;
  readonly queue: PasswordQueue;
  readonly userMail: UserMail;
  readonly clock: Clock;
}

export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/** Stands for the id of a user who does not exist, so that the same statements run for everybody. */
const nobody = 'usr_nobody';

/**
 * Signs in with e-mail address and password, or throws FH_SIGN_IN_FAILED, FH_SIGN_IN_THROTTLED or FH_BUSY.
 *
 * An unknown address, a wrong password, a disabled user and a locked account get the same answer by the same way: the same statements,
 * one argon2id of the same cost, one audit event. Throttling looks at what was typed and where from, never at whether it exists.
 * @returns no session for somebody with a second factor, but a challenge for this browser
 */
export async function signIn(
  { databases, cookies, limiter, queue, userMail, clock }: SignInDeps,
  tenantId: TenantId,
  { email, password }: Credentials,
  caller: Caller,
): Promise<StartedSession | AwaitedSignIn> {
  // That it is this user's browser the database tells; that some user of this tenant signed in with it, the seal.
  const deviceToken = await cookies.findDeviceToken(tenantId, caller.cookieHeader);
  return queue.admit(async () => {
    const emailKey = emailKeyOf(email);
    const deviceHash = deviceToken && hashToken(deviceToken);

    const { user, known, attempts, locked } = await databases.platform.transact(tenantId, async (db) => {
      const user = await findUserByEmail(db, emailKey);
      const known = deviceHash ? await isKnownDevice(db, user?.userId ?? nobody, deviceHash) : false;
      const attempts = known ? [deviceAttempt(emailKey, deviceHash!)] : strangerAttempts(emailKey, caller.address);
      const { locked, reached } = await limiter.begin(db, attempts);
      if (reached.length > 0)
        await recordTenantAudit(db, {
          name: 'session.login_throttled',
          actor: 'anonymous',
          subject: user?.userId ?? 'unknown',
          address: caller.address,
          details: { limits: reached.join(' ') },
        });
      return { user, known, attempts, locked };
    });

    const { matches, needsRehash } = await queue.verify(password, user?.passwordHash, known);
    if (!user || !matches || locked || user.state !== 'active') {
      await databases.platform.transact(tenantId, async (db) => {
        await recordTenantAudit(db, {
          name: 'session.login_failed',
          actor: 'anonymous',
          subject: user?.userId ?? 'unknown',
          address: caller.address,
          details: { knownDevice: known },
        });
        // A device that guesses is a stranger from now on; whoever sits there may try on as one.
        if (locked && known) await forgetDevice(db, user?.userId ?? nobody, deviceHash!);
      });
      throw identityErrors.FH_SIGN_IN_FAILED();
    }

    const passwordHash = needsRehash ? await queue.hash(normalisePassword(password)!) : user.passwordHash;
    const started = await databases.platform.transact(tenantId, async (db) => {
      const epoch = await keepPassword(db, user, passwordHash);
      // Disabled, or given another password, while we were hashing.
      if (epoch === undefined) throw identityErrors.FH_SIGN_IN_FAILED();
      await limiter.succeed(db, attempts);
      // Over a provider only: refused like a wrong password, so that a right one is not told from it here.
      if (!(await maySignInHere(db, user.userId))) return undefined;
      const current = { ...user, epoch };
      if (await hasSecondFactor(db, user.userId))
        return awaitSecondFactor(db, cookies, tenantId, current, { known, caller });
      await noteSignIn(db, user.userId);
      return startSession(db, cookies, tenantId, current, caller);
    });
    if (!started) {
      await databases.platform.transact(tenantId, (db) =>
        recordTenantAudit(db, {
          name: 'session.login_failed',
          actor: 'anonymous',
          subject: user.userId,
          address: caller.address,
          details: { knownDevice: known, reason: 'sign_on_enforced' },
        }),
      );
      throw identityErrors.FH_SIGN_IN_FAILED();
    }
    if (!started.session) return started;
    // Whoever signs in for the first time need not be told.
    if (!known && user.lastSignInAt)
      userMail.send(tenantId, {
        kind: 'new_sign_in',
        to: user.email,
        name: user.name,
        at: new Date(clock.now()).toISOString(),
        address: caller.address,
        browser: describeUserAgent(caller.userAgent),
      });
    return started;
  }, deviceToken !== undefined);
}

function deviceAttempt(emailKey: string, deviceHash: Buffer): Attempt {
  return { limit: attemptLimits.knownDevice, subject: `${deviceHash.toString('hex')} ${emailKey}` };
}

function strangerAttempts(emailKey: string, address: string | undefined): Attempt[] {
  const range = addressRange(address ?? '');
  return [
    { limit: attemptLimits.accountFromRange, subject: `${range} ${emailKey}` },
    { limit: attemptLimits.account, subject: emailKey },
    { limit: attemptLimits.range, subject: range },
    { limit: attemptLimits.everyone, subject: '' },
  ];
}
