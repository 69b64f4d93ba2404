import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { type BrowserCookies, sessionIdleSeconds } from './browser.ts';
import { createPresumedSessions, isSameSession, type RememberedSession } from './presumed.ts';
import { checkSessionText, readCheckedSession, touchSession } from './sql.ts';
import type { PresumedSession, Session } from './types.ts';

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
  /**
   * For a request that only reads: the session that the cookie meant when it was last confirmed in this process, so that the request can begin
   * while its check is under way. Undefined: there is none; `authenticate` it.
   */
  presume(tenantId: TenantId, cookieHeader: string | undefined): PresumedSession | undefined;
  /** Drops what is presumed: of a tenant that changed, or, when changes may have been missed, of all. */
  forgetPresumed(tenantId?: TenantId): void;
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
  const presumed = createPresumedSessions(clock);

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

  /** The answer to the check of this request, whoever asked. */
  function noteAnswer(tenantId: TenantId, tokenHash: Buffer, rows: readonly object[], before?: RememberedSession) {
    const found = readCheckedSession(rows);
    if (!found) {
      presumed.forget(tenantId, tokenHash);
      return undefined;
    }
    touch(tenantId, found.session, found.lastUsedAt);
    if (before && isSameSession(before.session, found.session)) {
      before.confirmedAtMs = clock.monotonicMs();
      return before.session;
    }
    presumed.remember(tenantId, tokenHash, found.session);
    return found.session;
  }

  return {
    async authenticate(tenantId, cookieHeader, db) {
      const tokenHash = await cookies.findSessionTokenHash(tenantId, cookieHeader);
      if (!tokenHash) return undefined;
      const ask = (lease: Queryable) => lease.query(checkSessionText, [tokenHash]);
      return noteAnswer(tenantId, tokenHash, await (db ? ask(db) : databases.app.read(tenantId, ask)));
    },
    presume(tenantId, cookieHeader) {
      const tokenHash = cookies.knownSessionTokenHash(tenantId, cookieHeader);
      const before = tokenHash && presumed.find(tenantId, tokenHash);
      if (!before) return undefined;
      return {
        session: before.session,
        check: { text: checkSessionText, values: [tokenHash] },
        read: (rows) => noteAnswer(tenantId, tokenHash, rows, before),
      };
    },
    forgetPresumed: (tenantId) => presumed.forget(tenantId),
    async settle() {
      await Promise.all(running);
    },
  };
}
