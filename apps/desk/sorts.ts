/** Sorts of item lists and their keyset: each is a row of expressions, all in one direction, ended by the id so that the order is total. */
import type { ItemSort } from './api.ts';
import { badQuery } from './errors.ts';
import { cursorPatterns } from './input.ts';
import type { SqlValues } from './sql-builder.ts';

interface SortColumn {
  readonly expression: string;
  readonly type: string;
  readonly pattern: RegExp;
}

export interface Sort {
  readonly name: ItemSort;
  readonly descending: boolean;
  readonly columns: readonly SortColumn[];
}

const id: SortColumn = { expression: 'i.item_id', type: 'text', pattern: cursorPatterns.id };
const updated: SortColumn = { expression: 'i.updated_at', type: 'timestamptz', pattern: cursorPatterns.timestamp };
const created: SortColumn = { expression: 'i.created_at', type: 'timestamptz', pattern: cursorPatterns.timestamp };
const urgency: SortColumn = { expression: 'i.urgency', type: 'smallint', pattern: /^[1-4]$/ };
const due: SortColumn = {
  expression: `coalesce(i.due_on, 'infinity'::date)`,
  type: 'date',
  pattern: cursorPatterns.day,
};
const title: SortColumn = { expression: `lower(i.title) COLLATE "C"`, type: 'text', pattern: cursorPatterns.text };
const projectKey: SortColumn = { expression: 'p.key', type: 'text', pattern: /^[A-Z]{2,6}$/ };
const number: SortColumn = { expression: 'i.number', type: 'integer', pattern: /^\d{1,9}$/ };
const rank: SortColumn = { expression: 'i.rank', type: 'text', pattern: /^[0-9a-z]{8,200}$/ };

const columnsOf: Readonly<Record<string, readonly SortColumn[]>> = {
  updated: [updated, id],
  created: [created, id],
  priority: [urgency, updated, id],
  due: [due, id],
  title: [title, id],
  key: [projectKey, number, id],
  rank: [rank, id],
};
const names: readonly ItemSort[] = [
  '-relevance',
  '-updated',
  'updated',
  '-created',
  'created',
  'priority',
  '-priority',
  'due',
  'title',
  'key',
  '-key',
  'rank',
];

/** @param tsquery SQL of the search query, if there is one */
export function parseSort(text: string | undefined, tsquery: string | undefined): Sort {
  const name = (text ?? (tsquery === undefined ? '-updated' : '-relevance')) as ItemSort;
  if (!names.includes(name)) throw badQuery('sort', `is not one of ${names.join(', ')}`);
  if (name === '-relevance') {
    // Without words everything is equally relevant.
    if (tsquery === undefined) return { name, descending: true, columns: [updated, id] };
    // Rounded, so that the value survives its way through the cursor; 32 damps long descriptions into 0…1.
    const expression = `round(ts_rank(i.search, ${tsquery}, 32)::numeric, 9)`;
    const relevance: SortColumn = { expression, type: 'numeric', pattern: cursorPatterns.decimal };
    return { name, descending: true, columns: [relevance, updated, id] };
  }
  const descending = name.startsWith('-');
  return { name, descending, columns: columnsOf[descending ? name.slice(1) : name]! };
}

export function orderBy({ columns, descending }: Sort): string {
  return columns.map(({ expression }) => `${expression}${descending ? ' DESC' : ''}`).join(', ');
}

/** Condition for rows behind the cursor. */
export function behind({ columns, descending }: Sort, values: readonly string[], sql: SqlValues): string {
  const left = columns.map(({ expression }) => expression).join(', ');
  const right = columns.map(({ type }, index) => `${sql.add(values[index])}::${type}`).join(', ');
  return `(${left}) ${descending ? '<' : '>'} (${right})`;
}

/** The values of the sort as an array of texts, for the cursor. */
export function cursorColumn({ columns }: Sort): string {
  return `ARRAY[${columns.map(({ expression }) => `(${expression})::text`).join(', ')}] AS cursor_values`;
}
