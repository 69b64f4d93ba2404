import { Anchor, Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { ErrorState, Fact, Facts, LoadingState, notifyDone, ProblemNotice } from '../../design/index.ts';
import { useStepUp } from '../second-factor/StepUp.tsx';
import { type Mail, type OpenedMail, openMail, sendMail } from './api.ts';

/** One message as it is sent, for members who show who they are: it may hold a link that signs somebody in. That it was opened is in the audit log. */
export function MailDialog({ mail, onClose }: { mail: Mail; onClose: () => void }) {
  const queryClient = useQueryClient();
  const { withStepUp } = useStepUp();
  const reading = useMutation({ mutationFn: () => withStepUp(() => openMail(mail.mailId)) });
  const sending = useMutation({
    mutationFn: () => sendMail(mail.mailId),
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: ['mail'] });
      notifyDone('The message is on its way.');
      onClose();
    },
  });
  const { mutate } = reading;
  useEffect(() => mutate(), [mutate]);
  const message = reading.data;
  return (
    <Modal opened onClose={onClose} size="lg" title={<Text fw={600}>{mail.subject ?? 'Unreadable message'}</Text>}>
      <Stack gap="md">
        {reading.isError ? (
          <ErrorState plain error={reading.error} onRetry={() => mutate()} />
        ) : message ? (
          <>
            <Facts>
              <Fact label="To">{message.to ?? 'unknown'}</Fact>
              <Fact label="Tenant">{message.tenantName}</Fact>
              {message.problem && <Fact label="Remark">{message.problem}</Fact>}
            </Facts>
            <MailText message={message} />
            <ProblemNotice error={sending.error} />
          </>
        ) : (
          <LoadingState rows={6} />
        )}
        <Text size="sm" c="dimmed">
          That you opened this message is in the audit log.
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Close
          </Button>
          {message?.maySend && (
            <Button loading={sending.isPending} onClick={() => sending.mutate()}>
              {message.state === 'failed' ? 'Send again' : 'Send'}
            </Button>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}

function MailText({ message: { text, isMasked } }: { message: OpenedMail }) {
  if (!text)
    return <Text c="dimmed">Its text is no longer kept: it was sent, or the key of its tenant is destroyed.</Text>;
  return (
    <>
      <Text component="div" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        {text.split(/(https:\/\/\S+)/).map((part, index) =>
          part.startsWith('https://') && !isMasked ? (
            // biome-ignore lint/suspicious/noArrayIndexKey: parts of a text never move
            <Anchor key={index} href={part} underline="always" rel="noreferrer" target="_blank">
              {part}
            </Anchor>
          ) : (
            part
          ),
        )}
      </Text>
      {isMasked && (
        <Text size="sm" c="dimmed">
          The link is not shown: it belongs to whom it is sent to.
        </Text>
      )}
    </>
  );
}
