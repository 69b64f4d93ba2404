/** The board: the first cards of every column and exact totals, in two statements however many items there are. */
import type { AppContext, RouteDefinition } from '../sdk/index.ts';
import type { Board, ItemState } from './api.ts';
import { buildFilter, filterProperties, type Query, scopeOf } from './filter.ts';
import { formatCursor, limitOf } from './input.ts';
import { type ItemSummaryRow, itemTables, summaryColumns, summaryNames, toSummary } from './items.sql.ts';
import { getProject } from './projects.ts';
import { idText, itemStates, objectOf, pagingProperties } from './schemas.ts';
import { createSqlValues } from './sql-builder.ts';

const defaultCards = 30;

async function readBoard(context: AppContext, idOrKey: string, query: Query): Promise<Board> {
  const limit = limitOf(query, defaultCards);
  return context.db.read(async (db) => {
    const project = await getProject(db, idOrKey);
    const scope = scopeOf(context.user.id, context.now(), project.id);

    const sql = createSqlValues(itemStates);
    const { where } = buildFilter(query, scope, sql);
    const rows = await db.query<ItemSummaryRow & { rank: string }>(
      `SELECT ${summaryNames.map((name) => `card.${name}`).join(', ')}, card.rank FROM unnest($1::text[]) WITH ORDINALITY AS s (state, position) CROSS JOIN LATERAL (
         SELECT ${summaryColumns}, i.rank FROM ${itemTables} WHERE ${where} AND i.state = s.state
         ORDER BY i.rank, i.item_id LIMIT ${sql.add(limit + 1)}
       ) card ORDER BY s.position, card.rank, card.item_id`,
      sql.values,
    );

    const counting = createSqlValues();
    const counted = buildFilter(query, scope, counting);
    const totals = await db.query<{ state: ItemState; count: number }>(
      `SELECT i.state, count(*)::int AS count FROM items i JOIN projects p ON p.project_id = i.project_id
       WHERE ${counted.where} GROUP BY i.state`,
      counting.values,
    );

    return {
      project,
      columns: itemStates.map((state) => {
        const all = rows.filter((row) => row.state === state);
        const cards = all.slice(0, limit);
        const last = cards.at(-1);
        return {
          state,
          total: totals.find((total) => total.state === state)?.count ?? 0,
          items: cards.map(toSummary),
          nextCursor: all.length > limit && last ? formatCursor('rank', [last.rank, last.item_id]) : null,
        };
      }),
    };
  });
}

const { project: _project, state: _state, ...boardFilters } = filterProperties;

export const boardRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/projects/:project/board',
    operation: 'desk.board.get',
    summary: "A project's columns with their first cards and totals",
    params: objectOf({ project: idText }, ['project']),
    query: objectOf({ ...boardFilters, limit: pagingProperties.limit! }),
    handler: async (context, { params, query }) => ({ body: await readBoard(context, params.project!, query) }),
  },
];
