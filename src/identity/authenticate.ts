import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type BrowserCookies, sessionIdleSeconds } from './browser.ts';
import { checkSession, touchSession } from './sql.ts';
import type { Session } from './types.ts';

/** The last use is written at most this often, so that a request is a read. */
const touchEverySeconds = 300;
const maxRemembered = 10_000;

export interface Authenticator {
  /**
   * Who makes this request: the cookie is opened, and the session and its user are read from the tenant's own database, every time; so what
   * changed there counts for the very next request. One read as the app role and no write on this path. Undefined: nobody.
   * `db`: a lease that the caller holds already, in place of one of its own.
   */
  authenticate(tenantId: TenantId, cookieHeader: string | undefined, db?: Queryable): Promise<Session | undefined>;
  /** Waits for last uses that are being written. */
  settle(): Promise<void>;
}

export function createAuthenticator(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly clock: Clock;
  readonly log: Log;
}): Authenticator {
  const { databases, cookies, clock, log } = deps;
  const touchedAtMs = new Map<string, number>();
  const running = new Set<Promise<void>>();

  function touch(tenantId: TenantId, { sessionId }: Session, lastUsedAt: Date): void {
    if (clock.now() - lastUsedAt.getTime() < touchEverySeconds * 1000) return;
    const nowMs = clock.monotonicMs();
    // One write per session and worker, also while the first is still under way or our clock is ahead of the server's.
    if (nowMs - (touchedAtMs.get(sessionId) ?? Number.NEGATIVE_INFINITY) < touchEverySeconds * 1000) return;
    if (touchedAtMs.size >= maxRemembered) touchedAtMs.clear();
    touchedAtMs.set(sessionId, nowMs);
    const write = databases.platform
      .transact(tenantId, (db) =>
        touchSession(db, sessionId, { idleSeconds: sessionIdleSeconds, everySeconds: touchEverySeconds }),
      )
      .catch((error) => log.warn('the last use of a session was not written', { tenantId, error }))
      .finally(() => running.delete(write));
    running.add(write);
  }

  return {
    async authenticate(tenantId, cookieHeader, db) {
      const tokenHash = await cookies.findSessionTokenHash(tenantId, cookieHeader);
      if (!tokenHash) return undefined;
      const found = db
        ? await checkSession(db, tokenHash)
        : await databases.app.read(tenantId, (lease) => checkSession(lease, tokenHash));
      if (!found) return undefined;
      touch(tenantId, found.session, found.lastUsedAt);
      return found.session;
    },
    async settle() {
      await Promise.all(running);
    },
  };
}
