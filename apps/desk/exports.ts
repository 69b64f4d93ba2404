/** A filtered list as CSV, streamed page by page: memory does not grow with the number of items. */
import { Readable } from 'node:stream';
import type { AppContext, RouteDefinition } from '../sdk/index.ts';
import type { ItemSummary } from './api.ts';
import { attachmentHeader, byteOrderMark, csvHeaders, formatCsvRow } from './csv.ts';
import { filterProperties, type Query } from './filter.ts';
import { readPage } from './lists.ts';
import { objectOf, text } from './schemas.ts';

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

async function* writeRest(context: AppContext, query: Query, first: ExportPage): AsyncGenerator<string> {
  yield byteOrderMark + formatCsvRow(header) + first.text;
  let { count, nextCursor } = first;
  while (nextCursor !== null && count < maxItems) {
    context.signal.throwIfAborted();
    const page = await readExportPage(context, { ...query, cursor: nextCursor });
    yield page.text;
    count += page.count;
    nextCursor = page.nextCursor;
  }
}

export const exportRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/exports/items.csv',
    operation: 'desk.item.export',
    summary: 'Filtered items as CSV',
    query: objectOf({ ...filterProperties, sort: text(20) }),
    handler: async (context, { query }) => {
      // The first page is read before anything is sent: a filter that cannot be read is still a clean refusal.
      const first = await readExportPage(context, query);
      const day = context.now().toISOString().slice(0, 10);
      return {
        body: Readable.from(writeRest(context, query, first)),
        headers: { ...csvHeaders, 'content-disposition': attachmentHeader(`${context.tenant.name}-items-${day}.csv`) },
      };
    },
  },
];
