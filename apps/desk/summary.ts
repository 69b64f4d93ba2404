/** Numbers of the home page. */
import type { AppContext, AppDb, RouteDefinition } from '../sdk/index.ts';
import type { ItemState, ItemSummary, Summary } from './api.ts';
import { type ItemSummaryRow, itemTables, summaryColumns, toSummary } from './items.sql.ts';
import { itemStates, objectOf } from './schemas.ts';

const shownItems = 10;
const shownProjects = 50;

async function readItems(db: AppDb, where: string, order: string, values: readonly unknown[]): Promise<ItemSummary[]> {
  const rows = await db.query<ItemSummaryRow>(
    `SELECT ${summaryColumns} FROM ${itemTables} WHERE NOT p.archived AND ${where} ORDER BY ${order} LIMIT ${shownItems}`,
    values,
  );
  return rows.map(toSummary);
}

interface Counts {
  mine: number;
  mine_overdue: number;
  open_unassigned: number;
  open_urgent: number;
  overdue: number;
}

async function readSummary(context: AppContext): Promise<Summary> {
  const { user } = context;
  const today = context.now().toISOString().slice(0, 10);
  return context.db.read(async (db) => {
    const states = await db.query<{ state: ItemState; count: number }>(
      `SELECT i.state, count(*)::int AS count FROM items i JOIN projects p ON p.project_id = i.project_id
       WHERE NOT p.archived GROUP BY i.state`,
    );
    const [counts] = await db.query<Counts>(
      `SELECT count(*) FILTER (WHERE i.assignee_id = $1)::int AS mine,
         count(*) FILTER (WHERE i.assignee_id = $1 AND i.due_on < $2)::int AS mine_overdue,
         count(*) FILTER (WHERE i.assignee_id IS NULL)::int AS open_unassigned,
         count(*) FILTER (WHERE i.priority = 'urgent')::int AS open_urgent,
         count(*) FILTER (WHERE i.due_on < $2)::int AS overdue
       FROM items i JOIN projects p ON p.project_id = i.project_id
       WHERE NOT p.archived AND i.state NOT IN ('done', 'closed')`,
      [user.id, today],
    );
    const projects = await db.query<{ id: string; key: string; name: string; open: number; total: number }>(
      `SELECT p.project_id AS id, p.key, p.name, count(i.item_id)::int AS total,
         count(i.item_id) FILTER (WHERE i.state NOT IN ('done', 'closed'))::int AS open
       FROM projects p LEFT JOIN items i ON i.project_id = p.project_id
       WHERE NOT p.archived GROUP BY p.project_id ORDER BY lower(p.name), p.key LIMIT ${shownProjects}`,
    );
    const { mine, mine_overdue, open_unassigned, open_urgent, overdue } = counts!;
    return {
      byState: itemStates.map((state) => ({ state, count: states.find((row) => row.state === state)?.count ?? 0 })),
      mine: {
        total: mine,
        overdue: mine_overdue,
        items: await readItems(
          db,
          `i.assignee_id = $1 AND i.state NOT IN ('done', 'closed')`,
          'i.urgency DESC, i.due_on NULLS LAST, i.updated_at DESC, i.item_id',
          [user.id],
        ),
      },
      openUnassigned: open_unassigned,
      openUrgent: open_urgent,
      overdue,
      recent: await readItems(db, 'true', 'i.updated_at DESC, i.item_id DESC', []),
      projects,
    };
  });
}

export const summaryRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/summary',
    operation: 'desk.summary.get',
    summary: 'Numbers of the home page',
    query: objectOf({}),
    handler: async (context) => ({ body: await readSummary(context) }),
  },
];
