/** What happened to an item: read here, written where it happens. The database refuses to change or delete entries. */
import type { AppContext, AppDb, RouteDefinition } from '../sdk/index.ts';
import type { HistoryChange, HistoryEntry, HistoryList } from './api.ts';
import { itemNotFound } from './errors.ts';
import type { Query } from './filter.ts';
import { cursorPatterns, formatCursor, limitOf, parseCursor, textOf } from './input.ts';
import { findItemPlace } from './items.sql.ts';
import { userRef } from './people.ts';
import { idText, objectOf, pagingQuery } from './schemas.ts';

export async function noteHistory(
  db: AppDb,
  itemId: string,
  action: Exclude<HistoryEntry['action'], 'created' | 'imported'>,
  changes: readonly HistoryChange[],
  at: Date,
  by: string,
): Promise<void> {
  await db.query('INSERT INTO history (item_id, at, by, action, changes) VALUES ($1, $2, $3, $4, $5::jsonb)', [
    itemId,
    at,
    by,
    action,
    JSON.stringify(changes),
  ]);
}

interface HistoryRow {
  history_id: string;
  at: Date;
  by: string;
  by_name: string | null;
  action: HistoryEntry['action'];
  changes: HistoryChange[];
}

async function listHistory(context: AppContext, item: string, query: Query): Promise<HistoryList> {
  const limit = limitOf(query);
  const cursor = textOf(query, 'cursor');
  const [before = null] = cursor ? parseCursor(cursor, 'history', [cursorPatterns.integer]) : [];
  return context.db.read(async (db) => {
    const place = await findItemPlace(db, item);
    if (!place) throw itemNotFound();
    const rows = await db.query<HistoryRow>(
      `SELECT h.history_id, h.at, h.by, b.name AS by_name, h.action, h.changes
       FROM history h LEFT JOIN people b ON b.user_id = h.by
       WHERE h.item_id = $1 AND ($2::bigint IS NULL OR h.history_id < $2) ORDER BY h.history_id DESC LIMIT $3`,
      [place.item_id, before, limit + 1],
    );
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return {
      entries: page.map((row) => ({
        id: String(row.history_id),
        at: row.at.toISOString(),
        by: userRef(row.by, row.by_name),
        action: row.action,
        changes: row.changes,
      })),
      nextCursor: rows.length > limit && last ? formatCursor('history', [String(last.history_id)]) : null,
    };
  });
}

export const historyRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/items/:item/history',
    operation: 'desk.history.list',
    summary: 'What happened to an item, newest first',
    params: objectOf({ item: idText }, ['item']),
    query: pagingQuery,
    handler: async (context, { params, query }) => ({ body: await listHistory(context, params.item!, query) }),
  },
];
