import type { TenantDatabases } from '#src/databases/types.ts';
import type { TenantId } from '#src/kernel/index.ts';
import type { Actor } from './access.ts';
import type { BrowserCookies } from './browser.ts';
import { findNotice, markNoticesSeen, type SessionNoticeRow, selectNotices } from './session-key-sql.ts';

export type SessionNotice = SessionNoticeRow;

/** What users are told about sessions of theirs that somebody else's doing ended. */
export interface SessionNotices {
  /** Why the session that this browser still has a cookie of was ended; undefined: in an ordinary way, or it was not. */
  findSessionEnd(tenantId: TenantId, cookieHeader: string | undefined): Promise<SessionNotice | undefined>;
  listNotices(tenantId: TenantId, actor: Actor): Promise<SessionNotice[]>;
  /** They were read. */
  dismissNotices(tenantId: TenantId, actor: Actor): Promise<void>;
}

export function createSessionNotices(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
}): SessionNotices {
  const { databases, cookies } = deps;
  return {
    async findSessionEnd(tenantId, cookieHeader) {
      const key = await cookies.findSessionKey(tenantId, cookieHeader);
      return key && databases.platform.read(tenantId, (db) => findNotice(db, key.sessionId));
    },
    listNotices: (tenantId, { session }) =>
      databases.platform.read(tenantId, (db) => selectNotices(db, session.user.userId)),
    dismissNotices: (tenantId, { session }) =>
      databases.platform.transact(tenantId, (db) => markNoticesSeen(db, session.user.userId)),
  };
}
