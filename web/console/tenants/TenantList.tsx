import { Button, Group, Select, Stack, Text } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import {
  type Column,
  CopyableLine,
  DataTable,
  EmptyState,
  ErrorState,
  formatCount,
  formatPlural,
  IconPlus,
  LoadingState,
  PageTitle,
  RelativeTime,
  SearchField,
  SizeText,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import { pageSize, type Tenant, type TenantListQuery, tenantStates, tenantsQuery } from '../api.ts';
import { tenantStateWords } from '../words.ts';
import { CreateTenant } from './CreateTenant.tsx';
import { ImportTenant } from './ImportTenant.tsx';

const stateOptions = tenantStates.map((value) => ({ value, label: tenantStateWords[value].label }));

/** All tenants of this installation. Search, filter, order and page are in the address, so a view can be shared. */
export function TenantList() {
  const search = useSearch({ strict: false }) as TenantListQuery & { create?: boolean; import?: boolean };
  const navigate = useNavigate();
  const change = (next: Partial<typeof search>) =>
    void navigate({ to: '/tenants', search: { ...search, page: undefined, ...next }, replace: true });
  const { create, import: isImport, ...query } = search;
  const [typed, setTyped] = useState(query.q ?? '');
  const applySearch = useDebouncedCallback((q: string) => change({ q: q.trim() || undefined }), 250);
  const list = useQuery({
    ...tenantsQuery(query),
    refetchInterval: ({ state }) =>
      state.data?.tenants.some((tenant) => tenantStateWords[tenant.state].tone === 'working') ? 2_000 : 30_000,
  });
  const total = list.data?.total ?? 0;
  const isFiltered = Boolean(query.q || query.state);
  return (
    <>
      <PageTitle
        title="Tenants"
        subtitle={
          total > 0 && !isFiltered ? `${formatPlural(total, 'tenant')}, each with a database of its own` : undefined
        }
        action={
          <Group gap="xs">
            <Button variant="default" onClick={() => change({ ...search, import: true })}>
              Import
            </Button>
            <Button leftSection={<IconPlus size={16} />} onClick={() => change({ ...search, create: true })}>
              Create tenant
            </Button>
          </Group>
        }
      />
      <Stack gap="sm">
        <Group gap="xs">
          <SearchField
            label="Search by name, title or id"
            value={typed}
            onChange={(value) => {
              setTyped(value);
              applySearch(value);
            }}
            flex="1 1 16rem"
            maw="24rem"
          />
          <Select
            aria-label="State"
            placeholder="All states"
            data={stateOptions}
            value={query.state ?? null}
            clearable
            onChange={(state) => change({ state: state ?? undefined })}
            w="12rem"
          />
        </Group>
        {list.isPending && <LoadingState rows={8} />}
        {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
        {list.data &&
          total === 0 &&
          (isFiltered ? (
            <NoMatch
              onReset={() => {
                setTyped('');
                change({ q: undefined, state: undefined });
              }}
            />
          ) : (
            <NoTenants />
          ))}
        {list.data && total > 0 && (
          <>
            <DataTable
              label="Tenants"
              columns={columns}
              rows={list.data.tenants}
              rowKey={(tenant) => tenant.tenantId}
              onOpen={({ tenantId }) => void navigate({ to: '/tenants/$tenantId', params: { tenantId } })}
              serverSort={{
                sort: query.sort
                  ? { key: query.sort.replace(/^-/, ''), descending: query.sort.startsWith('-') }
                  : { key: 'name' },
                onSort: ({ key, descending }) => change({ sort: `${descending ? '-' : ''}${key}` }),
              }}
            />
            <Pages total={total} page={query.page ?? 1} onPage={(page) => change({ page })} />
          </>
        )}
      </Stack>
      <CreateTenant opened={create ?? false} onClose={() => change({ ...search, create: undefined })} />
      <ImportTenant opened={isImport ?? false} onClose={() => change({ ...search, import: undefined })} />
    </>
  );
}

const columns: Column<Tenant>[] = [
  {
    key: 'name',
    header: 'Tenant',
    sortBy: 'server',
    cell: (tenant) => (
      <Group gap="0 0.625rem" wrap="wrap">
        <TextLink to="/tenants/$tenantId" params={{ tenantId: tenant.tenantId }} fw={500}>
          {tenant.name}
        </TextLink>
        {tenant.title !== tenant.name && (
          <Text span c="dimmed" lineClamp={1}>
            {tenant.title}
          </Text>
        )}
      </Group>
    ),
  },
  {
    key: 'state',
    header: 'State',
    sortBy: 'server',
    narrow: 'corner',
    cell: (tenant) => {
      const { tone, label } = tenantStateWords[tenant.state];
      return <StateBadge tone={tone}>{label}</StateBadge>;
    },
  },
  { key: 'app', header: 'App', cell: (tenant) => tenant.app },
  {
    key: 'sizeBytes',
    header: 'Size',
    align: 'right',
    sortBy: 'server',
    cell: (tenant) => <SizeText bytes={tenant.sizeBytes} unknown="–" />,
  },
  {
    key: 'lastUsedAt',
    header: 'Last use',
    sortBy: 'server',
    cell: (tenant) => <RelativeTime value={tenant.lastUsedAt} />,
  },
  {
    key: 'createdAt',
    header: 'Created',
    sortBy: 'server',
    cell: (tenant) => <RelativeTime value={tenant.createdAt} />,
  },
];

function NoTenants() {
  return (
    <EmptyState title="No tenants yet">
      <Stack gap="xs" mt="xs">
        A tenant is a customer account: a host name, an app, and a database that nobody else can reach. Create one here,
        or type:
        <CopyableLine value="./freehold tenant create acme --admin-email admin@acme.example" />
      </Stack>
    </EmptyState>
  );
}

function NoMatch({ onReset }: { onReset: () => void }) {
  return (
    <EmptyState
      title="No tenant matches"
      action={
        <Button variant="default" onClick={onReset}>
          Show all tenants
        </Button>
      }
    >
      Deleted tenants are listed only when you choose the state “Deleted”.
    </EmptyState>
  );
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
