import { Button, Group, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, notifyDone, Panel, ProblemError, ProblemNotice } from '../design/index.ts';
import { type SessionUser, sessionQuery } from './api.ts';

export function Profile({ user }: { user: SessionUser }) {
  const [name, setName] = useState(user.name);
  const queryClient = useQueryClient();
  const save = useMutation({
    mutationFn: () => apiFetch('/-/api/profile', { method: 'PATCH', body: { name: name.trim() } }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey });
      notifyDone('Your name is saved.');
    },
  });
  const fieldError = save.error instanceof ProblemError ? save.error.problem.fields.name : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim()) save.mutate();
  };
  return (
    <Panel title="Profile">
      <form onSubmit={submit}>
        <Group align="flex-end" gap="sm">
          <TextInput
            label="Name"
            description="As others see it in the app."
            autoComplete="name"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={name.trim() === '' ? 'A name is needed.' : fieldError}
            flex="1 1 14rem"
          />
          <Button
            type="submit"
            variant="default"
            loading={save.isPending}
            disabled={name.trim() === '' || name.trim() === user.name}
          >
            Save name
          </Button>
        </Group>
        {!fieldError && save.error && <ProblemNotice error={save.error} />}
      </form>
    </Panel>
  );
}
