import { Button, Group, Modal, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, nameProblem, ProblemNotice } from '../design/index.ts';
import { CreatedToken } from './CreatedToken.tsx';
import { type Shown, useConfirmation } from './useConfirmation.tsx';

const lifetimes = [
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

export function CreateScimToken({ opened, ...props }: CreateProps & { opened: boolean }) {
  return (
    <Modal opened={opened} onClose={props.onClose} title={<Text fw={600}>New SCIM token</Text>} size="lg">
      {opened && <CreateForm {...props} />}
    </Modal>
  );
}

function CreateForm({ onClose, email }: CreateProps) {
  const [name, setName] = useState('');
  const [days, setDays] = useState('366');
  const queryClient = useQueryClient();
  const create = useMutation({
    mutationFn: (shown: Shown) =>
      apiFetch<{ token: string }>('/-/api/scim/tokens', {
        method: 'POST',
        body: { name: name.trim(), days: Number(days), ...shown },
      }),
    // A wrong password is an answer for this form, not the end of the session.
    meta: { expects401: true },
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['scim'] }),
  });
  const confirmation = useConfirmation({
    email,
    why: 'Whoever has the token can make, change and disable users.',
    error: create.error,
  });
  if (create.data)
    return (
      <CreatedToken token={create.data.token} what="SCIM token" onClose={onClose}>
        Paste it where your directory asks for a secret token. If it gets lost, revoke it and make another.
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
          description="Which directory it is for."
          placeholder="Entra ID"
          autoComplete="off"
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={wrongName}
        />
        <Select
          label="Ends after"
          data={lifetimes}
          value={days}
          allowDeselect={false}
          onChange={(value) => setDays(value ?? '366')}
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
