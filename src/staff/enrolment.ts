import { recordAudit } from '#src/audit/index.ts';
import {
  type AttemptLimiter,
  attemptLimits,
  type Caller,
  encodeBase32,
  identityErrors,
  totpSecretBytes,
  totpUri,
} from '#src/identity/index.ts';
import { failpoint, randomBytes } from '#src/kernel/index.ts';
import type { ConsoleSessions, StartedStaffSession } from './console-sessions.ts';
import type { OpenSession } from './open-session.ts';
import type { StaffFactor } from './second-factor.ts';
import { countRecoveryCodes, findTotp, insertTotp, lockStaff } from './second-factor-sql.ts';
import { throttledCode } from './second-step.ts';
import { deleteSessionsOf } from './sql.ts';
import type { StaffDatabase } from './staff.ts';
import type { StepUp } from './step-up.ts';

/** How a member comes to a second factor, and to new recovery codes. It cannot be turned off: every member must have one. */
export interface StaffEnrolment {
  getSecondFactor(
    cookieHeader: string | undefined,
  ): Promise<{ enrolledAt: Date | undefined; recoveryCodesLeft: number }>;
  /**
   * Begins to set up an app, in place of what was being set up before. The secret is in this answer and nowhere else in the clear. The password is
   * asked for unless this browser showed it in the last five minutes. Throws FH_PASSWORD_WRONG, FH_SIGN_IN_THROTTLED, FH_SECOND_FACTOR_EXISTS.
   */
  beginTotp(password: string | undefined, caller: Caller): Promise<{ secret: string; uri: string }>;
  /**
   * A first right code: from now on the factor counts. Ends every session of the member and starts a new one here.
   * Throws FH_CODE_WRONG, FH_CODE_THROTTLED, FH_SECOND_FACTOR_EXISTS, FH_SECOND_FACTOR_NOT_FOUND.
   * @returns the recovery codes too, this once
   */
  confirmTotp(
    code: string,
    caller: Caller,
  ): Promise<StartedStaffSession & { readonly recoveryCodes: readonly string[] }>;
  /** New ones, shown this once; the old ones are worthless. Throws FH_STEP_UP_REQUIRED. */
  renewRecoveryCodes(caller: Caller): Promise<readonly string[]>;
}

export function createStaffEnrolment(deps: {
  readonly db: StaffDatabase;
  readonly sessions: ConsoleSessions;
  readonly limiter: AttemptLimiter;
  readonly factor: StaffFactor;
  readonly needSession: OpenSession;
  readonly stepUp: Pick<StepUp, 'showPassword' | 'require'>;
}): StaffEnrolment {
  const { db, sessions, limiter, factor, needSession, stepUp } = deps;

  return {
    async getSecondFactor(cookieHeader) {
      const { session } = await needSession(db, cookieHeader);
      const totp = await findTotp(db, session.staffId);
      return {
        enrolledAt: totp?.confirmedAt ?? undefined,
        recoveryCodesLeft: await countRecoveryCodes(db, session.staffId),
      };
    },

    async beginTotp(password, caller) {
      // Before anything is asked for that would be for nothing: a right password lets the count of wrong codes begin anew.
      const { session: asking } = await needSession(db, caller.cookieHeader);
      if ((await findTotp(db, asking.staffId))?.confirmedAt) throw identityErrors.FH_SECOND_FACTOR_EXISTS();
      await stepUp.showPassword(password, caller);
      const secret = randomBytes(totpSecretBytes);
      const email = await db.transaction(async (tx) => {
        const { session } = await needSession(tx, caller.cookieHeader);
        await lockStaff(tx, session.staffId);
        if (!(await insertTotp(tx, session.staffId, factor.seal(session.staffId, secret))))
          throw identityErrors.FH_SECOND_FACTOR_EXISTS();
        return session.email;
      });
      const text = encodeBase32(secret);
      return { secret: text, uri: totpUri(text, { issuer: 'Freehold console', account: email }) };
    },

    async confirmTotp(code, caller) {
      // What is refused is returned, so that its count stays.
      const done = await db
        .transaction(async (tx) => {
          const { staffId } = (await needSession(tx, caller.cookieHeader)).session;
          await lockStaff(tx, staffId);
          // Whoever held the lock may have ended it.
          const { session } = await needSession(tx, caller.cookieHeader);
          const totp = await findTotp(tx, staffId);
          if (totp?.confirmedAt) throw identityErrors.FH_SECOND_FACTOR_EXISTS();
          if (!totp) throw identityErrors.FH_SECOND_FACTOR_NOT_FOUND();
          const attempts = [{ limit: attemptLimits.firstCode, subject: staffId }];
          await limiter.begin(tx, attempts);
          if (!(await factor.confirm(tx, staffId, totp, code))) return undefined;
          await limiter.succeed(tx, attempts);
          const recoveryCodes = await factor.renewRecoveryCodes(tx, staffId);
          // ASVS v5.0.0-7.4.3: whoever else is signed in as this member got in without the factor.
          await deleteSessionsOf(tx, staffId);
          await recordAudit(tx, {
            name: 'staff.second_factor_enrolled',
            actor: `staff:${staffId}`,
            subject: staffId,
            address: caller.address,
          });
          const started = await sessions.start(tx, session, caller, {
            mustEnrol: false,
            passwordAgeSeconds: undefined,
          });
          await failpoint('staff.enrol.before_commit');
          return { ...started, recoveryCodes };
        })
        .catch(throttledCode);
      if (!done) throw identityErrors.FH_CODE_WRONG({ fields: { code: 'This code is not right.' } });
      return done;
    },

    renewRecoveryCodes: (caller) =>
      db.transaction(async (tx) => {
        const { session } = await needSession(tx, caller.cookieHeader);
        const { staffId } = session;
        await lockStaff(tx, staffId);
        await stepUp.require(tx, caller.cookieHeader);
        await recordAudit(tx, {
          name: 'staff.recovery_codes_replaced',
          actor: `staff:${staffId}`,
          subject: staffId,
          address: caller.address,
        });
        return factor.renewRecoveryCodes(tx, staffId);
      }),
  };
}
