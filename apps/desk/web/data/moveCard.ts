/** Moves a card: seen at once, taken back with a message when the server refuses. Moves run one after the other. */
import { type QueryClient, useMutation, useQueryClient } from '@tanstack/react-query';
import { apiFetch, ProblemError, toProblem } from '../../../../web/design/index.ts';
import type { Board, Item, ItemState, ItemSummary, MoveItem } from '../../api.ts';
import { boardKey } from './board.ts';
import { storeItem } from './cache.ts';
import { withCardAt } from './cards.ts';
import { keys } from './queries.ts';
import type { ItemSearch } from './search.ts';

export interface CardMove {
  readonly card: ItemSummary;
  readonly state: ItemState;
  /** Place in the column, counted without the card itself. */
  readonly index: number;
}

export const moveMutationKey = ['move'];

/** Cards that this page moved: their own event needs no fetch. */
const ownMoves = new Set<string>();

/** True once for each move of this page. */
export function takeOwnMove(itemId: string): boolean {
  return ownMoves.delete(itemId);
}

export function useMoveCard(projectKey: string, search: ItemSearch, onRefused: (message: string) => void) {
  const queryClient = useQueryClient();
  const queryKey = boardKey(projectKey, search);
  const { mutate } = useMutation({
    mutationKey: moveMutationKey,
    scope: { id: 'move' },
    mutationFn: ({ card, body }: CardMove & { body: MoveItem }) => {
      ownMoves.add(card.id);
      return apiFetch<Item>(`/api/items/${card.key}/move`, { method: 'POST', body });
    },
    onSuccess: (item) => {
      // Only versions and the like: the place was shown already, and a later move may be under way.
      queryClient.setQueryData<Board>(queryKey, (board) => board && updateInPlace(board, item));
      // While a later move of the card waits, its place on the boards is that one's: this answer would take the card back, and the focus with it.
      if (queryClient.getQueryData(keys.item(item.key)) && !isMovedAgain(queryClient, item.id))
        storeItem(queryClient, item);
      void queryClient.invalidateQueries({ queryKey: [...keys.item(item.key), 'history'] });
      void queryClient.invalidateQueries({ queryKey: keys.lists, refetchType: 'none' });
      void queryClient.invalidateQueries({ queryKey: keys.summary, refetchType: 'none' });
    },
    onError: (error, { card }) => {
      ownMoves.delete(card.id);
      onRefused(refusalOf(error, card));
      void queryClient.invalidateQueries({ queryKey: keys.boards });
    },
  });

  return (move: CardMove) => {
    const board = queryClient.getQueryData<Board>(queryKey);
    if (!board) return;
    void queryClient.cancelQueries({ queryKey });
    const moved = withCardAt(board, move.card, move.state, move.index);
    queryClient.setQueryData(queryKey, moved);
    const others = moved.columns.find((column) => column.state === move.state)?.items ?? [];
    const body: MoveItem = { state: move.state };
    const before = others[move.index + 1];
    const after = others[move.index - 1];
    if (before) body.beforeId = before.id;
    if (after) body.afterId = after.id;
    mutate(
      { ...move, body },
      // Rolled back to what was there before, unless a later move already built on it; the fetch after it settles the rest.
      { onError: () => queryClient.setQueryData<Board>(queryKey, (now) => (now === moved ? board : now)) },
    );
  };
}

/** Besides the move that was just answered, which still counts as pending, another of the same card is. */
function isMovedAgain(queryClient: QueryClient, itemId: string): boolean {
  const pending = queryClient.getMutationCache().findAll({ mutationKey: moveMutationKey, status: 'pending' });
  return pending.filter(({ state }) => (state.variables as CardMove | undefined)?.card.id === itemId).length > 1;
}

function updateInPlace(board: Board, item: Item): Board {
  const { description: _description, importId: _importId, ...summary } = item;
  return {
    ...board,
    columns: board.columns.map((column) => ({
      ...column,
      items: column.items.map((known) =>
        known.id === item.id && known.version <= item.version ? { ...summary, state: known.state } : known,
      ),
    })),
  };
}

function refusalOf(error: unknown, card: ItemSummary): string {
  if (error instanceof ProblemError && error.problem.code === 'DESK_MOVE_TARGET_GONE') {
    return `${card.key} is back where it was: somebody moved the card beside it at the same moment. The board is up to date now, so move it again.`;
  }
  const problem = toProblem(error);
  return `${card.key} is back where it was. ${[problem.title, problem.detail, problem.hint].filter(Boolean).join('. ')}`;
}
