/** Finds items of all projects from any page. A key (`ABC-12`) opens the item. */
import { ActionIcon, TextInput } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, type RefObject, useState } from 'react';
import { IconSearch } from '../../../../web/design/index.ts';
import classes from './HeaderSearch.module.css';

const itemKeyPattern = /^[a-z]{2,6}-\d{1,9}$/i;

export function HeaderSearch({ input }: { input: RefObject<HTMLInputElement | null> }) {
  const [text, setText] = useState('');
  const navigate = useNavigate();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const words = text.trim();
    if (words === '') return;
    setText('');
    input.current?.blur();
    if (itemKeyPattern.test(words)) void navigate({ to: '/i/$key', params: { key: words.toUpperCase() } });
    else void navigate({ to: '/items', search: { q: words } });
  };
  return (
    <>
      <form onSubmit={submit} className={classes.form}>
        <TextInput
          ref={input}
          size="xs"
          type="search"
          aria-label="Search all items"
          placeholder="Search all items"
          aria-keyshortcuts="/"
          value={text}
          maxLength={200}
          onChange={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Escape') return;
            event.stopPropagation();
            setText('');
            event.currentTarget.blur();
          }}
          leftSection={<IconSearch size={14} aria-hidden />}
          autoComplete="off"
        />
      </form>
      <ActionIcon
        className={classes.narrow}
        variant="subtle"
        color="gray"
        size="lg"
        aria-label="Search all items"
        onClick={() => void navigate({ to: '/items' })}
      >
        <IconSearch size={18} />
      </ActionIcon>
    </>
  );
}
