/** The report of rows that became no item. */
import type { AppContext, RouteResult } from '../../sdk/index.ts';
import type { RefusedList, RefusedRow } from '../api.ts';
import { byteOrderMark, csvMediaType, formatCsvRow } from '../csv.ts';
import type { Query } from '../filter.ts';
import { cursorPatterns, formatCursor, limitOf, parseCursor, textOf } from '../input.ts';
import { sendSpooled } from '../spool.ts';
import { refusalHeaders } from './guess.ts';
import { getImport } from './imports.sql.ts';
import type { Refusal } from './staging.sql.ts';

/** Of rows with their cells, which may be long. */
const pageRowsWithCells = 50;

async function readRows(context: AppContext, importId: string, afterRow: number, limit: number): Promise<RefusedRow[]> {
  return context.db.read((db) =>
    db.query<{ row: number; line: number; reason: string }>(
      `SELECT row_number AS row, line, reason FROM import_refusals WHERE import_id = $1 AND row_number > $2 ORDER BY row_number LIMIT $3`,
      [importId, afterRow, limit],
    ),
  );
}

async function readRowsWithCells(context: AppContext, importId: string, afterRow: number): Promise<Refusal[]> {
  return context.db.read((db) =>
    db.query<Refusal>(
      `SELECT row_number AS row, line, reason, cells FROM import_refusals WHERE import_id = $1 AND row_number > $2 ORDER BY row_number LIMIT $3`,
      [importId, afterRow, pageRowsWithCells],
    ),
  );
}

function padded(cells: readonly string[], length: number): readonly (string | null)[] {
  return [...cells, ...Array.from({ length: Math.max(0, length - cells.length) }, () => null)];
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

/** The file's own columns first, so that the mended rows can be imported again; ours are left out then. */
export async function writeRefused(context: AppContext, importId: string): Promise<RouteResult> {
  const stored = await context.db.read((db) => getImport(db, importId));
  const headers = stored.columns.map(({ header }) => header);
  async function* write() {
    yield byteOrderMark + formatCsvRow([...headers, ...refusalHeaders]);
    let last = 0;
    for (;;) {
      const rows = await readRowsWithCells(context, importId, last);
      // A row with too few cells keeps the reason in its own column; one with too many shows them all.
      yield rows
        .map(({ row, line, reason, cells }) => formatCsvRow([...padded(cells, headers.length), reason, row, line]))
        .join('');
      if (rows.length < pageRowsWithCells) return;
      last = rows.at(-1)!.row;
    }
  }
  const name = `${stored.file.name.replace(/\.[A-Za-z]{1,5}$/, '')}-refused.csv`;
  return sendSpooled(context, { name, mediaType: csvMediaType }, write());
}
