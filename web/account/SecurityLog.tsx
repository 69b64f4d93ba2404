import { Button, Group, Menu, Select, Stack, Text, TextInput } from '@mantine/core';
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
import { type SecurityEvent, sessionQuery, usersQuery } from './api.ts';
import { type LogFilter, toLogQuery } from './log-filter.ts';
import { describeActor, describeEvent, describeSubject, eventOptions } from './words.ts';

/** Everything that touched the security of this tenant, newest first. What is asked for stands in the address. */
export function SecurityLog() {
  const me = useQuery(sessionQuery).data?.user;
  const filter = useSearch({ strict: false }) as LogFilter;
  const isAdmin = me !== undefined && me.role !== 'member';
  const asked = toLogQuery(filter);
  const log = useInfiniteQuery({
    queryKey: ['security-log', asked.toString()],
    queryFn: ({ pageParam, signal }) => {
      const query = new URLSearchParams(asked);
      if (pageParam) query.set('before', pageParam);
      return apiFetch<{ events: SecurityEvent[]; nextBefore?: string | null }>(`/-/api/security-log?${query}`, {
        signal,
      });
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.nextBefore ?? undefined,
    enabled: isAdmin,
  });
  if (!me) return null;
  if (!isAdmin)
    return (
      <>
        <PageTitle title="Security log" />
        <EmptyState title="This page is for admins and owners">
          It lists sign-ins, invitations and changes of rights. Your own devices are on your account page.
        </EmptyState>
      </>
    );
  const events = log.data?.pages.flatMap((page) => page.events);
  const isFiltered = asked.size > 0;
  return (
    <>
      <PageTitle
        title="Security log"
        subtitle="Sign-ins, invitations and changes of rights, newest first."
        action={<ExportMenu asked={asked} />}
      />
      <Stack gap="sm">
        <FilterBar filter={filter} />
        {log.isPending && <LoadingState rows={10} />}
        {log.isError && <ErrorState error={log.error} onRetry={() => void log.refetch()} />}
        {events?.length === 0 && (
          <EmptyState title={isFiltered ? 'Nothing fits' : 'Nothing recorded yet'}>
            {isFiltered
              ? 'No entry is of this event, person and time. Choose less, or clear the filter.'
              : 'The first sign-in will be the first entry.'}
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

function FilterBar({ filter }: { filter: LogFilter }) {
  const navigate = useNavigate();
  const users = useQuery(usersQuery);
  const people = users.data?.map(({ userId, name, email }) => ({ value: userId, label: `${name} (${email})` })) ?? [];
  const choose = (change: LogFilter) => {
    const search = Object.fromEntries(Object.entries({ ...filter, ...change }).filter(([, value]) => value));
    void navigate({ to: '/security-log', search, replace: true });
  };
  return (
    <search aria-label="Filter">
      <Group gap="sm" align="flex-end">
        <Select
          label="Event"
          placeholder="All events"
          data={eventOptions}
          value={filter.event ?? null}
          clearable
          searchable
          nothingFoundMessage="No such event"
          onChange={(value) => choose({ event: value ?? undefined })}
          w={{ base: '100%', xs: '16rem' }}
        />
        <Select
          label="Person"
          placeholder="Everybody"
          data={people}
          value={filter.person ?? null}
          clearable
          searchable
          nothingFoundMessage="Nobody of this name"
          onChange={(value) => choose({ person: value ?? undefined })}
          w={{ base: '100%', xs: '16rem' }}
        />
        <TextInput
          type="date"
          label="From"
          value={filter.from ?? ''}
          max={filter.to}
          onChange={(event) => choose({ from: event.currentTarget.value })}
        />
        <TextInput
          type="date"
          label="To"
          value={filter.to ?? ''}
          min={filter.from}
          onChange={(event) => choose({ to: event.currentTarget.value })}
        />
        {toLogQuery(filter).size > 0 && (
          <Button
            variant="default"
            onClick={() => choose({ event: undefined, person: undefined, from: undefined, to: undefined })}
          >
            Clear
          </Button>
        )}
      </Group>
    </search>
  );
}

/** Links, so that the browser writes the file while it comes. */
function ExportMenu({ asked }: { asked: URLSearchParams }) {
  const href = (format: string) => `/-/api/security-log/export?${new URLSearchParams([...asked, ['format', format]])}`;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default">Export</Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          What the filter shows, all pages.
          <Text span size="xs" display="block">
            An export is an entry of the log itself.
          </Text>
        </Menu.Label>
        <Menu.Item component="a" href={href('csv')} download>
          CSV, for spreadsheets
        </Menu.Item>
        <Menu.Item component="a" href={href('jsonl')} download>
          JSON lines, for programs
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
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
