import { Button, Progress, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import {
  apiFetch,
  type Column,
  CopyableId,
  DataTable,
  EmptyState,
  ErrorState,
  formatDuration,
  LoadingState,
  notifyProblem,
  Panel,
  RelativeTime,
  StateBadge,
} from '../../design/index.ts';
import { type CheckRun, checkRunQuery, isWithoutBackups, type Verification, verificationsQuery } from './api.ts';
import { describeChecked, Findings } from './findings.tsx';
import { PrivateServer } from './PrivateServer.tsx';

/** What came of restoring backups and dumps to see whether they restore. */
export function VerificationPanel() {
  const queryClient = useQueryClient();
  const list = useQuery({ ...verificationsQuery, refetchInterval: 30_000 });
  const run = useQuery(checkRunQuery('verifications'));
  const begin = useMutation({
    mutationFn: () => apiFetch<{ run: CheckRun }>('/api/verifications', { method: 'POST', body: {} }),
    onSuccess: ({ run: begun }) => queryClient.setQueryData(checkRunQuery('verifications').queryKey, begun),
    onError: notifyProblem,
  });
  const state = run.data?.state;
  useEffect(() => {
    if (state && state !== 'running') void queryClient.invalidateQueries({ queryKey: verificationsQuery.queryKey });
  }, [state, queryClient]);
  // Nobody verifies here.
  if (isWithoutBackups(list.error)) return null;
  return (
    <Panel
      title="Verifications"
      description="Every base backup and dump is restored on a server of its own, from one region alone, and compared with a ledger kept elsewhere."
      action={
        <Button
          variant="default"
          onClick={() => begin.mutate()}
          loading={begin.isPending}
          disabled={state === 'running'}
        >
          Verify the newest now
        </Button>
      }
      flush
    >
      {run.data?.state === 'running' && <CheckProgress run={run.data} />}
      {list.isPending && <LoadingState rows={3} />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.data?.length === 0 && (
        <EmptyState title="Nothing has been verified yet">
          A backup that was never restored is a hope. Each is verified by itself after it is taken; “Verify the newest
          now” does not wait for that.
        </EmptyState>
      )}
      {list.data && list.data.length > 0 && (
        <DataTable label="Verifications" columns={columns} rows={list.data} rowKey={(row) => row.verificationId} />
      )}
    </Panel>
  );
}

/** What a verification or a drill is doing. */
export function CheckProgress({ run }: { run: CheckRun }) {
  return (
    <div style={{ marginBottom: '0.75rem' }}>
      <Text size="sm" c="dimmed" mb={4} role="status">
        {run.text}, from region {run.region} alone ({Math.floor(run.fraction * 100)} %), begun{' '}
        <RelativeTime value={run.startedAt} />. You can leave this page; it goes on.
      </Text>
      <Progress value={run.fraction * 100} size="sm" color="green" aria-label="Progress" />
    </div>
  );
}

const columns: Column<Verification>[] = [
  {
    key: 'subject',
    header: 'What',
    cell: (row) => (
      <span>
        {row.kind === 'backup' ? 'Base backup' : 'Dump'}{' '}
        <CopyableId value={row.tenantId ?? row.subject} what={row.tenantId ? 'tenant id' : 'backup id'} short />
        {row.kind === 'backup' && row.cluster !== 'main' && <PrivateServer name={row.cluster} />}
      </span>
    ),
  },
  {
    key: 'result',
    header: 'Result',
    narrow: 'corner',
    cell: ({ passed }) => <StateBadge tone={passed ? 'ok' : 'urgent'}>{passed ? 'Right' : 'Failed'}</StateBadge>,
  },
  { key: 'region', header: 'Region', cell: ({ region }) => region },
  {
    key: 'checked',
    header: 'Compared',
    cell: ({ checked, findings }) => (
      <div>
        {describeChecked(checked)}
        <Findings findings={findings} />
      </div>
    ),
  },
  { key: 'when', header: 'Finished', cell: ({ finishedAt }) => <RelativeTime value={finishedAt} /> },
  {
    key: 'took',
    header: 'Took',
    align: 'right',
    cell: ({ startedAt, finishedAt }) => formatDuration(Date.parse(finishedAt) - Date.parse(startedAt)),
  },
];
