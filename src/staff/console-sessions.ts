import { recordAudit } from '#src/audit/index.ts';
import { type Caller, createTokenCookie, hashToken, newToken, parseCookies } from '#src/identity/index.ts';
import type { StaffId } from '#src/kernel/index.ts';
import { createSealer } from '#src/keys/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { rememberDevice } from './devices-sql.ts';
import { insertChallenge } from './second-factor-sql.ts';
import { deleteSession, insertSession } from './sql.ts';

export const consoleCookieName = '__Host-freehold-console';
const challengeCookieName = '__Host-freehold-console-challenge';
const deviceCookieName = '__Host-freehold-console-device';

export interface StaffSession {
  readonly staffId: StaffId;
  readonly email: string;
  readonly name: string;
  readonly expiresAt: Date;
  /** Until there is a second factor nothing else may be done. */
  readonly mustEnrol?: boolean;
}

export interface StartedStaffSession {
  readonly session: StaffSession;
  /** Values of `Set-Cookie`. */
  readonly setCookies: readonly string[];
}

/** The password was right, and the member has a second factor: nobody is signed in yet. */
export interface AwaitedStaffSignIn {
  readonly session: undefined;
  readonly expiresAt: Date;
  readonly setCookies: readonly string[];
}

export type Member = Pick<StaffSession, 'staffId' | 'email' | 'name'>;

/** NIST SP 800-63B-4 at AAL2: at most 24 hours; a working day is enough. */
const lifetimeSeconds = 12 * 3600;
/** Between the right password and the code. */
const challengeSeconds = 300;
/** Browsers cap cookies at 400 days (RFC 6265bis, 5.5). */
const deviceSeconds = 400 * 86_400;
/** A flood of right passwords without codes ends here; whoever floods has the password and not the factor. */
const maxWaiting = 30;
/** What the cookies are sealed for: the console of this installation. */
const scope = 'console';

/** Cookies of the console, and what begins with them. */
export interface ConsoleSessions {
  /** SHA-256 of the session's token; undefined: none that was made here. Throws FH_COOKIE_REFUSED. */
  findTokenHash(cookieHeader: string | undefined): Buffer | undefined;
  findChallengeHash(cookieHeader: string | undefined): Buffer | undefined;
  /** Of a browser in which some member signed in with both factors. */
  findDeviceHash(cookieHeader: string | undefined): Buffer | undefined;
  /** In place of the one that this browser has. `mustEnrol`: the member has no second factor; otherwise the browser is known from now on. */
  start(
    db: Queryable,
    member: Member,
    caller: Caller,
    state: { mustEnrol: boolean; passwordAgeSeconds: number | undefined },
  ): Promise<StartedStaffSession>;
  /** Of a member with a factor. `known`: in a browser that is known. Undefined: too many strangers are waiting. */
  awaitCode(db: Queryable, member: Member, caller: Caller, known: boolean): Promise<AwaitedStaffSignIn | undefined>;
  readonly clearCookie: string;
}

/** @param sessionKey 32 bytes */
export function createConsoleSessions(sessionKey: Uint8Array): ConsoleSessions {
  const sealer = createSealer(sessionKey);
  const cookieOf = (name: string, maxAgeSeconds: number) =>
    createTokenCookie({ name, maxAgeSeconds, sameSite: 'Strict' });
  const cookie = cookieOf(consoleCookieName, lifetimeSeconds);
  const challengeCookie = cookieOf(challengeCookieName, challengeSeconds);
  const deviceCookie = cookieOf(deviceCookieName, deviceSeconds);
  const ownCookies = [consoleCookieName, challengeCookieName, deviceCookieName];

  function findToken(header: string | undefined, { name, open }: typeof cookie): Buffer | undefined {
    return open(sealer, scope, parseCookies(header, ownCookies).get(name));
  }
  function find(header: string | undefined, of: typeof cookie): Buffer | undefined {
    const token = findToken(header, of);
    return token && hashToken(token);
  }
  const findTokenHash = (header: string | undefined) => find(header, cookie);

  return {
    findTokenHash,
    findChallengeHash: (header) => find(header, challengeCookie),
    findDeviceHash: (header) => find(header, deviceCookie),

    async start(db, { staffId, email, name }, caller, { mustEnrol, passwordAgeSeconds }) {
      const held = findTokenHash(caller.cookieHeader);
      if (held) await deleteSession(db, held);
      const deviceToken = mustEnrol ? undefined : (findToken(caller.cookieHeader, deviceCookie) ?? newToken());
      if (deviceToken) await rememberDevice(db, staffId, hashToken(deviceToken));
      const token = newToken();
      const expiresAt = await insertSession(db, {
        tokenHash: hashToken(token),
        staffId,
        lifetimeSeconds,
        passwordAgeSeconds,
        address: caller.address,
        userAgent: caller.userAgent?.slice(0, 300),
      });
      await recordAudit(db, {
        name: 'staff.session_created',
        actor: `staff:${staffId}`,
        subject: staffId,
        address: caller.address,
      });
      return {
        session: { staffId, email, name, expiresAt, ...(mustEnrol && { mustEnrol }) },
        setCookies: [
          cookie.set(sealer, scope, token),
          challengeCookie.clear(),
          ...(deviceToken ? [deviceCookie.set(sealer, scope, deviceToken)] : []),
        ],
      };
    },

    async awaitCode(db, { staffId }, caller, known) {
      const token = newToken();
      const expiresAt = await insertChallenge(db, {
        tokenHash: hashToken(token),
        staffId,
        isKnownDevice: known,
        lifetimeSeconds: challengeSeconds,
        maxWaiting,
      });
      if (!expiresAt) return undefined;
      await recordAudit(db, {
        name: 'staff.second_factor_awaited',
        actor: 'anonymous',
        subject: staffId,
        address: caller.address,
        details: { knownDevice: known },
      });
      return { session: undefined, expiresAt, setCookies: [challengeCookie.set(sealer, scope, token)] };
    },

    clearCookie: cookie.clear(),
  };
}
