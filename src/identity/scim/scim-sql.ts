import type { Id, UserId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';
import type { Role, User } from '../types.ts';

/** A user as directories see them. */
export interface ScimUserRow {
  readonly userId: UserId;
  readonly email: string;
  readonly emailKey: string;
  readonly name: string;
  readonly role: Role;
  readonly state: User['state'];
  readonly createdAt: Date;
  readonly externalId: string | null;
  readonly userName: string;
  readonly userNameKey: string;
  readonly givenName: string | null;
  readonly familyName: string | null;
  readonly deletedAt: Date | null;
  readonly groups: readonly { readonly value: string; readonly display: string }[];
}

// Whoever no directory has touched is called by their address.
const userColumns = `u.user_id AS "userId", u.email, u.email_key AS "emailKey", u.name, u.role, u.state, u.created_at AS "createdAt",
  s.external_id AS "externalId", coalesce(s.user_name, u.email) AS "userName", coalesce(s.user_name_key, u.email_key) AS "userNameKey",
  s.given_name AS "givenName", s.family_name AS "familyName", s.deleted_at AS "deletedAt",
  coalesce((SELECT jsonb_agg(jsonb_build_object('value', g.group_id, 'display', g.display_name) ORDER BY g.group_id)
    FROM freehold.scim_group_members m JOIN freehold.scim_groups g ON g.group_id = m.group_id WHERE m.user_id = u.user_id), '[]') AS groups`;

const fromUsers = 'FROM freehold.users u LEFT JOIN freehold.scim_users s ON s.user_id = u.user_id';
/** A deleted one who was enabled on our own pages is there again. */
const isThere = `NOT (u.state = 'disabled' AND s.deleted_at IS NOT NULL)`;

/** One writer at a time in a tenant: what a group makes of its members depends on all groups. Before any other lock. */
export async function lockScim(db: Queryable): Promise<void> {
  await db.query(`SELECT pg_advisory_xact_lock(hashtextextended('freehold.scim', 0))`);
}

export async function findScimUser(db: Queryable, userId: string): Promise<ScimUserRow | undefined> {
  const [row] = await db.query<ScimUserRow>(`SELECT ${userColumns} ${fromUsers} WHERE u.user_id = $1 AND ${isThere}`, [
    userId,
  ]);
  return row;
}

/** Who stands in the way of a user with this name and address, deleted ones too. */
export function selectHolders(db: Queryable, userNameKey: string, emailKey: string): Promise<ScimUserRow[]> {
  return db.query<ScimUserRow>(
    `SELECT ${userColumns} ${fromUsers}
     WHERE u.email_key = $2 OR coalesce(s.user_name_key, u.email_key) = $1 ORDER BY u.user_id`,
    [userNameKey, emailKey],
  );
}

/** What must be so; undefined: anything. */
export interface UserKeys {
  readonly userId?: string | undefined;
  readonly userNameKey?: string | undefined;
  readonly externalId?: string | undefined;
  readonly emailKey?: string | undefined;
}

const hasKeys = `($1::text IS NULL OR u.user_id = $1) AND ($2::text IS NULL OR coalesce(s.user_name_key, u.email_key) = $2)
  AND ($3::text IS NULL OR s.external_id = $3) AND ($4::text IS NULL OR u.email_key = $4)`;
const keysOf = ({ userId, userNameKey, externalId, emailKey }: UserKeys) => [
  userId ?? null,
  userNameKey ?? null,
  externalId ?? null,
  emailKey ?? null,
];

/** In the order of their ids, after this one. */
export function selectScimUsers(
  db: Queryable,
  keys: UserKeys,
  { after, limit }: { after: string; limit: number },
): Promise<ScimUserRow[]> {
  return db.query<ScimUserRow>(
    `SELECT ${userColumns} ${fromUsers} WHERE ${isThere} AND ${hasKeys} AND u.user_id > $5 ORDER BY u.user_id LIMIT $6`,
    [...keysOf(keys), after, limit],
  );
}

export function selectScimUserPage(
  db: Queryable,
  { offset, limit }: { offset: number; limit: number },
): Promise<ScimUserRow[]> {
  return db.query<ScimUserRow>(
    `SELECT ${userColumns} ${fromUsers} WHERE ${isThere} ORDER BY u.user_id OFFSET $1 LIMIT $2`,
    [offset, limit],
  );
}

export async function countScimUsers(db: Queryable): Promise<number> {
  const [row] = await db.query<{ count: number }>(`SELECT count(*)::int AS count ${fromUsers} WHERE ${isThere}`);
  return row!.count;
}

export interface ScimNames {
  readonly externalId: string | undefined;
  readonly userName: string;
  readonly userNameKey: string;
  readonly givenName: string | undefined;
  readonly familyName: string | undefined;
}

/** What the directory calls the user; a deleted one is there again. */
export async function upsertScimNames(db: Queryable, userId: string, names: ScimNames): Promise<void> {
  await db.query(
    `INSERT INTO freehold.scim_users (user_id, external_id, user_name, user_name_key, given_name, family_name)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (user_id) DO UPDATE SET external_id = excluded.external_id, user_name = excluded.user_name,
       user_name_key = excluded.user_name_key, given_name = excluded.given_name, family_name = excluded.family_name, deleted_at = NULL`,
    [
      userId,
      names.externalId ?? null,
      names.userName,
      names.userNameKey,
      names.givenName ?? null,
      names.familyName ?? null,
    ],
  );
}

export async function markScimDeleted(db: Queryable, userId: string): Promise<void> {
  await db.query(
    `INSERT INTO freehold.scim_users (user_id, user_name, user_name_key, deleted_at)
     SELECT user_id, email, email_key, now() FROM freehold.users WHERE user_id = $1
     ON CONFLICT (user_id) DO UPDATE SET deleted_at = now()`,
    [userId],
  );
  await db.query('DELETE FROM freehold.scim_group_members WHERE user_id = $1', [userId]);
}

/** Another address ends sessions and every link that was sent to the old one: both know the epoch. */
export async function updateEmail(
  db: Queryable,
  userId: string,
  { email, emailKey }: { email: string; emailKey: string },
): Promise<void> {
  await db.query('UPDATE freehold.users SET email = $2, email_key = $3, epoch = epoch + 1 WHERE user_id = $1', [
    userId,
    email,
    emailKey,
  ]);
}

/** For who comes back after a deletion, who may be somebody else of the same address: no password and role of before. */
export async function resetReturning(db: Queryable, userId: string, passwordHash: string): Promise<void> {
  await db.query(
    `UPDATE freehold.users SET password_hash = $2, password_changed_at = now(), role = 'member', epoch = epoch + 1 WHERE user_id = $1`,
    [userId, passwordHash],
  );
}

/** Which of these are there. */
export async function selectKnownUsers(db: Queryable, userIds: readonly string[]): Promise<Set<string>> {
  const rows = await db.query<{ user_id: string }>(
    `SELECT u.user_id ${fromUsers} WHERE u.user_id = ANY ($1::text[]) AND ${isThere}`,
    [userIds],
  );
  return new Set(rows.map(({ user_id }) => user_id));
}

/** What their groups make of these users: only of those whom a group makes something of. */
export async function selectMappedRoles(
  db: Queryable,
  userIds: readonly string[],
): Promise<ReadonlyMap<string, 'admin' | 'member'>> {
  // `admin` comes before `member` in the alphabet as well.
  const rows = await db.query<{ user_id: string; role: 'admin' | 'member' }>(
    `SELECT m.user_id, min(g.role) AS role FROM freehold.scim_group_members m JOIN freehold.scim_groups g ON g.group_id = m.group_id
     WHERE m.user_id = ANY ($1::text[]) AND g.role IS NOT NULL GROUP BY m.user_id`,
    [userIds],
  );
  return new Map(rows.map(({ user_id, role }) => [user_id, role]));
}

export function selectRoles(db: Queryable, userIds: readonly string[]): Promise<{ userId: UserId; role: Role }[]> {
  return db.query<{ userId: UserId; role: Role }>(
    `SELECT user_id AS "userId", role FROM freehold.users WHERE user_id = ANY ($1::text[]) ORDER BY user_id FOR UPDATE`,
    [userIds],
  );
}

export interface ScimGroupRow {
  readonly groupId: Id<'grp'>;
  readonly displayName: string;
  readonly externalId: string | null;
  readonly role: 'admin' | 'member' | null;
  readonly createdAt: Date;
  readonly changedAt: Date;
  readonly memberCount: number;
}

const groupColumns = `g.group_id AS "groupId", g.display_name AS "displayName", g.external_id AS "externalId", g.role,
  g.created_at AS "createdAt", g.changed_at AS "changedAt",
  (SELECT count(*)::int FROM freehold.scim_group_members m WHERE m.group_id = g.group_id) AS "memberCount"`;

/** All, in the order of their ids: at most a thousand. */
export function selectGroups(db: Queryable, groupId: string | null = null): Promise<ScimGroupRow[]> {
  return db.query<ScimGroupRow>(
    `SELECT ${groupColumns} FROM freehold.scim_groups g WHERE $1::text IS NULL OR g.group_id = $1 ORDER BY g.group_id`,
    [groupId],
  );
}

/** @returns false when there are `max` already */
export async function insertGroup(
  db: Queryable,
  group: { groupId: string; displayName: string; externalId: string | undefined },
  max: number,
): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO freehold.scim_groups (group_id, display_name, external_id)
     SELECT $1, $2, $3 WHERE (SELECT count(*) FROM freehold.scim_groups) < $4 RETURNING group_id`,
    [group.groupId, group.displayName, group.externalId ?? null, max],
  );
  return rows.length > 0;
}

export async function updateGroup(
  db: Queryable,
  groupId: string,
  { displayName, externalId }: { displayName: string; externalId: string | undefined },
): Promise<void> {
  await db.query(
    'UPDATE freehold.scim_groups SET display_name = $2, external_id = $3, changed_at = clock_timestamp() WHERE group_id = $1',
    [groupId, displayName, externalId ?? null],
  );
}

export async function updateGroupRole(db: Queryable, groupId: string, role: ScimGroupRow['role']): Promise<void> {
  await db.query('UPDATE freehold.scim_groups SET role = $2 WHERE group_id = $1', [groupId, role]);
}

export async function deleteGroup(db: Queryable, groupId: string): Promise<void> {
  await db.query('DELETE FROM freehold.scim_groups WHERE group_id = $1', [groupId]);
}

export interface MemberRow {
  readonly groupId: string;
  readonly userId: UserId;
  readonly display: string;
}

/** @param groupId null: of all groups */
export function selectMembers(db: Queryable, groupId: string | null): Promise<MemberRow[]> {
  return db.query<MemberRow>(
    `SELECT m.group_id AS "groupId", m.user_id AS "userId", u.name AS display
     FROM freehold.scim_group_members m JOIN freehold.users u ON u.user_id = m.user_id
     WHERE $1::text IS NULL OR m.group_id = $1 ORDER BY m.group_id, m.user_id`,
    [groupId],
  );
}

export async function insertMembers(db: Queryable, groupId: string, userIds: readonly string[]): Promise<void> {
  await db.query(
    'INSERT INTO freehold.scim_group_members (group_id, user_id) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING',
    [groupId, userIds],
  );
}

export async function deleteMembers(db: Queryable, groupId: string, userIds: readonly string[]): Promise<void> {
  await db.query('DELETE FROM freehold.scim_group_members WHERE group_id = $1 AND user_id = ANY ($2::text[])', [
    groupId,
    userIds,
  ]);
}
