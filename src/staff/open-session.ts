import type { Queryable } from '#src/postgres/types.ts';
import type { ConsoleSessions, StaffSession } from './console-sessions.ts';
import { staffErrors } from './errors.ts';
import { checkSession } from './sql.ts';

/** Promise S3. */
export const maxIdleSeconds = 30 * 60;

/** The session of a browser, read anew. Throws FH_STAFF_SESSION_REQUIRED. */
export type OpenSession = (
  db: Queryable,
  cookieHeader: string | undefined,
) => Promise<{ readonly tokenHash: Buffer; readonly session: StaffSession }>;

export function createOpenSession(sessions: Pick<ConsoleSessions, 'findTokenHash'>): OpenSession {
  return async (db, cookieHeader) => {
    const tokenHash = sessions.findTokenHash(cookieHeader);
    const found = tokenHash && (await checkSession(db, tokenHash, maxIdleSeconds));
    if (!found) throw staffErrors.FH_STAFF_SESSION_REQUIRED();
    const { idleSeconds: _, ...session } = found;
    return { tokenHash, session };
  };
}
