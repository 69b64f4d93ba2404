/**
 * The work of an import, in the background.
 * 1. reading: the file is parsed again and every row checked with the accepted mapping; good rows wait in `import_rows`, others are noted.
 * 2. creating: one transaction turns all waiting rows into items and ends the run. A crash at any point leaves no item.
 * Invariant: items of an import exist if and only if its state is `done` (or they outlived an undo).
 */
import { type AppContext, AppError, type AppUser } from '../../sdk/index.ts';
import type { Import, ImportProgress } from '../api.ts';
import { removeUnusedFiles } from '../unused-files.ts';
import { createItems } from './create.ts';
import { failRun, getImport, type StoredImport } from './imports.sql.ts';
import { type ProgressWriter, RunOver, startProgress } from './progress.ts';
import { readRecords } from './records.ts';
import { createConverter, RowRefused } from './rows.ts';
import { deleteRows, insertRefusals, insertRows, type Refusal, type StagedRow } from './staging.sql.ts';

const batchRows = 500;
const batchCharacters = 4_000_000;

export async function runImport(context: AppContext, importId: string, run: number): Promise<void> {
  const started = performance.now();
  const stored = await context.db.read((db) => getImport(db, importId));
  const progress = startProgress(context, importId, run, stored.progress);
  try {
    const read = await readFile(context, stored, run, progress);
    const result = await createItems(context, stored, run, read, progress, started);
    await progress.stop();
    publish(context, importId, 'done', {
      phase: 'finished',
      done: result.created,
      total: result.created,
      refused: result.refused,
    });
    if (stored.mapping.project.kind === 'new')
      context.publish({
        type: 'project.changed',
        data: { projectId: result.projectId, version: 1, change: 'created' },
      });
    context.publish({ type: 'items.changed', data: { projectIds: [result.projectId], count: result.created } });
    await removeUnusedFiles(context);
  } catch (error) {
    await progress.stop();
    if (error instanceof RunOver) {
      await context.db.transact((db) => deleteRows(db, importId, run));
      return;
    }
    await noteFailure(context, importId, run, error);
    if (!(error instanceof AppError)) throw error;
  }
}

async function noteFailure(context: AppContext, importId: string, run: number, error: unknown): Promise<void> {
  const state = context.signal.aborted ? 'interrupted' : 'failed';
  const reason: Import['error'] =
    error instanceof AppError
      ? { code: error.code, message: error.message }
      : {
          code: 'DESK_IMPORT_FAILED',
          message: 'The import stopped because of a fault. Nothing was made. Start it again.',
        };
  try {
    const noted = await context.db.transact((db) =>
      failRun(db, importId, run, state, state === 'failed' ? reason : null, context.now()),
    );
    if (noted) publish(context, importId, state, { phase: 'waiting', done: 0, total: 0, refused: 0 });
  } catch {
    // The database cannot be reached any more (drain, crash): the missing heartbeat tells it as well.
  }
}

function publish(context: AppContext, importId: string, state: Import['state'], progress: ImportProgress): void {
  context.publish({ type: 'import.progress', data: { importId, state, progress } });
}

export interface ReadResult {
  readonly accepted: number;
  readonly refused: number;
  /** Users who get items. */
  readonly assignees: readonly Pick<AppUser, 'id' | 'name'>[];
  readonly users: readonly AppUser[];
}

async function readFile(
  context: AppContext,
  stored: StoredImport,
  run: number,
  progress: ProgressWriter,
): Promise<ReadResult> {
  const opened = stored.fileId === null ? undefined : await context.files.open(stored.fileId);
  if (!opened) throw new Error('the file of the import is gone');
  const users = await context.users.list();
  const convert = createConverter(stored.mapping, stored.columns, users);
  const assignees = new Map<string, Pick<AppUser, 'id' | 'name'>>();
  let accepted = 0;
  let refused = 0;
  let rows: StagedRow[] = [];
  let refusals: Refusal[] = [];
  let characters = 0;

  const flush = async () => {
    if (rows.length > 0 || refusals.length > 0) {
      await context.db.transact(async (db) => {
        if (rows.length > 0) await insertRows(db, stored.id, run, rows);
        if (refusals.length > 0) await insertRefusals(db, stored.id, refusals);
      });
    }
    rows = [];
    refusals = [];
    characters = 0;
    progress.report({ phase: 'reading', done: accepted + refused, total: stored.rowCount, refused });
  };

  let isHeader = true;
  for await (const { line, cells } of readRecords(opened.content, stored.delimiter)) {
    if (isHeader) {
      isHeader = false;
      continue;
    }
    const row = accepted + refused + 1;
    try {
      const item = convert(cells);
      if (item.assignee) assignees.set(item.assignee.id, item.assignee);
      rows.push({ row, item });
      characters += item.description.length;
      accepted++;
    } catch (error) {
      if (!(error instanceof RowRefused)) throw error;
      refusals.push({ row, line, reason: error.message, cells });
      for (const cell of cells) characters += cell.length;
      refused++;
    }
    if (rows.length + refusals.length >= batchRows || characters >= batchCharacters) await flush();
  }
  await flush();
  return { accepted, refused, assignees: [...assignees.values()], users };
}
