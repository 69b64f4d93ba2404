/** One item on the board. Drawn once per change of the item: boards hold hundreds. */
import { useDraggable } from '@dnd-kit/core';
import { memo } from 'react';
import type { ItemSummary } from '../../api.ts';
import { IconMessageCircle, IconPaperclip } from '../items/icons.ts';
import { DueMark, Initials, PriorityMark, TagMark, TypeMark } from '../items/marks.tsx';
import classes from './Card.module.css';

export interface CardProps {
  readonly item: ItemSummary;
  /** One card of a column is reached with Tab, the others with the arrow keys. */
  readonly tabStop: boolean;
  /** Shown in the side panel. */
  readonly opened: boolean;
}

/** Clicks and keys are handled by the board, which finds the card by `data-card`. */
export const DraggableCard = memo(function DraggableCard(props: CardProps & { disabled: boolean }) {
  const { setNodeRef, listeners, isDragging } = useDraggable({
    id: props.item.id,
    data: props.item,
    disabled: props.disabled,
  });
  return (
    <li
      ref={setNodeRef}
      {...listeners}
      className={classes.place}
      data-place={props.item.id}
      data-dragged={isDragging || undefined}
    >
      <CardFace item={props.item} tabStop={props.tabStop} opened={props.opened} />
    </li>
  );
});

export const CardFace = memo(function CardFace({ item, tabStop, opened }: CardProps) {
  return (
    <a
      href={`/i/${item.key}`}
      className={classes.card}
      data-card={item.id}
      data-opened={opened || undefined}
      aria-current={opened ? 'true' : undefined}
      tabIndex={tabStop ? 0 : -1}
      draggable={false}
    >
      <span className={classes.top}>
        <TypeMark type={item.type} labelled />
        <span className={classes.key}>{item.key}</span>
        <PriorityMark priority={item.priority} labelled />
        <span className={classes.who}>
          <Initials user={item.assignee} />
        </span>
      </span>
      <span className={classes.title}>{item.title}</span>
      {(item.tags.length > 0 || item.dueOn || item.commentCount > 0 || item.attachmentCount > 0) && (
        <span className={classes.foot}>
          <DueMark item={item} />
          {item.tags.slice(0, mostTags).map((tag) => (
            <TagMark key={tag.name} tag={tag} />
          ))}
          {item.tags.length > mostTags && <span className={classes.count}>+{item.tags.length - mostTags}</span>}
          {item.commentCount > 0 && (
            <span className={classes.count} title={`Comments: ${item.commentCount}`}>
              <IconMessageCircle size={13} aria-label="Comments:" /> {item.commentCount}
            </span>
          )}
          {item.attachmentCount > 0 && (
            <span className={classes.count} title={`Attachments: ${item.attachmentCount}`}>
              <IconPaperclip size={13} aria-label="Attachments:" /> {item.attachmentCount}
            </span>
          )}
        </span>
      )}
    </a>
  );
});

const mostTags = 3;
