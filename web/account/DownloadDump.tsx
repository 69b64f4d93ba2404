import { Button, Group, Modal, Radio, Stack, Text, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { apiDownload, apiFetch, Notice, notifyDone, ProblemNotice } from '../design/index.ts';
import { backupsQuery, type TenantBackups } from './api.ts';
import { type Shown, useConfirmation } from './useConfirmation.tsx';

/** The server looks at its checksum as well. */
const recipientPattern = /^\s*age1[02-9ac-hj-np-z]{58}\s*$/;

/** Who they are again, then the bytes. */
export function DownloadDump({ dump, email }: { dump: NonNullable<TenantBackups['dump']>; email: string }) {
  const [opened, setOpened] = useState(false);
  return (
    <>
      <Button onClick={() => setOpened(true)}>Download</Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title={<Text fw={600}>Download the copy of this account</Text>}
      >
        <DownloadForm key={dump.dumpId} email={email} onDone={() => setOpened(false)} />
      </Modal>
    </>
  );
}

function DownloadForm({ email, onDone }: { email: string; onDone: () => void }) {
  const [form, setForm] = useState<'plain' | 'age'>('plain');
  const [recipient, setRecipient] = useState('');
  const queryClient = useQueryClient();
  const confirm = useMutation({
    mutationFn: async (shown: Shown) => {
      const { confirmation } = await apiFetch<{ confirmation: string }>('/-/api/backups/confirmations', {
        method: 'POST',
        body: shown,
      });
      await apiDownload('/-/api/backups/download', {
        method: 'POST',
        body: { confirmation, ...(form === 'age' && { recipient: recipient.trim() }) },
      });
    },
    // A wrong password is an answer for this form, not the end of the session.
    meta: { expects401: true },
    onSuccess: () => {
      notifyDone('The copy is in your downloads. The security log has a note of it.');
      void queryClient.invalidateQueries({ queryKey: backupsQuery.queryKey });
      onDone();
    },
  });
  const confirmation = useConfirmation({
    email,
    why: 'To be sure that it is you. The download is written to the security log.',
    error: confirm.error,
    takesFocus: true,
  });
  const isUnfit = form === 'age' && recipient !== '' && !recipientPattern.test(recipient);
  const isReady = confirmation.isReady && (form === 'plain' || recipientPattern.test(recipient));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) confirm.mutate(confirmation.shown);
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <Notice tone="late" title="Everything is in it">
          All data of everybody in this account, with their addresses and the hashes of their passwords. Keep the file
          as safe as the account itself.
        </Notice>
        <Radio.Group label="How" value={form} onChange={(value) => setForm(value as 'plain' | 'age')}>
          <Stack gap="xs" mt="xs">
            <Radio
              value="plain"
              label="As it is"
              description="Ready for pg_restore. Protected on its way to you, then by whoever keeps the file."
            />
            <Radio
              value="age"
              label="Encrypted to a key of yours"
              description="Only who holds the secret key of this age recipient can read the file."
            />
          </Stack>
        </Radio.Group>
        {form === 'age' && (
          <Textarea
            name="recipient"
            label="Age recipient"
            description="One line from age-keygen that begins with age1. Never the secret key."
            placeholder="age1…"
            autosize
            spellCheck={false}
            autoComplete="off"
            value={recipient}
            onChange={(event) => setRecipient(event.currentTarget.value)}
            error={isUnfit && 'This is no recipient of age: it begins with age1 and has 62 characters.'}
          />
        )}
        {confirmation.fields}
        {!confirmation.isExplained && <ProblemNotice error={confirm.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={confirm.isPending} disabled={!isReady}>
            Download
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
