/** Lists of items: filter, sort, page by page with the values of the last row as cursor, bounded count, marked hits. */
import type { AppContext, AppDb, RouteDefinition } from '../sdk/index.ts';
import type { ItemList, ItemSummary, SearchMatch, TagList, TextPiece, Total } from './api.ts';
import { buildFilter, filterProperties, type Query, scopeOf } from './filter.ts';
import { formatCursor, limitOf, parseCursor, textOf } from './input.ts';
import { type ItemSummaryRow, itemTables, summaryColumns, toSummary } from './items.sql.ts';
import { objectOf, pagingProperties, text } from './schemas.ts';
import { behind, cursorColumn, orderBy, parseSort } from './sorts.ts';
import { createSqlValues } from './sql-builder.ts';
import { describeTag, normaliseTag } from './tags.ts';

/** Counting goes on up to here; further on "more than" is what people need to know. */
const maxCount = 10_000;
/** Start and end of a hit. Cannot occur in stored text (text.ts drops controls). */
const hitStart = '\u0002';
const hitEnd = '\u0003';

type Row = ItemSummaryRow & { cursor_values: string[]; title_hits?: string; description_hits?: string };

export async function listItems(context: AppContext, query: Query): Promise<ItemList> {
  const limit = limitOf(query);
  return context.db.read(async (db) => {
    const { items, nextCursor } = await readPage(db, context, query, limit, true);
    return { items, nextCursor, total: await countItems(db, context, query) };
  });
}

/** One page; also the step of the export. */
export async function readPage(
  db: AppDb,
  context: AppContext,
  query: Query,
  limit: number,
  withMatch: boolean,
): Promise<{ items: ItemSummary[]; nextCursor: string | null }> {
  const sql = createSqlValues();
  const filter = buildFilter(query, scopeOf(context.user.id, context.now()), sql);
  const sort = parseSort(textOf(query, 'sort'), filter.tsquery);
  const cursor = textOf(query, 'cursor');
  const after =
    cursor &&
    parseCursor(
      cursor,
      sort.name,
      sort.columns.map(({ pattern }) => pattern),
    );
  const hits =
    withMatch && filter.tsquery
      ? `, ts_headline('pg_catalog.english', i.title, ${filter.tsquery}, ${sql.add(`StartSel="${hitStart}", StopSel="${hitEnd}", HighlightAll=true`)}) AS title_hits,
         ts_headline('pg_catalog.english', left(i.description, 20000), ${filter.tsquery}, ${sql.add(`StartSel="${hitStart}", StopSel="${hitEnd}", MaxFragments=2, MaxWords=24, MinWords=8, FragmentDelimiter=" … "`)}) AS description_hits`
      : '';
  const rows = await db.query<Row>(
    `SELECT ${summaryColumns}, ${cursorColumn(sort)}${hits} FROM ${itemTables}
     WHERE ${filter.where}${after ? ` AND ${behind(sort, after, sql)}` : ''}
     ORDER BY ${orderBy(sort)} LIMIT ${sql.add(limit + 1)}`,
    sql.values,
  );
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    items: page.map((row) =>
      row.title_hits === undefined ? toSummary(row) : { ...toSummary(row), match: toMatch(row) },
    ),
    nextCursor: rows.length > limit && last ? formatCursor(sort.name, last.cursor_values) : null,
  };
}

async function countItems(db: AppDb, context: AppContext, query: Query): Promise<Total> {
  const sql = createSqlValues();
  const { where } = buildFilter(query, scopeOf(context.user.id, context.now()), sql);
  const [row] = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM (
       SELECT 1 FROM items i JOIN projects p ON p.project_id = i.project_id WHERE ${where} LIMIT ${sql.add(maxCount + 1)}
     ) AS found`,
    sql.values,
  );
  return { count: Math.min(row!.count, maxCount), exact: row!.count <= maxCount };
}

function toMatch(row: Row): SearchMatch {
  const description = toPieces(row.description_hits ?? '');
  return {
    title: toPieces(row.title_hits ?? row.title),
    // Without a hit PostgreSQL gives the beginning of the text, which explains nothing.
    description: description.some(({ hit }) => hit) ? description : [],
  };
}

function toPieces(marked: string): TextPiece[] {
  const pieces: TextPiece[] = [];
  for (const [index, part] of marked.split(hitStart).entries()) {
    const [hit, rest] = index === 0 ? ['', part] : splitOnce(part);
    if (hit) pieces.push({ text: hit, hit: true });
    if (rest) pieces.push({ text: rest, hit: false });
  }
  return pieces;
}

function splitOnce(part: string): [string, string] {
  const end = part.indexOf(hitEnd);
  return end < 0 ? [part, ''] : [part.slice(0, end), part.slice(end + 1)];
}

async function listTags(context: AppContext, query: Query): Promise<TagList> {
  const limit = limitOf(query, 100);
  const project = textOf(query, 'project');
  const start = normaliseTag(textOf(query, 'q') ?? '');
  const rows = await context.db.read((db) =>
    db.query<{ name: string; count: number }>(
      `SELECT t.name, count(*)::int AS count
       FROM items i JOIN projects p ON p.project_id = i.project_id CROSS JOIN LATERAL unnest(i.tags) AS t (name)
       WHERE ($1::text IS NULL OR p.project_id = $1 OR p.key = upper($1)) AND ($1::text IS NOT NULL OR NOT p.archived)
         AND starts_with(t.name, $2)
       GROUP BY t.name ORDER BY count(*) DESC, t.name LIMIT $3`,
      [project ?? null, start, limit],
    ),
  );
  return { tags: rows.map(({ name, count }) => ({ ...describeTag(name), count })) };
}

export const listRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/items',
    operation: 'desk.item.list',
    summary: 'Items by filter and full-text search',
    query: objectOf({ ...filterProperties, ...pagingProperties, sort: text(20) }),
    handler: async (context, { query }) => ({ body: await listItems(context, query) }),
  },
  {
    method: 'GET',
    path: '/api/tags',
    operation: 'desk.tag.list',
    summary: 'Tags in use, most used first',
    query: objectOf({ project: text(64), q: text(100), limit: pagingProperties.limit! }),
    handler: async (context, { query }) => ({ body: await listTags(context, query) }),
  },
];
