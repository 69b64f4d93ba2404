import { Button, Group, Modal, Radio, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiFetch, ProblemNotice } from '../../design/index.ts';
import { type Edition, editionLabels, type Operation } from '../api.ts';
import { whyNotAName } from './nameRules.ts';
import { fieldProblems, StartedOperation } from './StartedOperation.tsx';
import { TenantNameField } from './TenantNameField.tsx';

/** Asks for name and administrator, then shows the steps, then the one-time invitation link. */
export function CreateTenant({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} size="lg" title={<Text fw={600}>Create tenant</Text>}>
      {opened && <Steps onClose={onClose} />}
    </Modal>
  );
}

function Steps({ onClose }: { onClose: () => void }) {
  const [operationId, setOperationId] = useState<string>();
  return operationId ? (
    <StartedOperation operationId={operationId} onClose={onClose} />
  ) : (
    <Form onStarted={setOperationId} onClose={onClose} />
  );
}

function Form({ onStarted, onClose }: { onStarted: (operationId: string) => void; onClose: () => void }) {
  const [name, setName] = useState('');
  const [title, setTitle] = useState('');
  const [adminEmail, setAdminEmail] = useState('');
  const [edition, setEdition] = useState<Edition>('standard');
  const queryClient = useQueryClient();
  const create = useMutation({
    mutationFn: () =>
      apiFetch<{ operation: Operation }>('/api/tenants', {
        method: 'POST',
        body: { name, adminEmail: adminEmail.trim(), edition, ...(title.trim() ? { title: title.trim() } : {}) },
      }),
    onSuccess: async ({ operation }) => {
      onStarted(operation.operationId);
      await queryClient.invalidateQueries({ queryKey: ['tenants'] });
    },
  });
  const fields = fieldProblems(create.error);
  const isComplete = name !== '' && whyNotAName(name) === undefined && adminEmail.includes('@');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isComplete) create.mutate();
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <TenantNameField
          label="Name"
          value={name}
          onChange={(value) => {
            create.reset();
            setName(value);
          }}
          error={fields.name}
        />
        <TextInput
          label="Title"
          description="As people read it on the sign-in page. Default: the name."
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
          error={fields.title}
          maxLength={120}
          autoComplete="off"
        />
        <TextInput
          label="E-mail of the first administrator"
          description="You get a one-time invitation link to send there."
          type="email"
          value={adminEmail}
          onChange={(event) => setAdminEmail(event.currentTarget.value)}
          error={fields.adminEmail}
          autoComplete="off"
        />
        <Radio.Group label="Edition" value={edition} onChange={(value) => setEdition(value as Edition)}>
          <Stack gap="xs" mt="xs">
            <Radio
              value="standard"
              label={editionLabels.standard}
              description="A database of its own on the shared PostgreSQL server."
            />
            <Radio
              value="private-cloud"
              label={editionLabels['private-cloud']}
              description="A PostgreSQL server and a standby of its own: about 250 MB of memory more."
            />
          </Stack>
        </Radio.Group>
        {Object.keys(fields).length === 0 && <ProblemNotice error={create.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!isComplete}>
            Create tenant
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
