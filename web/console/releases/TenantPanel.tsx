import { Select, Text, VisuallyHidden } from '@mantine/core';
import {
  type Column,
  CopyableId,
  DataTable,
  EmptyState,
  formatPlural,
  Panel,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import type { Release, ReleaseTenant, TenantFilter } from './api.ts';
import { releaseTenantWords, ringLabels, sumsOfAll } from './words.ts';

const shownTenants = 200;

const filterWords: Record<TenantFilter, string> = {
  trouble: 'Failed or left out',
  'under-way': 'Under way',
  waiting: 'Waiting for it',
  done: 'Have it',
  returned: 'Went back with the release',
};

/** Who is where: those that something went wrong with first, because they are what a person looks for. */
export function TenantPanel(props: {
  release: Release;
  tenants: readonly ReleaseTenant[];
  filter: TenantFilter;
  onFilter: (filter: TenantFilter) => void;
}) {
  const { release, tenants, filter } = props;
  const sums = sumsOfAll(release);
  const counts: Record<TenantFilter, number> = {
    trouble: sums.failed + sums.skipped,
    'under-way': sums.underWay,
    waiting: sums.waiting,
    done: sums.done,
    returned: sums.returned,
  };
  return (
    <Panel
      title="Tenants"
      flush
      action={
        <Select
          aria-label="Which tenants"
          data={(Object.keys(filterWords) as TenantFilter[]).map((value) => ({
            value,
            label: `${filterWords[value]} (${counts[value]})`,
          }))}
          value={filter}
          allowDeselect={false}
          onChange={(value) => value && props.onFilter(value as TenantFilter)}
          w="15rem"
        />
      }
    >
      {tenants.length === 0 ? (
        <EmptyState title={filter === 'trouble' ? 'Nobody failed' : 'Nobody at the moment'}>
          {filter === 'trouble' &&
            'A tenant that fails goes back by itself to the version and the content it had, and is listed here with the reason.'}
        </EmptyState>
      ) : (
        <DataTable
          label="Tenants of the release"
          columns={columns}
          rows={tenants.slice(0, shownTenants)}
          rowKey={({ tenantId }) => tenantId}
        />
      )}
      {tenants.length > shownTenants && (
        <Text size="sm" c="dimmed" mt="xs">
          and {formatPlural(tenants.length - shownTenants, 'more tenant')}
        </Text>
      )}
    </Panel>
  );
}

const columns: Column<ReleaseTenant>[] = [
  {
    key: 'name',
    header: 'Tenant',
    cell: ({ tenantId, name }) => (
      <TextLink to="/tenants/$tenantId" params={{ tenantId }} fw={500}>
        {name}
      </TextLink>
    ),
  },
  {
    key: 'state',
    header: 'State',
    narrow: 'corner',
    cell: ({ state }) => (
      <StateBadge tone={releaseTenantWords[state].tone}>{releaseTenantWords[state].label}</StateBadge>
    ),
  },
  { key: 'ring', header: 'Ring', cell: ({ ring }) => ringLabels[ring] },
  {
    key: 'why',
    header: 'Why',
    cell: ({ error, state }) =>
      error && state !== 'done' ? (
        <div style={{ maxWidth: '36rem', overflowWrap: 'anywhere' }}>
          <Text size="sm" lineClamp={4} title={error.text} style={{ whiteSpace: 'pre-line' }}>
            {error.text}
          </Text>
          {error.code && <CopyableId value={error.code} what="code" />}
        </div>
      ) : (
        ''
      ),
  },
  { key: 'before', header: 'Ran before', cell: ({ fromVersion }) => fromVersion },
  { key: 'content', header: 'Content', cell: ({ isDataBack, state }) => contentOf(state, isDataBack) },
  {
    key: 'operation',
    header: 'Steps',
    align: 'right',
    cell: ({ operationId, name }) =>
      operationId ? (
        <TextLink to="/operations/$operationId" params={{ operationId }}>
          Look<VisuallyHidden> at the steps of {name}</VisuallyHidden>
        </TextLink>
      ) : (
        ''
      ),
  },
];

/** Of one that went back. */
function contentOf(state: ReleaseTenant['state'], isDataBack: ReleaseTenant['isDataBack']): string {
  if ((state !== 'failed' && state !== 'returned') || isDataBack === null || isDataBack === undefined) return '';
  return isDataBack ? 'As before' : 'Kept as it is';
}
