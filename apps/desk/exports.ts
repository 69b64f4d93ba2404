/** A filtered list as CSV, written page by page: memory does not grow with the number of items. */
import type { AppContext, RouteDefinition } from '../sdk/index.ts';
import type { ItemSummary } from './api.ts';
import { byteOrderMark, csvMediaType, formatCsvRow } from './csv.ts';
import { filterProperties, type Query } from './filter.ts';
import { readPage } from './lists.ts';
import { objectOf, text } from './schemas.ts';
import { sendSpooled } from './spool.ts';

const maxItems = 100_000;
const pageSize = 500;

const header = [
  'Key',
  'Project',
  'Type',
  'Title',
  'State',
  'Priority',
  'Assignee',
  'Tags',
  'Due',
  'Requester',
  'Requester e-mail',
  'Reference',
  'Description',
  'Created',
  'Created by',
  'Updated',
  'Updated by',
  'Finished',
];

function formatItem(item: ItemSummary, description: string): string {
  return formatCsvRow([
    item.key,
    item.projectKey,
    item.type,
    item.title,
    item.state,
    item.priority,
    item.assignee?.name ?? null,
    item.tags.map(({ name }) => name).join(', '),
    item.dueOn,
    item.requester?.name ?? null,
    item.requester?.email ?? null,
    item.reference,
    description,
    item.createdAt,
    item.createdBy.name,
    item.updatedAt,
    item.updatedBy.name,
    item.finishedAt,
  ]);
}

interface ExportPage {
  readonly text: string;
  readonly count: number;
  readonly nextCursor: string | null;
}

async function readExportPage(context: AppContext, query: Query): Promise<ExportPage> {
  return context.db.read(async (db) => {
    const { items, nextCursor } = await readPage(db, context, query, pageSize, false);
    const rows = await db.query<{ item_id: string; description: string }>(
      'SELECT item_id, description FROM items WHERE item_id = ANY ($1)',
      [items.map(({ id }) => id)],
    );
    const descriptions = new Map(rows.map(({ item_id, description }) => [item_id, description]));
    const lines = items.map((item) => formatItem(item, descriptions.get(item.id) ?? ''));
    return { text: lines.join(''), count: items.length, nextCursor };
  });
}

async function* writeItems(context: AppContext, query: Query): AsyncGenerator<string> {
  yield byteOrderMark + formatCsvRow(header);
  let count = 0;
  let cursor: string | null = null;
  do {
    context.signal.throwIfAborted();
    const page: ExportPage = await readExportPage(context, cursor === null ? query : { ...query, cursor });
    yield page.text;
    count += page.count;
    cursor = page.nextCursor;
  } while (cursor !== null && count < maxItems);
}

export const exportRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/exports/items.csv',
    operation: 'desk.item.export',
    summary: 'Filtered items as CSV',
    query: objectOf({ ...filterProperties, sort: text(20) }),
    handler: (context, { query }) => {
      const name = `${context.tenant.name}-items-${context.now().toISOString().slice(0, 10)}.csv`;
      return sendSpooled(context, { name, mediaType: csvMediaType }, writeItems(context, query));
    },
  },
];
