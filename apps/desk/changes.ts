/**
 * Changes of items and their record: whatever changes an item goes through `applyPatches`, so that no change is without history, version and time.
 */
import type { AppDb, AppUser } from '../sdk/index.ts';
import type { HistoryChange, ItemState, ItemType, Priority, Requester } from './api.ts';
import { type LockedItem, toRequester } from './items.sql.ts';
import { userRef } from './people.ts';
import { isOpen } from './schemas.ts';

/** What shall be; undefined: as it was. */
export interface ItemPatch {
  readonly title?: string | undefined;
  readonly type?: ItemType | undefined;
  readonly description?: string | undefined;
  readonly state?: ItemState | undefined;
  readonly priority?: Priority | undefined;
  readonly assignee?: Pick<AppUser, 'id' | 'name'> | null | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly dueOn?: string | null | undefined;
  readonly requester?: Requester | null | undefined;
}

export function listChanges(item: LockedItem, patch: ItemPatch): HistoryChange[] {
  const changes: HistoryChange[] = [];
  const compare = <F extends 'title' | 'type' | 'description' | 'state' | 'priority' | 'dueOn'>(
    field: F,
    from: string | null,
    to: string | null | undefined,
  ) => {
    if (to !== undefined && to !== from) changes.push({ field, from, to });
  };
  compare('title', item.title, patch.title);
  compare('type', item.type, patch.type);
  compare('description', item.description, patch.description);
  compare('state', item.state, patch.state);
  compare('priority', item.priority, patch.priority);
  compare('dueOn', item.due_on, patch.dueOn);
  if (patch.assignee !== undefined && (patch.assignee?.id ?? null) !== item.assignee_id) {
    changes.push({
      field: 'assignee',
      from: item.assignee_id === null ? null : userRef(item.assignee_id, item.assignee_name),
      to: patch.assignee && { id: patch.assignee.id, name: patch.assignee.name },
    });
  }
  if (patch.tags !== undefined && JSON.stringify(patch.tags) !== JSON.stringify(item.tags))
    changes.push({ field: 'tags', from: item.tags, to: [...patch.tags] });
  if (patch.requester !== undefined) {
    const from = toRequester(item.requester_name, item.requester_email);
    const to = patch.requester;
    if (from?.name !== to?.name || from?.email !== to?.email) changes.push({ field: 'requester', from, to });
  }
  return changes;
}

export interface PatchedItem {
  readonly item: LockedItem;
  readonly patch: ItemPatch;
  /** Needed when the state changes. */
  readonly rank?: string | undefined;
}

/** Writes what is different, one version further each, with its history. Items must be locked. Returns the new versions of those that changed. */
export async function applyPatches(
  db: AppDb,
  patched: readonly PatchedItem[],
  at: Date,
  by: string,
): Promise<{ id: string; version: number }[]> {
  const rows = [];
  for (const { item, patch, rank } of patched) {
    const changes = listChanges(item, patch);
    if (changes.length === 0) continue;
    const state = patch.state ?? item.state;
    if (state !== item.state && rank === undefined)
      throw new Error('a change of state needs a place in the new column');
    const requester = patch.requester === undefined ? undefined : patch.requester;
    rows.push({
      item_id: item.item_id,
      title: patch.title ?? null,
      type: patch.type ?? item.type,
      description: patch.description ?? null,
      state,
      priority: patch.priority ?? item.priority,
      assignee_id: patch.assignee === undefined ? item.assignee_id : (patch.assignee?.id ?? null),
      tags: patch.tags ?? item.tags,
      due_on: patch.dueOn === undefined ? item.due_on : patch.dueOn,
      requester_name: requester === undefined ? item.requester_name : (requester?.name ?? null),
      requester_email: requester === undefined ? item.requester_email : (requester?.email ?? null),
      rank: rank ?? item.rank,
      finished_at: isOpen(state) ? null : (item.finished_at ?? at),
      changes,
    });
  }
  if (rows.length === 0) return [];
  return db.query<{ id: string; version: number }>(
    `WITH new AS (
       SELECT n.item_id, n.title, n.type, n.description, n.state, n.priority, n.assignee_id, n.tags, n.due_on, n.requester_name,
         n.requester_email, n.rank, n.finished_at, n.changes
       FROM jsonb_to_recordset($1::jsonb) AS n (item_id text, title text, type text, description text, state text, priority text,
         assignee_id text, tags text[], due_on date, requester_name text, requester_email text, rank text, finished_at timestamptz, changes jsonb)
     ), noted AS (
       INSERT INTO history (item_id, at, by, action, changes) SELECT item_id, $2, $3, 'changed', changes FROM new
     )
     UPDATE items i SET title = coalesce(n.title, i.title), type = n.type, description = coalesce(n.description, i.description),
       state = n.state, priority = n.priority, assignee_id = n.assignee_id, tags = n.tags, due_on = n.due_on,
       requester_name = n.requester_name, requester_email = n.requester_email, rank = n.rank, finished_at = n.finished_at,
       version = i.version + 1, updated_at = $2, updated_by = $3
     FROM new n WHERE i.item_id = n.item_id RETURNING i.item_id AS id, i.version`,
    [JSON.stringify(rows), at, by],
  );
}
