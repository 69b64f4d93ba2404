/** CSV import: upload → mapping with preview → start → done, and back by undo. For administrators. */
import type { AppContext, RouteDefinition, UploadedFile } from '../../sdk/index.ts';
import type { Import, ImportList, ImportMapping, ImportPreview } from '../api.ts';
import { badQuery, importFile, importState, limitReached } from '../errors.ts';
import { toRequester } from '../items.sql.ts';
import { rememberPeople, userRef } from '../people.ts';
import { adminRoles, idText, objectOf, pagingQuery } from '../schemas.ts';
import { describeTag } from '../tags.ts';
import { cleanLine } from '../text.ts';
import { removeUnusedFiles } from '../unused-files.ts';
import { analyseFile } from './analyse.ts';
import { guessMapping } from './guess.ts';
import {
  beginRun,
  cancelImport,
  getImport,
  insertImport,
  listImports,
  type StoredImport,
  toPublic,
  updateMapping,
} from './imports.sql.ts';
import { checkMapping, mappingSchema } from './mapping.ts';
import { readRecords } from './records.ts';
import { listRefused, writeRefused } from './refused.ts';
import { createConverter, RowRefused } from './rows.ts';
import { runImport } from './run.ts';
import { undoImport } from './undo.ts';

const maxBytes = 200 * 1024 * 1024;
const listedImports = 100;
/** Uploaded and not yet finished: each keeps its file. */
const maxUnfinished = 20;
const shownItems = 5;
const shownRefusals = 20;

async function upload(context: AppContext, { name, mediaType, content }: UploadedFile): Promise<Import> {
  const fileName = [...cleanLine(name.split(/[/\\]/).at(-1) ?? '')].slice(0, 200).join('') || 'import.csv';
  const file = await context.files.put(content, { name: fileName, mediaType: mediaType || 'text/csv', maxBytes });
  try {
    const open = async () => {
      const opened = await context.files.open(file.id);
      if (!opened) throw importFile('The uploaded file is gone.');
      return opened.content;
    };
    const { cells, ...analysis } = await analyseFile(open);
    return await context.db.transact(async (db) => {
      const [unfinished] = await db.query<{ count: number }>(
        'SELECT count(*)::int AS count FROM imports WHERE file_id IS NOT NULL',
      );
      if (unfinished!.count >= maxUnfinished)
        throw limitReached(`There are ${maxUnfinished} unfinished imports. Finish or cancel one first.`);
      const keys = await db.query<{ key: string }>('SELECT key FROM projects');
      const takenKeys = new Set(keys.map(({ key }) => key));
      const mapping = guessMapping({ ...analysis, cells, fileName, takenKeys });
      const importId = context.newId('imp');
      await rememberPeople(db, [context.user]);
      await insertImport(db, {
        importId,
        fileId: file.id,
        fileName,
        sizeBytes: file.sizeBytes,
        ...analysis,
        mapping,
        at: context.now(),
        by: context.user.id,
      });
      return toPublic(await getImport(db, importId));
    });
  } catch (error) {
    await context.files.remove(file.id);
    throw error;
  }
}

async function putMapping(context: AppContext, importId: string, mapping: ImportMapping): Promise<ImportPreview> {
  const stored = await context.db.read(async (db) => {
    const found = await getImport(db, importId);
    refuseUnlessOpen(found);
    await checkMapping(db, found, mapping);
    return found;
  });
  const preview = await tryMapping(context, stored, mapping);
  const accepted = await context.db.transact(async (db) => {
    if (!(await updateMapping(db, importId, mapping))) refuseUnlessOpen(await getImport(db, importId));
    return toPublic(await getImport(db, importId));
  });
  return { import: accepted, ...preview };
}

function refuseUnlessOpen({ state }: Pick<Import, 'state'>): void {
  if (!['uploaded', 'ready', 'failed', 'interrupted'].includes(state))
    throw importState(`This import is ${state}; its mapping cannot be changed any more.`);
}

async function tryMapping(
  context: AppContext,
  stored: StoredImport,
  mapping: ImportMapping,
): Promise<Omit<ImportPreview, 'import'>> {
  const opened = stored.fileId === null ? undefined : await context.files.open(stored.fileId);
  if (!opened) throw importFile('The uploaded file is gone.', 'Upload it again.');
  const convert = createConverter(mapping, stored.columns, await context.users.list());
  const preview: Omit<ImportPreview, 'import'> = { items: [], accepted: 0, refused: 0, refusedRows: [] };
  let isHeader = true;
  for await (const { line, cells } of readRecords(opened.content, stored.delimiter)) {
    if (isHeader) {
      isHeader = false;
      continue;
    }
    const row = preview.accepted + preview.refused + 1;
    try {
      const item = convert(cells);
      preview.accepted++;
      if (preview.items.length < shownItems) {
        preview.items.push({
          row,
          title: item.title,
          description: item.description,
          type: item.type,
          state: item.state,
          priority: item.priority,
          tags: item.tags.map(describeTag),
          requester: toRequester(item.requesterName, item.requesterEmail),
          assignee: item.assignee && userRef(item.assignee.id, item.assignee.name),
          reference: item.reference,
          dueOn: item.dueOn,
          createdAt: item.createdAt?.toISOString() ?? null,
        });
      }
    } catch (error) {
      if (!(error instanceof RowRefused)) throw error;
      preview.refused++;
      if (preview.refusedRows.length < shownRefusals) preview.refusedRows.push({ row, line, reason: error.message });
    }
  }
  return preview;
}

async function start(context: AppContext, importId: string): Promise<Import> {
  const { run, started } = await context.db.transact(async (db) => {
    const stored = await getImport(db, importId);
    const number = await beginRun(db, importId, context.now());
    if (number === undefined)
      throw importState(
        stored.state === 'uploaded'
          ? 'Accept the mapping first.'
          : `This import is ${stored.state}; it cannot be started.`,
      );
    return { run: number, started: toPublic(await getImport(db, importId)) };
  });
  context.publish({ type: 'import.progress', data: { importId, state: 'running', progress: started.progress } });
  context.background('desk.import.run', (background) => runImport(background, importId, run));
  return started;
}

async function cancel(context: AppContext, importId: string): Promise<Import> {
  const cancelled = await context.db.transact(async (db) => {
    const { state } = await getImport(db, importId);
    if (!(await cancelImport(db, importId, context.now())))
      throw importState(`This import is ${state}; there is nothing to cancel.`);
    return toPublic(await getImport(db, importId));
  });
  context.publish({ type: 'import.progress', data: { importId, state: 'cancelled', progress: cancelled.progress } });
  await removeUnusedFiles(context);
  return cancelled;
}

const params = objectOf({ import: idText }, ['import']);

export const importRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/imports',
    operation: 'desk.import.list',
    summary: 'Imports, newest first',
    roles: adminRoles,
    query: objectOf({}),
    handler: async (context): Promise<{ body: ImportList }> => ({
      body: { imports: await context.db.read((db) => listImports(db, listedImports)) },
    }),
  },
  {
    method: 'POST',
    path: '/api/imports',
    operation: 'desk.import.upload',
    summary: 'Upload a CSV file; tells its columns and guesses a mapping',
    roles: adminRoles,
    upload: { maxBytes },
    handler: async (context, input) => {
      if (!input.upload) throw badQuery('file', 'is missing');
      return { status: 201, body: await upload(context, input.upload) };
    },
  },
  {
    method: 'GET',
    path: '/api/imports/:import',
    operation: 'desk.import.get',
    summary: 'One import with its progress',
    roles: adminRoles,
    params,
    handler: async (context, { params }) => ({
      body: toPublic(await context.db.read((db) => getImport(db, params.import!))),
    }),
  },
  {
    method: 'PUT',
    path: '/api/imports/:import/mapping',
    operation: 'desk.import.map',
    summary: 'Accept a mapping and try it on the whole file',
    roles: adminRoles,
    params,
    body: mappingSchema,
    handler: async (context, { params, body }) => ({
      body: await putMapping(context, params.import!, body as ImportMapping),
    }),
  },
  {
    method: 'POST',
    path: '/api/imports/:import/start',
    operation: 'desk.import.start',
    summary: 'Start an import',
    roles: adminRoles,
    params,
    handler: async (context, { params }) => ({ status: 202, body: await start(context, params.import!) }),
  },
  {
    method: 'POST',
    path: '/api/imports/:import/cancel',
    operation: 'desk.import.cancel',
    summary: 'Stop or give up an import; nothing is made',
    roles: adminRoles,
    params,
    handler: async (context, { params }) => ({ body: await cancel(context, params.import!) }),
  },
  {
    method: 'POST',
    path: '/api/imports/:import/undo',
    operation: 'desk.import.undo',
    summary: 'Delete what an import made, unless somebody worked on it since',
    roles: adminRoles,
    params,
    handler: async (context, { params }) => ({ body: await undoImport(context, params.import!) }),
  },
  {
    method: 'GET',
    path: '/api/imports/:import/refused',
    operation: 'desk.import.list_refused',
    summary: 'Rows that became no item',
    roles: adminRoles,
    params,
    query: pagingQuery,
    handler: async (context, { params, query }) => ({ body: await listRefused(context, params.import!, query) }),
  },
  {
    method: 'GET',
    path: '/api/imports/:import/refused.csv',
    operation: 'desk.import.export_refused',
    summary: 'Rows that became no item, as CSV',
    roles: adminRoles,
    params,
    handler: (context, { params }) => writeRefused(context, params.import!),
  },
];
