import { type AuditEventName, type AuditPage, tenantAuditLog } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, type Log, systemClock, type TenantId } from '#src/kernel/index.ts';
import { createAttemptLimiter } from './attempts.ts';
import { type Authenticator, createAuthenticator } from './authenticate.ts';
import { type Caller, type CookieKeyOf, createBrowserCookies } from './browser.ts';
import { createPasswordQueue, type PasswordQueueOptions } from './hash-queue.ts';
import { createInvitations, type Invitations } from './invitations.ts';
import { createOwnConfirmation, type OwnConfirmation } from './own-confirmation.ts';
import { createOwnSessions, type OwnSessions } from './own-sessions.ts';
import { createSessionNotices, type SessionNotices } from './session-notices.ts';
import type { StartedSession } from './session-start.ts';
import { type Credentials, signIn } from './sign-in.ts';
import { selectUserNames } from './sql.ts';
import { createUsers, type Users } from './users.ts';

export interface IdentityDeps {
  readonly databases: TenantDatabases;
  /** The tenant's session-cookie key, 32 bytes: `TenantAccess.cookieKey`. May throw when the tenant is closed. */
  readonly cookieKeyOf: CookieKeyOf;
  /** The same where it is known without waiting. */
  readonly knownCookieKeyOf?: (tenantId: TenantId) => Uint8Array | undefined;
  readonly log: Log;
  readonly clock?: Clock;
  readonly passwords?: PasswordQueueOptions;
}

/** Everything about the users of tenants. Each call names the tenant; nothing is kept between calls but the queue of hashes. */
export interface Identity extends Authenticator, Users, Invitations, OwnSessions, OwnConfirmation, SessionNotices {
  signIn(tenantId: TenantId, credentials: Credentials, caller: Caller): Promise<StartedSession>;
  /** The tenant's own security log, newest first, with the names of the users it speaks of. */
  listAuditEvents(
    tenantId: TenantId,
    page?: { name?: AuditEventName; before?: string; limit?: number },
  ): Promise<AuditPage & { readonly names: ReadonlyMap<string, string> }>;
}

export function createIdentity({
  databases,
  cookieKeyOf,
  knownCookieKeyOf,
  log,
  clock = systemClock,
  passwords,
}: IdentityDeps): Identity {
  const cookies = createBrowserCookies(cookieKeyOf, knownCookieKeyOf);
  const queue = createPasswordQueue(passwords);
  const limiter = createAttemptLimiter('freehold.sign_in_failures');
  const shared = { databases, cookies, limiter, queue };
  return {
    ...createAuthenticator({ databases, cookies, clock, log }),
    ...createUsers(databases, limiter),
    ...createInvitations(databases, cookies, queue),
    ...createOwnSessions(shared),
    ...createOwnConfirmation(shared),
    ...createSessionNotices(shared),
    signIn: (tenantId, credentials, caller) => signIn(shared, tenantId, credentials, caller),
    listAuditEvents: (tenantId, options) =>
      databases.platform.read(tenantId, async (db) => {
        const page = await tenantAuditLog.list(db, options);
        const ids = page.events.flatMap(({ actor, subject }) => [actor.replace(/^user:/, ''), subject]);
        return { ...page, names: await selectUserNames(db, ids) };
      }),
  };
}
