import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { type Clock, failpoint, type Id, newId, type TenantId } from '#src/kernel/index.ts';
import { identityErrors } from '../errors.ts';
import { lockUser } from '../second-factors/second-factor-sql.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import { type Caller, describeUserAgent } from '../sessions/browser.ts';
import type { OwnConfirmation, Shown } from '../sessions/own-confirmation.ts';
import { roles, type TokenScope } from '../types.ts';
import { parsePersonName } from '../users/email.ts';
import type { UserMail } from '../users/user-mail.ts';
import { hashApiToken, newApiToken } from './api-token.ts';
import {
  type ApiTokenRow,
  deleteToken,
  findTokenUser,
  insertToken,
  pruneTokens,
  selectTokens,
} from './api-tokens-sql.ts';

export const apiTokenLimits = { liveOfUser: 20, maxDays: 366, defaultDays: 90, keptExpiredDays: 30 } as const;

/** A session alone makes no token that outlasts it: what `Shown` says is shown again. */
export interface TokenOrder extends Shown {
  readonly name: string;
  readonly scope: TokenScope;
  /** 1 to 366. Default 90. */
  readonly days?: number;
}

export type ApiTokenSummary = ApiTokenRow;

/** What users and administrators do with API tokens, always in a session: no token makes, lists or revokes tokens. */
export interface ApiTokens {
  /**
   * The text of the new token exists here once. Throws what `confirmSelf` does, FH_NAME_REFUSED, FH_TOKEN_LIMIT.
   */
  createApiToken(
    tenantId: TenantId,
    actor: Actor,
    order: TokenOrder,
    caller: Caller,
  ): Promise<{ readonly token: string; readonly tokenId: Id<'tok'> }>;
  /** The user's own, newest first; expired ones for thirty days. */
  listApiTokens(tenantId: TenantId, actor: Actor): Promise<ApiTokenSummary[]>;
  /** Of all users. */
  listAllApiTokens(tenantId: TenantId, actor: Actor): Promise<ApiTokenSummary[]>;
  /** No request that begins after this resolves succeeds with it, at any worker. Throws FH_TOKEN_NOT_FOUND. */
  revokeApiToken(tenantId: TenantId, actor: Actor, tokenId: string): Promise<void>;
  /** Anybody's, by an administrator; an owner's by owners only. */
  revokeAnyApiToken(tenantId: TenantId, actor: Actor, tokenId: string): Promise<void>;
}

export function createApiTokens(deps: {
  readonly databases: TenantDatabases;
  readonly confirmation: OwnConfirmation;
  readonly userMail: UserMail;
  readonly clock: Clock;
}): ApiTokens {
  const { databases, confirmation, userMail, clock } = deps;

  async function revoke(
    tenantId: TenantId,
    { session, address }: Actor,
    tokenId: string,
    mayRevoke: (db: Parameters<typeof findTokenUser>[0]) => Promise<string | undefined>,
  ): Promise<void> {
    await databases.platform.transact(tenantId, async (db) => {
      const userId = await mayRevoke(db);
      const name = userId && (await deleteToken(db, userId, tokenId));
      if (!userId || name === undefined) throw identityErrors.FH_TOKEN_NOT_FOUND();
      await recordTenantAudit(db, {
        name: 'token.revoked',
        actor: `user:${session.user.userId}`,
        subject: userId,
        address,
        details: { tokenId, tokenName: name },
      });
      await failpoint('identity.token.revoke.before_commit');
    });
    await failpoint('identity.token.revoked');
  }

  return {
    async createApiToken(tenantId, actor, order, caller) {
      const name = parsePersonName(order.name);
      const { scope, days = apiTokenLimits.defaultDays } = order;
      const token = newApiToken();
      const tokenId = newId('tok');
      const policy = { roles, refused: 'token.refused' } as const;
      // At most twenty is no refusal of the password: it is said after the transaction.
      const user = await confirmation.confirmSelf(tenantId, actor, order, policy, async (db, { userId, ...rest }) => {
        await lockUser(db, userId);
        await pruneTokens(db, userId, apiTokenLimits.keptExpiredDays);
        const tokenHash = hashApiToken(token)!;
        const fresh = { tokenId, tokenHash, userId, name, scope, lifetimeSeconds: days * 86_400 };
        if (!(await insertToken(db, fresh, apiTokenLimits.liveOfUser))) return undefined;
        await recordTenantAudit(db, {
          name: 'token.created',
          actor: `user:${userId}`,
          subject: userId,
          address: actor.address,
          details: { tokenId, tokenName: name, scope, days },
        });
        await failpoint('identity.token.create.before_commit');
        return rest;
      });
      if (!user) throw identityErrors.FH_TOKEN_LIMIT();
      await failpoint('identity.token.created');
      userMail.send(tenantId, {
        kind: 'api_token_created',
        to: user.email,
        name: user.name,
        at: new Date(clock.now()).toISOString(),
        address: caller.address,
        browser: describeUserAgent(caller.userAgent),
      });
      return { token, tokenId };
    },

    listApiTokens: (tenantId, { session }) =>
      databases.platform.read(tenantId, (db) => selectTokens(db, session.user.userId)),

    listAllApiTokens: (tenantId, actor) =>
      databases.platform.read(tenantId, async (db) => {
        await requireRole(db, actor, administrators);
        return selectTokens(db, null);
      }),

    revokeApiToken: (tenantId, actor, tokenId) =>
      revoke(tenantId, actor, tokenId, async () => actor.session.user.userId),

    revokeAnyApiToken: (tenantId, actor, tokenId) =>
      revoke(tenantId, actor, tokenId, async (db) => {
        const user = await findTokenUser(db, tokenId);
        await requireRole(db, actor, administrators, user ? [user.role] : []);
        return user?.userId;
      }),
  };
}
