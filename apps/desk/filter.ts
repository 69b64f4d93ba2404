/** Turns the filters of a list, board or export into conditions. Every value goes in as a parameter. */
import type { ItemState } from './api.ts';
import { badQuery } from './errors.ts';
import { choicesOf, textOf } from './input.ts';
import { parseItemKey } from './items.sql.ts';
import { idText, itemStates, itemTypes, openStates, priorities, text } from './schemas.ts';
import type { SqlValues } from './sql-builder.ts';
import { normaliseTag } from './tags.ts';
import { isDay } from './text.ts';

export type Query = Readonly<Record<string, unknown>>;

const maxSearchCharacters = 200;

/** Properties of the query schema of every route that filters. */
export const filterProperties = {
  project: text(2_000),
  q: text(maxSearchCharacters),
  state: text(200),
  type: text(200),
  priority: text(200),
  assignee: text(2_000),
  tag: text(1_000),
  createdFrom: text(40),
  createdTo: text(40),
  updatedFrom: text(40),
  updatedTo: text(40),
  due: text(20),
  import: idText,
} as const;

export interface ItemFilterSql {
  /** Conditions on `i` (items) and `p` (projects), joined by AND. */
  readonly where: string;
  /** SQL of the search query (a tsquery), when words were given. */
  readonly tsquery: string | undefined;
}

interface FilterScope {
  readonly userId: string;
  /** Beginning of today, for what is overdue. */
  readonly today: string;
  /** Instead of the `project` filter. */
  readonly projectId?: string;
}

export function buildFilter(query: Query, scope: FilterScope, sql: SqlValues): ItemFilterSql {
  const conditions: string[] = [];
  const oneOf = (column: string, type: string, values: readonly string[]) =>
    conditions.push(`${column} = ANY (${sql.add(values)}::${type}[])`);

  if (scope.projectId !== undefined) conditions.push(`i.project_id = ${sql.add(scope.projectId)}`);
  else {
    const projects = choicesOf(query, 'project');
    if (projects) {
      const placeholder = sql.add(projects);
      const keys = sql.add(projects.map((key) => key.toUpperCase()));
      conditions.push(`(p.project_id = ANY (${placeholder}::text[]) OR p.key = ANY (${keys}::text[]))`);
    } else if (textOf(query, 'import') === undefined) conditions.push('NOT p.archived');
  }

  const states = choicesOf(query, 'state')?.flatMap((state) => (state === 'open' ? openStates : [state]));
  if (states) oneOf('i.state', 'text', checkChoices('state', states, itemStates) as ItemState[]);
  const types = choicesOf(query, 'type');
  if (types) oneOf('i.type', 'text', checkChoices('type', types, itemTypes));
  const urgencies = choicesOf(query, 'priority');
  if (urgencies) oneOf('i.priority', 'text', checkChoices('priority', urgencies, priorities));

  const assignees = choicesOf(query, 'assignee');
  if (assignees) {
    const ids = assignees.filter((id) => id !== 'none').map((id) => (id === 'me' ? scope.userId : id));
    const anybody = `i.assignee_id = ANY (${sql.add(ids)}::text[])`;
    conditions.push(assignees.includes('none') ? `(i.assignee_id IS NULL OR ${anybody})` : anybody);
  }

  const tags = choicesOf(query, 'tag');
  if (tags) conditions.push(`i.tags @> ${sql.add(tags.map(normaliseTag))}::text[]`);

  for (const [name, column, operator] of [
    ['createdFrom', 'created_at', '>='],
    ['createdTo', 'created_at', '<'],
    ['updatedFrom', 'updated_at', '>='],
    ['updatedTo', 'updated_at', '<'],
  ] as const) {
    const time = parseTime(query, name);
    if (time) conditions.push(`i.${column} ${operator} ${sql.add(time)}::timestamptz`);
  }

  const due = textOf(query, 'due');
  if (due === 'overdue')
    conditions.push(`(i.due_on < ${sql.add(scope.today)}::date AND i.state NOT IN ('done', 'closed'))`);
  else if (due === 'set') conditions.push('i.due_on IS NOT NULL');
  else if (due === 'none') conditions.push('i.due_on IS NULL');
  else if (due !== undefined) throw badQuery('due', 'is not overdue, set or none');

  const importId = textOf(query, 'import');
  if (importId !== undefined) conditions.push(`i.import_id = ${sql.add(importId)}`);

  const words = textOf(query, 'q')
    ?.replace(/\u0000/g, '')
    .trim();
  let tsquery: string | undefined;
  if (words) {
    if (words.length > maxSearchCharacters) throw badQuery('q', `has more than ${maxSearchCharacters} characters`);
    tsquery = buildSearch(words, sql);
    const key = parseItemKey(words);
    const found = `i.search @@ ${tsquery}`;
    conditions.push(
      key ? `(${found} OR (p.key = ${sql.add(key.projectKey)} AND i.number = ${sql.add(key.number)}))` : found,
    );
  }
  return { where: conditions.length === 0 ? 'true' : conditions.join(' AND '), tsquery };
}

/**
 * The words by their English forms or as they are; and, because people search while they type, the last one as the beginning of a word.
 * With exclusions only the forms count: "-printed" must keep "prints" out.
 */
function buildSearch(words: string, sql: SqlValues): string {
  const placeholder = sql.add(words);
  const forms = `websearch_to_tsquery('pg_catalog.english', ${placeholder})`;
  if (/(^|[\s"])-/.test(words)) return forms;
  const either = `${forms} || websearch_to_tsquery('pg_catalog.simple', ${placeholder})`;
  const match = /^(.*?)([\p{L}\p{N}]{2,})$/su.exec(words);
  const [, rest = '', last = ''] = match ?? [];
  const isOperator = last.toLowerCase() === 'or' || /\bor\s+$/i.test(rest);
  if (!match || words.includes('"') || isOperator) return `(${either})`;
  const before = `websearch_to_tsquery('pg_catalog.english', ${sql.add(rest)})`;
  return `(${either} || (${before} && to_tsquery('pg_catalog.simple', ${sql.add(`${last}:*`)})))`;
}

function checkChoices(name: string, choices: readonly string[], allowed: readonly string[]): readonly string[] {
  const unknown = choices.find((choice) => !allowed.includes(choice));
  if (unknown !== undefined) throw badQuery(name, `has an unknown choice; possible are ${allowed.join(', ')}`);
  return choices;
}

function parseTime(query: Query, name: string): string | undefined {
  const value = textOf(query, name);
  if (value === undefined) return undefined;
  if (isDay(value)) return `${value}T00:00:00Z`;
  const shape = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$/.exec(value);
  const date = shape && isDay(shape[1]!) ? new Date(value) : undefined;
  if (!date || Number.isNaN(date.getTime()))
    throw badQuery(name, 'is not a day (2026-03-31) or time (2026-03-31T12:00:00Z)');
  return date.toISOString();
}

export function scopeOf(userId: string, now: Date, projectId?: string): FilterScope {
  const today = now.toISOString().slice(0, 10);
  return projectId === undefined ? { userId, today } : { userId, today, projectId };
}
