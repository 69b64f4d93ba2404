/** Changes many items in one transaction. No version check: the person chose the values, not an edit of what they saw. */
import type { AppContext, RouteDefinition } from '../sdk/index.ts';
import type { BulkResult, BulkUpdate, ItemState } from './api.ts';
import { applyPatches } from './changes.ts';
import { lockColumns, takeTopRanks } from './columns.ts';
import { badInput, projectArchived } from './errors.ts';
import { findItemPlaces, lockItems } from './items.sql.ts';
import { getAssignee, rememberPeople } from './people.ts';
import { choice, idText, itemStates, listOf, objectOf, orNull, priorities, tagList } from './schemas.ts';
import { maxTags, parseTags } from './tags.ts';

const maxItems = 500;
/** More than this and pages are told to fetch lists again instead of each item. */
const maxSingleEvents = 50;

export async function updateMany(context: AppContext, { itemIds, set }: BulkUpdate): Promise<BulkResult> {
  const wanted = [...new Set(itemIds)];
  const addTags = parseTags(set.addTags ?? [], 'set.addTags');
  const removeTags = new Set(parseTags(set.removeTags ?? [], 'set.removeTags'));
  const assignee = typeof set.assigneeId === 'string' ? await getAssignee(context, set.assigneeId) : set.assigneeId;
  const { state } = set;
  if (Object.keys(set).length === 0) throw badInput('set', 'is empty');

  const result = await context.db.transact(async (db) => {
    const places = await findItemPlaces(db, wanted);
    const archived = places.find((place) => place.archived);
    if (archived) throw projectArchived(archived.project_key);
    await rememberPeople(db, assignee ? [context.user, assignee] : [context.user]);
    const projectIds = [...new Set(places.map(({ project_id }) => project_id))];
    if (state)
      await lockColumns(
        db,
        projectIds.map((projectId) => ({ projectId, state })),
      );
    const locked = await lockItems(
      db,
      places.map(({ item_id }) => item_id),
      false,
    );

    const ranks = new Map<string, string>();
    if (state) {
      for (const projectId of projectIds) {
        const moving = locked.filter((item) => item.project_id === projectId && item.state !== state);
        // They keep the order they had.
        moving.sort((a, b) => (a.rank < b.rank ? -1 : 1));
        const top = await takeTopRanks(db, { projectId, state: state as ItemState }, moving.length);
        moving.forEach((item, index) => {
          ranks.set(item.item_id, top[index]!);
        });
      }
    }
    const patched = locked.map((item) => {
      const tags = [...new Set([...item.tags.filter((tag) => !removeTags.has(tag)), ...addTags])].sort();
      if (tags.length > maxTags) throw badInput('set.addTags', `would give an item more than ${maxTags} tags`);
      return {
        item,
        patch: { state, priority: set.priority, assignee, tags },
        rank: ranks.get(item.item_id),
      };
    });
    const changed = await applyPatches(db, patched, context.now(), context.user.id);
    const found = new Set(locked.map(({ item_id }) => item_id));
    return {
      changed,
      unchanged: locked.length - changed.length,
      missing: wanted.filter((id) => !found.has(id)),
      projectOf: new Map(locked.map((item) => [item.item_id, item.project_id])),
    };
  });

  const { projectOf, ...answer } = result;
  if (answer.changed.length > maxSingleEvents) {
    const projectIds = [...new Set(answer.changed.map(({ id }) => projectOf.get(id)!))];
    context.publish({ type: 'items.changed', data: { projectIds, count: answer.changed.length } });
  } else {
    for (const { id, version } of answer.changed) {
      context.publish({
        type: 'item.changed',
        data: { itemId: id, projectId: projectOf.get(id)!, version, change: 'updated' },
      });
    }
  }
  return answer;
}

export const bulkRoutes: readonly RouteDefinition[] = [
  {
    method: 'POST',
    path: '/api/items/bulk',
    operation: 'desk.item.update_many',
    summary: 'Change up to 500 items at once, all or none',
    body: objectOf(
      {
        itemIds: listOf(idText, maxItems, 1),
        set: objectOf({
          state: choice(itemStates),
          priority: choice(priorities),
          assigneeId: orNull(idText),
          addTags: tagList,
          removeTags: tagList,
        }),
      },
      ['itemIds', 'set'],
    ),
    handler: async (context, { body }) => ({ body: await updateMany(context, body as BulkUpdate) }),
  },
];
