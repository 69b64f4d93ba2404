/** The title, edited where it stands: click or Enter, then Enter saves and Escape gives up. */
import { Textarea, Title } from '@mantine/core';
import { useState } from 'react';
import type { Item } from '../../api.ts';
import classes from './ItemTitle.module.css';
import type { SaveItem } from './ItemView.tsx';

export function ItemTitle(props: { item: Item; save: SaveItem; readOnly: boolean; mode: 'page' | 'panel' }) {
  const { item } = props;
  /** The item as it was when editing began. */
  const [base, setBase] = useState<Item>();
  const [text, setText] = useState('');
  const begin = () => {
    setBase(item);
    setText(item.title);
  };
  const finish = () => {
    const title = text.trim();
    setBase(undefined);
    if (base && title !== '' && title !== base.title) props.save({ title }, { base });
  };
  if (base) {
    return (
      <Textarea
        aria-label="Title"
        autoFocus
        autosize
        maxLength={300}
        value={text}
        classNames={{ input: classes.input }}
        onFocus={(event) => event.currentTarget.setSelectionRange(text.length, text.length)}
        onChange={(event) => setText(event.currentTarget.value.replace(/\s*\n\s*/g, ' '))}
        onKeyDown={(event) => {
          if (event.key === 'Enter') {
            event.preventDefault();
            finish();
          }
          if (event.key === 'Escape') {
            event.stopPropagation();
            setBase(undefined);
          }
        }}
        onBlur={finish}
        error={text.trim() === '' ? 'A title is needed' : undefined}
      />
    );
  }
  return (
    <Title order={props.mode === 'page' ? 1 : 2} className={classes.title}>
      {props.readOnly ? (
        item.title
      ) : (
        <button type="button" className={classes.button} onClick={begin} title="Edit the title">
          {item.title}
        </button>
      )}
    </Title>
  );
}
