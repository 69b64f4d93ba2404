/**
 * Drag by mouse or touch. The place is found from the pointer and the cards under it, one column at a time,
 * so that a drag costs the same on a board of thirty cards and of three thousand.
 */
import { type DragEndEvent, type DragStartEvent, MouseSensor, TouchSensor, useSensor, useSensors } from '@dnd-kit/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import type { ItemState, ItemSummary } from '../../api.ts';
import type { CardMove } from '../data/moveCard.ts';

export interface DropPlace {
  readonly state: ItemState;
  /** Counted without the dragged card. */
  readonly index: number;
}

export function useBoardDrag(onDrop: (move: CardMove) => void) {
  const sensors = useSensors(
    useSensor(MouseSensor, { activationConstraint: { distance: 6 } }),
    useSensor(TouchSensor, { activationConstraint: { delay: 220, tolerance: 8 } }),
  );
  const [dragged, setDragged] = useState<ItemSummary>();
  const [drop, setDrop] = useState<DropPlace>();
  const pointer = useRef<{ x: number; y: number } | undefined>(undefined);

  const look = useCallback(() => {
    if (!dragged || !pointer.current) return;
    const place = findDropPlace(pointer.current, dragged.id);
    setDrop((known) => (known?.state === place?.state && known?.index === place?.index ? known : place));
  }, [dragged]);

  useEffect(() => {
    if (!dragged) return;
    const follow = (event: MouseEvent | TouchEvent) => {
      const at = 'touches' in event ? event.touches[0] : event;
      if (at) pointer.current = { x: at.clientX, y: at.clientY };
      look();
    };
    window.addEventListener('mousemove', follow);
    window.addEventListener('touchmove', follow);
    // Columns scroll under a resting pointer near their edges.
    window.addEventListener('scroll', look, true);
    return () => {
      window.removeEventListener('mousemove', follow);
      window.removeEventListener('touchmove', follow);
      window.removeEventListener('scroll', look, true);
    };
  }, [dragged, look]);

  const finish = () => {
    setDragged(undefined);
    setDrop(undefined);
    pointer.current = undefined;
    swallowNextClick();
  };

  return {
    sensors,
    dragged,
    drop,
    onDragStart: (event: DragStartEvent) => setDragged(event.active.data.current as ItemSummary),
    onDragCancel: finish,
    onDragEnd: (_event: DragEndEvent) => {
      const place = drop;
      const card = dragged;
      finish();
      if (card && place) onDrop({ card, ...place });
    },
  };
}

function findDropPlace(at: { x: number; y: number }, draggedId: string): DropPlace | undefined {
  const column = document.elementFromPoint(at.x, at.y)?.closest<HTMLElement>('[data-column]');
  if (!column) return undefined;
  // The places, not the cards in them: asking for a card out of sight would make the browser lay it out.
  const cards = [...column.querySelectorAll<HTMLElement>('[data-place]')].filter(
    (place) => place.dataset.place !== draggedId,
  );
  const below = cards.findIndex((card) => {
    const { top, height } = card.getBoundingClientRect();
    return at.y < top + height / 2;
  });
  return { state: column.dataset.column as ItemState, index: below < 0 ? cards.length : below };
}

/** Letting go over the card itself is a click on a link to the browser. */
function swallowNextClick(): void {
  const swallow = (event: Event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  window.addEventListener('click', swallow, { capture: true, once: true });
  setTimeout(() => window.removeEventListener('click', swallow, { capture: true }), 50);
}
