import { Button, Stack } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import {
  apiFetch,
  EmptyState,
  ErrorState,
  LoadingState,
  Notice,
  notifyProblem,
  PageTitle,
  Panel,
  RelativeTime,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import {
  type Backup,
  type BackupRun,
  backupRunQuery,
  backupsQuery,
  isWithoutBackups,
  verificationsQuery,
} from './api.ts';
import { BackupTable } from './BackupTable.tsx';
import { LagPanels } from './LagPanels.tsx';
import { RunPanel } from './RunPanel.tsx';
import { VerificationPanel } from './VerificationPanel.tsx';

/** Is everything copied, is there a backup, was it restored to see whether it restores: the answer first, then the copies over time. */
export function BackupsPage() {
  const queryClient = useQueryClient();
  const run = useQuery(backupRunQuery);
  const list = useQuery({
    ...backupsQuery,
    refetchInterval: 30_000,
    retry: (count, error) => !isWithoutBackups(error) && count < 2,
  });
  const begin = useMutation({
    mutationFn: () => apiFetch<{ run: BackupRun }>('/api/backups', { method: 'POST', body: {} }),
    onSuccess: ({ run: begun }) => queryClient.setQueryData(backupRunQuery.queryKey, begun),
    onError: notifyProblem,
  });
  if (isWithoutBackups(list.error)) return <WithoutBackups />;
  const isRunning = run.data?.state === 'running';
  const newest = list.data?.backups[0];
  return (
    <>
      <PageTitle
        title="Backups"
        badge={newest && <Verdict backups={list.data?.backups ?? []} away={list.data?.away ?? []} />}
        subtitle={
          newest ? (
            <>
              The newest was taken <RelativeTime value={newest.finishedAt} />. To bring a tenant back to a moment, open
              it under{' '}
              <TextLink to="/tenants" underline="always">
                Tenants
              </TextLink>{' '}
              and choose Restore.
            </>
          ) : (
            'Base backups are taken daily; the log goes to every region all the time.'
          )
        }
        action={
          <Button onClick={() => begin.mutate()} loading={begin.isPending} disabled={isRunning}>
            Back up now
          </Button>
        }
      />
      <Stack gap="lg">
        {run.data && <RunPanel key={run.data.startedAt} run={run.data} newest={newest} />}
        <LagPanels />
        <Panel title="Base backups" flush>
          {list.isPending && <LoadingState />}
          {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
          {list.data && (
            <Stack gap="sm">
              {list.data.away.map((region) => (
                <Notice key={region} tone="late" title={`Region ${region} does not answer`}>
                  What it holds is not in this list. The others go on; it gets what it lacks when it is back.
                </Notice>
              ))}
              {list.data.backups.length === 0 ? (
                <EmptyState title="There is no base backup yet">
                  The first is taken a minute after the first start. Until there is one, nothing can be restored; “Back
                  up now” takes one at once.
                </EmptyState>
              ) : (
                <BackupTable backups={list.data.backups} away={list.data.away} />
              )}
            </Stack>
          )}
        </Panel>
        <VerificationPanel />
      </Stack>
    </>
  );
}

/** One word for the newest backups of all servers: what is wrong with any of them comes first. */
function Verdict({ backups, away }: { backups: readonly Backup[]; away: readonly string[] }) {
  const verifications = useQuery(verificationsQuery).data ?? [];
  const newest = [...Map.groupBy(backups, ({ cluster }) => cluster).values()].map(([first]) => first!);
  const last = newest.map(({ backupId }) => verifications.find(({ subject }) => subject === backupId));
  if (newest.some(({ suspect }) => suspect)) return <StateBadge tone="urgent">Newest is suspect</StateBadge>;
  if (last.some((each) => each?.passed === false))
    return <StateBadge tone="urgent">Newest failed its verification</StateBadge>;
  if (away.length > 0) return <StateBadge tone="late">A region is away</StateBadge>;
  if (last.every((each) => each)) return <StateBadge tone="ok">Newest is verified</StateBadge>;
  return <StateBadge tone="quiet">Newest is not verified yet</StateBadge>;
}

function WithoutBackups() {
  return (
    <>
      <PageTitle title="Backups" />
      <EmptyState title="This installation makes no backups">
        Its database server is an external one, or backups are turned off by <code>FREEHOLD_BACKUPS</code>. Whoever runs
        the server backs it up. When this machine is lost without that, everything on it is lost.
      </EmptyState>
    </>
  );
}
