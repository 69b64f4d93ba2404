/** Small signs that stand for a value: told by shape first, colour only repeats it. */
import { VisuallyHidden } from '@mantine/core';
import type { ReactNode } from 'react';
import type { ItemState, ItemType, Priority, Tag, TextPiece, UserRef } from '../../api.ts';
import { isOverdue, priorityWords, stateWords, typeWords } from '../data/words.ts';
import { IconBug, IconCalendar, IconCheckbox, IconFlame, IconHelpCircle, IconInbox } from './icons.ts';
import classes from './marks.module.css';

/** A ring that fills as the work goes on: dashed, empty, half, three quarters, ticked, crossed. */
export function StateMark({
  state,
  size = 14,
  labelled = false,
}: {
  state: ItemState;
  size?: number;
  labelled?: boolean;
}) {
  return (
    <span className={classes.mark} title={labelled ? `State: ${stateWords[state]}` : undefined}>
      <svg
        width={size}
        height={size}
        viewBox="0 0 16 16"
        data-state={state}
        className={classes.state}
        aria-hidden="true"
      >
        {state === 'backlog' && (
          <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="1.8" strokeDasharray="2.3 2.4" />
        )}
        {(state === 'todo' || state === 'doing' || state === 'review') && (
          <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="1.8" />
        )}
        {state === 'doing' && <path d="M8 4.4a3.6 3.6 0 0 1 0 7.2Z" fill="currentColor" />}
        {state === 'review' && <path d="M8 4.4A3.6 3.6 0 1 1 4.4 8H8Z" fill="currentColor" />}
        {state === 'done' && (
          <>
            <circle cx="8" cy="8" r="7" fill="currentColor" />
            <path d="m4.8 8.2 2.2 2.2 4.2-4.6" fill="none" stroke="var(--fh-surface)" strokeWidth="1.8" />
          </>
        )}
        {state === 'closed' && (
          <>
            <circle cx="8" cy="8" r="7" fill="currentColor" />
            <path d="m5.6 5.6 4.8 4.8m0-4.8-4.8 4.8" fill="none" stroke="var(--fh-surface)" strokeWidth="1.8" />
          </>
        )}
      </svg>
      {labelled && <VisuallyHidden>State: {stateWords[state]}</VisuallyHidden>}
    </span>
  );
}

/** Three bars, filled by priority; urgent is a filled square with a stroke. */
export function PriorityMark({ priority, labelled = false }: { priority: Priority; labelled?: boolean }) {
  const filled = { low: 1, normal: 2, high: 3, urgent: 0 }[priority];
  return (
    <span className={classes.mark} title={labelled ? `Priority: ${priorityWords[priority]}` : undefined}>
      <svg
        width="14"
        height="14"
        viewBox="0 0 16 16"
        data-priority={priority}
        className={classes.priority}
        aria-hidden="true"
      >
        {priority === 'urgent' ? (
          <>
            <rect x="1" y="1" width="14" height="14" rx="3" fill="currentColor" />
            <path d="M8 4v5" stroke="var(--fh-surface)" strokeWidth="2" strokeLinecap="round" />
            <circle cx="8" cy="12" r="1.1" fill="var(--fh-surface)" />
          </>
        ) : (
          [0, 1, 2].map((bar) => (
            <rect
              key={bar}
              x={1.5 + bar * 5}
              y={10 - bar * 4}
              width="3.4"
              height={4 + bar * 4}
              rx="1"
              fill="currentColor"
              opacity={bar < filled ? 1 : 0.28}
            />
          ))
        )}
      </svg>
      {labelled && <VisuallyHidden>Priority: {priorityWords[priority]}</VisuallyHidden>}
    </span>
  );
}

const typeIcons = {
  task: IconCheckbox,
  bug: IconBug,
  request: IconInbox,
  question: IconHelpCircle,
  incident: IconFlame,
} as const;

export function TypeMark({ type, labelled = false }: { type: ItemType; labelled?: boolean }) {
  const Mark = typeIcons[type];
  return (
    <span className={classes.mark} title={labelled ? `Type: ${typeWords[type]}` : undefined}>
      <Mark size={15} stroke={1.75} aria-hidden />
      {labelled && <VisuallyHidden>Type: {typeWords[type]}</VisuallyHidden>}
    </span>
  );
}

/** Two letters in a ring; nobody is a dashed ring. */
export function Initials({ user, size = 22 }: { user: UserRef | null; size?: number }) {
  const label = user ? `Assignee: ${user.name}` : 'Nobody assigned';
  return (
    <span
      className={classes.initials}
      data-nobody={user ? undefined : true}
      style={{ width: size, height: size, fontSize: Math.max(10, Math.round(size * 0.42)) }}
      title={label}
    >
      <span aria-hidden="true">{user ? initialsOf(user.name) : ''}</span>
      <VisuallyHidden>{label}</VisuallyHidden>
    </span>
  );
}

export function initialsOf(name: string): string {
  const words = name.split(/[\s@._-]+/).filter((word) => word !== '');
  const first = [...(words[0] ?? '?')][0] ?? '?';
  const last = words.length > 1 ? ([...(words[words.length - 1] ?? '')][0] ?? '') : '';
  return (first + last).toUpperCase();
}

export function TagMark({ tag, children }: { tag: Tag; children?: ReactNode }) {
  return (
    <span className={classes.tag} data-color={tag.color % 12}>
      <span className={classes.tagText}>{tag.name}</span>
      {children}
    </span>
  );
}

/** Due day; late ones in amber with the word. */
export function DueMark({ item }: { item: { state: ItemState; dueOn: string | null } }) {
  if (!item.dueOn) return null;
  const overdue = isOverdue(item);
  return (
    <span className={classes.due} data-overdue={overdue || undefined} title={overdue ? 'Overdue' : 'Due day'}>
      <IconCalendar size={13} aria-hidden />
      <VisuallyHidden>{overdue ? 'Overdue since ' : 'Due '}</VisuallyHidden>
      {formatDay(item.dueOn)}
    </span>
  );
}

const thisYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
const otherYear = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  timeZone: 'UTC',
});

/** `4 Mar`, with the year when it is another one. */
export function formatDay(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  return (day.startsWith(String(new Date().getFullYear())) ? thisYear : otherYear).format(date);
}

/** Search hits inside plain text. */
export function Pieces({ pieces }: { pieces: readonly TextPiece[] }) {
  return pieces.map((piece, index) =>
    piece.hit ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: pieces have no identity but their place
      <mark key={index} className={classes.hit}>
        {piece.text}
      </mark>
    ) : (
      piece.text
    ),
  );
}
