import { Button, Group, PasswordInput, Stack, Text } from '@mantine/core';
import type { UseMutationResult } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { CodeInput, ProblemNotice } from '../design/index.ts';
import type { SessionUser } from './api.ts';
import { codeProblem, passwordProblem } from './refusals.ts';

export interface StepUp {
  readonly password: string;
  readonly code: string;
}

/** Password and code, for what changes the second factor. */
export function StepUpForm<T>(props: {
  user: SessionUser;
  what: string;
  label: string;
  grave?: boolean;
  act: UseMutationResult<T, Error, StepUp>;
  onCancel: () => void;
}) {
  const { user, what, label, grave = false, act, onCancel } = props;
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const wrong = { password: passwordProblem(act.error), code: codeProblem(act.error) };
  const isReady = password !== '' && code.trim() !== '';
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) act.mutate({ password, code });
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <Text>{what}</Text>
        <input type="text" name="username" autoComplete="username" value={user.email} readOnly hidden />
        <PasswordInput
          name="current-password"
          label="Your password"
          autoComplete="current-password"
          autoFocus
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={wrong.password}
          aria-invalid={wrong.password !== undefined}
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
        />
        <CodeInput
          label="Code"
          description="From your app, or a recovery code."
          inputMode="text"
          maxLength={60}
          value={code}
          onChange={setCode}
          error={wrong.code}
        />
        {wrong.password === undefined && wrong.code === undefined && <ProblemNotice error={act.error} />}
        <Group gap="xs">
          <Button type="submit" color={grave ? 'red' : undefined} loading={act.isPending} disabled={!isReady}>
            {label}
          </Button>
          <Button variant="default" onClick={onCancel}>
            Cancel
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
