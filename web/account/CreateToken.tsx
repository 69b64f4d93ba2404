import { Button, Group, Modal, Radio, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, nameProblem, ProblemNotice } from '../design/index.ts';
import { CreatedToken } from './CreatedToken.tsx';
import { type NewApiToken, scopeWords, type TokenScope } from './token-api.ts';
import { type Shown, useConfirmation } from './useConfirmation.tsx';

const lifetimes = [
  { value: '7', label: '7 days' },
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '180', label: '180 days' },
  { value: '366', label: 'A year' },
];

interface CreateProps {
  readonly onClose: () => void;
  /** Of the user, so that password managers know whose password is asked for. */
  readonly email: string;
}

export function CreateToken({ opened, ...props }: CreateProps & { opened: boolean }) {
  return (
    <Modal opened={opened} onClose={props.onClose} title={<Text fw={600}>New API token</Text>} size="lg">
      {opened && <CreateForm {...props} />}
    </Modal>
  );
}

function CreateForm({ onClose, email }: CreateProps) {
  const [name, setName] = useState('');
  const [scope, setScope] = useState<TokenScope>('read');
  const [days, setDays] = useState('90');
  const queryClient = useQueryClient();
  const create = useMutation({
    mutationFn: (shown: Shown) =>
      apiFetch<NewApiToken>('/-/api/tokens', {
        method: 'POST',
        body: { name: name.trim(), scope, days: Number(days), ...shown },
      }),
    // A wrong password is an answer for this form, not the end of the session.
    meta: { expects401: true },
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['api-tokens'] }),
  });
  const confirmation = useConfirmation({
    email,
    why: 'To be sure that it is you. You are told by mail that the token was made.',
    error: create.error,
  });
  if (create.data)
    return (
      <CreatedToken token={create.data.token} what="API token" onClose={onClose}>
        Whoever has the token can use it. Keep it where your program keeps its secrets, never in its source. If it gets
        lost, revoke it and make another.
      </CreatedToken>
    );
  const wrongName = nameProblem(create.error);
  const isReady = name.trim() !== '' && confirmation.isReady;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) create.mutate(confirmation.shown);
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <TextInput
          data-autofocus
          label="Name"
          description="Which program it is for, so that you know it again."
          placeholder="Nightly report"
          autoComplete="off"
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={wrongName}
        />
        <Radio.Group label="What it may do" value={scope} onChange={(value) => setScope(value as TokenScope)}>
          <Stack gap="xs" mt="xs">
            {(['read', 'write'] as const).map((one) => (
              <Radio
                key={one}
                value={one}
                label={scopeWords[one].label}
                description={`${capital(scopeWords[one].may)}.`}
              />
            ))}
          </Stack>
        </Radio.Group>
        <Select
          label="Ends after"
          data={lifetimes}
          value={days}
          allowDeselect={false}
          onChange={(value) => setDays(value ?? '90')}
        />
        {confirmation.fields}
        {wrongName === undefined && !confirmation.isExplained && <ProblemNotice error={create.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!isReady}>
            Make the token
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
