/** Who is here: the signed-in user, everybody an item can name, and the check of assignees. */
import type { AppContext, AppDb, AppUser, RouteDefinition } from '../sdk/index.ts';
import type { Me, User, UserList, UserRef } from './api.ts';
import { assigneeUnknown } from './errors.ts';
import { objectOf } from './schemas.ts';

const maxUsers = 2_000;

export function isAdmin(user: AppUser): boolean {
  return user.role === 'owner' || user.role === 'admin';
}

/** @param name null: the user was never seen, which only an incomplete copy of a database can cause */
export function userRef(id: string, name: string | null): UserRef {
  return { id, name: name ?? 'Former user' };
}

/** Keeps the names of users who are about to be named by a row. Belongs into the same transaction. */
export async function rememberPeople(db: AppDb, users: readonly AppUser[]): Promise<void> {
  // In a fixed order, so that two transactions that remember the same people cannot block each other for good.
  const ordered = [...new Map(users.map((user) => [user.id, user])).values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  await db.query(
    `INSERT INTO people AS p (user_id, name, email)
     SELECT new.user_id, new.name, new.email FROM unnest($1::text[], $2::text[], $3::text[]) AS new (user_id, name, email)
     WHERE NOT EXISTS (SELECT 1 FROM people k WHERE (k.user_id, k.name, k.email) = (new.user_id, new.name, new.email))
     ORDER BY 1
     ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, email = excluded.email`,
    [ordered.map((user) => user.id), ordered.map((user) => user.name), ordered.map((user) => user.email)],
  );
}

/** The active user of this id; refuses anybody else. */
export async function getAssignee(context: AppContext, assigneeId: string): Promise<AppUser> {
  if (assigneeId === context.user.id) return context.user;
  const user = (await context.users.list()).find(({ id }) => id === assigneeId);
  if (!user) throw assigneeUnknown();
  return user;
}

async function listUsers(context: AppContext): Promise<UserList> {
  const active = await context.users.list();
  const known = await context.db.read((db) =>
    db.query<{ user_id: string; name: string; email: string }>(
      'SELECT user_id, name, email FROM people ORDER BY name, user_id LIMIT $1',
      [maxUsers],
    ),
  );
  const users = new Map<string, User>();
  for (const { user_id, name, email } of known)
    users.set(user_id, { id: user_id, name, email, role: null, active: false });
  for (const { id, name, email, role } of active.slice(0, maxUsers))
    users.set(id, { id, name, email, role, active: true });
  return {
    users: [...users.values()].sort((a, b) => a.name.localeCompare(b.name, 'en') || (a.id < b.id ? -1 : 1)),
  };
}

function describeMe({ user, tenant }: AppContext): Me {
  const admin = isAdmin(user);
  return {
    user: { id: user.id, email: user.email, name: user.name, role: user.role },
    tenant: { name: tenant.name, title: tenant.title, url: tenant.url },
    can: { manageProjects: admin, importItems: admin, deleteItems: admin, moderateComments: admin },
  };
}

export const peopleRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/me',
    operation: 'desk.me.get',
    summary: 'Who is signed in and what they may do',
    query: objectOf({}),
    handler: async (context) => ({ body: describeMe(context) }),
  },
  {
    method: 'GET',
    path: '/api/users',
    operation: 'desk.user.list',
    summary: 'Everybody an item can name',
    query: objectOf({}),
    handler: async (context) => ({ body: await listUsers(context) }),
  },
];
