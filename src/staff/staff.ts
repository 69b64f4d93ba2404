import { recordAudit } from '#src/audit/index.ts';
import {
  addressRange,
  attemptLimits,
  type Caller,
  createAttemptLimiter,
  createPasswordQueue,
  createPasswordRules,
  createTokenCookie,
  emailKeyOf,
  hashToken,
  identityErrors,
  newToken,
  normalisePassword,
  type PasswordRules,
  parseCookies,
  parseEmail,
  parsePersonName,
} from '#src/identity/index.ts';
import { newId, type StaffId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { staffErrors } from './errors.ts';
import {
  checkSession,
  confirmPassword,
  consumeSetupToken,
  countStaff,
  deleteSession,
  deleteSessionsOf,
  findSetupToken,
  findStaffByEmail,
  insertSession,
  insertStaff,
  replaceSetupToken,
  resetStaff,
  touchSession,
} from './sql.ts';

export const consoleCookieName = '__Host-freehold-console';

/** The control database. */
export interface StaffDatabase extends Queryable {
  transaction<T>(fn: (tx: Queryable) => Promise<T>): Promise<T>;
}

export interface StaffDeps {
  readonly db: StaffDatabase;
  /** 32 bytes: `keyStore.deriveInstallationKey('staff-session')`. */
  readonly sessionKey: Uint8Array;
  /** Of new passwords. Default: without a list of breached ones. */
  readonly rules?: PasswordRules;
}

export interface StaffSession {
  readonly staffId: StaffId;
  readonly email: string;
  readonly name: string;
  readonly expiresAt: Date;
}

export interface StartedStaffSession {
  readonly session: StaffSession;
  readonly setCookie: string;
}

export interface Staff {
  /** True while nobody can sign in to the console. */
  needsSetup(): Promise<boolean>;
  /**
   * A link's token: single use, 24 hours, in place of any before. With `email` it is for that address only, and also gives a member
   * who forgot the password a new one.
   */
  createSetupLink(options?: { email?: string; actor?: string }): Promise<{ token: string; expiresAt: Date }>;
  /** Throws FH_STAFF_SETUP_NOT_FOUND. */
  getSetup(token: string): Promise<{ email: string | undefined; expiresAt: Date }>;
  completeSetup(
    setup: { token: string; email: string; name: string; password: string },
    caller: Caller,
  ): Promise<StartedStaffSession>;
  /** What `PasswordRules.check` says. */
  readonly checkPassword: PasswordRules['check'];
  signIn(credentials: { email: string; password: string }, caller: Caller): Promise<StartedStaffSession>;
  /** @returns the Set-Cookie header that removes the cookie */
  signOut(cookieHeader: string | undefined): Promise<string>;
  /**
   * The staff member of a console request, or undefined. Read anew each time; locked after 30 minutes without use.
   * `background`: a request that the page makes by itself (polling) is no use, or an open page would never lock.
   */
  authenticate(cookieHeader: string | undefined, options?: { background?: boolean }): Promise<StaffSession | undefined>;
}

const setupSeconds = 86_400;
/** NIST SP 800-63B-4 at AAL2: at most 24 hours; a working day is enough. */
const lifetimeSeconds = 12 * 3600;
/** Promise S3. */
const maxIdleSeconds = 30 * 60;
const touchEverySeconds = 60;
/** What the cookie is sealed for: the console of this installation. */
const scope = 'console';

const nobody = 'stf_nobody';

/** The operator's people: first-start set-up, sign-in, sessions of the console. */
export function createStaff({ db, sessionKey, rules = createPasswordRules() }: StaffDeps): Staff {
  const sealer = createSealer(sessionKey);
  const cookie = createTokenCookie({ name: consoleCookieName, maxAgeSeconds: lifetimeSeconds, sameSite: 'Strict' });
  // Own queue: a flood at one door does not close the other.
  const queue = createPasswordQueue({ maxAdmitted: 16 });
  const limiter = createAttemptLimiter('staff_sign_in_failures');

  function findToken(header: string | undefined): Buffer | undefined {
    return cookie.open(sealer, scope, parseCookies(header, [consoleCookieName]).get(consoleCookieName));
  }

  async function startSession(
    tx: Queryable,
    member: { staffId: StaffId; email: string; name: string },
    caller: Caller,
  ): Promise<StartedStaffSession> {
    const held = findToken(caller.cookieHeader);
    if (held) await deleteSession(tx, hashToken(held));
    const token = newToken();
    const { staffId, email, name } = member;
    const expiresAt = await insertSession(tx, {
      tokenHash: hashToken(token),
      staffId,
      lifetimeSeconds,
      address: caller.address,
      userAgent: caller.userAgent?.slice(0, 300),
    });
    await recordAudit(tx, {
      name: 'staff.session_created',
      actor: `staff:${staffId}`,
      subject: staffId,
      address: caller.address,
    });
    return { session: { staffId, email, name, expiresAt }, setCookie: cookie.set(sealer, scope, token) };
  }

  return {
    checkPassword: rules.check,
    needsSetup: async () => (await countStaff(db)) === 0,

    createSetupLink: ({ email, actor = 'system' } = {}) =>
      db.transaction(async (tx) => {
        const token = newToken();
        const forEmail = email === undefined ? undefined : parseEmail(email).email;
        const hash = hashToken(token);
        const expiresAt = await replaceSetupToken(tx, { hash, email: forEmail, lifetimeSeconds: setupSeconds });
        await recordAudit(tx, { name: 'staff.setup_link_created', actor, subject: forEmail ?? 'anybody' });
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
            await resetStaff(tx, staffId, { name, passwordHash });
            await deleteSessionsOf(tx, staffId);
            await limiter.forget(tx, [{ limit: attemptLimits.account, subject: email }]);
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
          return startSession(tx, { staffId, email, name }, caller);
        });
      }),

    signIn: ({ email, password }, caller) =>
      queue.admit(async () => {
        const emailKey = emailKeyOf(email);
        const range = addressRange(caller.address ?? '');
        const attempts = [
          { limit: attemptLimits.accountFromRange, subject: `${range} ${emailKey}` },
          { limit: attemptLimits.account, subject: emailKey },
          { limit: attemptLimits.range, subject: range },
        ];
        const { member, locked } = await db.transaction(async (tx) => {
          const member = await findStaffByEmail(tx, emailKey);
          const { locked, reached } = await limiter.begin(tx, attempts);
          if (reached.length > 0)
            await recordAudit(tx, {
              name: 'staff.login_throttled',
              actor: 'anonymous',
              subject: member?.staffId ?? nobody,
              address: caller.address,
              details: { limits: reached.join(' ') },
            });
          return { member, locked };
        });
        // The same way for everybody, as in identity/sign-in/sign-in.ts.
        const { matches, needsRehash } = await queue.verify(password, member?.passwordHash);
        if (!member || !matches || locked || member.disabled) {
          await recordAudit(db, {
            name: 'staff.login_failed',
            actor: 'anonymous',
            subject: member?.staffId ?? nobody,
            address: caller.address,
          });
          throw identityErrors.FH_SIGN_IN_FAILED({
            hint: 'Check both and try again. A set-up link for your address gives you a new password.',
          });
        }
        const passwordHash = needsRehash ? await queue.hash(normalisePassword(password)!) : member.passwordHash;
        return db.transaction(async (tx) => {
          if (!(await confirmPassword(tx, member, passwordHash))) throw identityErrors.FH_SIGN_IN_FAILED();
          await limiter.succeed(tx, attempts);
          return startSession(tx, member, caller);
        });
      }),

    async signOut(cookieHeader) {
      const token = findToken(cookieHeader);
      if (token)
        await db.transaction(async (tx) => {
          const found = await checkSession(tx, hashToken(token), maxIdleSeconds);
          if (!(await deleteSession(tx, hashToken(token))) || !found) return;
          const { staffId } = found;
          await recordAudit(tx, { name: 'staff.session_ended', actor: `staff:${staffId}`, subject: staffId });
        });
      return cookie.clear();
    },

    async authenticate(cookieHeader, { background = false } = {}) {
      const token = findToken(cookieHeader);
      if (!token) return undefined;
      const tokenHash = hashToken(token);
      const found = await checkSession(db, tokenHash, maxIdleSeconds);
      if (!found) return undefined;
      const { idleSeconds, ...session } = found;
      if (!background && idleSeconds >= touchEverySeconds) await touchSession(db, tokenHash, maxIdleSeconds);
      return session;
    },
  };
}

function hashSetupToken(token: string): Buffer {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.length !== 32 || bytes.toString('base64url') !== token) throw staffErrors.FH_STAFF_SETUP_NOT_FOUND();
  return hashToken(bytes);
}
