import type { TenantDatabases } from '#src/databases/types.ts';
import { newId, type TenantId } from '#src/kernel/index.ts';
import { newDummyHash } from '../passwords/password-hash.ts';
import { deleteSecondFactors, hasSecondFactor } from '../second-factors/second-factor-sql.ts';
import { deleteSessions, insertUser, updateName } from '../sql.ts';
import { deleteIdentities } from '../sso/people-sql.ts';
import { keepBreakGlass } from '../sso/sign-on-policy.ts';
import { emailKeyOf, parseEmail, parsePersonName } from '../users/email.ts';
import { changeState } from '../users/user-state.ts';
import { userAttributes, userSchema } from './attributes.ts';
import { scimErrors } from './errors.ts';
import { matches, parseFilter, type Resource, requiredValues } from './filter.ts';
import { type ListAnswer, type ListQuery, listOf, windowOf } from './list.ts';
import { parsePatch } from './message.ts';
import { type Provisioner, type Provisioning, provision, withRolesOf } from './provisioning.ts';
import { describeUser, namesVersion, versionIn } from './resources.ts';
import {
  countScimUsers,
  findScimUser,
  markScimDeleted,
  resetReturning,
  type ScimUserRow,
  selectHolders,
  selectScimUserPage,
  selectScimUsers,
  updateEmail,
  upsertScimNames,
} from './scim-sql.ts';
import { applyUserPatch, composeName, emailOf, nameOf, parseUser, type UserDraft } from './user-draft.ts';

/** Users as a directory keeps them (RFC 7644, 3). A user is disabled, never removed; nobody is told anything by mail. */
export interface ScimUsers {
  getScimUser(tenantId: TenantId, by: Provisioner, id: string): Promise<Resource>;
  listScimUsers(tenantId: TenantId, by: Provisioner, query: ListQuery): Promise<ListAnswer>;
  /** Without a password: they sign in by single sign-on, or choose one by "Forgot your password?". Throws FH_SCIM_UNIQUENESS. */
  createScimUser(tenantId: TenantId, by: Provisioner, body: unknown): Promise<Resource>;
  /** `ifMatch`: FH_SCIM_VERSION unless the user is of one of these versions. */
  replaceScimUser(tenantId: TenantId, by: Provisioner, id: string, body: unknown, ifMatch?: string): Promise<Resource>;
  patchScimUser(tenantId: TenantId, by: Provisioner, id: string, body: unknown, ifMatch?: string): Promise<Resource>;
  /** Disables; from now on no directory finds the user, until one makes a user of that address again. */
  deleteScimUser(tenantId: TenantId, by: Provisioner, id: string, ifMatch?: string): Promise<void>;
}

const batchSize = 500;
const vocabulary = { attributes: userAttributes, schema: userSchema };

export function createScimUsers(databases: TenantDatabases): ScimUsers {
  const change = (
    tenantId: TenantId,
    by: Provisioner,
    id: string,
    ifMatch: string | undefined,
    draftOf: (user: ScimUserRow) => UserDraft,
  ): Promise<Resource> =>
    provision(databases, tenantId, by, async (provisioning) => {
      const user = await getUser(provisioning, by, id, ifMatch);
      await apply(provisioning, by, user, draftOf(user));
      return describeUser((await findScimUser(provisioning.db, id))!, by.base);
    });

  return {
    getScimUser: (tenantId, { base }, id) =>
      databases.platform.read(tenantId, async (db) => {
        const user = await findScimUser(db, id);
        if (!user) throw scimErrors.FH_SCIM_NOT_FOUND();
        return describeUser(user, base);
      }),

    listScimUsers: (tenantId, { base }, query) =>
      databases.platform.read(tenantId, async (db) => {
        const { offset, limit } = windowOf(query);
        if (query.filter === undefined) {
          const users = limit > 0 ? await selectScimUserPage(db, { offset, limit }) : [];
          const total = await countScimUsers(db);
          return listOf(
            users.map((user) => describeUser(user, base)),
            total,
            query,
          );
        }
        const filter = parseFilter(query.filter, vocabulary);
        const required = requiredValues(filter);
        const keys = {
          userId: required.get('id'),
          externalId: required.get('externalid'),
          userNameKey: keyOf(required.get('username')),
          emailKey: keyOf(required.get('emails.value') ?? required.get('emails')),
        };
        const found: Resource[] = [];
        let total = 0;
        for (let after = ''; ; ) {
          const users = await selectScimUsers(db, keys, { after, limit: batchSize });
          for (const user of users) {
            const resource = describeUser(user, base);
            if (!matches(filter, resource)) continue;
            if (total >= offset && found.length < limit) found.push(resource);
            total++;
          }
          if (users.length < batchSize) break;
          after = users.at(-1)!.userId;
        }
        return listOf(found, total, query);
      }),

    createScimUser: (tenantId, by, body) =>
      provision(databases, tenantId, by, async (provisioning) => {
        const { db, record } = provisioning;
        const draft = parseUser(body);
        const wanted = parseDraft(draft);
        const [holder, ...others] = await selectHolders(db, wanted.userNameKey, wanted.emailKey);
        const isBack = holder?.deletedAt && holder.state === 'disabled' && others.length === 0;
        if (holder && !isBack) throw scimErrors.FH_SCIM_UNIQUENESS();
        let userId: string;
        if (holder) {
          userId = holder.userId;
          refuseOwner(provisioning, by, holder, 'active');
          // An owner comes back as a member: nobody becomes an owner by provisioning.
          await forget(provisioning, userId);
        } else {
          const made = { userId: newId('usr'), ...wanted, role: 'member', passwordHash: newDummyHash() } as const;
          userId = made.userId;
          // Somebody accepted an invitation this moment.
          if (!(await insertUser(db, made))) throw scimErrors.FH_SCIM_UNIQUENESS();
        }
        await upsertScimNames(db, userId, { ...draft, ...wanted });
        await record({
          name: 'user.provisioned',
          subject: userId,
          details: { active: draft.active, ...(holder && { isBack: true }) },
        });
        const user = (await findScimUser(db, userId))!;
        await apply(provisioning, by, user, draft);
        return describeUser((await findScimUser(db, userId))!, by.base);
      }),

    replaceScimUser: (tenantId, by, id, body, ifMatch) =>
      change(tenantId, by, id, ifMatch, (user) => parseUser(body, user.state === 'active')),

    patchScimUser: (tenantId, by, id, body, ifMatch) =>
      change(tenantId, by, id, ifMatch, (user) => {
        const draft = draftOf(user);
        applyUserPatch(draft, parsePatch(body));
        return draft;
      }),

    deleteScimUser: (tenantId, by, id, ifMatch) =>
      provision(databases, tenantId, by, async (provisioning) => {
        const { db } = provisioning;
        const user = await getUser(provisioning, by, id, ifMatch);
        refuseOwner(provisioning, by, user, 'disabled');
        await withRolesOf(db, provisioning.by, [id], () => markScimDeleted(db, id));
        await changeState(db, user, 'disabled', provisioning.by, { isDeletion: true });
        if (user.role === 'owner') await keepBreakGlass(db);
        if (user.state === 'disabled')
          await provisioning.record({
            name: 'user.provisioning_changed',
            subject: id,
            details: { changed: 'deleted' },
          });
      }),
  };
}

async function getUser({ db }: Provisioning, { base }: Provisioner, id: string, ifMatch: string | undefined) {
  const user = await findScimUser(db, id);
  if (!user) throw scimErrors.FH_SCIM_NOT_FOUND();
  if (ifMatch !== undefined && !namesVersion(ifMatch, versionIn(describeUser(user, base))))
    throw scimErrors.FH_SCIM_VERSION();
  return user;
}

function draftOf(user: ScimUserRow): UserDraft {
  return {
    userName: user.userName,
    externalId: user.externalId ?? undefined,
    givenName: user.givenName ?? undefined,
    familyName: user.familyName ?? undefined,
    displayName: user.name,
    emails: [{ value: user.email, type: 'work', primary: true }],
    active: user.state === 'active',
  };
}

/** Throws FH_SCIM_VALUE, FH_EMAIL_REFUSED, FH_NAME_REFUSED. */
function parseDraft(draft: UserDraft) {
  if (draft.userName === undefined) throw scimErrors.FH_SCIM_VALUE({ detail: 'A user has a userName.' });
  const address = emailOf(draft);
  if (address === undefined) throw scimErrors.FH_SCIM_VALUE({ detail: 'A user has an e-mail address.' });
  const { email, emailKey } = parseEmail(address);
  const name = parsePersonName(nameOf(draft, email).slice(0, 100));
  return { email, emailKey, name, userName: draft.userName, userNameKey: emailKeyOf(draft.userName) };
}

/** Makes the user what the draft says. */
async function apply(provisioning: Provisioning, by: Provisioner, user: ScimUserRow, draft: UserDraft): Promise<void> {
  const { db, record } = provisioning;
  // What people see does not change because a directory names its parts for the first time.
  const wanted = parseDraft({ ...draft, displayName: draft.displayName ?? composeName(draft) ?? user.name });
  const { userId } = user;
  const changed: string[] = [];
  const state = draft.active ? 'active' : 'disabled';
  if (state !== user.state) refuseOwner(provisioning, by, user, state);
  if (wanted.emailKey !== user.emailKey && user.role === 'owner')
    throw scimErrors.FH_SCIM_OWNER({ detail: 'The e-mail address of an owner is changed by the owner.' });
  const holders = await selectHolders(db, wanted.userNameKey, wanted.emailKey);
  if (holders.some((holder) => holder.userId !== userId)) throw scimErrors.FH_SCIM_UNIQUENESS();
  if (wanted.email !== user.email && user.role !== 'owner') {
    await updateEmail(db, userId, wanted);
    await deleteSessions(db, userId);
    changed.push('email');
  }
  if (wanted.name !== user.name) {
    await updateName(db, userId, wanted.name);
    changed.push('name');
  }
  if (wanted.userName !== user.userName) changed.push('userName');
  if ((draft.externalId ?? null) !== user.externalId) changed.push('externalId');
  if ((draft.givenName ?? null) !== user.givenName || (draft.familyName ?? null) !== user.familyName)
    changed.push('name parts');
  await upsertScimNames(db, userId, { ...draft, ...wanted });
  if (changed.length > 0)
    await record({ name: 'user.provisioning_changed', subject: userId, details: { changed: changed.join(', ') } });
  await changeState(db, user, state, provisioning.by);
  if (user.role === 'owner') await keepBreakGlass(db);
}

/** Who comes back may be somebody else of the same address: nothing that let the one before in lets anybody in now. */
async function forget({ db, record }: Provisioning, userId: string): Promise<void> {
  await resetReturning(db, userId, newDummyHash());
  await deleteIdentities(db, userId);
  if (!(await hasSecondFactor(db, userId))) return;
  await deleteSecondFactors(db, userId);
  await record({ name: 'user.second_factor_reset', subject: userId });
}

/** An account keeps one active owner whatever its directory says; and a token that an administrator made does no more than they. */
function refuseOwner(
  { owners }: Provisioning,
  { use }: Provisioner,
  user: ScimUserRow,
  state: ScimUserRow['state'],
): void {
  if (user.role !== 'owner') return;
  if (state === 'disabled' && owners.length === 1 && owners[0] === user.userId)
    throw scimErrors.FH_SCIM_OWNER({ detail: 'This is the last active owner.' });
  if (!use.byOwner) throw scimErrors.FH_SCIM_OWNER({ detail: 'The token was not made by an owner.' });
}

function keyOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : emailKeyOf(text);
}
