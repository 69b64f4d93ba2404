import { Button, Group, Select, Stack, Text } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import {
  apiFetch,
  type Column,
  DataTable,
  EmptyState,
  ErrorState,
  LoadingState,
  PageTitle,
  RelativeTime,
} from '../design/index.ts';
import { type SecurityEvent, sessionQuery } from './api.ts';
import { describeActor, describeEvent, describeSubject, eventOptions } from './words.ts';

/** Everything that touched the security of this tenant, newest first. */
export function SecurityLog() {
  const me = useQuery(sessionQuery).data?.user;
  const { event } = useSearch({ strict: false }) as { event?: string };
  const navigate = useNavigate();
  const log = useInfiniteQuery({
    queryKey: ['security-log', event],
    queryFn: ({ pageParam, signal }) => {
      const query = new URLSearchParams({
        ...(event ? { event } : {}),
        ...(pageParam ? { before: pageParam } : {}),
      });
      return apiFetch<{ events: SecurityEvent[]; nextBefore?: string | null }>(`/-/api/security-log?${query}`, {
        signal,
      });
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.nextBefore ?? undefined,
    enabled: me !== undefined && me.role !== 'member',
  });
  if (!me) return null;
  if (me.role === 'member')
    return (
      <>
        <PageTitle title="Security log" />
        <EmptyState title="This page is for admins and owners">
          It lists sign-ins, invitations and changes of rights. Your own devices are on your account page.
        </EmptyState>
      </>
    );
  const events = log.data?.pages.flatMap((page) => page.events);
  return (
    <>
      <PageTitle title="Security log" subtitle="Sign-ins, invitations and changes of rights, newest first." />
      <Stack gap="sm">
        <Select
          aria-label="Event"
          placeholder="All events"
          data={eventOptions}
          value={event ?? null}
          clearable
          onChange={(value) =>
            void navigate({ to: '/security-log', search: value ? { event: value } : {}, replace: true })
          }
          maw="20rem"
        />
        {log.isPending && <LoadingState rows={10} />}
        {log.isError && <ErrorState error={log.error} onRetry={() => void log.refetch()} />}
        {events?.length === 0 && (
          <EmptyState title={event ? 'No such event so far' : 'Nothing recorded yet'}>
            {event ? 'Choose another event, or all of them.' : 'The first sign-in will be the first entry.'}
          </EmptyState>
        )}
        {events && events.length > 0 && (
          <DataTable label="Security events" columns={columns} rows={events} rowKey={(entry) => entry.eventId} />
        )}
        {log.hasNextPage && (
          <Group justify="center">
            <Button variant="default" loading={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
              Show older
            </Button>
          </Group>
        )}
      </Stack>
    </>
  );
}

const columns: Column<SecurityEvent>[] = [
  {
    key: 'event',
    header: 'Event',
    cell: (entry) => (
      <Text span fw={500} title={`${entry.name}: ${entry.meaning}`}>
        {describeEvent(entry.name)}
      </Text>
    ),
  },
  { key: 'actor', header: 'Who', cell: (entry) => entry.actorName ?? describeActor(entry.actor) },
  { key: 'subject', header: 'Whom and what', cell: (entry) => describeSubject(entry) },
  { key: 'address', header: 'Address', cell: (entry) => entry.address ?? '' },
  { key: 'at', header: 'When', align: 'right', cell: (entry) => <RelativeTime value={entry.recordedAt} /> },
];
