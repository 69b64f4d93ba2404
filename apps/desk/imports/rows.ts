/** One CSV record → one item, or the reason why not. Pure: the preview and the import itself cannot disagree. */
import type { AppUser } from '../../sdk/index.ts';
import type { ImportColumn, ImportField, ImportMapping, ItemState, ItemType, Priority } from '../api.ts';
import { itemStates, itemTypes, priorities } from '../schemas.ts';
import { maxTags, normaliseTag } from '../tags.ts';
import { characterCount, cleanLine, cleanMarkdown } from '../text.ts';
import { parseDate } from './dates.ts';
import { foldValue } from './mapping.ts';

export interface ImportedItem {
  readonly title: string;
  readonly description: string;
  readonly type: ItemType;
  readonly state: ItemState;
  readonly priority: Priority;
  readonly assignee: { readonly id: string; readonly name: string } | null;
  readonly tags: string[];
  readonly requesterName: string | null;
  readonly requesterEmail: string | null;
  readonly reference: string | null;
  readonly dueOn: string | null;
  readonly createdAt: Date | null;
}

/** Why a row becomes no item; shown to the person. */
export class RowRefused extends Error {}

export type ConvertRow = (cells: readonly string[]) => ImportedItem;

/** Throws RowRefused. */
export function createConverter(
  mapping: ImportMapping,
  columns: readonly ImportColumn[],
  users: readonly AppUser[],
): ConvertRow {
  const indexesOf = (field: ImportField) => mapping.fields.flatMap((f, index) => (f === field ? [index] : []));
  const [titleAt] = indexesOf('title');
  const descriptionsAt = indexesOf('description');
  const tagsAt = indexesOf('tags');
  const factsAt = indexesOf('fact');
  const single = (field: ImportField) => indexesOf(field)[0];
  const typeOf = createLookup('type', itemTypes, mapping.values.type, mapping.defaults.type);
  const stateOf = createLookup('state', itemStates, mapping.values.state, mapping.defaults.state);
  const priorityOf = createLookup('priority', priorities, mapping.values.priority, mapping.defaults.priority);
  const userOf = createUserLookup(users);
  const at = {
    type: single('type'),
    state: single('state'),
    priority: single('priority'),
    assignee: single('assignee'),
    requesterName: single('requesterName'),
    requesterEmail: single('requesterEmail'),
    reference: single('reference'),
    dueOn: single('dueOn'),
    createdAt: single('createdAt'),
  };

  return (cells) => {
    if (cells.length < columns.length || cells.slice(columns.length).some((cell) => cell.trim() !== ''))
      throw new RowRefused(`has ${cells.length} cells; the header has ${columns.length}`);
    const cell = (index: number | undefined) => (index === undefined ? '' : cleanLine(cells[index]!));
    const facts = factsAt.map((index) => [columns[index]!.header || `Column ${index + 1}`, cell(index)] as const);

    const title = limit('title', cell(titleAt), 300);
    if (title === '') throw new RowRefused('the title is empty');
    const assigneeText = cell(at.assignee);
    const assignee = assigneeText === '' ? undefined : userOf(assigneeText);
    if (assigneeText !== '' && !assignee) facts.unshift([columns[at.assignee!]!.header || 'Assignee', assigneeText]);
    const factLines = facts.filter(([, value]) => value !== '').map(([header, value]) => `- **${header}:** ${value}`);
    const texts = descriptionsAt.map((index) => cleanMarkdown(cells[index]!)).filter((text) => text.trim() !== '');

    return {
      title,
      description: limit(
        'description',
        [...texts, factLines.join('\n')].filter((text) => text !== '').join('\n\n'),
        100_000,
      ),
      type: typeOf(cell(at.type)),
      state: stateOf(cell(at.state)),
      priority: priorityOf(cell(at.priority)),
      assignee: assignee ? { id: assignee.id, name: assignee.name } : null,
      tags: parseTagCells(tagsAt.map(cell)),
      requesterName: limit('requester', cell(at.requesterName), 200) || null,
      requesterEmail: limit("requester's e-mail", cell(at.requesterEmail), 320) || null,
      reference: limit('reference', cell(at.reference), 100) || null,
      dueOn: parseDateCell('due date', cell(at.dueOn), mapping)?.toISOString().slice(0, 10) ?? null,
      createdAt: parseDateCell('creation date', cell(at.createdAt), mapping),
    };
  };
}

function limit(what: string, text: string, maxCharacters: number): string {
  if (text.length > maxCharacters && characterCount(text) > maxCharacters)
    throw new RowRefused(`the ${what} has ${characterCount(text)} characters; ${maxCharacters} are possible`);
  return text;
}

function createLookup<T extends string>(
  what: string,
  known: readonly T[],
  map: readonly { from: string; to: T }[],
  fallback: T,
): (cell: string) => T {
  const values = new Map<string, T>(known.map((value) => [value, value]));
  for (const { from, to } of map) values.set(foldValue(from), to);
  return (cell) => {
    if (cell === '') return fallback;
    const value = values.get(cell.toLowerCase());
    if (value === undefined) throw new RowRefused(`"${shorten(cell)}" is given no ${what}`);
    return value;
  };
}

/** By e-mail, or by name when only one user has it. */
function createUserLookup(users: readonly AppUser[]): (text: string) => AppUser | undefined {
  const found = new Map<string, AppUser | undefined>();
  for (const user of users) {
    const name = foldValue(user.name);
    found.set(name, found.has(name) ? undefined : user);
  }
  for (const user of users) found.set(foldValue(user.email), user);
  return (text) => found.get(text.toLowerCase());
}

function parseTagCells(cells: readonly string[]): string[] {
  const tags = new Set(
    cells
      .flatMap((cell) => cell.split(/[,;]/))
      .map(normaliseTag)
      .filter((tag) => tag !== ''),
  );
  for (const tag of tags)
    if (characterCount(tag) > 40) throw new RowRefused(`the tag "${shorten(tag)}" has more than 40 characters`);
  if (tags.size > maxTags) throw new RowRefused(`has ${tags.size} tags; ${maxTags} are possible`);
  return [...tags].sort();
}

function parseDateCell(what: string, cell: string, { dateFormat }: ImportMapping): Date | null {
  if (cell === '') return null;
  const date = parseDate(cell, dateFormat);
  if (!date) throw new RowRefused(`"${shorten(cell)}" is no ${what} of the form ${dateForms[dateFormat]}`);
  return date;
}

const dateForms: Readonly<Record<ImportMapping['dateFormat'], string>> = {
  iso: 'year-month-day',
  ymd: 'year/month/day',
  mdy: 'month/day/year',
  dmy: 'day/month/year',
};

function shorten(text: string): string {
  return text.length <= 60 ? text : `${[...text].slice(0, 60).join('')}…`;
}
