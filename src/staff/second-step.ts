import { recordAudit } from '#src/audit/index.ts';
import { type AttemptLimiter, attemptLimits, type Caller, identityErrors } from '#src/identity/index.ts';
import { type FreeholdError, failpoint } from '#src/kernel/index.ts';
import type { ConsoleSessions, StartedStaffSession } from './console-sessions.ts';
import { forgetDevice, isKnownDevice } from './devices-sql.ts';
import type { StaffFactor } from './second-factor.ts';
import { deleteChallenge, findChallenge, lockStaff, spendChallenge } from './second-factor-sql.ts';
import type { StaffDatabase } from './staff.ts';

/** The second step of signing in to the console. */
export interface StaffSecondStep {
  /**
   * Completes the sign-in that waits in this browser, with a code of the app or a recovery code. Throws FH_CODE_WRONG, FH_CODE_THROTTLED, and
   * FH_CHALLENGE_NOT_FOUND, the same for none, used, expired and overtaken ones.
   */
  completeSignIn(code: string, caller: Caller): Promise<StartedStaffSession>;
  /** Whether a sign-in waits for its code in this browser. */
  findAwaitedSignIn(cookieHeader: string | undefined): Promise<{ expiresAt: Date } | undefined>;
}

export function createStaffSecondStep(deps: {
  readonly db: StaffDatabase;
  readonly sessions: ConsoleSessions;
  readonly limiter: AttemptLimiter;
  readonly factor: StaffFactor;
}): StaffSecondStep {
  const { db, sessions, limiter, factor } = deps;

  /** In one transaction; what is refused is returned, so that its count and its record stay. */
  const complete = (tokenHash: Buffer, code: string, caller: Caller) =>
    db.transaction(async (tx) => {
      const waiting = await findChallenge(tx, tokenHash);
      if (!waiting) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
      const { staffId } = waiting;
      await lockStaff(tx, staffId);
      // Whoever waited for the lock may find it used.
      if (!(await findChallenge(tx, tokenHash))) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
      const deviceHash = sessions.findDeviceHash(caller.cookieHeader);
      const known = waiting.isKnownDevice && deviceHash !== undefined && (await isKnownDevice(tx, staffId, deviceHash));
      const attempts = [
        { limit: attemptLimits.challenge, subject: tokenHash.toString('hex') },
        known
          ? { limit: attemptLimits.secondFactorOnDevice, subject: `${deviceHash.toString('hex')} ${staffId}` }
          : { limit: attemptLimits.secondFactor, subject: staffId },
      ];
      const { locked, reached } = await limiter.begin(tx, attempts);
      const about = { actor: 'anonymous', subject: staffId, address: caller.address };
      if (reached.some((scope) => scope !== attemptLimits.challenge.scope))
        await recordAudit(tx, { ...about, name: 'staff.second_factor_throttled', details: { knownDevice: known } });
      const method = locked ? undefined : await factor.redeem(tx, staffId, code);
      if (!method) {
        await recordAudit(tx, { ...about, name: 'staff.second_factor_failed' });
        const isOver = reached.includes(attemptLimits.challenge.scope);
        if (isOver) await deleteChallenge(tx, tokenHash);
        // A device that guesses is a stranger from now on.
        if (locked && !isOver && known) await forgetDevice(tx, staffId, deviceHash);
        return { refusal: isOver ? identityErrors.FH_CHALLENGE_NOT_FOUND() : identityErrors.FH_CODE_WRONG() };
      }
      if (!(await spendChallenge(tx, tokenHash))) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
      await limiter.succeed(tx, attempts);
      // Both factors were shown: what strangers have guessed meanwhile does not keep the member out of other browsers.
      await limiter.forget(tx, accountAttempts(waiting));
      const started = await sessions.start(tx, waiting, caller, {
        mustEnrol: false,
        passwordAgeSeconds: waiting.ageSeconds,
      });
      await failpoint('staff.second_step.before_commit');
      return { started };
    });

  return {
    async findAwaitedSignIn(cookieHeader) {
      const tokenHash = sessions.findChallengeHash(cookieHeader);
      return tokenHash && findChallenge(db, tokenHash);
    },
    async completeSignIn(code, caller) {
      const tokenHash = sessions.findChallengeHash(caller.cookieHeader);
      if (!tokenHash) throw identityErrors.FH_CHALLENGE_NOT_FOUND();
      const { started, refusal } = await complete(tokenHash, code, caller).catch(throttledCode);
      if (!started) throw refusal;
      return started;
    },
  };
}

/** What strangers use up, all together. */
export function accountAttempts({ staffId, email }: { staffId: string; email: string }) {
  return [
    { limit: attemptLimits.account, subject: email },
    { limit: attemptLimits.secondFactor, subject: staffId },
  ];
}

/** Where codes are counted and no password. */
export function throttledCode(error: FreeholdError): never {
  if (error.code !== 'FH_SIGN_IN_THROTTLED') throw error;
  throw identityErrors.FH_CODE_THROTTLED({ retryAfterSeconds: error.retryAfterSeconds });
}
