/** Single items: make, read, change, move, delete. */
import type { AppContext, AppDb, RouteDefinition } from '../sdk/index.ts';
import type { CreateItem, Item, ItemChangedEvent, MoveItem, Requester, UpdateItem } from './api.ts';
import { applyPatches, type ItemPatch } from './changes.ts';
import { lockColumns, takeRankBeside, takeTopRanks } from './columns.ts';
import { badInput, itemChanged, itemNotFound, projectArchived } from './errors.ts';
import { deleteItem, findItem, findItemPlace, type ItemPlace, insertItem, lockItems } from './items.sql.ts';
import { getAssignee, rememberPeople } from './people.ts';
import { takeNumbers } from './projects.sql.ts';
import { getOpenProject } from './projects.ts';
import {
  adminRoles,
  choice,
  dayText,
  descriptionText,
  idText,
  isOpen,
  itemStates,
  itemTypes,
  markdownBodyLimitBytes,
  objectOf,
  orNull,
  priorities,
  requesterObject,
  tagList,
  titleText,
  versionNumber,
} from './schemas.ts';
import { parseTags } from './tags.ts';
import { requireDay, requireLine, requireMarkdown } from './text.ts';
import { removeUnusedFiles } from './unused-files.ts';

const maxTitleCharacters = 300;
const maxDescriptionCharacters = 100_000;

/** @param item id or key */
export async function getItem(db: AppDb, item: string): Promise<Item> {
  const found = await findItem(db, item);
  if (!found) throw itemNotFound();
  return found;
}

/** Place of an item that may be changed: its project is not archived. */
export async function getOpenPlace(db: AppDb, item: string): Promise<ItemPlace> {
  const place = await findItemPlace(db, item);
  if (!place) throw itemNotFound();
  if (place.archived) throw projectArchived(place.project_key);
  return place;
}

export function publishItem(context: AppContext, item: Item, change: ItemChangedEvent['change']): void {
  const data: ItemChangedEvent = { itemId: item.id, projectId: item.projectId, version: item.version, change };
  context.publish({ type: 'item.changed', data });
}

function parseRequester(requester: Requester | null): Requester | null {
  const part = (field: string, value: string | null, max: number) =>
    value === null || value.trim() === '' ? null : requireLine(field, value, max);
  const name = part('requester.name', requester?.name ?? null, 200);
  const email = part('requester.email', requester?.email ?? null, 320);
  return name === null && email === null ? null : { name, email };
}

/** Cleans the given fields of a create or update; looks the assignee up. */
async function parsePatch(context: AppContext, input: Partial<UpdateItem>): Promise<ItemPatch> {
  return {
    title: input.title === undefined ? undefined : requireLine('title', input.title, maxTitleCharacters),
    type: input.type,
    description:
      input.description === undefined
        ? undefined
        : requireMarkdown('description', input.description, maxDescriptionCharacters),
    state: input.state,
    priority: input.priority,
    assignee:
      input.assigneeId === undefined || input.assigneeId === null
        ? input.assigneeId
        : await getAssignee(context, input.assigneeId),
    tags: input.tags && parseTags(input.tags),
    dueOn: typeof input.dueOn === 'string' ? requireDay('dueOn', input.dueOn) : input.dueOn,
    requester: input.requester === undefined ? undefined : parseRequester(input.requester),
  };
}

async function people(context: AppContext, assigneeId: string | null | undefined) {
  return assigneeId ? [context.user, await getAssignee(context, assigneeId)] : [context.user];
}

export async function createItem(context: AppContext, { project, ...input }: CreateItem): Promise<Item> {
  const fields = await parsePatch(context, input);
  const named = await people(context, input.assigneeId);
  const at = context.now();
  const state = fields.state ?? 'todo';
  const item = await context.db.transact(async (db) => {
    const { id: projectId, key } = await getOpenProject(db, project);
    await rememberPeople(db, named);
    const taken = await takeNumbers(db, projectId, 1);
    if (!taken) throw projectArchived(key);
    await lockColumns(db, [{ projectId, state }]);
    const [rank] = await takeTopRanks(db, { projectId, state }, 1);
    const itemId = context.newId('itm');
    await insertItem(db, {
      itemId,
      projectId,
      number: taken.firstNumber,
      type: fields.type ?? 'task',
      title: fields.title!,
      description: fields.description ?? '',
      state,
      priority: fields.priority ?? 'normal',
      assigneeId: fields.assignee?.id ?? null,
      tags: fields.tags ?? [],
      dueOn: fields.dueOn ?? null,
      requester: fields.requester ?? null,
      rank: rank!,
      at,
      by: context.user.id,
      finishedAt: isOpen(state) ? null : at,
    });
    return getItem(db, itemId);
  });
  publishItem(context, item, 'created');
  return item;
}

export async function updateItem(
  context: AppContext,
  idOrKey: string,
  { version, ...input }: UpdateItem,
): Promise<Item> {
  const patch = await parsePatch(context, input);
  const named = await people(context, input.assigneeId);
  const { item, changed } = await context.db.transact(async (db) => {
    const place = await getOpenPlace(db, idOrKey);
    await rememberPeople(db, named);
    const column = patch.state && { projectId: place.project_id, state: patch.state };
    if (column) await lockColumns(db, [column]);
    const [locked] = await lockItems(db, [place.item_id], true);
    if (!locked) throw itemNotFound();
    if (locked.version !== version) throw itemChanged(locked.version);
    const rank = column && column.state !== locked.state ? (await takeTopRanks(db, column, 1))[0] : undefined;
    const versions = await applyPatches(db, [{ item: locked, patch, rank }], context.now(), context.user.id);
    return { item: await getItem(db, place.item_id), changed: versions.length > 0 };
  });
  if (changed) publishItem(context, item, 'updated');
  return item;
}

export async function moveItem(context: AppContext, idOrKey: string, input: MoveItem): Promise<Item> {
  const { item, change } = await context.db.transact(async (db) => {
    const place = await getOpenPlace(db, idOrKey);
    if (input.beforeId === place.item_id || input.afterId === place.item_id)
      throw badInput(input.afterId === place.item_id ? 'afterId' : 'beforeId', 'is the moved item itself');
    await rememberPeople(db, [context.user]);
    const column = { projectId: place.project_id, state: input.state };
    await lockColumns(db, [column]);
    // Before the item's own lock: making room may lock every card of the column.
    const rank = await takeRankBeside(db, column, place.item_id, input);
    const [locked] = await lockItems(db, [place.item_id], true);
    if (!locked) throw itemNotFound();
    if (input.version !== undefined && locked.version !== input.version) throw itemChanged(locked.version);
    const versions = await applyPatches(
      db,
      [{ item: locked, patch: { state: input.state }, rank }],
      context.now(),
      context.user.id,
    );
    if (versions.length === 0) await db.query('UPDATE items SET rank = $2 WHERE item_id = $1', [place.item_id, rank]);
    return { item: await getItem(db, place.item_id), change: versions.length > 0 ? 'updated' : 'moved' } as const;
  });
  publishItem(context, item, change);
  return item;
}

async function removeItem(context: AppContext, idOrKey: string): Promise<void> {
  const place = await context.db.transact(async (db) => {
    const found = await findItemPlace(db, idOrKey);
    if (!found || !(await deleteItem(db, found.item_id, context.now(), context.user.id))) throw itemNotFound();
    return found;
  });
  context.publish({ type: 'item.deleted', data: { itemId: place.item_id, projectId: place.project_id } });
  await removeUnusedFiles(context);
}

const params = objectOf({ item: idText }, ['item']);
const fields = {
  title: titleText,
  type: choice(itemTypes),
  description: descriptionText,
  state: choice(itemStates),
  priority: choice(priorities),
  assigneeId: orNull(idText),
  tags: tagList,
  dueOn: orNull(dayText),
  requester: requesterObject,
};

export const itemRoutes: readonly RouteDefinition[] = [
  {
    method: 'POST',
    path: '/api/items',
    operation: 'desk.item.create',
    summary: 'Make an item',
    body: objectOf({ project: idText, ...fields }, ['project', 'title']),
    bodyLimit: markdownBodyLimitBytes,
    handler: async (context, { body }) => ({ status: 201, body: await createItem(context, body as CreateItem) }),
  },
  {
    method: 'GET',
    path: '/api/items/:item',
    operation: 'desk.item.get',
    summary: 'One item by id or key',
    params,
    handler: async (context, { params }) => ({ body: await context.db.read((db) => getItem(db, params.item!)) }),
  },
  {
    method: 'PATCH',
    path: '/api/items/:item',
    operation: 'desk.item.update',
    summary: 'Change an item; 409 DESK_ITEM_CHANGED when the version is old',
    params,
    body: objectOf({ version: versionNumber, ...fields }, ['version']),
    bodyLimit: markdownBodyLimitBytes,
    handler: async (context, { params, body }) => ({
      body: await updateItem(context, params.item!, body as UpdateItem),
    }),
  },
  {
    method: 'POST',
    path: '/api/items/:item/move',
    operation: 'desk.item.move',
    summary: 'Put an item into a column, beside another one',
    params,
    body: objectOf(
      { state: choice(itemStates), beforeId: orNull(idText), afterId: orNull(idText), version: versionNumber },
      ['state'],
    ),
    handler: async (context, { params, body }) => ({ body: await moveItem(context, params.item!, body as MoveItem) }),
  },
  {
    method: 'DELETE',
    path: '/api/items/:item',
    operation: 'desk.item.delete',
    summary: 'Delete an item with its comments, attachments and history',
    roles: adminRoles,
    params,
    handler: async (context, { params }) => {
      await removeItem(context, params.item!);
      return { status: 204 };
    },
  },
];
