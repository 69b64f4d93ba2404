/** When two people change the same item: which fields did both touch? */
import type { Item, UpdateItem } from '../../api.ts';

export type ItemPatch = Omit<UpdateItem, 'version'>;
export type ItemField = keyof ItemPatch;

/** Both changed `field` since `base` was read. */
export interface Conflict {
  readonly fields: readonly ItemField[];
  readonly mine: ItemPatch;
  readonly base: Item;
  readonly theirs: Item;
}

/** Fields of `mine` that somebody else changed since `base`, to something other than mine. The others can be saved as they are. */
export function findConflicts(base: Item, theirs: Item, mine: ItemPatch): ItemField[] {
  return (Object.keys(mine) as ItemField[]).filter((field) => {
    const now = fieldValue(theirs, field);
    return !same(now, fieldValue(base, field)) && !same(now, mine[field]);
  });
}

/** The item's value in the form in which a patch has it. */
export function fieldValue(item: Item, field: ItemField): ItemPatch[ItemField] {
  if (field === 'assigneeId') return item.assignee?.id ?? null;
  if (field === 'tags') return item.tags.map((tag) => tag.name);
  return item[field];
}

function same(left: unknown, right: unknown): boolean {
  return JSON.stringify(left ?? null) === JSON.stringify(right ?? null);
}
