import type { TenantDatabases } from '#src/databases/types.ts';
import { newId, type TenantId } from '#src/kernel/index.ts';
import { groupAttributes, groupSchema } from './attributes.ts';
import { scimErrors } from './errors.ts';
import { matches, parseFilter, type Resource, requiredValues } from './filter.ts';
import { applyGroupPatch, type GroupDraft, parseGroup } from './group-draft.ts';
import { type ListAnswer, type ListQuery, listOf, windowOf } from './list.ts';
import { messageLimits, parsePatch } from './message.ts';
import { type Provisioner, type Provisioning, provision, withRolesOf } from './provisioning.ts';
import { describeGroup, namesVersion, versionIn } from './resources.ts';
import {
  deleteGroup,
  deleteMembers,
  insertGroup,
  insertMembers,
  type ScimGroupRow,
  selectGroups,
  selectKnownUsers,
  selectMembers,
  updateGroup,
} from './scim-sql.ts';

/** Groups as a directory keeps them. What role their members have is said on our own page, never by the directory. */
export interface ScimGroups {
  getScimGroup(tenantId: TenantId, by: Provisioner, id: string, withMembers: boolean): Promise<Resource>;
  listScimGroups(tenantId: TenantId, by: Provisioner, query: ListQuery, withMembers: boolean): Promise<ListAnswer>;
  createScimGroup(tenantId: TenantId, by: Provisioner, body: unknown): Promise<Resource>;
  replaceScimGroup(tenantId: TenantId, by: Provisioner, id: string, body: unknown, ifMatch?: string): Promise<Resource>;
  patchScimGroup(tenantId: TenantId, by: Provisioner, id: string, body: unknown, ifMatch?: string): Promise<void>;
  deleteScimGroup(tenantId: TenantId, by: Provisioner, id: string, ifMatch?: string): Promise<void>;
}

export const groupLimits = { groups: 1_000, members: 20_000 } as const;
const vocabulary = { attributes: groupAttributes, schema: groupSchema };

export function createScimGroups(databases: TenantDatabases): ScimGroups {
  const change = (
    tenantId: TenantId,
    by: Provisioner,
    id: string,
    ifMatch: string | undefined,
    draftOf: (group: ScimGroupRow, members: Set<string>) => GroupDraft,
  ): Promise<Resource> =>
    provision(databases, tenantId, by, async (provisioning) => {
      const { db } = provisioning;
      const group = await getGroup(provisioning, by, id, ifMatch);
      const members = new Set((await selectMembers(db, id)).map(({ userId }): string => userId));
      await apply(provisioning, group, members, draftOf(group, new Set(members)));
      const [changed] = await selectGroups(db, id);
      return describeGroup(changed!, await selectMembers(db, id), by.base);
    });

  return {
    getScimGroup: (tenantId, { base }, id, withMembers) =>
      databases.platform.read(tenantId, async (db) => {
        const [group] = await selectGroups(db, id);
        if (!group) throw scimErrors.FH_SCIM_NOT_FOUND();
        return describeGroup(group, withMembers ? await selectMembers(db, id) : undefined, base);
      }),

    listScimGroups: (tenantId, { base }, query, withMembers) =>
      databases.platform.read(tenantId, async (db) => {
        const { offset, limit } = windowOf(query);
        const filter = query.filter === undefined ? undefined : parseFilter(query.filter, vocabulary);
        const groupId = (filter && requiredValues(filter).get('id')) ?? null;
        const groups = await selectGroups(db, groupId);
        // Entra ID asks whether somebody is a member and excludes the members from the answer.
        const needsMembers = withMembers || /member/i.test(query.filter ?? '');
        const members = needsMembers ? Map.groupBy(await selectMembers(db, groupId), (one) => one.groupId) : undefined;
        const found = groups.filter((group) => {
          const whole = describeGroup(group, members?.get(group.groupId) ?? [], base);
          return !filter || matches(filter, whole);
        });
        const shown = found.slice(offset, offset + limit).map((group) => {
          const ofGroup = members?.get(group.groupId) ?? [];
          return describeGroup(group, withMembers ? ofGroup : undefined, base);
        });
        return listOf(shown, found.length, query);
      }),

    createScimGroup: (tenantId, by, body) =>
      provision(databases, tenantId, by, async (provisioning) => {
        const { db, record } = provisioning;
        const draft = parseGroup(body);
        const displayName = requireName(draft);
        const groupId = newId('grp');
        if (!(await insertGroup(db, { groupId, displayName, externalId: draft.externalId }, groupLimits.groups)))
          throw scimErrors.FH_SCIM_GROUP_LIMIT();
        await record({ name: 'group.created', subject: groupId, details: { displayName } });
        const [group] = await selectGroups(db, groupId);
        await apply(provisioning, group!, new Set(), draft);
        const [made] = await selectGroups(db, groupId);
        return describeGroup(made!, await selectMembers(db, groupId), by.base);
      }),

    replaceScimGroup: (tenantId, by, id, body, ifMatch) => change(tenantId, by, id, ifMatch, () => parseGroup(body)),

    async patchScimGroup(tenantId, by, id, body, ifMatch) {
      await change(tenantId, by, id, ifMatch, (group, members) => {
        const draft = { displayName: group.displayName, externalId: group.externalId ?? undefined, members };
        applyGroupPatch(draft, parsePatch(body));
        return draft;
      });
    },

    deleteScimGroup: (tenantId, by, id, ifMatch) =>
      provision(databases, tenantId, by, async (provisioning) => {
        const { db, record } = provisioning;
        const { displayName } = await getGroup(provisioning, by, id, ifMatch);
        const members = (await selectMembers(db, id)).map(({ userId }) => userId);
        await record({ name: 'group.deleted', subject: id, details: { displayName, members: members.length } });
        await withRolesOf(db, provisioning.by, members, () => deleteGroup(db, id));
      }),
  };
}

async function getGroup(
  { db }: Provisioning,
  { base }: Provisioner,
  id: string,
  ifMatch: string | undefined,
): Promise<ScimGroupRow> {
  const [group] = await selectGroups(db, id);
  if (!group) throw scimErrors.FH_SCIM_NOT_FOUND();
  if (ifMatch !== undefined && !namesVersion(ifMatch, versionIn(describeGroup(group, undefined, base))))
    throw scimErrors.FH_SCIM_VERSION();
  return group;
}

function requireName({ displayName }: GroupDraft): string {
  if (displayName === undefined) throw scimErrors.FH_SCIM_VALUE({ detail: 'A group has a displayName.' });
  return displayName;
}

/** Makes the group what the draft says. */
async function apply(
  { db, by, record }: Provisioning,
  group: ScimGroupRow,
  before: ReadonlySet<string>,
  draft: GroupDraft,
): Promise<void> {
  const displayName = requireName(draft);
  const { groupId } = group;
  const added = [...draft.members].filter((userId) => !before.has(userId));
  const removed = [...before].filter((userId) => !draft.members.has(userId));
  const isRenamed = displayName !== group.displayName || (draft.externalId ?? null) !== group.externalId;
  if (!isRenamed && added.length === 0 && removed.length === 0) return;
  if (draft.members.size > groupLimits.members || added.length > messageLimits.values)
    throw scimErrors.FH_SCIM_TOO_MANY({
      detail: `A group has at most ${groupLimits.members} members, and takes ${messageLimits.values} at once.`,
    });
  const known = await selectKnownUsers(db, added);
  const unknown = added.filter((userId) => !known.has(userId));
  if (unknown.length > 0) throw scimErrors.FH_SCIM_VALUE({ detail: `There is no user ${unknown[0]} to be a member.` });
  await withRolesOf(db, by, [...added, ...removed], async () => {
    await deleteMembers(db, groupId, removed);
    await insertMembers(db, groupId, added);
  });
  await updateGroup(db, groupId, { displayName, externalId: draft.externalId });
  await record({
    name: 'group.changed',
    subject: groupId,
    details: { displayName, added: added.length, removed: removed.length },
  });
}
