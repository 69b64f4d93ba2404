/** Where cards are on a board, and boards with a card elsewhere. Columns that did not change stay the same objects, so that they are not drawn again. */
import type { Board, BoardColumn, ItemState, ItemSummary } from '../../api.ts';

export function findCard(board: Board, itemId: string): { column: BoardColumn; index: number } | undefined {
  for (const column of board.columns) {
    const index = column.items.findIndex((item) => item.id === itemId);
    if (index >= 0) return { column, index };
  }
  return undefined;
}

/** The board with the card taken from where it is and put at `index` of the column (counted without the card itself). */
export function withCardAt(board: Board, card: ItemSummary, state: ItemState, index: number): Board {
  return {
    ...board,
    columns: board.columns.map((column) => {
      const rest = column.items.filter((item) => item.id !== card.id);
      const left = column.total - (column.items.length - rest.length);
      if (column.state !== state)
        return rest.length === column.items.length ? column : { ...column, items: rest, total: left };
      const items = [...rest.slice(0, index), { ...card, state }, ...rest.slice(index)];
      return { ...column, items, total: left + 1 };
    }),
  };
}

/** The board without the card. */
export function withoutCard(board: Board, itemId: string): Board {
  return {
    ...board,
    columns: board.columns.map((column) => {
      const items = column.items.filter((item) => item.id !== itemId);
      return items.length === column.items.length ? column : { ...column, items, total: column.total - 1 };
    }),
  };
}
