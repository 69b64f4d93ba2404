import { Button, Group, Select, Stack, Text } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import {
  type Column,
  DataTable,
  EmptyState,
  ErrorState,
  formatCount,
  formatPlural,
  LoadingState,
  PageTitle,
  RelativeTime,
  SearchField,
  SizeText,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import { pageSize } from '../api.ts';
import { isWithoutBackups } from '../backups/api.ts';
import {
  type DumpListQuery,
  type DumpOverview,
  dumpOverviewQuery,
  dumpRunQuery,
  dumpStandings,
  type StandingFilter,
  standingWords,
  type TenantDumps,
  troubled,
  useDumpNow,
} from './api.ts';
import { Regions, Standing, Verified } from './cells.tsx';
import { DumpRunPanel } from './DumpRunPanel.tsx';

const filters = [
  { value: 'trouble', label: 'Needs a look' },
  ...dumpStandings.map((value) => ({ value, label: standingWords[value].label })),
];

/** Does every tenant have a dump that restores: who does not comes first. Search, filter and page are in the address. */
export function DumpsPage() {
  const query = useSearch({ strict: false }) as DumpListQuery;
  const navigate = useNavigate();
  const change = (next: DumpListQuery) =>
    void navigate({ to: '/dumps', search: { ...query, page: undefined, ...next }, replace: true });
  const [typed, setTyped] = useState(query.q ?? '');
  const applySearch = useDebouncedCallback((q: string) => change({ q: q.trim() || undefined }), 250);
  const list = useQuery({
    ...dumpOverviewQuery(query),
    refetchInterval: 30_000,
    retry: (count, error) => !isWithoutBackups(error) && count < 2,
  });
  const run = useQuery(dumpRunQuery);
  const begin = useDumpNow();
  if (isWithoutBackups(list.error)) return <WithoutDumps />;
  const isRunning = run.data?.state === 'running' || begin.isPending;
  const { data } = list;
  const all = data ? dumpStandings.reduce((sum, each) => sum + data.counts[each], 0) : 0;
  return (
    <>
      <PageTitle
        title="Dumps"
        badge={data && all > 0 && <Verdict overview={data} />}
        subtitle="Each tenant’s database as pg_dump writes it, every night, in every region, and restored to see that it does. Owners download theirs from their account page."
        action={
          <Button
            onClick={() => begin.mutate(undefined)}
            loading={begin.isPending && begin.variables === undefined}
            disabled={isRunning || all === 0}
          >
            Dump all now
          </Button>
        }
      />
      <Stack gap="lg">
        {run.data && <DumpRunPanel key={run.data.startedAt} run={run.data} />}
        {list.isPending && <LoadingState rows={8} />}
        {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
        {data && all === 0 && (
          <EmptyState title="There is nobody to dump yet">
            A tenant’s first dump is made within the hour of its creation.{' '}
            <TextLink to="/tenants" search={{ create: true }} underline="always">
              Create a tenant
            </TextLink>
          </EmptyState>
        )}
        {data && all > 0 && (
          <Stack gap="sm">
            <Group gap="xs">
              <SearchField
                label="Search by name or id of the tenant"
                value={typed}
                onChange={(value) => {
                  setTyped(value);
                  applySearch(value);
                }}
                flex="1 1 16rem"
                maw="24rem"
              />
              <Select
                aria-label="State of the dumps"
                placeholder="All states"
                data={filters}
                value={query.standing ?? null}
                clearable
                onChange={(standing) => change({ standing: (standing as StandingFilter) ?? undefined })}
                w="12rem"
              />
            </Group>
            {data.total === 0 ? (
              <EmptyState
                title={query.standing === 'trouble' && !query.q ? 'Nobody needs a look' : 'No tenant matches'}
                action={
                  <Button
                    variant="default"
                    onClick={() => {
                      setTyped('');
                      change({ q: undefined, standing: undefined });
                    }}
                  >
                    Show all tenants
                  </Button>
                }
              />
            ) : (
              <>
                <DataTable
                  label="Dumps of tenants"
                  columns={columnsOf(data.regions, isRunning, begin)}
                  rows={data.tenants}
                  rowKey={({ tenantId }) => tenantId}
                  onOpen={({ tenantId }) => void navigate({ to: '/dumps/$tenantId', params: { tenantId } })}
                />
                <Pages total={data.total} page={query.page ?? 1} onPage={(page) => change({ page })} />
              </>
            )}
          </Stack>
        )}
      </Stack>
    </>
  );
}

/** One line for all tenants. */
function Verdict({ overview: { counts } }: { overview: DumpOverview }) {
  const trouble = troubled.reduce((sum, each) => sum + counts[each], 0);
  const isUrgent = counts.unsound + counts.failed > 0;
  if (trouble > 0)
    return (
      <StateBadge tone={isUrgent ? 'urgent' : 'late'}>
        {trouble === 1 ? '1 tenant needs a look' : `${formatCount(trouble)} tenants need a look`}
      </StateBadge>
    );
  const waiting = counts.none + counts.unverified;
  if (waiting > 0)
    return <StateBadge tone="quiet">{formatPlural(waiting, 'tenant')} without a verified dump</StateBadge>;
  return <StateBadge tone="ok">All {formatCount(counts.sound)} restore</StateBadge>;
}

function columnsOf(
  regions: readonly string[],
  isRunning: boolean,
  begin: ReturnType<typeof useDumpNow>,
): Column<TenantDumps>[] {
  return [
    {
      key: 'tenant',
      header: 'Tenant',
      cell: ({ tenantId, tenantName, tenantState }) => (
        <Group gap="0 0.625rem">
          <TextLink to="/dumps/$tenantId" params={{ tenantId }} fw={500}>
            {tenantName}
          </TextLink>
          {tenantState === 'suspended' && (
            <Text span c="dimmed">
              suspended
            </Text>
          )}
        </Group>
      ),
    },
    { key: 'standing', header: 'State', narrow: 'corner', cell: (tenant) => <Standing tenant={tenant} /> },
    {
      key: 'made',
      header: 'Newest',
      cell: ({ newest, lastRun, unloggedTables }) => (
        <Stack gap={2}>
          <RelativeTime value={newest?.madeAt} never="–" />
          {newest && lastRun?.outcome === 'unchanged' && (
            <Text size="sm" c="dimmed">
              unchanged <RelativeTime value={lastRun.endedAt} />
            </Text>
          )}
          {unloggedTables.length > 0 && (
            <Text size="sm" c="var(--fh-late)" title={unloggedTables.join(', ')}>
              without {formatPlural(unloggedTables.length, 'unlogged table')}
            </Text>
          )}
        </Stack>
      ),
    },
    { key: 'verified', header: 'Restored', cell: ({ newest }) => newest && <Verified {...newest} /> },
    {
      key: 'regions',
      header: 'Regions',
      cell: ({ newest }) => newest && <Regions held={newest.regions} regions={regions} />,
    },
    {
      key: 'size',
      header: 'Sealed',
      align: 'right',
      cell: ({ newest }) => <SizeText bytes={newest?.sizeBytes} unknown="–" />,
    },
    { key: 'kept', header: 'Kept', align: 'right', cell: ({ kept }) => formatCount(kept) },
    {
      key: 'do',
      header: '',
      align: 'right',
      cell: ({ tenantId, tenantName }) => (
        <Button
          size="compact-sm"
          variant="default"
          aria-label={`Dump now: ${tenantName}`}
          loading={begin.isPending && begin.variables === tenantId}
          disabled={isRunning}
          onClick={() => begin.mutate(tenantId)}
        >
          Dump now
        </Button>
      ),
    },
  ];
}

function Pages({ total, page, onPage }: { total: number; page: number; onPage: (page: number | undefined) => void }) {
  if (total <= pageSize) return null;
  const first = (page - 1) * pageSize + 1;
  const last = Math.min(total, page * pageSize);
  return (
    <Group justify="space-between">
      <Text size="sm" c="dimmed">
        {formatCount(first)} to {formatCount(last)} of {formatCount(total)}
      </Text>
      <Group gap="xs">
        <Button variant="default" size="compact-md" disabled={page === 1} onClick={() => onPage(page - 1 || undefined)}>
          Previous
        </Button>
        <Button variant="default" size="compact-md" disabled={last === total} onClick={() => onPage(page + 1)}>
          Next
        </Button>
      </Group>
    </Group>
  );
}

/** Where no backups are made, no dumps are. */
export function WithoutDumps() {
  return (
    <>
      <PageTitle title="Dumps" />
      <EmptyState title="This installation makes no dumps">
        Its database server is an external one, or backups are turned off by <code>FREEHOLD_BACKUPS</code>. An export of
        a tenant, on its page, is a copy that can be taken home all the same.
      </EmptyState>
    </>
  );
}
