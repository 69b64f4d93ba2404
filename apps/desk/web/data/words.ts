/** What the page calls things. Order of the lists is the order in menus and columns. */
import type { ImportField, ImportState, ItemSort, ItemState, ItemType, Priority } from '../../api.ts';

export const itemStates: readonly ItemState[] = ['backlog', 'todo', 'doing', 'review', 'done', 'closed'];
export const openStates: readonly ItemState[] = ['backlog', 'todo', 'doing', 'review'];
export const itemTypes: readonly ItemType[] = ['task', 'bug', 'request', 'question', 'incident'];
export const priorities: readonly Priority[] = ['urgent', 'high', 'normal', 'low'];

export const stateWords: Readonly<Record<ItemState, string>> = {
  backlog: 'Backlog',
  todo: 'To do',
  doing: 'Doing',
  review: 'Review',
  done: 'Done',
  closed: 'Closed',
};

export const typeWords: Readonly<Record<ItemType, string>> = {
  task: 'Task',
  bug: 'Bug',
  request: 'Request',
  question: 'Question',
  incident: 'Incident',
};

export const priorityWords: Readonly<Record<Priority, string>> = {
  urgent: 'Urgent',
  high: 'High',
  normal: 'Normal',
  low: 'Low',
};

export const sortWords: Readonly<Partial<Record<ItemSort, string>>> = {
  '-updated': 'Last changed',
  '-created': 'Newest',
  created: 'Oldest',
  priority: 'Priority',
  due: 'Due first',
  title: 'Title',
  key: 'Number',
  '-relevance': 'Best match',
};

export const importFieldWords: Readonly<Record<ImportField, string>> = {
  ignore: 'Leave out',
  title: 'Title',
  description: 'Description',
  type: 'Type',
  state: 'State',
  priority: 'Priority',
  assignee: 'Assignee',
  tags: 'Tags',
  requesterName: 'Requester’s name',
  requesterEmail: 'Requester’s e-mail',
  reference: 'Number in the old system',
  dueOn: 'Due day',
  createdAt: 'Created at',
  fact: 'Fact below the description',
};

export const importStateWords: Readonly<Record<ImportState, string>> = {
  uploaded: 'Waiting for a mapping',
  ready: 'Ready to start',
  running: 'Running',
  interrupted: 'Interrupted',
  failed: 'Failed',
  cancelled: 'Cancelled',
  done: 'Done',
  undone: 'Undone',
};

export function isOpen(state: ItemState): boolean {
  return state !== 'done' && state !== 'closed';
}

/** Days are compared as text; "today" is that of the person who reads. */
export function isOverdue(item: { state: ItemState; dueOn: string | null }): boolean {
  return item.dueOn !== null && isOpen(item.state) && item.dueOn < today();
}

export function today(): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, '0');
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}
