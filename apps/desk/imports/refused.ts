/** The report of rows that became no item. */
import type { AppContext, RouteResult } from '../../sdk/index.ts';
import type { RefusedList, RefusedRow } from '../api.ts';
import { byteOrderMark, csvMediaType, formatCsvRow } from '../csv.ts';
import type { Query } from '../filter.ts';
import { cursorPatterns, formatCursor, limitOf, parseCursor, textOf } from '../input.ts';
import { sendSpooled } from '../spool.ts';
import { getImport } from './imports.sql.ts';

const pageRows = 1_000;

async function readRows(context: AppContext, importId: string, afterRow: number, limit: number): Promise<RefusedRow[]> {
  return context.db.read((db) =>
    db.query<{ row: number; line: number; reason: string }>(
      `SELECT row_number AS row, line, reason FROM import_refusals WHERE import_id = $1 AND row_number > $2 ORDER BY row_number LIMIT $3`,
      [importId, afterRow, limit],
    ),
  );
}

export async function listRefused(context: AppContext, importId: string, query: Query): Promise<RefusedList> {
  const limit = limitOf(query);
  const cursor = textOf(query, 'cursor');
  const [after = '0'] = cursor ? parseCursor(cursor, 'refused', [cursorPatterns.integer]) : [];
  const { progress } = await context.db.read((db) => getImport(db, importId));
  const rows = await readRows(context, importId, Math.min(Number(after), 2_147_483_647), limit + 1);
  const page = rows.slice(0, limit);
  return {
    rows: page,
    nextCursor: rows.length > limit ? formatCursor('refused', [String(page.at(-1)!.row)]) : null,
    total: progress.refused,
  };
}

export async function writeRefused(context: AppContext, importId: string): Promise<RouteResult> {
  const stored = await context.db.read((db) => getImport(db, importId));
  async function* write() {
    yield byteOrderMark + formatCsvRow(['Row', 'Line', 'Reason']);
    let last = 0;
    for (;;) {
      const rows = await readRows(context, importId, last, pageRows);
      yield rows.map(({ row, line, reason }) => formatCsvRow([row, line, reason])).join('');
      if (rows.length < pageRows) return;
      last = rows.at(-1)!.row;
    }
  }
  const name = `${stored.file.name.replace(/\.[A-Za-z]{1,5}$/, '')}-refused.csv`;
  return sendSpooled(context, { name, mediaType: csvMediaType }, write());
}
