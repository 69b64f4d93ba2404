/**
 * Saves fields of an item. The server refuses an old version; then:
 * fields that nobody else touched are saved on top of the newer version; a field that both changed becomes a `Conflict`
 * that shows both values, and the person chooses.
 */
import { type QueryClient, useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { apiFetch, ProblemError } from '../../../../web/design/index.ts';
import type { Item, UserList } from '../../api.ts';
import { patchSummaries, storeItem } from './cache.ts';
import { type Conflict, findConflicts, type ItemPatch } from './conflict.ts';
import { keys } from './queries.ts';

export class ConflictError extends Error {
  override readonly name = 'ConflictError';
  readonly conflict: Conflict;
  constructor(conflict: Conflict) {
    super('Somebody else changed the same field');
    this.conflict = conflict;
  }
}

interface Save {
  /** The item as the person saw it when they began. */
  readonly base: Item;
  readonly patch: ItemPatch;
}

const mostAttempts = 4;

export function useSaveItem() {
  const queryClient = useQueryClient();
  const [conflict, setConflict] = useState<Conflict>();
  const mutation = useMutation({
    mutationFn: (save: Save) => saveItem(queryClient, save),
    onMutate: async ({ base, patch }) => {
      await queryClient.cancelQueries({ queryKey: keys.item(base.key), exact: true });
      const before = queryClient.getQueryData<Item>(keys.item(base.key));
      // Shown at once; the description is not, because its editor stays open until it is saved.
      if (before) showAtOnce(queryClient, before, patch);
      return { before };
    },
    onSuccess: (item) => {
      storeItem(queryClient, item);
      void queryClient.invalidateQueries({ queryKey: [...keys.item(item.key), 'history'] });
      void queryClient.invalidateQueries({ queryKey: keys.summary });
    },
    onError: (error, { base }, context) => {
      if (error instanceof ConflictError) {
        storeItem(queryClient, error.conflict.theirs);
        setConflict(error.conflict);
      } else if (context?.before) {
        queryClient.setQueryData(keys.item(base.key), context.before);
        patchSummaries(queryClient, context.before);
      }
    },
  });
  return { ...mutation, conflict, clearConflict: () => setConflict(undefined) };
}

async function saveItem(queryClient: QueryClient, { base, patch }: Save): Promise<Item> {
  let version = base.version;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await apiFetch<Item>(`/api/items/${base.key}`, { method: 'PATCH', body: { ...patch, version } });
    } catch (error) {
      const stale = error instanceof ProblemError && error.problem.code === 'DESK_ITEM_CHANGED';
      if (!stale || attempt === mostAttempts) throw error;
      const theirs = await apiFetch<Item>(`/api/items/${base.key}`);
      const fields = findConflicts(base, theirs, patch);
      if (fields.length > 0) throw new ConflictError({ fields, mine: patch, base, theirs });
      version = theirs.version;
      queryClient.setQueryData(keys.item(base.key), theirs);
    }
  }
}

function showAtOnce(queryClient: QueryClient, item: Item, patch: ItemPatch): void {
  const { assigneeId, tags, description: _description, ...plain } = patch;
  const shown: Item = { ...item, ...(plain as Partial<Item>) };
  if (assigneeId !== undefined) {
    const users = queryClient.getQueryData<UserList>(keys.users)?.users ?? [];
    const user = users.find((each) => each.id === assigneeId);
    shown.assignee = user ? { id: user.id, name: user.name } : null;
  }
  if (tags) shown.tags = tags.map((name) => item.tags.find((tag) => tag.name === name) ?? { name, color: 0 });
  queryClient.setQueryData(keys.item(item.key), shown);
  patchSummaries(queryClient, shown);
}
