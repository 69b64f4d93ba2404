import { ActionIcon, Button, Text, Tooltip } from '@mantine/core';
import { Fragment, memo } from 'react';
import { formatCount, formatPlural, IconPlus } from '../../../../web/design/index.ts';
import type { BoardColumn } from '../../api.ts';
import { stateWords } from '../data/words.ts';
import { StateMark } from '../items/marks.tsx';
import { DraggableCard } from './Card.tsx';
import classes from './Column.module.css';
import { QuickAdd } from './QuickAdd.tsx';

export interface ColumnProps {
  readonly column: BoardColumn;
  readonly projectKey: string;
  readonly readOnly: boolean;
  /** The card of this column that Tab reaches. */
  readonly tabStopId: string | undefined;
  readonly openedKey: string | undefined;
  /** Where a dragged card would land, counted without it. */
  readonly dropIndex: number | undefined;
  readonly draggedId: string | undefined;
  readonly adding: boolean;
  readonly onAdd: (state: BoardColumn['state'] | undefined) => void;
  readonly filtered: boolean;
  readonly loadingMore: boolean;
  readonly onShowMore: (column: BoardColumn) => void;
}

export const Column = memo(function Column(props: ColumnProps) {
  const { column, readOnly, dropIndex, draggedId } = props;
  const word = stateWords[column.state];
  const left = column.total - column.items.length;
  let place = -1;
  return (
    <section
      className={classes.column}
      data-column={column.state}
      aria-label={`${word}, ${formatPlural(column.total, 'item')}`}
    >
      <header className={classes.head}>
        <StateMark state={column.state} />
        <h2 className={classes.name}>{word}</h2>
        <span className={classes.count}>{formatCount(column.total)}</span>
        {!readOnly && (
          <Tooltip label={`Add to ${word}`}>
            <ActionIcon
              className={classes.add}
              variant="subtle"
              color="gray"
              size={26}
              aria-label={`Add an item to ${word}`}
              aria-expanded={props.adding}
              onClick={() => props.onAdd(props.adding ? undefined : column.state)}
            >
              <IconPlus size={16} />
            </ActionIcon>
          </Tooltip>
        )}
      </header>
      {props.adding && (
        <QuickAdd projectKey={props.projectKey} state={column.state} onClose={() => props.onAdd(undefined)} />
      )}
      <ul className={classes.cards} aria-label={word}>
        {column.items.map((item, index) => {
          const dragged = item.id === draggedId;
          if (!dragged) place += 1;
          return (
            <Fragment key={item.id}>
              {!dragged && dropIndex === place && <li className={classes.drop} aria-hidden="true" />}
              <DraggableCard
                item={item}
                disabled={readOnly}
                tabStop={props.tabStopId ? props.tabStopId === item.id : index === 0}
                opened={props.openedKey === item.key}
              />
            </Fragment>
          );
        })}
        {dropIndex !== undefined && dropIndex > place && <li className={classes.drop} aria-hidden="true" />}
        {column.items.length === 0 && (
          <li className={classes.empty}>
            <Text size="sm" c="dimmed">
              {props.filtered ? 'Nothing here matches the filters' : 'Nothing here'}
            </Text>
          </li>
        )}
        {column.nextCursor && (
          <li className={classes.more}>
            <Button
              variant="subtle"
              color="gray"
              size="xs"
              fullWidth
              loading={props.loadingMore}
              onClick={() => props.onShowMore(column)}
            >
              Show more ({formatCount(left)} left)
            </Button>
          </li>
        )}
      </ul>
    </section>
  );
});
