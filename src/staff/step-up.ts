import { recordAudit } from '#src/audit/index.ts';
import {
  type AttemptLimiter,
  attemptLimits,
  type Caller,
  identityErrors,
  type PasswordQueue,
} from '#src/identity/index.ts';
import { type FreeholdError, failpoint } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { ConsoleSessions } from './console-sessions.ts';
import { staffErrors } from './errors.ts';
import { maxIdleSeconds, type OpenSession } from './open-session.ts';
import type { StaffFactor } from './second-factor.ts';
import { lockStaff } from './second-factor-sql.ts';
import { confirmSession, findPasswordHash, findStepUp, isConfirmed, notePasswordShown } from './sql.ts';
import type { StaffDatabase } from './staff.ts';

export interface StepUpState {
  /** Until then dangerous acts are allowed in this browser. Undefined: not now. */
  readonly confirmedUntil: Date | undefined;
  /** The password is asked for, too: this browser has not shown it in the last five minutes. */
  readonly asksPassword: boolean;
}

/** Acts for which a session is not enough (delete, restore in place, destroy a key, download an archive): members show again who they are. */
export interface StepUp {
  getStepUp(cookieHeader: string | undefined): Promise<StepUpState>;
  /**
   * Password, unless it was shown here in the last five minutes, and a code, which is used up. Dangerous acts are allowed in this browser for five
   * minutes. Throws FH_PASSWORD_WRONG, FH_CODE_WRONG, FH_SIGN_IN_THROTTLED, FH_BUSY. Wrong ones are counted together: a stolen
   * session must not become a place to guess them.
   */
  confirm(shown: { password?: string | undefined; code: string }, caller: Caller): Promise<{ confirmedUntil: Date }>;
  /** Asks the database, in one statement with the session. Throws FH_STEP_UP_REQUIRED. */
  require(db: Queryable, cookieHeader: string | undefined): Promise<void>;
  /** The password alone, with the same exception: for who has no factor yet. */
  showPassword(password: string | undefined, caller: Caller): Promise<void>;
}

export const stepUpSeconds = 300;

export function createStepUp(deps: {
  readonly db: StaffDatabase;
  readonly sessions: ConsoleSessions;
  readonly limiter: AttemptLimiter;
  readonly queue: PasswordQueue;
  readonly factor: StaffFactor;
  readonly needSession: OpenSession;
}): StepUp {
  const { db, sessions, limiter, queue, factor, needSession } = deps;

  /** In a transaction of its own: that of the act is rolled back. */
  async function orRefuse<T>(caller: Caller, act: () => Promise<T>): Promise<T> {
    return act().catch(async (error: FreeholdError) => {
      if (/^FH_(PASSWORD_WRONG|CODE_WRONG|SIGN_IN_THROTTLED)$/.test(error.code)) {
        const { session } = await needSession(db, caller.cookieHeader);
        await recordAudit(db, {
          name: 'staff.step_up_refused',
          actor: `staff:${session.staffId}`,
          subject: session.staffId,
          address: caller.address,
          details: { reason: error.code },
        });
      }
      throw error;
    });
  }

  /** Counts the attempt, and looks at the password where it is needed. The caller goes on in a transaction that finds the hash unchanged. */
  async function begin(password: string | undefined, caller: Caller) {
    const { tokenHash, session } = await needSession(db, caller.cookieHeader);
    const { staffId } = session;
    const attempts = [{ limit: attemptLimits.currentPassword, subject: staffId }];
    const { passwordHash, asksPassword } = await db.transaction(async (tx) => {
      await limiter.begin(tx, attempts);
      const { asksPassword } = await findStepUp(tx, tokenHash, stepUpSeconds);
      return { passwordHash: await findPasswordHash(tx, staffId), asksPassword };
    });
    const isShown = asksPassword || password !== undefined;
    if (isShown && !(await queue.verify(password ?? '', passwordHash)).matches)
      throw identityErrors.FH_PASSWORD_WRONG({ fields: { password: 'This is not your current password.' } });
    return { tokenHash, staffId, attempts, passwordHash, isShown };
  }

  return {
    async getStepUp(cookieHeader) {
      const { tokenHash } = await needSession(db, cookieHeader);
      return findStepUp(db, tokenHash, stepUpSeconds);
    },

    confirm: ({ password, code }, caller) =>
      orRefuse(caller, () =>
        queue.admit(async () => {
          const { tokenHash, staffId, attempts, passwordHash, isShown } = await begin(password, caller);
          return db.transaction(async (tx) => {
            await lockStaff(tx, staffId);
            const method = await factor.redeem(tx, staffId, code);
            if (!method) throw identityErrors.FH_CODE_WRONG({ fields: { code: 'This code is not right.' } });
            const confirmed = { tokenHash, passwordHash, isShown, maxIdleSeconds, stepUpSeconds };
            const confirmedUntil = await confirmSession(tx, confirmed);
            // Another password, signed out, or the five minutes of the password ended while we were looking.
            if (!confirmedUntil) throw staffErrors.FH_STEP_UP_REQUIRED();
            await limiter.succeed(tx, attempts);
            await recordAudit(tx, {
              name: 'staff.step_up_confirmed',
              actor: `staff:${staffId}`,
              subject: staffId,
              address: caller.address,
              details: { method },
            });
            await failpoint('staff.step_up.before_commit');
            return { confirmedUntil };
          });
        }),
      ),

    async require(tx, cookieHeader) {
      const tokenHash = sessions.findTokenHash(cookieHeader);
      if (!tokenHash || !(await isConfirmed(tx, tokenHash, maxIdleSeconds))) throw staffErrors.FH_STEP_UP_REQUIRED();
    },

    showPassword: (password, caller) =>
      orRefuse(caller, () =>
        queue.admit(async () => {
          const { tokenHash, attempts, passwordHash, isShown } = await begin(password, caller);
          await db.transaction(async (tx) => {
            if (isShown && !(await notePasswordShown(tx, tokenHash, passwordHash)))
              throw staffErrors.FH_STAFF_SESSION_REQUIRED();
            // Nothing was shown where nothing was asked for.
            if (isShown) await limiter.succeed(tx, attempts);
          });
        }),
      ),
  };
}
