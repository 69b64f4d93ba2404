import { Button, Group, Select, Stack, Text, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import {
  apiFetch,
  type Column,
  CopyableId,
  DataTable,
  EmptyState,
  ErrorState,
  LoadingState,
  PageTitle,
  RelativeTime,
} from '../../design/index.ts';
import { Actor } from '../Actor.tsx';
import type { AuditEvent } from '../api.ts';
import { auditEventNames } from '../words.ts';

interface Filter {
  readonly event?: string | undefined;
  readonly tenant?: string | undefined;
}

/** Security events of the installation, newest first. Append-only on the server; nothing here can change it. */
export function AuditLog() {
  const filter = useSearch({ strict: false }) as Filter;
  const navigate = useNavigate();
  const log = useInfiniteQuery({
    queryKey: ['audit', filter],
    queryFn: ({ pageParam, signal }) => {
      const query = new URLSearchParams();
      if (filter.event) query.set('name', filter.event);
      if (filter.tenant) query.set('tenantId', filter.tenant);
      if (pageParam) query.set('before', pageParam);
      return apiFetch<{ events: AuditEvent[]; nextBefore?: string | null }>(`/api/audit?${query}`, { signal });
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.nextBefore ?? undefined,
  });
  const events = log.data?.pages.flatMap((page) => page.events);
  const isFiltered = Boolean(filter.event || filter.tenant);
  return (
    <>
      <PageTitle
        title="Audit log"
        subtitle="Who did what to this installation, newest first. Entries cannot be changed."
      />
      <Stack gap="sm">
        <FilterForm
          key={JSON.stringify(filter)}
          filter={filter}
          onApply={(search) => void navigate({ to: '/audit', search: { ...search }, replace: true })}
        />
        {log.isPending && <LoadingState rows={10} />}
        {log.isError && <ErrorState error={log.error} onRetry={() => void log.refetch()} />}
        {events?.length === 0 && (
          <EmptyState
            title={isFiltered ? 'No such entry' : 'Nothing recorded yet'}
            action={
              isFiltered && (
                <Button variant="default" onClick={() => void navigate({ to: '/audit', search: {}, replace: true })}>
                  Show all entries
                </Button>
              )
            }
          >
            {isFiltered
              ? 'Check the event and the tenant id, or show all entries.'
              : 'The first act will be the first entry.'}
          </EmptyState>
        )}
        {events && events.length > 0 && (
          <DataTable label="Audit log" columns={columns} rows={events} rowKey={(event) => event.eventId} />
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

function FilterForm({ filter, onApply }: { filter: Filter; onApply: (filter: Filter) => void }) {
  const [event, setEvent] = useState(filter.event ?? '');
  const [tenant, setTenant] = useState(filter.tenant ?? '');
  const submit = (submitted: FormEvent) => {
    submitted.preventDefault();
    onApply({ event: event.trim() || undefined, tenant: tenant.trim() || undefined });
  };
  return (
    <form onSubmit={submit}>
      <Group gap="xs">
        <Select
          aria-label="Event"
          placeholder="All events"
          data={auditEventNames}
          value={event || null}
          searchable
          clearable
          onChange={(value) => {
            setEvent(value ?? '');
            onApply({ event: value ?? undefined, tenant: tenant.trim() || undefined });
          }}
          flex="1 1 14rem"
          maw="18rem"
        />
        <TextInput
          aria-label="Tenant id"
          placeholder="Tenant id, ten_…"
          value={tenant}
          onChange={(changed) => setTenant(changed.currentTarget.value)}
          flex="1 1 14rem"
          maw="20rem"
        />
        <Button type="submit" variant="default">
          Filter
        </Button>
      </Group>
    </form>
  );
}

const columns: Column<AuditEvent>[] = [
  {
    key: 'event',
    header: 'Event',
    cell: (event) => (
      <div>
        <Text fw={500}>{event.meaning || event.name}</Text>
        <Text size="sm" c="dimmed" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
          {event.name}
          {describeDetails(event.details)}
        </Text>
      </div>
    ),
  },
  { key: 'actor', header: 'Who', cell: (event) => <Actor actor={event.actor} /> },
  { key: 'subject', header: 'Subject', cell: (event) => <Subject subject={event.subject} /> },
  { key: 'address', header: 'Address', cell: (event) => event.address ?? '' },
  { key: 'at', header: 'When', align: 'right', cell: (event) => <RelativeTime value={event.recordedAt} /> },
];

/** An id to copy, or a word. */
function Subject({ subject }: { subject: string }) {
  return subject.includes('_') ? <CopyableId value={subject} what="subject" short /> : <span>{subject}</span>;
}

function describeDetails(details: AuditEvent['details']): string {
  const entries = Object.entries(details ?? {}).filter(([, value]) => value !== null && value !== '');
  return entries.length === 0 ? '' : ` · ${entries.map(([key, value]) => `${key}=${String(value)}`).join(' ')}`;
}
