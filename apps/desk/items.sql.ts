/** SQL of single items: the shape in which all lists read them, and how one is found, locked, made and deleted. */
import type { AppDb } from '../sdk/index.ts';
import type { Item, ItemState, ItemSummary, ItemType, Priority, Requester } from './api.ts';
import { userRef } from './people.ts';
import { describeTag } from './tags.ts';

export interface ItemSummaryRow {
  item_id: string;
  project_id: string;
  project_key: string;
  number: number;
  type: ItemType;
  title: string;
  state: ItemState;
  priority: Priority;
  assignee_id: string | null;
  assignee_name: string | null;
  tags: string[];
  due_on: string | null;
  requester_name: string | null;
  requester_email: string | null;
  reference: string | null;
  comment_count: number;
  attachment_count: number;
  version: number;
  created_at: Date;
  created_by: string;
  created_by_name: string | null;
  updated_at: Date;
  updated_by: string;
  updated_by_name: string | null;
  finished_at: Date | null;
}

/** Names of the columns of a summary, for reading them through a subquery. */
export const summaryNames = [
  'item_id',
  'project_id',
  'project_key',
  'number',
  'type',
  'title',
  'state',
  'priority',
  'assignee_id',
  'assignee_name',
  'tags',
  'due_on',
  'requester_name',
  'requester_email',
  'reference',
  'version',
  'created_at',
  'created_by',
  'created_by_name',
  'updated_at',
  'updated_by',
  'updated_by_name',
  'finished_at',
  'comment_count',
  'attachment_count',
] as const satisfies readonly (keyof ItemSummaryRow)[];

/** Columns of a summary; needs `itemTables`. Days leave as text: as Date they would shift with the time zone of the process. */
export const summaryColumns = `
  i.item_id, i.project_id, p.key AS project_key, i.number, i.type, i.title, i.state, i.priority,
  i.assignee_id, a.name AS assignee_name, i.tags, to_char(i.due_on, 'YYYY-MM-DD') AS due_on,
  i.requester_name, i.requester_email, i.reference, i.version, i.created_at, i.created_by, c.name AS created_by_name,
  i.updated_at, i.updated_by, u.name AS updated_by_name, i.finished_at,
  (SELECT count(*)::int FROM comments m WHERE m.item_id = i.item_id) AS comment_count,
  (SELECT count(*)::int FROM attachments t WHERE t.item_id = i.item_id) AS attachment_count`;

export const itemTables = `
  items i JOIN projects p ON p.project_id = i.project_id
  LEFT JOIN people a ON a.user_id = i.assignee_id
  LEFT JOIN people c ON c.user_id = i.created_by
  LEFT JOIN people u ON u.user_id = i.updated_by`;

export function toRequester(name: string | null, email: string | null): Requester | null {
  return name === null && email === null ? null : { name, email };
}

export function toSummary(row: ItemSummaryRow): ItemSummary {
  return {
    id: row.item_id,
    key: `${row.project_key}-${row.number}`,
    number: row.number,
    projectId: row.project_id,
    projectKey: row.project_key,
    type: row.type,
    title: row.title,
    state: row.state,
    priority: row.priority,
    assignee: row.assignee_id === null ? null : userRef(row.assignee_id, row.assignee_name),
    tags: row.tags.map(describeTag),
    dueOn: row.due_on,
    requester: toRequester(row.requester_name, row.requester_email),
    reference: row.reference,
    commentCount: row.comment_count,
    attachmentCount: row.attachment_count,
    version: row.version,
    createdAt: row.created_at.toISOString(),
    createdBy: userRef(row.created_by, row.created_by_name),
    updatedAt: row.updated_at.toISOString(),
    updatedBy: userRef(row.updated_by, row.updated_by_name),
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}

export interface ItemKey {
  readonly projectKey: string;
  readonly number: number;
}

/** `abc-12` → ABC, 12; undefined for anything that is not a key. */
export function parseItemKey(text: string): ItemKey | undefined {
  const match = /^([A-Za-z]{2,6})-([1-9]\d{0,8})$/.exec(text);
  return match ? { projectKey: match[1]!.toUpperCase(), number: Number(match[2]) } : undefined;
}

/** @param item id or key */
export async function findItem(db: AppDb, item: string): Promise<Item | undefined> {
  const key = parseItemKey(item);
  const [row] = await db.query<ItemSummaryRow & { description: string; import_id: string | null }>(
    `SELECT ${summaryColumns}, i.description, i.import_id FROM ${itemTables}
     WHERE ${key ? 'p.key = $1 AND i.number = $2' : 'i.item_id = $1'}`,
    key ? [key.projectKey, key.number] : [item],
  );
  return row && { ...toSummary(row), description: row.description, importId: row.import_id };
}

/** Where an item is: enough to take locks in the right order before the item itself. */
export interface ItemPlace {
  item_id: string;
  project_id: string;
  project_key: string;
  archived: boolean;
}

export async function findItemPlaces(db: AppDb, itemIds: readonly string[]): Promise<ItemPlace[]> {
  return db.query<ItemPlace>(
    `SELECT i.item_id, i.project_id, p.key AS project_key, p.archived
     FROM items i JOIN projects p ON p.project_id = i.project_id WHERE i.item_id = ANY ($1)`,
    [itemIds],
  );
}

/** @param item id or key */
export async function findItemPlace(db: AppDb, item: string): Promise<ItemPlace | undefined> {
  const key = parseItemKey(item);
  const [row] = await db.query<ItemPlace>(
    `SELECT i.item_id, i.project_id, p.key AS project_key, p.archived
     FROM items i JOIN projects p ON p.project_id = i.project_id
     WHERE ${key ? 'p.key = $1 AND i.number = $2' : 'i.item_id = $1'}`,
    key ? [key.projectKey, key.number] : [item],
  );
  return row;
}

/** An item as it is while its row is locked. */
export interface LockedItem {
  item_id: string;
  project_id: string;
  version: number;
  title: string;
  type: ItemType;
  /** null: not read, see `lockItems`. */
  description: string | null;
  state: ItemState;
  priority: Priority;
  assignee_id: string | null;
  assignee_name: string | null;
  tags: string[];
  due_on: string | null;
  requester_name: string | null;
  requester_email: string | null;
  finished_at: Date | null;
  rank: string;
}

/** Locks items in the order of their ids, so that two transactions with overlapping items wait instead of blocking each other. */
export async function lockItems(
  db: AppDb,
  itemIds: readonly string[],
  withDescription: boolean,
): Promise<LockedItem[]> {
  return db.query<LockedItem>(
    `SELECT i.item_id, i.project_id, i.version, i.title, i.type, CASE WHEN $2 THEN i.description END AS description, i.state,
       i.priority, i.assignee_id, a.name AS assignee_name, i.tags, to_char(i.due_on, 'YYYY-MM-DD') AS due_on,
       i.requester_name, i.requester_email, i.finished_at, i.rank
     FROM items i LEFT JOIN people a ON a.user_id = i.assignee_id
     WHERE i.item_id = ANY ($1) ORDER BY i.item_id FOR UPDATE OF i`,
    [itemIds, withDescription],
  );
}

export interface NewItem {
  readonly itemId: string;
  readonly projectId: string;
  readonly number: number;
  readonly type: ItemType;
  readonly title: string;
  readonly description: string;
  readonly state: ItemState;
  readonly priority: Priority;
  readonly assigneeId: string | null;
  readonly tags: readonly string[];
  readonly dueOn: string | null;
  readonly requester: Requester | null;
  readonly rank: string;
  readonly at: Date;
  readonly by: string;
  readonly finishedAt: Date | null;
}

export async function insertItem(db: AppDb, item: NewItem): Promise<void> {
  await db.query(
    `WITH made AS (
       INSERT INTO items (item_id, project_id, number, type, title, description, state, priority, assignee_id, tags, due_on,
         requester_name, requester_email, rank, created_at, created_by, updated_at, updated_by, finished_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $15, $16, $17) RETURNING item_id
     )
     INSERT INTO history (item_id, at, by, action) SELECT item_id, $15, $16, 'created' FROM made`,
    [
      item.itemId,
      item.projectId,
      item.number,
      item.type,
      item.title,
      item.description,
      item.state,
      item.priority,
      item.assigneeId,
      item.tags,
      item.dueOn,
      item.requester?.name ?? null,
      item.requester?.email ?? null,
      item.rank,
      item.at,
      item.by,
      item.finishedAt,
    ],
  );
}

/** A comment or attachment counts as work on the item without being a change of it. False: the item is gone. */
export async function touchItem(db: AppDb, itemId: string, at: Date, by: string): Promise<boolean> {
  const rows = await db.query(
    'UPDATE items SET updated_at = greatest(updated_at, $2), updated_by = $3 WHERE item_id = $1 RETURNING item_id',
    [itemId, at, by],
  );
  return rows.length === 1;
}

/** Deletes the item with everything that hangs on it, and remembers that it was there. False: gone already. */
export async function deleteItem(db: AppDb, itemId: string, at: Date, by: string): Promise<boolean> {
  // First the lock: whoever attaches a file holds it, too, so none is missed below.
  await db.query('SELECT item_id FROM items WHERE item_id = $1 FOR UPDATE', [itemId]);
  await db.query(
    `INSERT INTO unused_files (file_id) SELECT file_id FROM attachments WHERE item_id = $1 ON CONFLICT DO NOTHING`,
    [itemId],
  );
  const rows = await db.query(
    `WITH gone AS (DELETE FROM items WHERE item_id = $1 RETURNING item_id, project_id, number)
     INSERT INTO deleted_items (item_id, project_id, number, deleted_at, deleted_by)
     SELECT item_id, project_id, number, $2, $3 FROM gone RETURNING item_id`,
    [itemId, at, by],
  );
  return rows.length === 1;
}
