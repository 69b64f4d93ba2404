import { Button, Text } from '@mantine/core';
import { useState } from 'react';
import { formatExact, formatPlural, RelativeTime } from '../../design/index.ts';
import classes from './MarkList.module.css';

export interface MarkListProps {
  /** Newest first. */
  readonly marks: readonly { readonly at: number; readonly label: string }[];
  readonly chosen: number;
  readonly isGood: (at: number) => boolean;
  readonly onChoose: (at: number) => void;
}

const shownAtFirst = 5;

/** The flags of the slider as a list, each of which can be chosen. */
export function MarkList({ marks, chosen, isGood, onChoose }: MarkListProps) {
  const [isOpen, setOpen] = useState(false);
  const shown = isOpen ? marks : marks.slice(0, shownAtFirst);
  return (
    <>
      <ul className={classes.list}>
        {shown.map(({ at, label }) => (
          <li key={`${at} ${label}`} className={classes.mark}>
            <span>{label}</span>
            <Text span c="dimmed">
              <RelativeTime value={new Date(at)} />
            </Text>
            {isGood(at) ? (
              <Button
                variant="default"
                size="compact-sm"
                aria-pressed={chosen === at}
                aria-label={`Choose the moment before: ${label}, ${formatExact(new Date(at))}`}
                onClick={() => onChoose(at)}
              >
                {chosen === at ? 'Chosen' : 'Choose'}
              </Button>
            ) : (
              <Text span size="sm" c="dimmed">
                cannot be restored
              </Text>
            )}
          </li>
        ))}
      </ul>
      {marks.length > shownAtFirst && !isOpen && (
        <Button variant="subtle" size="compact-sm" mt="xs" onClick={() => setOpen(true)}>
          Show {formatPlural(marks.length - shownAtFirst, 'more', 'more')}
        </Button>
      )}
    </>
  );
}
