/** Keys on a focused card: arrows go to the neighbour, with Shift they take the card along. */
import { type KeyboardEvent, useCallback, useLayoutEffect, useRef, useState } from 'react';
import { formatCount } from '../../../../web/design/index.ts';
import type { Board, BoardColumn, ItemState, ItemSummary } from '../../api.ts';
import { findCard } from '../data/cards.ts';
import type { CardMove } from '../data/moveCard.ts';
import { stateWords } from '../data/words.ts';
import { announce } from '../shell/announce.tsx';

export function cardElement(itemId: string): HTMLElement | null {
  return document.querySelector<HTMLElement>(`[data-card="${CSS.escape(itemId)}"]`);
}

/** A move that has not been drawn by then was refused; the focus is somebody else's by now. */
const longestMoveMs = 2_000;

export interface BoardKeys {
  /** Last focused card per column: where Tab comes back to. */
  readonly tabStops: Readonly<Partial<Record<ItemState, string>>>;
  readonly onKeyDown: (event: KeyboardEvent) => void;
  readonly onFocus: (itemId: string) => void;
  /** Focuses the card when it is drawn next, or in the column `state` once it has arrived there. */
  readonly focusSoon: (itemId: string, state?: ItemState) => void;
}

export function useBoardKeys(
  board: Board | undefined,
  move: (move: CardMove) => void,
  options: { readOnly: boolean; onAdd: (state: ItemState) => void },
): BoardKeys {
  const [tabStops, setTabStops] = useState<Partial<Record<ItemState, string>>>({});
  const wanted = useRef<{ itemId: string; state?: ItemState; at: number } | undefined>(undefined);

  useLayoutEffect(() => {
    if (!wanted.current) return;
    const { itemId, state, at } = wanted.current;
    // A moved card is drawn once more where it was before it is drawn where it goes, as another element.
    if (state && board && findCard(board, itemId)?.column.state !== state) {
      if (performance.now() - at > longestMoveMs) wanted.current = undefined;
      return;
    }
    const element = cardElement(itemId);
    if (!element) return;
    wanted.current = undefined;
    element.focus();
    element.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });

  const focusSoon = useCallback((itemId: string, state?: ItemState) => {
    wanted.current = { itemId, at: performance.now(), ...(state && { state }) };
    setTabStops((stops) => ({ ...stops }));
  }, []);

  const onFocus = (itemId: string) => {
    if (wanted.current && wanted.current.itemId !== itemId) wanted.current = undefined;
    const place = board && findCard(board, itemId);
    if (!place) return;
    const { state } = place.column;
    setTabStops((stops) => (stops[state] === itemId ? stops : { ...stops, [state]: itemId }));
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const itemId = (event.target as Element).closest<HTMLElement>('[data-card]')?.dataset.card;
    if (!board || !itemId || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = findCard(board, itemId);
    if (!place) return;
    if (event.key === 'n' && !event.shiftKey && !options.readOnly) {
      event.preventDefault();
      options.onAdd(place.column.state);
      return;
    }
    const step = stepOf(event.key);
    if (!step) return;
    event.preventDefault();
    if (!event.shiftKey) {
      const next = findNeighbour(board, place.column, place.index, step);
      if (next) focusSoon(next.id);
      return;
    }
    if (options.readOnly) {
      announce('This project is archived. Its items cannot be moved.');
      return;
    }
    const target = findTarget(board, place.column, place.index, step);
    const card = place.column.items[place.index];
    if (!target || !card) return;
    move({ card, ...target });
    focusSoon(card.id, target.state);
    announce(moveWords(card, board, target.state, target.index));
  };

  return { tabStops, onKeyDown, onFocus, focusSoon };
}

type Step = { x: number; y: number };

function stepOf(key: string): Step | undefined {
  if (key === 'ArrowLeft') return { x: -1, y: 0 };
  if (key === 'ArrowRight') return { x: 1, y: 0 };
  if (key === 'ArrowUp') return { x: 0, y: -1 };
  if (key === 'ArrowDown') return { x: 0, y: 1 };
  if (key === 'Home') return { x: 0, y: Number.NEGATIVE_INFINITY };
  if (key === 'End') return { x: 0, y: Number.POSITIVE_INFINITY };
  return undefined;
}

/** Up and down inside the column; sideways the card at the same height in the next column that has any. */
function findNeighbour(board: Board, column: BoardColumn, index: number, step: Step): ItemSummary | undefined {
  if (step.y !== 0) return column.items[clamp(index + step.y, column.items.length - 1)];
  let at = board.columns.indexOf(column) + step.x;
  while (board.columns[at]?.items.length === 0) at += step.x;
  const next = board.columns[at];
  return next?.items[clamp(index, next.items.length - 1)];
}

/** Sideways to the top of the next column, as when the state is changed elsewhere. */
function findTarget(
  board: Board,
  column: BoardColumn,
  index: number,
  step: Step,
): { state: ItemState; index: number } | undefined {
  if (step.y !== 0) {
    const next = clamp(index + step.y, column.items.length - 1);
    return next === index ? undefined : { state: column.state, index: next };
  }
  const next = board.columns[board.columns.indexOf(column) + step.x];
  return next && { state: next.state, index: 0 };
}

export function moveWords(card: ItemSummary, board: Board, state: ItemState, index: number): string {
  const total = board.columns.find((column) => column.state === state)?.total ?? 0;
  const after = card.state === state ? total : total + 1;
  return `${card.key} moved to ${stateWords[state]}, place ${formatCount(index + 1)} of ${formatCount(after)}`;
}

function clamp(value: number, largest: number): number {
  return Math.max(0, Math.min(value, largest));
}
