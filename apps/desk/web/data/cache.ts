/** Puts one item's new shape into everything that shows it, so that a change is seen everywhere at once. */
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import type { Board, Item, ItemList, ItemSummary, Summary } from '../../api.ts';
import { findCard, withCardAt, withoutCard } from './cards.ts';
import { keys } from './queries.ts';

/** @param item Newest known shape; an older version never replaces a newer one. */
export function storeItem(queryClient: QueryClient, item: Item): void {
  queryClient.setQueryData<Item>(keys.item(item.key), (known) =>
    known && known.version > item.version ? known : item,
  );
  patchSummaries(queryClient, item);
}

/** Boards, lists and the home page. A card whose state changed goes to the top of its new column, as on the server. */
export function patchSummaries(queryClient: QueryClient, item: ItemSummary): void {
  queryClient.setQueriesData<Board>({ queryKey: keys.boards }, (board) => {
    if (!board || board.project.id !== item.projectId) return board;
    const place = findCard(board, item.id);
    if (!place) return board;
    const known = place.column.items[place.index] as ItemSummary;
    if (known.version > item.version) return board;
    return withCardAt(board, summaryOf(item, known), item.state, known.state === item.state ? place.index : 0);
  });
  queryClient.setQueriesData<InfiniteData<ItemList>>({ queryKey: keys.lists }, (list) => {
    if (!list?.pages.some((page) => page.items.some((known) => known.id === item.id))) return list;
    const replace = (known: ItemSummary) => (known.id === item.id ? newer(known, item) : known);
    return { ...list, pages: list.pages.map((page) => ({ ...page, items: page.items.map(replace) })) };
  });
  queryClient.setQueryData<Summary>(keys.summary, (summary) => {
    if (!summary) return summary;
    const replace = (known: ItemSummary) => (known.id === item.id ? newer(known, item) : known);
    return {
      ...summary,
      recent: summary.recent.map(replace),
      mine: { ...summary.mine, items: summary.mine.items.map(replace) },
    };
  });
}

/** Takes a deleted item out of what is shown; counts follow with the next fetch. */
export function dropItem(queryClient: QueryClient, itemId: string): void {
  queryClient.setQueriesData<Board>({ queryKey: keys.boards }, (board) => board && withoutCard(board, itemId));
  queryClient.setQueriesData<InfiniteData<ItemList>>({ queryKey: keys.lists }, (list) => {
    if (!list) return list;
    const keep = (known: ItemSummary) => known.id !== itemId;
    return { ...list, pages: list.pages.map((page) => ({ ...page, items: page.items.filter(keep) })) };
  });
}

/** Key of an item whose page was opened, by its id. */
export function findItemKey(queryClient: QueryClient, itemId: string): string | undefined {
  for (const [, item] of queryClient.getQueriesData<Item>({ queryKey: ['item'] })) {
    if (item && item.id === itemId && typeof item.key === 'string') return item.key;
  }
  return undefined;
}

/** Project of an item that any board or list shows. */
export function findItemProject(queryClient: QueryClient, itemId: string): string | undefined {
  for (const [, board] of queryClient.getQueriesData<Board>({ queryKey: keys.boards })) {
    if (board && findCard(board, itemId)) return board.project.id;
  }
  for (const [, list] of queryClient.getQueriesData<InfiniteData<ItemList>>({ queryKey: keys.lists })) {
    for (const page of list?.pages ?? []) {
      const item = page.items.find((known) => known.id === itemId);
      if (item) return item.projectId;
    }
  }
  return undefined;
}

/** Highest version of the item that any view has; undefined when no view has it. */
export function findKnownVersion(queryClient: QueryClient, itemId: string): number | undefined {
  let version: number | undefined;
  const take = (item: ItemSummary | undefined) => {
    if (item?.id === itemId) version = Math.max(version ?? 0, item.version);
  };
  for (const [, board] of queryClient.getQueriesData<Board>({ queryKey: keys.boards })) {
    for (const column of board?.columns ?? []) column.items.forEach(take);
  }
  for (const [, list] of queryClient.getQueriesData<InfiniteData<ItemList>>({ queryKey: keys.lists })) {
    for (const page of list?.pages ?? []) page.items.forEach(take);
  }
  const key = findItemKey(queryClient, itemId);
  if (key) take(queryClient.getQueryData<Item>(keys.item(key)));
  return version;
}

function newer(known: ItemSummary, item: ItemSummary): ItemSummary {
  return known.version > item.version ? known : summaryOf(item, known);
}

/** Without the description, and with the search hits of the list it stands in. */
function summaryOf(item: ItemSummary, known: ItemSummary): ItemSummary {
  const { description: _description, importId: _importId, ...summary } = item as Item;
  // Hits belong to the old words.
  return known.match && known.title === item.title ? { ...summary, match: known.match } : summary;
}

/** A new item at the top of its column, on boards without filters (with filters, the server decides). */
export function insertCreated(queryClient: QueryClient, item: Item): void {
  queryClient.setQueryData<Item>(keys.item(item.key), item);
  for (const [queryKey, board] of queryClient.getQueriesData<Board>({ queryKey: keys.boards })) {
    if (board?.project.id !== item.projectId || findCard(board, item.id)) continue;
    const filtered = Object.keys((queryKey[2] as object | undefined) ?? {}).length > 0;
    if (filtered) void queryClient.invalidateQueries({ queryKey });
    else queryClient.setQueryData(queryKey, withCardAt(board, summaryOf(item, item), item.state, 0));
  }
}
