/** Second half of an import: all waiting rows become items, or none. */
import type { AppContext, AppDb } from '../../sdk/index.ts';
import type { ImportResult, ItemState } from '../api.ts';
import { lockColumns, takeBottomRanks } from '../columns.ts';
import { projectArchived } from '../errors.ts';
import { rememberPeople } from '../people.ts';
import { takeNumbers } from '../projects.sql.ts';
import { createProject, getOpenProject, getProject } from '../projects.ts';
import { finishRun, type StoredImport } from './imports.sql.ts';
import { type ProgressWriter, RunOver } from './progress.ts';
import type { ReadResult } from './run.ts';
import { countRows, insertItems, listRows } from './staging.sql.ts';

const batchRows = 1_000;

export async function createItems(
  context: AppContext,
  stored: StoredImport,
  run: number,
  read: ReadResult,
  progress: ProgressWriter,
  started: number,
): Promise<ImportResult> {
  const at = context.now();
  const report = (done: number) =>
    progress.report({ phase: 'creating', done, total: read.accepted, refused: read.refused });
  report(0);
  return context.db.transact(async (db) => {
    const perState = await countRows(db, stored.id, run);
    const waiting = [...perState.values()].reduce((sum, count) => sum + count, 0);
    // The table of waiting rows does not survive a crash of the database server; another run or a cancellation empties it, too.
    if (waiting !== read.accepted) throw new RunOver();
    const assigned = new Set(read.assignees.map(({ id }) => id));
    await rememberPeople(db, [context.user, ...read.users.filter(({ id }) => assigned.has(id))]);
    const project = await chooseProject(context, db, stored);
    // The project's row before the columns, as everywhere (columns.ts).
    const numbers = await takeNumbers(db, project.id, waiting);
    if (!numbers) throw projectArchived(project.key);
    const { firstNumber } = numbers;
    const ranks = await takeRanks(db, project.id, perState);

    let done = 0;
    let lastRow = 0;
    while (done < waiting) {
      const rows = await listRows(db, stored.id, run, lastRow, batchRows);
      if (rows.length === 0) throw new RunOver();
      const first = done;
      await insertItems(
        db,
        { importId: stored.id, run, projectId: project.id, at, by: context.user.id },
        rows.map(({ row_number, state }, index) => ({
          row: row_number,
          itemId: context.newId('itm'),
          number: firstNumber + first + index,
          rank: ranks.get(state)!.next().value!,
        })),
      );
      done += rows.length;
      lastRow = rows.at(-1)!.row_number;
      report(done);
    }
    const result: ImportResult = {
      created: waiting,
      refused: read.refused,
      projectId: project.id,
      projectKey: project.key,
      firstKey: waiting > 0 ? `${project.key}-${firstNumber}` : null,
      lastKey: waiting > 0 ? `${project.key}-${firstNumber + waiting - 1}` : null,
      durationMs: Math.round(performance.now() - started),
    };
    if (!(await finishRun(db, stored.id, run, result, context.now()))) throw new RunOver();
    return result;
  });
}

async function chooseProject(context: AppContext, db: AppDb, { id, mapping }: StoredImport) {
  const { project } = mapping;
  if (project.kind === 'existing') return getOpenProject(db, project.project);
  const made = await createProject(context, db, { key: project.key, name: project.name }, id);
  return getProject(db, made);
}

async function takeRanks(db: AppDb, projectId: string, perState: ReadonlyMap<ItemState, number>) {
  await lockColumns(
    db,
    [...perState.keys()].map((state) => ({ projectId, state })),
  );
  const ranks = new Map<ItemState, Iterator<string>>();
  for (const [state, count] of perState) {
    const inOrder = await takeBottomRanks(db, { projectId, state }, count);
    ranks.set(state, inOrder.values());
  }
  return ranks;
}
