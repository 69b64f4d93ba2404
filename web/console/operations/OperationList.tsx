import { Button, Group, Select, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { EmptyState, ErrorState, LoadingState, PageTitle } from '../../design/index.ts';
import { operationsQuery, pageSize } from '../api.ts';
import { operationStateWords } from '../words.ts';
import { OperationTable } from './OperationTable.tsx';

const stateOptions = Object.entries(operationStateWords).map(([value, { label }]) => ({ value, label }));

/** Everything that was done to tenants as a whole. */
export function OperationList() {
  const { state } = useSearch({ strict: false }) as { state?: string };
  const navigate = useNavigate();
  const [offset, setOffset] = useState(0);
  const list = useQuery({
    ...operationsQuery({ state, offset }),
    refetchInterval: ({ state: query }) =>
      query.data?.operations.some((operation) => operation.state === 'running') ? 2_000 : 15_000,
  });
  const operations = list.data?.operations;
  return (
    <>
      <PageTitle
        title="Operations"
        subtitle="What was done to tenants as a whole, newest first. Each is finished or taken back, also after a crash."
      />
      <Stack gap="sm">
        <Select
          aria-label="State"
          placeholder="All states"
          data={stateOptions}
          value={state ?? null}
          clearable
          onChange={(value) => {
            setOffset(0);
            void navigate({ to: '/operations', search: { state: value ?? undefined }, replace: true });
          }}
          maw="14rem"
        />
        {list.isPending && <LoadingState />}
        {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
        {operations?.length === 0 && (
          <EmptyState title={state ? 'No operation in this state' : 'No operations yet'}>
            {state ? 'Choose another state, or all of them.' : 'The first tenant you create is the first operation.'}
          </EmptyState>
        )}
        {operations && operations.length > 0 && <OperationTable operations={operations} withTenant />}
        {(offset > 0 || operations?.length === pageSize) && (
          <Group justify="center" gap="xs">
            <Button variant="default" disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - pageSize))}>
              Newer
            </Button>
            <Button
              variant="default"
              disabled={operations?.length !== pageSize}
              onClick={() => setOffset(offset + pageSize)}
            >
              Older
            </Button>
          </Group>
        )}
      </Stack>
    </>
  );
}
