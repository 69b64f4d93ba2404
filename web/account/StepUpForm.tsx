import { Button, Group, Stack, Text } from '@mantine/core';
import type { UseMutationResult } from '@tanstack/react-query';
import type { FormEvent, ReactNode } from 'react';
import { ProblemNotice } from '../design/index.ts';
import type { SessionUser } from './api.ts';
import { type Shown, useConfirmation } from './useConfirmation.tsx';

/** Password and code, for what changes the second factor. */
export function StepUpForm<T>(props: {
  user: SessionUser;
  what: string;
  label: string;
  grave?: boolean;
  act: UseMutationResult<T, Error, Shown>;
  onCancel?: () => void;
  /** The way out, in place of a button of its own. */
  cancel?: ReactNode;
}) {
  const { user, what, label, grave = false, act, onCancel, cancel } = props;
  const confirmation = useConfirmation({ email: user.email, error: act.error, takesFocus: true });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (confirmation.isReady) act.mutate(confirmation.shown);
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <Text>{what}</Text>
        {confirmation.fields}
        {!confirmation.isExplained && <ProblemNotice error={act.error} />}
        <Group gap="xs">
          <Button
            type="submit"
            color={grave ? 'red' : undefined}
            loading={act.isPending}
            disabled={!confirmation.isReady}
          >
            {label}
          </Button>
          {onCancel && (
            <Button variant="default" onClick={onCancel}>
              Cancel
            </Button>
          )}
          {cancel}
        </Group>
      </Stack>
    </form>
  );
}
