import { recordTenantAudit } from '#src/audit/index.ts';
import type { AuditEvent } from '#src/audit/types.ts';
import type { TenantDatabases } from '#src/databases/types.ts';
import { failpoint, type TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import { lockActiveOwners } from '../sql.ts';
import { type ChangedBy, changeRole } from '../users/user-state.ts';
import { scimErrors } from './errors.ts';
import { lockScim, selectMappedRoles, selectRoles } from './scim-sql.ts';
import { holdScimToken, type ScimTokenUse } from './scim-tokens-sql.ts';

/** A request of a directory: its token was good when it began. */
export interface Provisioner {
  readonly use: ScimTokenUse;
  readonly address?: string | undefined;
  /** `https://TENANT/-/scim/v2`, for locations. */
  readonly base: string;
}

/** What a write finds out first, in its transaction. */
export interface Provisioning {
  readonly db: Queryable;
  readonly by: ChangedBy;
  /** Ids of the active owners, locked. */
  readonly owners: readonly string[];
  record(event: Pick<AuditEvent, 'name' | 'subject' | 'details'>): Promise<void>;
}

/** One write of a directory: one transaction, one at a time in a tenant, refused when its token was revoked meanwhile. */
export async function provision<T>(
  databases: TenantDatabases,
  tenantId: TenantId,
  { use, address }: Provisioner,
  act: (provisioning: Provisioning) => Promise<T>,
): Promise<T> {
  const done = await databases.platform.transact(tenantId, async (db) => {
    await lockScim(db);
    if (!(await holdScimToken(db, use.tokenId))) throw scimErrors.FH_SCIM_TOKEN_REQUIRED();
    const by: ChangedBy = { actor: `scim:${use.tokenId}`, ...(address !== undefined && { address }) };
    // Before any other user, as everywhere.
    const owners = await lockActiveOwners(db);
    const result = await act({ db, by, owners, record: (event) => recordTenantAudit(db, { ...event, ...by }) });
    await failpoint('identity.scim.before_commit');
    return result;
  });
  await failpoint('identity.scim.committed');
  return done;
}

/**
 * Does what changes groups, and makes of these users what their groups say afterwards: the highest role of those that say one; a plain member who was
 * in such a group and is in none any more. Nobody becomes or ceases to be an owner by it.
 */
export async function withRolesOf<T>(
  db: Queryable,
  by: ChangedBy,
  userIds: readonly string[],
  change: () => Promise<T>,
): Promise<T> {
  const before = await selectMappedRoles(db, userIds);
  const done = await change();
  const after = await selectMappedRoles(db, userIds);
  const affected = userIds.filter((userId) => before.has(userId) || after.has(userId));
  for (const user of await selectRoles(db, affected))
    if (user.role !== 'owner') await changeRole(db, user, after.get(user.userId) ?? 'member', by);
  return done;
}
