import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { type FormEvent, type ReactNode, useEffect, useState } from 'react';
import { Notice, ProblemNotice } from './states.tsx';

export interface ConfirmByNameProps {
  readonly opened: boolean;
  readonly onClose: () => void;
  /** The act as a question's title: `Delete acme`. */
  readonly title: string;
  /** What will happen to whom, and the way back if there is one. */
  readonly children: ReactNode;
  /** Further fields above the name. */
  readonly fields?: ReactNode;
  /** `late` for acts that can be taken back. Default: `urgent`. */
  readonly tone?: 'urgent' | 'late';
  /** To be typed, exactly. */
  readonly name: string;
  /** The act, on the button: `Delete tenant`. */
  readonly confirmLabel: string;
  readonly onConfirm: () => void;
  readonly pending?: boolean;
  readonly error?: unknown;
}

/** For acts that destroy: says what will happen, and asks for the name to be typed. */
export function ConfirmByName(props: ConfirmByNameProps) {
  const [typed, setTyped] = useState('');
  useEffect(() => {
    if (props.opened) setTyped('');
  }, [props.opened]);
  const matches = typed.trim() === props.name;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (matches && !props.pending) props.onConfirm();
  };
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={<Text fw={600}>{props.title}</Text>} size="md">
      <form onSubmit={submit}>
        <Stack gap="md">
          <Notice tone={props.tone ?? 'urgent'}>{props.children}</Notice>
          {props.fields}
          <TextInput
            data-autofocus
            label={
              <>
                Type <b>{props.name}</b> to confirm
              </>
            }
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
          <ProblemNotice error={props.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={props.onClose}>
              Cancel
            </Button>
            <Button
              type="submit"
              {...(props.tone === 'late' ? {} : { color: 'red' })}
              disabled={!matches}
              loading={props.pending ?? false}
            >
              {props.confirmLabel}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
