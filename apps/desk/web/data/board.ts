/**
 * The board as one cache entry: first page of every column, longer where somebody asked for more.
 * Asking again fetches as many cards as were shown, so that nothing jumps when somebody else changes something.
 */
import { type QueryClient, useMutation, useQueryClient } from '@tanstack/react-query';
import { apiFetch } from '../../../../web/design/index.ts';
import type { Board, BoardColumn, ItemList, ItemState } from '../../api.ts';
import { keys } from './queries.ts';
import { filtersOf, type ItemSearch, toQueryString } from './search.ts';

const firstCards = 30;
const moreCards = 60;
const mostCardsPerRequest = 100;

/** Project and state are the board's own axes; the panel and the sort do not change it. */
export function boardFilters(search: ItemSearch): ItemSearch {
  const { project: _project, state: _state, ...filters } = filtersOf(search);
  return filters;
}

export const boardKey = (projectKey: string, search: ItemSearch) => [
  ...keys.boards,
  projectKey.toUpperCase(),
  boardFilters(search),
];

export function boardQuery(queryClient: QueryClient, projectKey: string, search: ItemSearch) {
  const queryKey = boardKey(projectKey, search);
  return {
    queryKey,
    queryFn: ({ signal }: { signal: AbortSignal }) =>
      fetchBoard(projectKey, search, queryClient.getQueryData<Board>(queryKey), signal),
    placeholderData: (previous: Board | undefined) =>
      previous?.project.key === projectKey.toUpperCase() ? previous : undefined,
  };
}

async function fetchBoard(
  projectKey: string,
  search: ItemSearch,
  shown: Board | undefined,
  signal: AbortSignal,
): Promise<Board> {
  const wanted = (state: ItemState) => shown?.columns.find((column) => column.state === state)?.items.length ?? 0;
  const longest = Math.max(firstCards, ...(shown?.columns.map((column) => column.items.length) ?? []));
  const query = toQueryString({ ...boardFilters(search), limit: Math.min(longest, mostCardsPerRequest) });
  const board = await apiFetch<Board>(`/api/projects/${encodeURIComponent(projectKey)}/board${query}`, { signal });
  const columns = await Promise.all(
    board.columns.map(async (column) => {
      let whole = column;
      while (whole.items.length < wanted(column.state) && whole.nextCursor) {
        const missing = wanted(column.state) - whole.items.length;
        whole = await extendColumn(projectKey, search, whole, Math.min(missing, mostCardsPerRequest), signal);
      }
      return whole;
    }),
  );
  return { ...board, columns };
}

async function extendColumn(
  projectKey: string,
  search: ItemSearch,
  column: BoardColumn,
  limit: number,
  signal?: AbortSignal,
): Promise<BoardColumn> {
  const query = toQueryString({
    ...boardFilters(search),
    project: projectKey,
    state: column.state,
    sort: 'rank',
    limit,
    cursor: column.nextCursor ?? undefined,
  });
  const page = await apiFetch<ItemList>(`/api/items${query}`, { signal });
  const known = new Set(column.items.map((item) => item.id));
  return {
    ...column,
    items: [...column.items, ...page.items.filter((item) => !known.has(item.id))],
    nextCursor: page.nextCursor,
  };
}

/** "Show more" of one column. */
export function useShowMore(projectKey: string, search: ItemSearch) {
  const queryClient = useQueryClient();
  const queryKey = boardKey(projectKey, search);
  return useMutation({
    mutationFn: (column: BoardColumn) => extendColumn(projectKey, search, column, moreCards),
    onSuccess: (longer) => {
      queryClient.setQueryData<Board>(queryKey, (board) => board && replaceColumn(board, longer));
    },
  });
}

function replaceColumn(board: Board, column: BoardColumn): Board {
  return { ...board, columns: board.columns.map((each) => (each.state === column.state ? column : each)) };
}
