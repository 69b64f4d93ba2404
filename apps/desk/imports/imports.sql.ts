/** SQL of imports: their record, its states and progress. */
import type { AppDb } from '../../sdk/index.ts';
import type {
  Import,
  ImportColumn,
  ImportMapping,
  ImportProgress,
  ImportResult,
  ImportState,
  ImportUndo,
} from '../api.ts';
import { importNotFound } from '../errors.ts';
import { userRef } from '../people.ts';
import type { Delimiter } from './delimiter.ts';

/** A running import shows life every few seconds. Without any for this long, its process is gone. */
const silence = `interval '20 seconds'`;
const isSilent = `(n.state = 'running' AND n.heartbeat_at < clock_timestamp() - ${silence})`;

interface ImportRow {
  import_id: string;
  state: ImportState;
  file_id: string | null;
  file_name: string;
  size_bytes: string;
  delimiter: Delimiter;
  row_count: number;
  columns: ImportColumn[];
  sample: string[][];
  mapping: ImportMapping;
  phase: ImportProgress['phase'];
  done_rows: number;
  total_rows: number;
  refused_rows: number;
  result: ImportResult | null;
  undo: ImportUndo | null;
  error: { code: string; message: string } | null;
  created_at: Date;
  created_by: string;
  created_by_name: string | null;
  started_at: Date | null;
  finished_at: Date | null;
}

const selectImport = `
  SELECT n.import_id, CASE WHEN ${isSilent} THEN 'interrupted' ELSE n.state END AS state, n.file_id, n.file_name, n.size_bytes, n.delimiter,
    n.row_count, n.columns, n.sample, n.mapping, n.phase, n.done_rows, n.total_rows, n.refused_rows, n.result, n.undo, n.error,
    n.created_at, n.created_by, c.name AS created_by_name, n.started_at, n.finished_at
  FROM imports n LEFT JOIN people c ON c.user_id = n.created_by`;

/** An import with the id of its file, which pages do not need to know. */
export interface StoredImport extends Import {
  readonly fileId: string | null;
}

function toImport(row: ImportRow): StoredImport {
  return {
    id: row.import_id,
    state: row.state,
    fileId: row.file_id,
    file: { name: row.file_name, sizeBytes: Number(row.size_bytes) },
    delimiter: row.delimiter,
    rowCount: row.row_count,
    columns: row.columns,
    sample: row.sample,
    mapping: row.mapping,
    progress: { phase: row.phase, done: row.done_rows, total: row.total_rows, refused: row.refused_rows },
    result: row.result,
    undo: row.undo,
    error: row.error,
    createdAt: row.created_at.toISOString(),
    createdBy: userRef(row.created_by, row.created_by_name),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}

export function toPublic({ fileId: _, ...shown }: StoredImport): Import {
  return shown;
}

export async function getImport(db: AppDb, importId: string): Promise<StoredImport> {
  const [row] = await db.query<ImportRow>(`${selectImport} WHERE n.import_id = $1`, [importId]);
  if (!row) throw importNotFound();
  return toImport(row);
}

export async function listImports(db: AppDb, limit: number): Promise<Import[]> {
  const rows = await db.query<ImportRow>(`${selectImport} ORDER BY n.created_at DESC, n.import_id LIMIT $1`, [limit]);
  return rows.map((row) => toPublic(toImport(row)));
}

export interface NewImport {
  readonly importId: string;
  readonly fileId: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly delimiter: Delimiter;
  readonly rowCount: number;
  readonly columns: readonly ImportColumn[];
  readonly sample: readonly (readonly string[])[];
  readonly mapping: ImportMapping;
  readonly at: Date;
  readonly by: string;
}

export async function insertImport(db: AppDb, made: NewImport): Promise<void> {
  await db.query(
    `INSERT INTO imports (import_id, state, file_id, file_name, size_bytes, delimiter, row_count, columns, sample, mapping, created_at, created_by)
     VALUES ($1, 'uploaded', $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9::jsonb, $10, $11)`,
    [
      made.importId,
      made.fileId,
      made.fileName,
      made.sizeBytes,
      made.delimiter,
      made.rowCount,
      JSON.stringify(made.columns),
      JSON.stringify(made.sample),
      JSON.stringify(made.mapping),
      made.at,
      made.by,
    ],
  );
}

/** False: the import is not in a state to be mapped. */
export async function updateMapping(db: AppDb, importId: string, mapping: ImportMapping): Promise<boolean> {
  const rows = await db.query(
    `UPDATE imports n SET mapping = $2::jsonb, state = 'ready', error = NULL, phase = 'waiting', done_rows = 0, refused_rows = 0
     WHERE import_id = $1 AND (state IN ('uploaded', 'ready', 'failed', 'interrupted') OR ${isSilent}) RETURNING import_id`,
    [importId, JSON.stringify(mapping)],
  );
  return rows.length === 1;
}

/** Begins a run and gives its number; undefined: the import is not in a state to be started. Leftovers of an earlier run go. */
export async function beginRun(db: AppDb, importId: string, at: Date): Promise<number | undefined> {
  const [row] = await db.query<{ run: number }>(
    `UPDATE imports n SET state = 'running', run = run + 1, phase = 'reading', done_rows = 0, total_rows = row_count, refused_rows = 0,
       heartbeat_at = clock_timestamp(), error = NULL, started_at = $2, finished_at = NULL
     WHERE import_id = $1 AND (state IN ('ready', 'failed', 'interrupted') OR ${isSilent}) RETURNING run`,
    [importId, at],
  );
  if (!row) return undefined;
  // Also what cancelled runs of other imports left when their process vanished.
  await db.query(
    `DELETE FROM import_rows WHERE import_id = $1 OR import_id IN (SELECT import_id FROM imports WHERE state <> 'running')`,
    [importId],
  );
  await db.query('DELETE FROM import_refusals WHERE import_id = $1', [importId]);
  return row.run;
}

/** Progress and sign of life of a run. False: the run is over (cancelled or taken for dead). */
export async function updateProgress(
  db: AppDb,
  importId: string,
  run: number,
  progress: ImportProgress,
): Promise<boolean> {
  const rows = await db.query(
    `UPDATE imports SET phase = $3, done_rows = $4, total_rows = $5, refused_rows = $6, heartbeat_at = clock_timestamp()
     WHERE import_id = $1 AND run = $2 AND state = 'running' RETURNING import_id`,
    [importId, run, progress.phase, progress.done, progress.total, progress.refused],
  );
  return rows.length === 1;
}

/** Ends a run well. False: it is over already, and the caller must roll back. */
export async function finishRun(
  db: AppDb,
  importId: string,
  run: number,
  result: ImportResult,
  at: Date,
): Promise<boolean> {
  await db.query('DELETE FROM import_rows WHERE import_id = $1', [importId]);
  const rows = await db.query<{ import_id: string }>(
    `UPDATE imports SET state = 'done', phase = 'finished', done_rows = $3, total_rows = $3, refused_rows = $4, result = $5::jsonb, finished_at = $6
     WHERE import_id = $1 AND run = $2 AND state = 'running' RETURNING import_id`,
    [importId, run, result.created, result.refused, JSON.stringify(result), at],
  );
  await releaseFile(db, importId);
  return rows.length === 1;
}

/** Ends a run without anything made. */
export async function failRun(
  db: AppDb,
  importId: string,
  run: number,
  state: 'failed' | 'interrupted',
  error: Import['error'],
  at: Date,
): Promise<boolean> {
  await db.query('DELETE FROM import_rows WHERE import_id = $1 AND run = $2', [importId, run]);
  const rows = await db.query(
    `UPDATE imports SET state = $3, phase = 'waiting', error = $4::jsonb, finished_at = $5
     WHERE import_id = $1 AND run = $2 AND state = 'running' RETURNING import_id`,
    [importId, run, state, error && JSON.stringify(error), at],
  );
  return rows.length === 1;
}

/** False: it is over already. */
export async function cancelImport(db: AppDb, importId: string, at: Date): Promise<boolean> {
  const rows = await db.query(
    `UPDATE imports SET state = 'cancelled', phase = 'finished', finished_at = $2
     WHERE import_id = $1 AND state IN ('uploaded', 'ready', 'running', 'interrupted', 'failed') RETURNING import_id`,
    [importId, at],
  );
  if (rows.length === 0) return false;
  await db.query('DELETE FROM import_rows WHERE import_id = $1', [importId]);
  await releaseFile(db, importId);
  return true;
}

/** The uploaded file has done its duty; it contains people's data and is not kept. */
async function releaseFile(db: AppDb, importId: string): Promise<void> {
  await db.query(
    `WITH old AS (SELECT import_id, file_id FROM imports WHERE import_id = $1 AND file_id IS NOT NULL),
       noted AS (INSERT INTO unused_files (file_id) SELECT file_id FROM old ON CONFLICT DO NOTHING)
     UPDATE imports n SET file_id = NULL FROM old WHERE n.import_id = old.import_id`,
    [importId],
  );
}
