import { Button, FileInput, Group, Modal, Progress, Stack, Text, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { apiUpload, ProblemNotice, SizeText } from '../../design/index.ts';
import type { Operation } from '../api.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';
import { whyNotAName } from './nameRules.ts';
import { fieldProblems, StartedOperation } from './StartedOperation.tsx';
import { TenantNameField } from './TenantNameField.tsx';

/** Makes a tenant from an archive that `tenant export` or the export of the console wrote, here or elsewhere. */
export function ImportTenant({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    // Closing breaks an upload off; a click beside the dialog should not.
    <Modal
      opened={opened}
      onClose={onClose}
      size="lg"
      closeOnClickOutside={false}
      title={<Text fw={600}>Import tenant</Text>}
    >
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
  const [file, setFile] = useState<File | null>(null);
  const [name, setName] = useState('');
  const [title, setTitle] = useState('');
  const { share, error, send, forget } = useArchiveUpload(onStarted);
  const fields = fieldProblems(error);
  const isComplete = file !== null && name !== '' && whyNotAName(name) === undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isComplete) void send(file, { name, title: title.trim() });
  };
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="md">
        <FileInput
          label="Archive"
          description="A .tar file of an export, of this installation or another."
          placeholder="Choose file"
          accept=".tar,application/x-tar"
          value={file}
          onChange={(chosen) => {
            forget();
            setFile(chosen);
          }}
          disabled={share !== undefined}
          clearable
        />
        <TenantNameField
          label="Name"
          value={name}
          onChange={(value) => {
            forget();
            setName(value);
          }}
          error={fields.name}
        />
        <TextInput
          label="Title"
          description="As people read it on the sign-in page. Default: the one in the archive."
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
          error={fields.title}
          maxLength={120}
          autoComplete="off"
        />
        {file && share !== undefined && <Sending file={file} share={share} />}
        {Object.keys(fields).length === 0 && <ProblemNotice error={error} />}
        <Text size="sm" c="dimmed">
          Its users sign in with the passwords they had. Nobody is signed in.
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {share === undefined ? 'Cancel' : 'Stop'}
          </Button>
          <Button type="submit" loading={share !== undefined} disabled={!isComplete}>
            Import tenant
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function Sending({ file, share }: { file: File; share: number }) {
  return (
    <Stack gap={4}>
      <Progress value={share * 100} aria-label={`Sending ${file.name}`} />
      <Text size="sm" c="dimmed" role="status">
        {share < 1 ? (
          <>
            Sending, {Math.floor(share * 100)} % of <SizeText bytes={file.size} />
          </>
        ) : (
          'Checking the archive'
        )}
      </Text>
    </Stack>
  );
}

/** One upload at a time; it ends with the form. */
function useArchiveUpload(onStarted: (operationId: string) => void) {
  const [share, setShare] = useState<number>();
  const [error, setError] = useState<unknown>();
  const sending = useRef<AbortController>(undefined);
  const queryClient = useQueryClient();
  const { ensureStepUp } = useStepUp();
  useEffect(() => () => sending.current?.abort(), []);
  return {
    /** Of the bytes that were sent, 0…1; undefined: nothing is under way. */
    share,
    error,
    forget: () => setError(undefined),
    async send(file: File, { name, title }: { name: string; title: string }) {
      sending.current = new AbortController();
      const { signal } = sending.current;
      setError(undefined);
      // Before the bytes travel.
      if (!(await ensureStepUp()) || signal.aborted) return;
      setShare(0);
      try {
        const query = new URLSearchParams({ name, ...(title && { title }) });
        const { operation } = await apiUpload<{ operation: Operation }>(`/api/tenants/import?${query}`, file, {
          mediaType: 'application/x-tar',
          signal,
          onProgress: setShare,
        });
        await queryClient.invalidateQueries({ queryKey: ['tenants'] });
        onStarted(operation.operationId);
      } catch (problem) {
        if (signal.aborted) return;
        setError(problem);
        setShare(undefined);
      }
    },
  };
}
