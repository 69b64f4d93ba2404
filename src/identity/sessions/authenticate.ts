import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { checkSessionText, readCheckedSession, touchSession } from '../sql.ts';
import type { PresumedSession, Session } from '../types.ts';
import type { UserMail } from '../users/user-mail.ts';
import { type BrowserCookies, sessionIdleSeconds } from './browser.ts';
import { createPresumedSessions, isSameSession, type RememberedSession } from './presumed.ts';
import { isSessionLive, isSessionThere } from './session-key-sql.ts';
import { type CheckedKey, createSessionKeys } from './session-keys.ts';

/** The last use is written at most this often, so that a request is a read. */
const touchEverySeconds = 300;
const maxRemembered = 10_000;

export interface Authenticator {
  /**
   * Who makes this request: the cookie is opened, and the session and its user are read from the tenant's own database, every time; so what
   * changed there counts for the very next request. One read as the app role and no write on this path. Undefined: nobody.
   * `db`: a lease that the caller holds already, in place of one of its own. `address`: where it comes from, for the security log, should this
   * be a key that was replaced long ago; its session has ended when this resolves.
   */
  authenticate(
    tenantId: TenantId,
    cookieHeader: string | undefined,
    from?: { readonly db?: Queryable; readonly address?: string },
  ): Promise<Session | undefined>;
  /**
   * For a request that only reads: the session that the cookie meant when it was last confirmed in this process, so that the request can begin
   * while its check is under way. Undefined: there is none; `authenticate` it.
   */
  presume(tenantId: TenantId, cookieHeader: string | undefined, address?: string): PresumedSession | undefined;
  /**
   * `Set-Cookie` with the session's next key, for an answer that can carry it to the browser: after the check of this very request, and only if it
   * was good. Undefined, most of the time: nothing is to be sent. Never rejects: without it the browser goes on with the key it has.
   */
  renew(tenantId: TenantId, cookieHeader: string | undefined): Promise<string | undefined> | undefined;
  /** Whether a session goes on, whatever its key is by now: for streams, which outlast the key that they began with. */
  isSessionLive(tenantId: TenantId, sessionId: string): Promise<boolean>;
  /** The same, also for a session that may do nothing yet but enrol a second factor. */
  isSessionThere(tenantId: TenantId, sessionId: string): Promise<boolean>;
  /** Drops what is presumed: of a tenant that changed, or, when changes may have been missed, of all. */
  forgetPresumed(tenantId?: TenantId): void;
  /** Waits for last uses that are being written. */
  settle(): Promise<void>;
}

export function createAuthenticator(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly userMail: UserMail;
  readonly clock: Clock;
  readonly log: Log;
}): Authenticator {
  const { databases, cookies, clock, log } = deps;
  const touchedAtMs = new Map<string, number>();
  const running = new Set<Promise<void>>();
  const presumed = createPresumedSessions(clock);
  const keys = createSessionKeys(deps);

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
  function noteAnswer(key: CheckedKey, rows: readonly object[], before?: RememberedSession) {
    const { tenantId, tokenHash } = key;
    const found = readCheckedSession(rows);
    if (!found) {
      keys.forget(key);
      presumed.forget(tenantId, tokenHash);
      return undefined;
    }
    keys.note(key, found.session.sessionId, found.keyState);
    touch(tenantId, found.session, found.lastUsedAt);
    // The grace of a key that was replaced is short: nothing begins on it any more.
    if (found.keyState === 'replaced') {
      presumed.forget(tenantId, tokenHash);
      return before && isSameSession(before.session, found.session) ? before.session : found.session;
    }
    if (before && isSameSession(before.session, found.session)) {
      before.confirmedAtMs = clock.monotonicMs();
      return before.session;
    }
    presumed.remember(tenantId, tokenHash, found.session);
    return found.session;
  }

  return {
    async authenticate(tenantId, cookieHeader, { db, address } = {}) {
      const tokenHash = await cookies.findSessionTokenHash(tenantId, cookieHeader);
      if (!tokenHash) return undefined;
      const ask = (lease: Queryable) => lease.query(checkSessionText, [tokenHash]);
      const rows = await (db ? ask(db) : databases.app.read(tenantId, ask));
      const session = noteAnswer({ tenantId, tokenHash, cookieHeader: cookieHeader! }, rows);
      if (!session) await keys.refuse(tenantId, cookieHeader!, address);
      return session;
    },
    presume(tenantId, cookieHeader, address) {
      const tokenHash = cookies.knownSessionTokenHash(tenantId, cookieHeader);
      const before = tokenHash && presumed.find(tenantId, tokenHash);
      if (!before) return undefined;
      return {
        session: before.session,
        check: { text: checkSessionText, values: [tokenHash] },
        read(rows) {
          const session = noteAnswer({ tenantId, tokenHash, cookieHeader: cookieHeader! }, rows, before);
          if (!session) void keys.refuse(tenantId, cookieHeader!, address);
          return session;
        },
      };
    },
    renew: keys.renew,
    isSessionThere: (tenantId, sessionId) => databases.platform.read(tenantId, (db) => isSessionThere(db, sessionId)),
    isSessionLive: (tenantId, sessionId) => databases.app.read(tenantId, (db) => isSessionLive(db, sessionId)),
    forgetPresumed: (tenantId) => presumed.forget(tenantId),
    async settle() {
      await Promise.all([...running, keys.settle()]);
    },
  };
}
