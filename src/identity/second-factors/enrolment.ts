import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { BrowserCookies, Caller } from '../sessions/browser.ts';
import { type StartedSession, startSession } from '../sessions/session-start.ts';
import { deleteSessions, type UserRow } from '../sql.ts';
import { hashRecoveryCode, newRecoveryCode, parseRecoveryCode, recoveryCodeCount } from './recovery-codes.ts';
import { deleteRecovery, hasSecondFactor, replaceRecoveryCodes } from './second-factor-sql.ts';

/** After a factor was added: a new session here, and recovery codes if it was the first. */
export interface Enrolment extends StartedSession {
  /** Shown this once. Empty: there was another factor already, and its codes are good as before. */
  readonly recoveryCodes: readonly string[];
}

/** Ten new ones; the old ones are worthless. */
export async function makeRecoveryCodes(db: Queryable, userId: string): Promise<string[]> {
  const codes = Array.from({ length: recoveryCodeCount }, newRecoveryCode);
  await replaceRecoveryCodes(
    db,
    userId,
    codes.map((code) => hashRecoveryCode(userId, parseRecoveryCode(code)!)),
  );
  return codes;
}

/** In the transaction that made a factor count. With the first of them every session ends that was begun without one (ASVS v5.0.0-7.4.3). */
export async function enrolled(
  db: Queryable,
  cookies: BrowserCookies,
  tenantId: TenantId,
  { user, isFirst, caller }: { user: UserRow; isFirst: boolean; caller: Caller },
): Promise<Enrolment> {
  const recoveryCodes = isFirst ? await makeRecoveryCodes(db, user.userId) : [];
  if (isFirst) await deleteSessions(db, user.userId);
  return { ...(await startSession(db, cookies, tenantId, user, caller)), recoveryCodes };
}

/** In the transaction that took a factor away: with the last of them go recovery codes and what waits for a code. */
export async function forgetFactorsIfNone(db: Queryable, userId: string): Promise<void> {
  if (!(await hasSecondFactor(db, userId))) await deleteRecovery(db, userId);
}
