import { recordTenantAudit } from '#src/audit/index.ts';
import { newId, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { deleteHeldSession, insertSession, pruneSessions, rememberDevice } from '../sql.ts';
import type { Session, User } from '../types.ts';
import {
  type BrowserCookies,
  type Caller,
  describeUserAgent,
  sessionIdleSeconds,
  sessionLifetimeSeconds,
} from './browser.ts';
import { hashToken, newToken } from './cookie.ts';
import { endSessionIfReused } from './session-keys.ts';

/** A new session and the cookies that carry it. */
export interface StartedSession {
  readonly session: Session;
  /** Values of `Set-Cookie`. */
  readonly setCookies: readonly string[];
}

const maxSessionsPerUser = 50;

/** Starts a session in the caller's transaction: always a new token (ASVS 7.2.4); the one that the browser held before ends. */
export async function startSession(
  db: Queryable,
  cookies: BrowserCookies,
  tenantId: TenantId,
  user: Pick<User, 'userId' | 'email' | 'name' | 'role'> & { readonly epoch: number },
  caller: Caller,
): Promise<StartedSession> {
  const { userId, email, name, role } = user;
  const held = await cookies.findSessionKey(tenantId, caller.cookieHeader);
  const deviceToken = (await cookies.findDeviceToken(tenantId, caller.cookieHeader)) ?? newToken();
  if (held) {
    // A key of long ago: somebody else went on with that session, which is told before it ends.
    await endSessionIfReused(db, held, caller.address);
    // Whatever its key is by now: no other browser has a cookie of that session.
    await deleteHeldSession(db, held.sessionId);
  }
  await pruneSessions(db, userId, maxSessionsPerUser - 1);

  const token = newToken();
  const sessionId = newId('ses');
  const times = await insertSession(db, {
    sessionId,
    tokenHash: hashToken(token),
    userId,
    epoch: user.epoch,
    lifetimeSeconds: sessionLifetimeSeconds,
    idleSeconds: sessionIdleSeconds,
    address: caller.address,
    userAgent: describeUserAgent(caller.userAgent),
  });
  await rememberDevice(db, userId, hashToken(deviceToken));
  await recordTenantAudit(db, {
    name: 'session.created',
    actor: `user:${userId}`,
    subject: sessionId,
    address: caller.address,
  });
  return {
    session: { sessionId, user: { userId, email, name, role }, ...times },
    setCookies: [
      await cookies.setSession(tenantId, { token, sessionId, generation: 0 }),
      await cookies.setDevice(tenantId, deviceToken),
    ],
  };
}
