/** Checked rows wait in a table until all are read; then they become items in one short transaction. */
import type { AppDb } from '../../sdk/index.ts';
import type { ItemState } from '../api.ts';
import type { ImportedItem } from './rows.ts';

export interface StagedRow {
  readonly row: number;
  readonly item: ImportedItem;
}

export interface Refusal {
  readonly row: number;
  readonly line: number;
  readonly reason: string;
  readonly cells: readonly string[];
}

export async function insertRows(db: AppDb, importId: string, run: number, rows: readonly StagedRow[]): Promise<void> {
  const records = rows.map(({ row, item }) => ({
    row_number: row,
    type: item.type,
    title: item.title,
    description: item.description,
    state: item.state,
    priority: item.priority,
    assignee_id: item.assignee?.id ?? null,
    tags: item.tags,
    due_on: item.dueOn,
    requester_name: item.requesterName,
    requester_email: item.requesterEmail,
    reference: item.reference,
    created_at: item.createdAt,
  }));
  await db.query(
    `INSERT INTO import_rows (import_id, run, row_number, type, title, description, state, priority, assignee_id, tags, due_on,
       requester_name, requester_email, reference, created_at)
     SELECT $1, $2, r.row_number, r.type, r.title, r.description, r.state, r.priority, r.assignee_id, r.tags, r.due_on,
       r.requester_name, r.requester_email, r.reference, r.created_at
     FROM jsonb_to_recordset($3::jsonb) AS r (row_number integer, type text, title text, description text, state text, priority text,
       assignee_id text, tags text[], due_on date, requester_name text, requester_email text, reference text, created_at timestamptz)`,
    [importId, run, JSON.stringify(records)],
  );
}

export async function insertRefusals(db: AppDb, importId: string, refusals: readonly Refusal[]): Promise<void> {
  const records = refusals.map(({ row, line, reason, cells }) => ({ row_number: row, line, reason, cells }));
  await db.query(
    `INSERT INTO import_refusals (import_id, row_number, line, reason, cells)
     SELECT $1, r.row_number, r.line, r.reason, r.cells
     FROM jsonb_to_recordset($2::jsonb) AS r (row_number integer, line integer, reason text, cells jsonb)
     ON CONFLICT DO NOTHING`,
    [importId, JSON.stringify(records)],
  );
}

export async function deleteRows(db: AppDb, importId: string, run: number): Promise<void> {
  await db.query('DELETE FROM import_rows WHERE import_id = $1 AND run = $2', [importId, run]);
}

export async function countRows(db: AppDb, importId: string, run: number): Promise<Map<ItemState, number>> {
  const rows = await db.query<{ state: ItemState; count: number }>(
    'SELECT state, count(*)::int AS count FROM import_rows WHERE import_id = $1 AND run = $2 GROUP BY state',
    [importId, run],
  );
  return new Map(rows.map(({ state, count }) => [state, count]));
}

export async function listRows(
  db: AppDb,
  importId: string,
  run: number,
  afterRow: number,
  limit: number,
): Promise<{ row_number: number; state: ItemState }[]> {
  return db.query(
    'SELECT row_number, state FROM import_rows WHERE import_id = $1 AND run = $2 AND row_number > $3 ORDER BY row_number LIMIT $4',
    [importId, run, afterRow, limit],
  );
}

export interface ItemAssignment {
  readonly row: number;
  readonly itemId: string;
  readonly number: number;
  readonly rank: string;
}

/** Makes items of staged rows. Equal times would leave the order of lists to chance, so each row is a microsecond later than the one before. */
export async function insertItems(
  db: AppDb,
  made: { importId: string; run: number; projectId: string; at: Date; by: string },
  assignments: readonly ItemAssignment[],
): Promise<void> {
  await db.query(
    `WITH made AS (
       INSERT INTO items (item_id, project_id, number, type, title, description, state, priority, assignee_id, tags, due_on, requester_name,
         requester_email, reference, rank, import_id, created_at, created_by, updated_at, updated_by, finished_at)
       SELECT n.item_id, $3, n.number, r.type, r.title, r.description, r.state, r.priority, r.assignee_id, r.tags, r.due_on, r.requester_name,
         r.requester_email, r.reference, n.rank, $1, coalesce(r.created_at, t.at), $5, t.at, $5,
         CASE WHEN r.state IN ('done', 'closed') THEN coalesce(r.created_at, t.at) END
       FROM unnest($6::integer[], $7::text[], $8::integer[], $9::text[]) AS n (row_number, item_id, number, rank)
       JOIN import_rows r ON r.import_id = $1 AND r.run = $2 AND r.row_number = n.row_number
       CROSS JOIN LATERAL (SELECT $4::timestamptz + n.row_number * interval '1 microsecond' AS at) t
       RETURNING item_id
     )
     INSERT INTO history (item_id, at, by, action) SELECT item_id, $4, $5, 'imported' FROM made`,
    [
      made.importId,
      made.run,
      made.projectId,
      made.at,
      made.by,
      assignments.map(({ row }) => row),
      assignments.map(({ itemId }) => itemId),
      assignments.map(({ number }) => number),
      assignments.map(({ rank }) => rank),
    ],
  );
}
