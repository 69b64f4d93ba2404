/** SQL of projects. */
import type { AppDb } from '../sdk/index.ts';
import type { Project } from './api.ts';
import { userRef } from './people.ts';

interface ProjectRow {
  project_id: string;
  key: string;
  name: string;
  description: string;
  archived: boolean;
  open_count: number;
  item_count: number;
  version: number;
  created_at: Date;
  updated_at: Date;
  created_by: string;
  created_by_name: string | null;
}

const selectProject = `
  SELECT p.project_id, p.key, p.name, p.description, p.archived, p.version, p.created_at, p.updated_at, p.created_by,
    c.name AS created_by_name, n.open_count, n.item_count
  FROM projects p
  LEFT JOIN people c ON c.user_id = p.created_by
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state NOT IN ('done', 'closed'))::int AS open_count, count(*)::int AS item_count
    FROM items i WHERE i.project_id = p.project_id
  ) n`;

function toProject(row: ProjectRow): Project {
  return {
    id: row.project_id,
    key: row.key,
    name: row.name,
    description: row.description,
    archived: row.archived,
    openCount: row.open_count,
    itemCount: row.item_count,
    version: row.version,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    createdBy: userRef(row.created_by, row.created_by_name),
  };
}

/** @param project id or key */
export async function findProject(db: AppDb, project: string): Promise<Project | undefined> {
  const [row] = await db.query<ProjectRow>(`${selectProject} WHERE p.project_id = $1 OR p.key = $2`, [
    project,
    project.toUpperCase(),
  ]);
  return row && toProject(row);
}

export async function listProjects(db: AppDb, archived: boolean | undefined, limit: number): Promise<Project[]> {
  const rows = await db.query<ProjectRow>(
    `${selectProject} WHERE $1::boolean IS NULL OR p.archived = $1 ORDER BY lower(p.name), p.key LIMIT $2`,
    [archived ?? null, limit],
  );
  return rows.map(toProject);
}

export async function countProjects(db: AppDb): Promise<number> {
  const [row] = await db.query<{ count: number }>('SELECT count(*)::int AS count FROM projects');
  return row!.count;
}

export interface NewProject {
  readonly projectId: string;
  readonly key: string;
  readonly name: string;
  readonly description: string;
  readonly importId: string | null;
  readonly at: Date;
  readonly by: string;
}

/** False when the key is taken. */
export async function insertProject(db: AppDb, project: NewProject): Promise<boolean> {
  const rows = await db.query(
    `INSERT INTO projects (project_id, key, name, description, import_id, created_at, created_by, updated_at, updated_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $6, $7) ON CONFLICT (key) DO NOTHING RETURNING project_id`,
    [project.projectId, project.key, project.name, project.description, project.importId, project.at, project.by],
  );
  return rows.length === 1;
}

/** False when the version is old. */
export async function updateProject(
  db: AppDb,
  projectId: string,
  version: number,
  change: { name?: string; description?: string; archived?: boolean },
  at: Date,
  by: string,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE projects SET name = coalesce($3, name), description = coalesce($4, description), archived = coalesce($5, archived),
       version = version + 1, updated_at = $6, updated_by = $7
     WHERE project_id = $1 AND version = $2 RETURNING project_id`,
    [projectId, version, change.name ?? null, change.description ?? null, change.archived ?? null, at, by],
  );
  return rows.length === 1;
}

/** Takes the next `count` numbers of a project; undefined when it does not exist or is archived. Holds the project's row until the end of the transaction. */
export async function takeNumbers(
  db: AppDb,
  projectId: string,
  count: number,
): Promise<{ firstNumber: number } | undefined> {
  const [row] = await db.query<{ last_number: number }>(
    'UPDATE projects SET last_number = last_number + $2 WHERE project_id = $1 AND NOT archived RETURNING last_number',
    [projectId, count],
  );
  return row && { firstNumber: row.last_number - count + 1 };
}
