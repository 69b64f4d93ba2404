import { recordTenantAudit } from '#src/audit/index.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { failpoint, type Id, newId, type TenantId } from '#src/kernel/index.ts';
import { lockUser } from '../second-factors/second-factor-sql.ts';
import { type Actor, administrators, requireRole } from '../sessions/access.ts';
import type { OwnConfirmation, Shown } from '../sessions/own-confirmation.ts';
import { lockActiveOwners } from '../sql.ts';
import { parsePersonName } from '../users/email.ts';
import { scimErrors } from './errors.ts';
import { withRolesOf } from './provisioning.ts';
import { lockScim, type ScimGroupRow, selectGroups, selectMembers, updateGroupRole } from './scim-sql.ts';
import { hashScimToken, newScimToken } from './scim-token.ts';
import {
  deleteScimToken,
  insertScimToken,
  pruneScimTokens,
  type ScimTokenRow,
  selectScimTokens,
} from './scim-tokens-sql.ts';

export const scimTokenLimits = { live: 10, maxDays: 366, defaultDays: 366, keptExpiredDays: 30 } as const;

export interface ScimTokenOrder extends Shown {
  readonly name: string;
  /** 1 to 366. Default 366. */
  readonly days?: number;
}

export type GroupRole = ScimGroupRow['role'];

/** What administrators do about provisioning, in a session. */
export interface ScimSettings {
  getScimSettings(
    tenantId: TenantId,
    actor: Actor,
  ): Promise<{ readonly tokens: ScimTokenRow[]; readonly groups: ScimGroupRow[] }>;
  /** The text of the new token exists here once. Throws what `confirmSelf` does, FH_NAME_REFUSED, FH_SCIM_TOKEN_LIMIT. */
  createScimToken(
    tenantId: TenantId,
    actor: Actor,
    order: ScimTokenOrder,
  ): Promise<{ readonly token: string; readonly tokenId: Id<'sct'> }>;
  /** No write with it commits after this resolves, no request that begins later succeeds, at any worker. One that an owner made: by owners. */
  revokeScimToken(tenantId: TenantId, actor: Actor, tokenId: string): Promise<void>;
  /** What the members of a group are from now on; null: the group says nothing. Never owner. Throws FH_SCIM_NOT_FOUND. */
  setScimGroupRole(tenantId: TenantId, actor: Actor, groupId: string, role: GroupRole): Promise<void>;
}

export function createScimSettings(deps: {
  readonly databases: TenantDatabases;
  readonly confirmation: OwnConfirmation;
}): ScimSettings {
  const { databases, confirmation } = deps;
  return {
    getScimSettings: (tenantId, actor) =>
      databases.platform.read(tenantId, async (db) => {
        await requireRole(db, actor, administrators);
        return { tokens: await selectScimTokens(db), groups: await selectGroups(db) };
      }),

    async createScimToken(tenantId, actor, order) {
      const name = parsePersonName(order.name);
      const { days = scimTokenLimits.defaultDays } = order;
      const token = newScimToken();
      const tokenId = newId('sct');
      const policy = { roles: administrators, refused: 'scim_token.refused' } as const;
      const made = await confirmation.confirmSelf(tenantId, actor, order, policy, async (db, { userId, role }) => {
        await lockUser(db, userId);
        await lockScim(db);
        await pruneScimTokens(db, scimTokenLimits.keptExpiredDays);
        const tokenHash = hashScimToken(token)!;
        const byOwner = role === 'owner';
        const fresh = { tokenId, tokenHash, name, createdBy: userId, byOwner, lifetimeSeconds: days * 86_400 };
        if (!(await insertScimToken(db, fresh, scimTokenLimits.live))) return false;
        await recordTenantAudit(db, {
          name: 'scim_token.created',
          actor: `user:${userId}`,
          subject: tokenId,
          address: actor.address,
          details: { tokenName: name, days, byOwner },
        });
        await failpoint('identity.scim_token.create.before_commit');
        return true;
      });
      if (!made) throw scimErrors.FH_SCIM_TOKEN_LIMIT();
      await failpoint('identity.scim_token.created');
      return { token, tokenId };
    },

    async revokeScimToken(tenantId, actor, tokenId) {
      await databases.platform.transact(tenantId, async (db) => {
        await requireRole(db, actor, administrators);
        const token = await deleteScimToken(db, tokenId);
        if (!token) throw scimErrors.FH_SCIM_TOKEN_NOT_FOUND();
        await requireRole(db, actor, administrators, token.byOwner ? ['owner'] : []);
        await recordTenantAudit(db, {
          name: 'scim_token.revoked',
          actor: `user:${actor.session.user.userId}`,
          subject: tokenId,
          address: actor.address,
          details: { tokenName: token.name },
        });
        await failpoint('identity.scim_token.revoke.before_commit');
      });
      await failpoint('identity.scim_token.revoked');
    },

    setScimGroupRole: (tenantId, actor, groupId, role) =>
      databases.platform.transact(tenantId, async (db) => {
        await lockScim(db);
        await lockActiveOwners(db);
        await requireRole(db, actor, administrators);
        const [group] = await selectGroups(db, groupId);
        if (!group) throw scimErrors.FH_SCIM_NOT_FOUND();
        if (group.role === role) return;
        const by = { actor: `user:${actor.session.user.userId}`, ...(actor.address && { address: actor.address }) };
        const { displayName } = group;
        await recordTenantAudit(db, {
          name: 'group.role_changed',
          ...by,
          subject: groupId,
          details: { displayName, from: group.role, to: role },
        });
        const members = (await selectMembers(db, groupId)).map(({ userId }) => userId);
        await withRolesOf(db, by, members, () => updateGroupRole(db, groupId, role));
        await failpoint('identity.scim_group.map.before_commit');
      }),
  };
}
