/** Projects: who keeps items apart and numbers them. Administrators make, rename and archive them; they are never deleted. */
import type { AppContext, AppDb, RouteDefinition } from '../sdk/index.ts';
import type { CreateProject, Project, ProjectList, UpdateProject } from './api.ts';
import {
  badInput,
  badQuery,
  limitReached,
  projectArchived,
  projectChanged,
  projectKeyTaken,
  projectNotFound,
} from './errors.ts';
import { textOf } from './input.ts';
import { rememberPeople } from './people.ts';
import { countProjects, findProject, insertProject, listProjects, updateProject } from './projects.sql.ts';
import { adminRoles, choice, idText, objectOf, text, versionNumber } from './schemas.ts';
import { requireLine, requireMarkdown } from './text.ts';

const maxProjects = 500;
const maxNameCharacters = 120;
const maxDescriptionCharacters = 10_000;

/** @param project id or key */
export async function getProject(db: AppDb, project: string): Promise<Project> {
  const found = await findProject(db, project);
  if (!found) throw projectNotFound();
  return found;
}

export async function getOpenProject(db: AppDb, project: string): Promise<Project> {
  const found = await getProject(db, project);
  if (found.archived) throw projectArchived(found.key);
  return found;
}

export function parseProjectKey(field: string, key: string): string {
  if (!/^[A-Z]{2,6}$/.test(key)) throw badInput(field, 'is not 2 to 6 capital letters A–Z');
  return key;
}

/** Inside the caller's transaction; used by the import, too. */
export async function createProject(
  context: AppContext,
  db: AppDb,
  input: CreateProject,
  importId: string | null = null,
): Promise<string> {
  const key = parseProjectKey('key', input.key);
  const name = requireLine('name', input.name, maxNameCharacters);
  const description = requireMarkdown('description', input.description ?? '', maxDescriptionCharacters);
  if ((await countProjects(db)) >= maxProjects)
    throw limitReached(`There are ${maxProjects} projects already, archived ones included; more are not possible.`);
  await rememberPeople(db, [context.user]);
  const projectId = context.newId('prj');
  const at = context.now();
  const made = await insertProject(db, { projectId, key, name, description, importId, at, by: context.user.id });
  if (!made) throw projectKeyTaken(key);
  return projectId;
}

async function create(context: AppContext, input: CreateProject): Promise<Project> {
  const project = await context.db.transact(async (db) => getProject(db, await createProject(context, db, input)));
  context.publish({
    type: 'project.changed',
    data: { projectId: project.id, version: project.version, change: 'created' },
  });
  return project;
}

async function update(context: AppContext, idOrKey: string, input: UpdateProject): Promise<Project> {
  const change = {
    ...(input.name === undefined ? {} : { name: requireLine('name', input.name, maxNameCharacters) }),
    ...(input.description === undefined
      ? {}
      : { description: requireMarkdown('description', input.description, maxDescriptionCharacters) }),
    ...(input.archived === undefined ? {} : { archived: input.archived }),
  };
  const project = await context.db.transact(async (db) => {
    const { id } = await getProject(db, idOrKey);
    await rememberPeople(db, [context.user]);
    if (!(await updateProject(db, id, input.version, change, context.now(), context.user.id))) throw projectChanged();
    return getProject(db, id);
  });
  context.publish({
    type: 'project.changed',
    data: { projectId: project.id, version: project.version, change: 'updated' },
  });
  return project;
}

async function list(context: AppContext, archived: string): Promise<ProjectList> {
  if (!['true', 'false', 'all'].includes(archived)) throw badQuery('archived', 'is not true, false or all');
  const filter = archived === 'all' ? undefined : archived === 'true';
  return { projects: await context.db.read((db) => listProjects(db, filter, maxProjects)) };
}

const params = objectOf({ project: idText }, ['project']);

export const projectRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/projects',
    operation: 'desk.project.list',
    summary: 'Projects, ordered by name',
    query: objectOf({ archived: choice(['true', 'false', 'all']) }),
    handler: async (context, { query }) => ({ body: await list(context, textOf(query, 'archived') ?? 'false') }),
  },
  {
    method: 'POST',
    path: '/api/projects',
    operation: 'desk.project.create',
    summary: 'Make a project',
    roles: adminRoles,
    body: objectOf({ key: text(6, 2), name: text(400, 1), description: text(25_000) }, ['key', 'name']),
    handler: async (context, { body }) => ({ status: 201, body: await create(context, body as CreateProject) }),
  },
  {
    method: 'GET',
    path: '/api/projects/:project',
    operation: 'desk.project.get',
    summary: 'One project',
    params,
    handler: async (context, { params }) => ({ body: await context.db.read((db) => getProject(db, params.project!)) }),
  },
  {
    method: 'PATCH',
    path: '/api/projects/:project',
    operation: 'desk.project.update',
    summary: 'Rename, describe, archive or reopen a project',
    roles: adminRoles,
    params,
    body: objectOf(
      { version: versionNumber, name: text(400, 1), description: text(25_000), archived: { type: 'boolean' } },
      ['version'],
    ),
    handler: async (context, { params, body }) => ({
      body: await update(context, params.project!, body as UpdateProject),
    }),
  },
];
