import { recordAudit } from '#src/audit/index.ts';
import {
  type Attempt,
  addressRange,
  attemptLimits,
  type Caller,
  createAttemptLimiter,
  createPasswordQueue,
  createPasswordRules,
  emailKeyOf,
  hashToken,
  identityErrors,
  newToken,
  normalisePassword,
  type PasswordRules,
  parseEmail,
  parsePersonName,
} from '#src/identity/index.ts';
import { failpoint, type Log, newId, silentLog } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import {
  type AwaitedStaffSignIn,
  createConsoleSessions,
  type Member,
  type StaffSession,
  type StartedStaffSession,
} from './console-sessions.ts';
import { forgetDevice, forgetDevicesOf, isKnownDevice } from './devices-sql.ts';
import { createStaffEnrolment, type StaffEnrolment } from './enrolment.ts';
import { staffErrors } from './errors.ts';
import { createOpenSession, maxIdleSeconds } from './open-session.ts';
import { createStaffFactor } from './second-factor.ts';
import { deleteChallengesOf, deleteFactor, hasFactor, lockStaff } from './second-factor-sql.ts';
import { accountAttempts, createStaffSecondStep, type StaffSecondStep } from './second-step.ts';
import {
  checkSession,
  confirmPassword,
  consumeSetupToken,
  countStaff,
  deleteSession,
  deleteSessionsOf,
  findSetupToken,
  findStaffByEmail,
  insertStaff,
  replaceSetupToken,
  resetStaff,
  touchSession,
} from './sql.ts';
import { createStepUp, type StepUp, type StepUpState } from './step-up.ts';

/** The control database. */
export interface StaffDatabase extends Queryable {
  transaction<T>(fn: (tx: Queryable) => Promise<T>): Promise<T>;
}

export interface StaffDeps {
  readonly db: StaffDatabase;
  /** 32 bytes: `keyStore.deriveInstallationKey('staff-session')`. */
  readonly sessionKey: Uint8Array;
  /** 32 bytes: `keyStore.deriveInstallationKey('staff-factors')`. */
  readonly factorsKey: Uint8Array;
  /** Of new passwords. Default: without a list of breached ones. */
  readonly rules?: PasswordRules;
  /** Default: says nothing. */
  readonly log?: Log;
}

export interface Staff extends StaffSecondStep, StaffEnrolment {
  /** True while nobody can sign in to the console. */
  needsSetup(): Promise<boolean>;
  /**
   * A link's token: single use, 24 hours, in place of any before. With `email` it is for that address only, and also gives a member
   * who forgot the password a new one; the second factor stays, unless `resetsFactor`: for a member who has lost everything.
   */
  createSetupLink(options?: {
    email?: string;
    resetsFactor?: boolean;
    actor?: string;
  }): Promise<{ token: string; expiresAt: Date }>;
  /** Throws FH_STAFF_SETUP_NOT_FOUND. */
  getSetup(token: string): Promise<{ email: string | undefined; expiresAt: Date }>;
  /** Ends in a session that may only set up a second factor, or, where the member has one, in a sign-in that waits for its code. */
  completeSetup(
    setup: { token: string; email: string; name: string; password: string },
    caller: Caller,
  ): Promise<StartedStaffSession | AwaitedStaffSignIn>;
  /** What `PasswordRules.check` says. */
  readonly checkPassword: PasswordRules['check'];
  /** The first step. */
  signIn(
    credentials: { email: string; password: string },
    caller: Caller,
  ): Promise<StartedStaffSession | AwaitedStaffSignIn>;
  /** @returns the Set-Cookie header that removes the cookie */
  signOut(cookieHeader: string | undefined): Promise<string>;
  /**
   * The staff member of a console request, or undefined. Read anew each time; locked after 30 minutes without use.
   * `background`: a request that the page makes by itself (polling) is no use, or an open page would never lock.
   */
  authenticate(cookieHeader: string | undefined, options?: { background?: boolean }): Promise<StaffSession | undefined>;
  getStepUp(cookieHeader: string | undefined): Promise<StepUpState>;
  readonly confirmStepUp: StepUp['confirm'];
  /** Throws FH_STEP_UP_REQUIRED unless this browser's member confirmed who they are within the last five minutes. */
  requireStepUp(cookieHeader: string | undefined): Promise<void>;
}

const setupSeconds = 86_400;
const touchEverySeconds = 60;
const nobody = 'stf_nobody';

/** The operator's people: set-up, sign-in in two steps, sessions of the console, step-up. */
export function createStaff(deps: StaffDeps): Staff {
  const { db, sessionKey, factorsKey, rules = createPasswordRules(), log = silentLog } = deps;
  const sessions = createConsoleSessions(sessionKey);
  const needSession = createOpenSession(sessions);
  // Own queue: a flood at one door does not close the other.
  const queue = createPasswordQueue({ maxAdmitted: 16 });
  const limiter = createAttemptLimiter('staff_sign_in_failures');
  const factor = createStaffFactor(factorsKey, log);
  const stepUp = createStepUp({ db, sessions, limiter, queue, factor, needSession });

  /** After the right password, in its transaction. */
  async function enter(
    tx: Queryable,
    member: Member,
    caller: Caller,
    known = false,
  ): Promise<StartedStaffSession | AwaitedStaffSignIn> {
    await lockStaff(tx, member.staffId);
    if (!(await hasFactor(tx, member.staffId)))
      return sessions.start(tx, member, caller, { mustEnrol: true, passwordAgeSeconds: 0 });
    const awaited = await sessions.awaitCode(tx, member, caller, known);
    if (!awaited) throw identityErrors.FH_CODE_THROTTLED({ retryAfterSeconds: 300 });
    return awaited;
  }

  return {
    ...createStaffSecondStep({ db, sessions, limiter, factor }),
    ...createStaffEnrolment({ db, sessions, limiter, factor, needSession, stepUp }),
    getStepUp: stepUp.getStepUp,
    confirmStepUp: stepUp.confirm,
    requireStepUp: (cookieHeader) => stepUp.require(db, cookieHeader),
    checkPassword: rules.check,
    needsSetup: async () => (await countStaff(db)) === 0,

    createSetupLink: ({ email, resetsFactor = false, actor = 'system' } = {}) =>
      db.transaction(async (tx) => {
        const token = newToken();
        const forEmail = email === undefined ? undefined : parseEmail(email).email;
        const hash = hashToken(token);
        const expiresAt = await replaceSetupToken(tx, {
          hash,
          email: forEmail,
          resetsFactor,
          lifetimeSeconds: setupSeconds,
        });
        await recordAudit(tx, {
          name: 'staff.setup_link_created',
          actor,
          subject: forEmail ?? 'anybody',
          details: { resetsFactor },
        });
        return { token: token.toString('base64url'), expiresAt };
      }),

    async getSetup(token) {
      const found = await findSetupToken(db, hashSetupToken(token));
      if (!found) throw staffErrors.FH_STAFF_SETUP_NOT_FOUND();
      return { email: found.email ?? undefined, expiresAt: found.expiresAt };
    },

    completeSetup: ({ token, email: typedEmail, name: typedName, password }, caller) =>
      queue.admit(async () => {
        const tokenHash = hashSetupToken(token);
        if (!(await findSetupToken(db, tokenHash))) throw staffErrors.FH_STAFF_SETUP_NOT_FOUND();
        // Everything that may be refused or take long comes before the token is used up.
        // Kept in lower case: the database's lower() depends on its locale, ours does not.
        const { emailKey: email } = parseEmail(typedEmail);
        const name = parsePersonName(typedName);
        const passwordHash = await queue.hash(await rules.parseNew(password, { email, name }));
        return db.transaction(async (tx) => {
          const setup = await consumeSetupToken(tx, tokenHash);
          if (!setup) throw staffErrors.FH_STAFF_SETUP_NOT_FOUND();
          if (setup.email !== null && emailKeyOf(setup.email) !== email) throw staffErrors.FH_STAFF_EMAIL_FIXED();
          const existing = await findStaffByEmail(tx, email);
          // A link for anybody makes a new member; only a link for this address may replace a password.
          if (existing && (setup.email === null || existing.disabled)) throw staffErrors.FH_STAFF_EXISTS();
          const staffId = existing?.staffId ?? newId('stf');
          if (existing) {
            await lockStaff(tx, staffId);
            await resetStaff(tx, staffId, { name, passwordHash });
            await deleteSessionsOf(tx, staffId);
            await deleteChallengesOf(tx, staffId);
            await forgetDevicesOf(tx, staffId);
            await limiter.forget(tx, accountAttempts({ staffId, email }));
            if (setup.resetsFactor && (await deleteFactor(tx, staffId)))
              await recordAudit(tx, {
                name: 'staff.second_factor_reset',
                actor: `staff:${staffId}`,
                subject: staffId,
                address: caller.address,
              });
          } else if (!(await insertStaff(tx, { staffId, email, name, passwordHash }))) {
            throw staffErrors.FH_STAFF_EXISTS();
          }
          await recordAudit(tx, {
            name: 'staff.created',
            actor: `staff:${staffId}`,
            subject: staffId,
            address: caller.address,
            details: { email, replaced: existing !== undefined },
          });
          await failpoint('staff.setup.before_commit');
          return enter(tx, { staffId, email, name }, caller);
        });
      }),

    async signIn({ email, password }, caller) {
      const deviceHash = sessions.findDeviceHash(caller.cookieHeader);
      return queue.admit(async () => {
        const emailKey = emailKeyOf(email);
        const { member, known, attempts, locked } = await db.transaction(async (tx) => {
          const member = await findStaffByEmail(tx, emailKey);
          const known = deviceHash !== undefined && (await isKnownDevice(tx, member?.staffId ?? nobody, deviceHash));
          // A known browser is limited by its own counter alone: nobody locks a member out of it (ASVS v5.0.0-6.1.1).
          const attempts: readonly Attempt[] = known
            ? [{ limit: attemptLimits.knownDevice, subject: `${deviceHash.toString('hex')} ${emailKey}` }]
            : strangerAttempts(emailKey, addressRange(caller.address ?? ''));
          const { locked, reached } = await limiter.begin(tx, attempts);
          if (reached.length > 0)
            await recordAudit(tx, {
              name: 'staff.login_throttled',
              actor: 'anonymous',
              subject: member?.staffId ?? nobody,
              address: caller.address,
              details: { limits: reached.join(' ') },
            });
          return { member, known, attempts, locked };
        });
        // The same way for everybody, as in identity/sign-in/sign-in.ts.
        const { matches, needsRehash } = await queue.verify(password, member?.passwordHash, known);
        if (!member || !matches || locked || member.disabled) {
          await db.transaction(async (tx) => {
            await recordAudit(tx, {
              name: 'staff.login_failed',
              actor: 'anonymous',
              subject: member?.staffId ?? nobody,
              address: caller.address,
              details: { knownDevice: known },
            });
            // A device that guesses is a stranger from now on; whoever sits there may try on as one.
            if (locked && known) await forgetDevice(tx, member?.staffId ?? nobody, deviceHash!);
          });
          throw identityErrors.FH_SIGN_IN_FAILED({
            hint: 'Check both and try again. A set-up link for your address gives you a new password.',
          });
        }
        const passwordHash = needsRehash ? await queue.hash(normalisePassword(password)!) : member.passwordHash;
        return db.transaction(async (tx) => {
          if (!(await confirmPassword(tx, member, passwordHash))) throw identityErrors.FH_SIGN_IN_FAILED();
          await limiter.succeed(tx, attempts);
          return enter(tx, member, caller, known);
        });
      }, deviceHash !== undefined);
    },

    async signOut(cookieHeader) {
      const tokenHash = sessions.findTokenHash(cookieHeader);
      if (tokenHash)
        await db.transaction(async (tx) => {
          const found = await checkSession(tx, tokenHash, maxIdleSeconds);
          if (!(await deleteSession(tx, tokenHash)) || !found) return;
          const { staffId } = found;
          await recordAudit(tx, { name: 'staff.session_ended', actor: `staff:${staffId}`, subject: staffId });
        });
      return sessions.clearCookie;
    },

    async authenticate(cookieHeader, { background = false } = {}) {
      const tokenHash = sessions.findTokenHash(cookieHeader);
      if (!tokenHash) return undefined;
      const found = await checkSession(db, tokenHash, maxIdleSeconds);
      if (!found) return undefined;
      const { idleSeconds, ...session } = found;
      if (!background && idleSeconds >= touchEverySeconds) await touchSession(db, tokenHash, maxIdleSeconds);
      return session;
    },
  };
}

function strangerAttempts(emailKey: string, range: string): Attempt[] {
  return [
    { limit: attemptLimits.accountFromRange, subject: `${range} ${emailKey}` },
    { limit: attemptLimits.account, subject: emailKey },
    { limit: attemptLimits.range, subject: range },
  ];
}

function hashSetupToken(token: string): Buffer {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.length !== 32 || bytes.toString('base64url') !== token) throw staffErrors.FH_STAFF_SETUP_NOT_FOUND();
  return hashToken(bytes);
}
