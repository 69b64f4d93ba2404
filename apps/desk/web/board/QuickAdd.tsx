/** A title is enough: Enter adds the item at the top of the column and waits for the next one. */
import { Text, Textarea } from '@mantine/core';
import { useState } from 'react';
import { toProblem } from '../../../../web/design/index.ts';
import type { ItemState } from '../../api.ts';
import { stateWords } from '../data/words.ts';
import { useCreateItemMutation } from '../items/CreateItemDialog.tsx';
import { announce } from '../shell/announce.tsx';
import classes from './QuickAdd.module.css';

export function QuickAdd(props: { projectKey: string; state: ItemState; onClose: () => void }) {
  const [title, setTitle] = useState('');
  const create = useCreateItemMutation();
  const add = () => {
    const words = title.trim();
    if (words === '' || create.isPending) return;
    create.mutate(
      { project: props.projectKey, state: props.state, title: words },
      {
        onSuccess: (item) => {
          setTitle('');
          announce(`${item.key} added to ${stateWords[props.state]}`);
        },
      },
    );
  };
  const problem = create.error ? toProblem(create.error) : undefined;
  return (
    <div className={classes.box}>
      <Textarea
        autoFocus
        autosize
        maxRows={5}
        size="sm"
        aria-label={`Title of the new item in ${stateWords[props.state]}`}
        placeholder="Title"
        maxLength={300}
        value={title}
        // A title is one line: pasted line breaks become blanks.
        onChange={(event) => setTitle(event.currentTarget.value.replace(/\s*\n\s*/g, ' '))}
        onKeyDown={(event) => {
          if (event.key === 'Enter') {
            event.preventDefault();
            add();
          }
          if (event.key === 'Escape') {
            event.stopPropagation();
            props.onClose();
          }
        }}
        onBlur={() => title.trim() === '' && props.onClose()}
        error={problem && [problem.title, problem.detail].filter(Boolean).join('. ')}
      />
      <Text size="xs" c="dimmed" mt={2}>
        Enter adds, Esc closes
      </Text>
    </div>
  );
}
