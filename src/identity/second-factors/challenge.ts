import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, FreeholdError, TenantId } from '#src/kernel/index.ts';
import { failpoint } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { identityErrors } from '../errors.ts';
import type { PasskeyProofs } from '../passkeys/proof.ts';
import type { PasskeyAssertion, PasskeyRequestOptions, ProvenPasskey, RelyingParty } from '../passkeys/types.ts';
import {
  type BrowserCookies,
  type Caller,
  challengeLifetimeSeconds,
  clearChallengeCookie,
  describeUserAgent,
} from '../sessions/browser.ts';
import { hashToken, newToken } from '../sessions/cookie.ts';
import { type StartedSession, startSession } from '../sessions/session-start.ts';
import { type Attempt, type AttemptLimiter, attemptLimits } from '../sign-in/attempts.ts';
import { findUserById, forgetDevice, isKnownDevice, noteSignIn, type UserRow } from '../sql.ts';
import { insertSignOnSession } from '../sso/people-sql.ts';
import { maySignInHere } from '../sso/sign-on-policy.ts';
import { holdConnection } from '../sso/sign-on-sql.ts';
import type { SignOnWay } from '../sso/types.ts';
import type { UserMail } from '../users/user-mail.ts';
import type { RedeemFactor } from './redeem.ts';
import {
  deleteChallenge,
  findChallenge,
  findFactors,
  insertChallenge,
  lockUser,
  spendChallenge,
} from './second-factor-sql.ts';

/** The password was right, and somebody has a second factor: nobody is signed in yet. */
export interface AwaitedSignIn {
  readonly session: undefined;
  readonly expiresAt: Date;
  /** Values of `Set-Cookie`. */
  readonly setCookies: readonly string[];
}

/** The second step of signing in. */
export interface SecondStep {
  /**
   * Completes the sign-in that waits in this browser, with a passkey, a code of the app or a recovery code. Throws FH_PASSKEY_REFUSED, FH_CODE_WRONG,
   * FH_CODE_THROTTLED, and FH_CHALLENGE_NOT_FOUND, the same for none, another tenant's, used, expired and overtaken ones.
   */
  completeSignIn(tenantId: TenantId, shown: ShownFactor, caller: Caller): Promise<StartedSession>;
  /** Whether a sign-in waits for its second step in this browser, and what would complete it beside a recovery code. */
  findAwaitedSignIn(
    tenantId: TenantId,
    caller: Caller,
  ): Promise<{ expiresAt: Date; app: boolean; passkeys: boolean } | undefined>;
  /** What the browser is to be asked for a passkey. Throws FH_CHALLENGE_NOT_FOUND; FH_PASSKEY_NOT_FOUND where the user has none for this host. */
  askSecondStepPasskey(tenantId: TenantId, party: RelyingParty, caller: Caller): Promise<PasskeyRequestOptions>;
}

/** One of the two. */
export interface ShownFactor {
  readonly code?: string | undefined;
  readonly passkey?: PasskeyAssertion | undefined;
}

/** A flood of right passwords without codes ends here; whoever floods is somebody who has the password and not the factor. */
const maxOfStrangers = 30;

/** In the transaction that found the password right, or, with `way`, somebody vouched for. */
export async function awaitSecondFactor(
  db: Queryable,
  cookies: BrowserCookies,
  tenantId: TenantId,
  user: UserRow,
  { known, caller, way }: { known: boolean; caller: Caller; way?: SignOnWay },
): Promise<AwaitedSignIn> {
  const token = newToken();
  const expiresAt = await insertChallenge(db, {
    tokenHash: hashToken(token),
    user,
    isKnownDevice: known,
    lifetimeSeconds: challengeLifetimeSeconds,
    maxOfStrangers,
    way,
  });
  if (!expiresAt) throw identityErrors.FH_CODE_THROTTLED({ retryAfterSeconds: challengeLifetimeSeconds });
  await recordTenantAudit(db, {
    name: 'session.second_factor_awaited',
    actor: 'anonymous',
    subject: user.userId,
    address: caller.address,
    details: { knownDevice: known },
  });
  return { session: undefined, expiresAt, setCookies: [await cookies.setChallenge(tenantId, token)] };
}

async function isOn(db: Queryable, { connectionId }: SignOnWay): Promise<boolean> {
  return (await holdConnection(db, connectionId))?.state === 'on';
}

export function createSecondStep(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly limiter: AttemptLimiter;
  readonly redeem: RedeemFactor;
  readonly proofs: PasskeyProofs;
  readonly userMail: UserMail;
  readonly clock: Clock;
}): SecondStep {
  const { databases, cookies, limiter, redeem, proofs, userMail, clock } = deps;

  /** In one transaction; what is refused is returned, so that its count and its record stay. */
  async function complete(
    db: Queryable,
    tenantId: TenantId,
    tokenHash: Buffer,
    shown: { code?: string | undefined; passkey?: ProvenPasskey | undefined },
    caller: Caller,
  ) {
    const waiting = await findChallenge(db, tokenHash);
    if (!waiting) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
    const { userId } = waiting;
    await lockUser(db, userId);
    // Whoever waited for the lock may find it used.
    if (!(await findChallenge(db, tokenHash))) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
    const user = (await findUserById(db, userId))!;
    const deviceToken = await cookies.findDeviceToken(tenantId, caller.cookieHeader);
    const deviceHash = deviceToken && hashToken(deviceToken);
    const known = waiting.isKnownDevice && deviceHash !== undefined && (await isKnownDevice(db, userId, deviceHash));
    const attempts: Attempt[] = [
      { limit: attemptLimits.challenge, subject: tokenHash.toString('hex') },
      known
        ? { limit: attemptLimits.secondFactorOnDevice, subject: `${deviceHash.toString('hex')} ${userId}` }
        : { limit: attemptLimits.secondFactor, subject: userId },
    ];
    const { locked, reached } = await limiter.begin(db, attempts);
    const isSlowed = reached.some((scope) => scope !== attemptLimits.challenge.scope);
    const about = { actor: 'anonymous', subject: userId, address: caller.address };
    if (isSlowed)
      await recordTenantAudit(db, {
        ...about,
        name: 'session.second_factor_throttled',
        details: { knownDevice: known },
      });
    const method = locked ? undefined : await redeem(db, tenantId, userId, shown);
    if (!method) {
      await recordTenantAudit(db, { ...about, name: 'session.second_factor_failed', details: { knownDevice: known } });
      const isOver = reached.includes(attemptLimits.challenge.scope);
      if (isOver) await deleteChallenge(db, tokenHash);
      // As for passwords: a device that guesses is a stranger from now on.
      if (locked && !isOver && known) await forgetDevice(db, userId, deviceHash);
      return { user, known, isSlowed, isOver, started: undefined, method };
    }
    const spent = await spendChallenge(db, tokenHash);
    // Begun with a password, and by now everybody has to come over a provider; or over a provider that is turned off (sign-on-policy.test.ts).
    if (!spent || !(await (spent.way ? isOn(db, spent.way) : maySignInHere(db, userId))))
      throw identityErrors.FH_CHALLENGE_NOT_FOUND();
    await limiter.succeed(db, attempts);
    await noteSignIn(db, userId);
    const started = await startSession(db, cookies, tenantId, user, caller);
    if (spent.way) await insertSignOnSession(db, started.session.sessionId, spent.way);
    await failpoint('identity.second_step.before_commit');
    return { user, known, isSlowed, isOver: false, started, method };
  }

  return {
    async findAwaitedSignIn(tenantId, caller) {
      const token = await cookies.findChallengeToken(tenantId, caller.cookieHeader);
      if (!token) return undefined;
      return databases.platform.read(tenantId, async (db) => {
        const waiting = await findChallenge(db, hashToken(token));
        return waiting && { expiresAt: waiting.expiresAt, ...(await findFactors(db, waiting.userId)) };
      });
    },

    async askSecondStepPasskey(tenantId, party, caller) {
      const token = await cookies.findChallengeToken(tenantId, caller.cookieHeader);
      if (!token) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
      const asked = { purpose: 'second_step', boundTo: hashToken(token) } as const;
      return databases.platform.transact(tenantId, async (db) => {
        const waiting = await findChallenge(db, asked.boundTo);
        const user = waiting && (await findUserById(db, waiting.userId));
        if (!user) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
        const options = await proofs.askPasskey(db, asked, party, user);
        if (!options) throw identityErrors.FH_PASSKEY_NOT_FOUND();
        return options;
      });
    },

    async completeSignIn(tenantId, { code, passkey: assertion }, caller) {
      const token = await cookies.findChallengeToken(tenantId, caller.cookieHeader);
      if (!token) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
      const asked = { purpose: 'second_step', boundTo: hashToken(token) } as const;
      const shown = assertion ? { passkey: await proofs.provePasskey(tenantId, asked, assertion, caller) } : { code };
      const done = await databases.platform
        .transact(tenantId, (db) => complete(db, tenantId, asked.boundTo, shown, caller))
        .catch((error: FreeholdError) => {
          if (error.code !== 'FH_SIGN_IN_THROTTLED') throw error;
          throw identityErrors.FH_CODE_THROTTLED({ retryAfterSeconds: error.retryAfterSeconds });
        });
      const { user, known, started, method, isSlowed, isOver } = done;
      const notice = {
        to: user.email,
        name: user.name,
        at: new Date(clock.now()).toISOString(),
        address: caller.address,
        browser: describeUserAgent(caller.userAgent),
      };
      if (isSlowed) userMail.send(tenantId, { kind: 'second_factor_guessed', ...notice });
      if (isOver) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
      if (!started) throw assertion ? identityErrors.FH_PASSKEY_REFUSED() : identityErrors.FH_CODE_WRONG();
      if (method === 'recovery_code') userMail.send(tenantId, { kind: 'recovery_code_used', ...notice });
      else if (!known && user.lastSignInAt) userMail.send(tenantId, { kind: 'new_sign_in', ...notice });
      return { ...started, setCookies: [...started.setCookies, clearChallengeCookie] };
    },
  };
}
