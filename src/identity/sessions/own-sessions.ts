import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { Clock, FreeholdError, Id, TenantId } from '#src/kernel/index.ts';
import { identityErrors } from '../errors.ts';
import type { PasswordQueue } from '../passwords/hash-queue.ts';
import type { PasswordRules } from '../passwords/password-rules.ts';
import {
  deleteOtherSessions,
  deleteSession,
  deleteSessions,
  forgetDevices,
  raiseEpoch,
  selectSessions,
  updatePassword,
} from '../sql.ts';
import { deleteTokens } from '../tokens/api-tokens-sql.ts';
import { roles } from '../types.ts';
import type { TenantWords } from '../users/invitations.ts';
import type { UserMail } from '../users/user-mail.ts';
import type { Actor } from './access.ts';
import { type BrowserCookies, type Caller, describeUserAgent } from './browser.ts';
import type { OwnConfirmation, Shown } from './own-confirmation.ts';
import { type StartedSession, startSession } from './session-start.ts';

export interface SessionSummary {
  readonly sessionId: Id<'ses'>;
  readonly createdAt: Date;
  readonly lastUsedAt: Date;
  readonly expiresAt: Date;
  readonly address: string | undefined;
  readonly userAgent: string | undefined;
  /** The session of this very request. */
  readonly current: boolean;
}

/** What a user does with their own sessions and password. */
export interface OwnSessions {
  signOut(tenantId: TenantId, actor: Actor): Promise<void>;
  /** Ends every session of the user, this one included, and makes every browser a stranger. `tokens`: API tokens are revoked as well. */
  signOutEverywhere(tenantId: TenantId, actor: Actor, also?: { readonly tokens: boolean }): Promise<void>;
  /** Ends every session of the user but this one. */
  signOutOthers(tenantId: TenantId, actor: Actor): Promise<void>;
  listSessions(tenantId: TenantId, actor: Actor): Promise<SessionSummary[]>;
  revokeSession(tenantId: TenantId, actor: Actor, sessionId: string): Promise<void>;
  /** Needs the current password and the second factor, if there is one: `confirmSelf`. Ends every session, revokes every API token, and starts a new session here. */
  changePassword(
    tenantId: TenantId,
    actor: Actor,
    tenant: TenantWords,
    passwords: { currentPassword: string; newPassword: string } & Omit<Shown, 'password'>,
    caller: Caller,
  ): Promise<StartedSession>;
}

export function createOwnSessions(deps: {
  readonly databases: TenantDatabases;
  readonly cookies: BrowserCookies;
  readonly confirmSelf: OwnConfirmation['confirmSelf'];
  readonly queue: PasswordQueue;
  readonly rules: PasswordRules;
  readonly userMail: UserMail;
  readonly clock: Clock;
}): OwnSessions {
  const { databases, cookies, confirmSelf, queue, rules, userMail, clock } = deps;

  async function endOne(tenantId: TenantId, { session, address }: Actor, sessionId: string): Promise<boolean> {
    return databases.platform.transact(tenantId, async (db) => {
      const { userId } = session.user;
      const ended = await deleteSession(db, userId, sessionId);
      if (ended)
        await recordTenantAudit(db, { name: 'session.ended', actor: `user:${userId}`, subject: sessionId, address });
      return ended;
    });
  }

  return {
    async signOut(tenantId, actor) {
      await endOne(tenantId, actor, actor.session.sessionId);
    },

    signOutEverywhere: (tenantId, { session, address }, also) =>
      databases.platform.transact(tenantId, async (db) => {
        const { userId } = session.user;
        await raiseEpoch(db, userId);
        const sessions = await deleteSessions(db, userId);
        const tokens = also?.tokens ? await deleteTokens(db, userId) : 0;
        await forgetDevices(db, userId);
        await recordTenantAudit(db, {
          name: 'session.all_ended',
          actor: `user:${userId}`,
          subject: userId,
          address,
          details: { sessions, tokens },
        });
      }),

    signOutOthers: (tenantId, { session, address }) =>
      databases.platform.transact(tenantId, async (db) => {
        const { userId } = session.user;
        const sessions = await deleteOtherSessions(db, userId, session.sessionId);
        await recordTenantAudit(db, {
          name: 'session.others_ended',
          actor: `user:${userId}`,
          subject: userId,
          address,
          details: { sessions },
        });
      }),

    async listSessions(tenantId, { session }) {
      const rows = await databases.platform.read(tenantId, (db) => selectSessions(db, session.user.userId));
      return rows.map((row) => ({
        ...row,
        address: row.address ?? undefined,
        userAgent: row.userAgent ?? undefined,
        current: row.sessionId === session.sessionId,
      }));
    },

    async revokeSession(tenantId, actor, sessionId) {
      if (!(await endOne(tenantId, actor, sessionId))) throw identityErrors.FH_SESSION_NOT_FOUND();
    },

    async changePassword(tenantId, actor, tenant, { currentPassword, newPassword, code, passkey }, caller) {
      const { email, name, userId } = actor.session.user;
      const normalised = await rules.parseNew(newPassword, { email, name, tenant: [tenant.name, tenant.title] });
      let passwordHash = '';
      // Not before the old one was right: wrong ones are slowed down, and a hash costs as much as they do.
      const prepare = async () => {
        passwordHash = await queue.hash(normalised);
      };
      const shown = { password: currentPassword, code, passkey };
      const policy = { roles, refused: 'user.password_change_refused', prepare } as const;
      const started = await confirmSelf(tenantId, actor, shown, policy, async (db, user) => {
        if (!(await updatePassword(db, user, passwordHash))) throw identityErrors.FH_SESSION_REQUIRED();
        await deleteSessions(db, userId);
        const tokens = await deleteTokens(db, userId);
        await forgetDevices(db, userId);
        await recordTenantAudit(db, {
          name: 'user.password_changed',
          actor: `user:${userId}`,
          subject: userId,
          address: actor.address,
          details: { tokens },
        });
        return startSession(db, cookies, tenantId, { ...user, epoch: user.epoch + 1 }, caller);
      }).catch((error: FreeholdError) => {
        if (error.code !== 'FH_PASSWORD_WRONG') throw error;
        // Of two passwords: which one.
        throw identityErrors.FH_PASSWORD_WRONG({ fields: { currentPassword: 'This is not your current password.' } });
      });
      userMail.send(tenantId, {
        kind: 'password_changed',
        to: email,
        name,
        at: new Date(clock.now()).toISOString(),
        address: caller.address,
        browser: describeUserAgent(caller.userAgent),
      });
      return started;
    },
  };
}
