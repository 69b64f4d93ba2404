import { Button, Group, Select, Stack, Text } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import {
  type Column,
  DataTable,
  EmptyState,
  ErrorState,
  LoadingState,
  Notice,
  PageTitle,
  RelativeTime,
  StateBadge,
  TextLink,
  type Tone,
} from '../../design/index.ts';
import { fetchMail, type Mail, type MailState, mailStates } from './api.ts';
import { MailDialog } from './MailDialog.tsx';

const stateWords: Record<MailState, { readonly tone: Tone; readonly word: string }> = {
  kept: { tone: 'quiet', word: 'Kept' },
  queued: { tone: 'working', word: 'Waiting' },
  sending: { tone: 'working', word: 'Being sent' },
  sent: { tone: 'ok', word: 'Sent' },
  failed: { tone: 'urgent', word: 'Not sent' },
  held: { tone: 'late', word: 'Held' },
};

/** Messages to users of tenants: invitations, links for new passwords, notices. The only way to them while there is no mail server. */
export function MailPage() {
  const { state } = useSearch({ strict: false }) as { state?: MailState };
  const navigate = useNavigate();
  const [opened, setOpened] = useState<Mail>();
  const list = useInfiniteQuery({
    queryKey: ['mail', state],
    queryFn: ({ pageParam, signal }) => fetchMail({ state, before: pageParam }, signal),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextBefore ?? undefined,
    refetchInterval: 15_000,
  });
  const mail = list.data?.pages.flatMap((page) => page.mail);
  const showAll = () => void navigate({ to: '/mail', search: {}, replace: true });
  return (
    <>
      <PageTitle
        title="Mail"
        subtitle="What Freehold wrote to users of tenants, newest first. Removed after 30 days."
      />
      <Stack gap="sm">
        {list.data?.pages[0]?.isConfigured === false && (
          <Notice tone="late" title="There is no mail server">
            <Text size="sm">
              Messages are kept here and reach nobody by themselves. Open one and pass on its link, or set
              FREEHOLD_SMTP_URL and FREEHOLD_MAIL_FROM and start Freehold again.
            </Text>
          </Notice>
        )}
        <Select
          aria-label="State"
          placeholder="All states"
          data={mailStates.map((value) => ({ value, label: stateWords[value].word }))}
          value={state ?? null}
          clearable
          onChange={(value) =>
            void navigate({ to: '/mail', search: value ? { state: value as MailState } : {}, replace: true })
          }
          maw="14rem"
        />
        {list.isPending && <LoadingState rows={8} />}
        {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
        {mail?.length === 0 && (
          <EmptyState
            title={state ? 'No such message' : 'No messages yet'}
            action={
              state && (
                <Button variant="default" onClick={showAll}>
                  Show all messages
                </Button>
              )
            }
          >
            {state
              ? 'No message is in this state.'
              : 'The first invitation, or the first forgotten password, will be the first message.'}
          </EmptyState>
        )}
        {mail && mail.length > 0 && (
          <DataTable
            label="Messages"
            columns={columns(setOpened)}
            rows={mail}
            rowKey={({ mailId }) => mailId}
            onOpen={setOpened}
          />
        )}
        {list.hasNextPage && (
          <Group justify="center">
            <Button variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
              Show older
            </Button>
          </Group>
        )}
      </Stack>
      {opened && <MailDialog key={opened.mailId} mail={opened} onClose={() => setOpened(undefined)} />}
    </>
  );
}

const columns = (open: (mail: Mail) => void): Column<Mail>[] => [
  {
    key: 'subject',
    header: 'Message',
    cell: (mail) => (
      <Button variant="transparent" size="compact-sm" p={0} h="auto" fw={500} onClick={() => open(mail)}>
        {mail.subject ?? 'Unreadable: the key of its tenant is destroyed'}
      </Button>
    ),
  },
  {
    key: 'state',
    header: 'State',
    narrow: 'corner',
    cell: ({ state }) => <StateBadge tone={stateWords[state].tone}>{stateWords[state].word}</StateBadge>,
  },
  { key: 'to', header: 'To', cell: ({ to }) => to ?? '' },
  {
    key: 'tenant',
    header: 'Tenant',
    cell: ({ tenantId, tenantName }) => (
      <TextLink to="/tenants/$tenantId" params={{ tenantId }}>
        {tenantName}
      </TextLink>
    ),
  },
  {
    key: 'problem',
    header: 'Remarks',
    cell: ({ problem, nextAttemptAt }) => (
      <>
        {problem}
        {nextAttemptAt && problem && (
          <>
            {' '}
            Next attempt <RelativeTime value={nextAttemptAt} />.
          </>
        )}
      </>
    ),
  },
  { key: 'at', header: 'Written', align: 'right', cell: ({ createdAt }) => <RelativeTime value={createdAt} /> },
];
