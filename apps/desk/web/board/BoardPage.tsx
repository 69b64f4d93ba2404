/** A project's items by state. Drag with the pointer, or focus a card and use the arrows with Shift. */
import { DndContext, DragOverlay } from '@dnd-kit/core';
import { Skeleton } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useIsMutating, useQuery, useQueryClient } from '@tanstack/react-query';
import { type MouseEvent, useCallback, useState } from 'react';
import { ErrorState, useDocumentTitle } from '../../../../web/design/index.ts';
import type { BoardColumn, ItemState } from '../../api.ts';
import { boardQuery, useShowMore } from '../data/board.ts';
import { findCard } from '../data/cards.ts';
import { type CardMove, moveMutationKey, useMoveCard } from '../data/moveCard.ts';
import { countFilters, type ItemSearch } from '../data/search.ts';
import { useSearchChange } from '../data/useSearchChange.ts';
import { itemStates, stateWords } from '../data/words.ts';
import { WithItemPanel } from '../item/WithItemPanel.tsx';
import { FilterBar } from '../items/FilterBar.tsx';
import { ProjectHead } from '../projects/ProjectHead.tsx';
import { announce } from '../shell/announce.tsx';
import classes from './BoardPage.module.css';
import { CardFace } from './Card.tsx';
import { Column } from './Column.tsx';
import { useBoardDrag } from './useBoardDrag.ts';
import { moveWords, useBoardKeys } from './useBoardKeys.ts';

export function BoardPage({ projectKey, search }: { projectKey: string; search: ItemSearch }) {
  const queryClient = useQueryClient();
  const { data: board, error, refetch } = useQuery(boardQuery(queryClient, projectKey, search));
  const change = useSearchChange();
  const [adding, setAdding] = useState<ItemState>();
  useDocumentTitle(`${board?.project.name ?? projectKey} board`);
  const refused = useCallback((message: string) => {
    announce(message);
    notifications.show({ title: 'The move was not saved', message, color: 'red', autoClose: 10_000 });
  }, []);
  const move = useMoveCard(projectKey, search, refused);
  const moving = useIsMutating({ mutationKey: moveMutationKey }) > 0;
  const readOnly = board?.project.archived ?? false;
  const keys = useBoardKeys(board, move, { readOnly, onAdd: setAdding });
  const drag = useBoardDrag((drop: CardMove) => {
    const place = board && findCard(board, drop.card.id);
    if (!board || !place || (place.column.state === drop.state && place.index === drop.index)) return;
    move(drop);
    announce(moveWords(drop.card, board, drop.state, drop.index));
  });
  const more = useShowMore(projectKey, search);
  const showMore = useCallback(
    (column: BoardColumn) =>
      more.mutate(column, { onSuccess: () => announce(`More of ${stateWords[column.state]} shown`) }),
    [more.mutate],
  );

  const open = (event: MouseEvent) => {
    const link = (event.target as Element).closest<HTMLAnchorElement>('a[data-card]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    const place = board && findCard(board, link.dataset.card ?? '');
    const item = place?.column.items[place.index];
    if (item) change({ item: item.key }, search.item ? 'replace' : 'push');
  };
  const closePanel = () => {
    const card = board?.columns.flatMap((column) => column.items).find((item) => item.key === search.item);
    change({ item: undefined });
    if (card) keys.focusSoon(card.id);
  };

  return (
    <WithItemPanel itemKey={search.item} onClose={closePanel}>
      <ProjectHead projectKey={projectKey} project={board?.project} view="board" search={search} />
      <FilterBar search={search} onChange={change} project={projectKey} withState={false} />
      {error && !board ? (
        <ErrorState error={error} onRetry={() => void refetch()} />
      ) : !board ? (
        <LoadingBoard />
      ) : (
        <DndContext
          sensors={drag.sensors}
          onDragStart={drag.onDragStart}
          onDragEnd={drag.onDragEnd}
          onDragCancel={drag.onDragCancel}
          accessibility={silent}
        >
          {/* biome-ignore lint/a11y/noStaticElementInteractions: links inside get the keys; this only collects them */}
          <div
            className={classes.board}
            aria-busy={moving}
            data-dragging={drag.dragged ? true : undefined}
            onClick={open}
            onKeyDown={keys.onKeyDown}
            onFocus={(event) => {
              const id = (event.target as Element).closest<HTMLElement>('[data-card]')?.dataset.card;
              if (id) keys.onFocus(id);
            }}
          >
            {board.columns.map((column) => (
              <Column
                key={column.state}
                column={column}
                projectKey={projectKey}
                readOnly={readOnly}
                tabStopId={column.items.find((item) => item.id === keys.tabStops[column.state])?.id}
                openedKey={column.items.some((item) => item.key === search.item) ? search.item : undefined}
                dropIndex={drag.drop?.state === column.state ? drag.drop.index : undefined}
                draggedId={drag.dragged?.id}
                adding={adding === column.state}
                onAdd={setAdding}
                filtered={countFilters(search, ['project', 'state']) > 0}
                loadingMore={more.isPending && more.variables.state === column.state}
                onShowMore={showMore}
              />
            ))}
          </div>
          <DragOverlay dropAnimation={null} className={classes.overlay}>
            {drag.dragged && <CardFace item={drag.dragged} tabStop={false} opened={false} />}
          </DragOverlay>
        </DndContext>
      )}
    </WithItemPanel>
  );
}

// The board announces its own moves, in words that name the item and the column.
const silent = {
  announcements: {
    onDragStart: () => undefined,
    onDragOver: () => undefined,
    onDragEnd: () => undefined,
    onDragCancel: () => undefined,
  },
};

function LoadingBoard() {
  return (
    <div className={classes.board} role="status" aria-label="Loading the board">
      {itemStates.map((state) => (
        <Skeleton key={state} className={classes.loading} radius="md" />
      ))}
    </div>
  );
}
