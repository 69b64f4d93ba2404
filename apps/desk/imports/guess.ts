/** A first mapping from the names of columns and the values in them. The person sees it and decides. */
import type { ImportColumn, ImportField, ImportMapping, ItemState, ItemType, Priority } from '../api.ts';
import { guessDateFormat } from './dates.ts';

/** Added to rows that are handed out for mending; left out when these are imported again. */
export const refusalHeaders = ['Refused because', 'Refused row', 'Refused line'] as const;

/** First match wins; each field that may be used once is given to the first column that fits. */
const headerRules: readonly [RegExp, ImportField][] = [
  [new RegExp(`^(${refusalHeaders.join('|').toLowerCase()})$`), 'ignore'],
  [/^((ticket|issue|item|case|task|request|incident) ?)?(id|key|number|no\.?|nr\.?|#|ref(erence)?)$/, 'reference'],
  [/\b(subject|title|summary|headline|betreff|titel)\b/, 'title'],
  [/\b(description|details?|body|message|beschreibung|content|text)\b/, 'description'],
  [/\b(status|state|stage|zustand)\b/, 'state'],
  [/\b(priority|urgency|severity|prio|priorität)\b/, 'priority'],
  [/\b(assignee|assigned to|agent|owner|handler|bearbeiter)\b/, 'assignee'],
  [
    /\b(customer|requester|reporter|contact|client|submitter|from|user|sender)\b.*\be-?mail\b|^e-?mail( address)?$/,
    'requesterEmail',
  ],
  [/\b(customer|requester|reporter|contact|client|submitter|sender)\b( name)?$|^(full )?name$/, 'requesterName'],
  [/\b(due|deadline|fällig)\b/, 'dueOn'],
  [/\b(created|opened|reported|submitted)\b|^(date|timestamp)$/, 'createdAt'],
  [/\b(tags?|labels?|category|categories|channel|component|product|topic|area)\b/, 'tags'],
  [/\b(type|kind|art|tracker)\b/, 'type'],
];
const many: readonly ImportField[] = ['ignore', 'fact', 'tags', 'description'];

const typeRules: readonly [RegExp, ItemType][] = [
  [/bug|defect|fehler/, 'bug'],
  [/incident|outage|technical|problem|störung|alert|issue/, 'incident'],
  [/question|inquiry|enquiry|frage|how.?to/, 'question'],
  [/request|refund|cancel|feature|change|wish|order|anfrage|service/, 'request'],
  [/./, 'task'],
];
const stateRules: readonly [RegExp, ItemState][] = [
  [/backlog|later|someday|idea/, 'backlog'],
  [/progress|doing|active|started|working|in arbeit/, 'doing'],
  [/pending|waiting|hold|review|testing|verify|blocked|wartet/, 'review'],
  [/resolved|done|fixed|complete|solved|erledigt|delivered/, 'done'],
  [/closed|cancel|reject|duplicate|won.?t|archiv|invalid|geschlossen/, 'closed'],
  [/./, 'todo'],
];
const priorityRules: readonly [RegExp, Priority][] = [
  [/critical|urgent|blocker|highest|emergency|^p?[01]$|immediate|dringend|kritisch/, 'urgent'],
  [/high|major|important|^p?2$|hoch/, 'high'],
  [/low|minor|trivial|^p?[45]$|niedrig|gering/, 'low'],
  [/./, 'normal'],
];

function firstMatch<T>(rules: readonly (readonly [RegExp, T])[], text: string): T | undefined {
  const lower = text.toLowerCase();
  return rules.find(([pattern]) => pattern.test(lower))?.[1];
}

function mapValues<T>(
  rules: readonly (readonly [RegExp, T])[],
  column: ImportColumn | undefined,
): { from: string; to: T }[] {
  return (column?.values ?? []).map(({ value }) => ({ from: value, to: firstMatch(rules, value)! }));
}

export interface GuessInput {
  readonly columns: readonly ImportColumn[];
  readonly cells: readonly (readonly string[])[];
  readonly rowCount: number;
  readonly fileName: string;
  readonly takenKeys: ReadonlySet<string>;
}

export function guessMapping({ columns, cells, rowCount, fileName, takenKeys }: GuessInput): ImportMapping {
  const used = new Set<ImportField>();
  const fields = columns.map((column): ImportField => {
    if (column.empty === rowCount) return 'ignore';
    const found = firstMatch(headerRules, column.header.replace(/[_-]+/g, ' '));
    // A type or state with too many different values would refuse most rows.
    const unfit = (found === 'type' || found === 'state' || found === 'priority') && column.values.length === 0;
    if (found === undefined || unfit || (used.has(found) && !many.includes(found))) return 'fact';
    used.add(found);
    return found;
  });
  if (!used.has('title')) {
    const fallback = fields.findIndex((field) => field === 'description' || field === 'fact');
    if (fallback >= 0) fields[fallback] = 'title';
  }
  const columnOf = (field: ImportField) => columns[fields.indexOf(field)];
  const dates = fields.flatMap((field, index) => (field === 'dueOn' || field === 'createdAt' ? cells[index]! : []));
  const name = projectName(fileName);
  return {
    fields,
    values: {
      type: mapValues(typeRules, columnOf('type')),
      state: mapValues(stateRules, columnOf('state')),
      priority: mapValues(priorityRules, columnOf('priority')),
    },
    defaults: { type: 'task', state: 'todo', priority: 'normal' },
    project: { kind: 'new', key: freeKey(name, takenKeys), name },
    dateFormat: guessDateFormat(dates),
  };
}

function projectName(fileName: string): string {
  const words = fileName
    .replace(/\.[A-Za-z]{1,5}$/, '')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
  const name = [...words].slice(0, 60).join('').trim();
  return name === '' ? 'Import' : name[0]!.toUpperCase() + name.slice(1);
}

function freeKey(name: string, taken: ReadonlySet<string>): string {
  const words = name
    .toUpperCase()
    .split(' ')
    .map((word) => word.replace(/[^A-Z]/g, ''))
    .filter((word) => word !== '');
  const initials = words
    .map((word) => word[0])
    .join('')
    .slice(0, 4);
  const start = initials.length >= 2 ? initials : `${words.join('').slice(0, 3)}IMP`.slice(0, 3);
  if (!taken.has(start)) return start;
  for (const first of ' ABCDEFGHIJKLMNOPQRSTUVWXYZ') {
    for (const second of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') {
      const key = `${start}${first.trim()}${second}`;
      if (!taken.has(key)) return key;
    }
  }
  return 'IMPORT';
}
