import { Button, Group, Modal, Select, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';
import {
  apiFetch,
  EmptyState,
  ErrorState,
  formatDuration,
  LoadingState,
  PageTitle,
  Panel,
  ProblemNotice,
  RelativeTime,
  StateBadge,
} from '../../design/index.ts';
import { type CheckRun, checkRunQuery, type Drill, drillsQuery, isWithoutBackups } from '../backups/api.ts';
import { CheckProgress } from '../backups/VerificationPanel.tsx';
import { healthQuery } from '../health/health.ts';
import { DrillChart } from './DrillChart.tsx';
import { DrillTable } from './DrillTable.tsx';

/** Would everything come back: what the last rebuilding from one region alone has cost, and how that changes from drill to drill. */
export function DrillsPage() {
  const queryClient = useQueryClient();
  const list = useQuery({ ...drillsQuery, refetchInterval: 60_000 });
  const run = useQuery(checkRunQuery('drills'));
  const [isAsking, setAsking] = useState(false);
  const state = run.data?.state;
  useEffect(() => {
    if (state && state !== 'running') void queryClient.invalidateQueries({ queryKey: drillsQuery.queryKey });
  }, [state, queryClient]);
  if (isWithoutBackups(list.error))
    return (
      <>
        <PageTitle title="Drills" />
        <EmptyState title="No drills are held here">
          A drill rebuilds the installation from one region. This one makes no backups, so there is nothing to rebuild
          it from.
        </EmptyState>
      </>
    );
  const drills = list.data ?? [];
  // Of a private server they cost other times, and say nothing about the rest.
  const ofAll = drills.filter(({ cluster }) => cluster === 'main');
  const [newest] = ofAll;
  return (
    <>
      <PageTitle
        title="Drills"
        badge={
          newest && (
            <StateBadge tone={newest.passed ? 'ok' : 'urgent'}>
              {newest.passed ? 'Last one passed' : 'Last one failed'}
            </StateBadge>
          )
        }
        subtitle={
          newest ? (
            <Answer drill={newest} />
          ) : (
            'A drill rebuilds everything from one region alone, on a server of its own, and measures it.'
          )
        }
        action={
          <Button onClick={() => setAsking(true)} disabled={state === 'running' || list.isError}>
            Run a drill
          </Button>
        }
      />
      <Stack gap="lg">
        {run.data?.state === 'running' && (
          <Panel title="A drill is being held" action={<StateBadge tone="working">Running</StateBadge>}>
            <CheckProgress run={run.data} />
          </Panel>
        )}
        {list.isPending && <LoadingState />}
        {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
        {list.data && drills.length === 0 && (
          <EmptyState title="No drill has been held yet">
            One is held every week by itself. What is shown then: how much work would have been lost (recovery point),
            and how long it took until every tenant answered again (recovery time).
          </EmptyState>
        )}
        {ofAll.length > 0 && <DrillChart drills={ofAll} />}
        {drills.length > 0 && (
          <Panel title="Drills held" flush>
            <DrillTable drills={drills} />
          </Panel>
        )}
      </Stack>
      <AskForDrill opened={isAsking} onClose={() => setAsking(false)} />
    </>
  );
}

function Answer({ drill }: { drill: Drill }) {
  const { recoveryPointMs, recoveryTimeMs, region, finishedAt } = drill;
  const point = recoveryPointMs === undefined ? undefined : `${formatDuration(recoveryPointMs)} of work lost`;
  const time = recoveryTimeMs === undefined ? undefined : `everything back after ${formatDuration(recoveryTimeMs)}`;
  return (
    <>
      Held <RelativeTime value={finishedAt} />, from region {region} alone:{' '}
      {[point, time].filter(Boolean).join(', ') || 'it did not come to an end'}.
    </>
  );
}

function AskForDrill({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const queryClient = useQueryClient();
  const clusters = useQuery(healthQuery).data?.clusters ?? [];
  // Every server has the same ones.
  const regions = clusters.find(({ name }) => name === 'main')?.shipping?.regions ?? [];
  const privateServers = clusters.filter(({ name }) => name !== 'main');
  const [region, setRegion] = useState('');
  const [cluster, setCluster] = useState('');
  const begin = useMutation({
    mutationFn: () =>
      apiFetch<{ run: CheckRun }>('/api/drills', {
        method: 'POST',
        body: { ...(region !== '' && { region }), ...(cluster !== '' && { cluster }) },
      }),
    onSuccess: ({ run }) => {
      queryClient.setQueryData(checkRunQuery('drills').queryKey, run);
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    begin.mutate();
  };
  return (
    <Modal opened={opened} onClose={onClose} title={<Text fw={600}>Run a drill</Text>}>
      <form onSubmit={submit}>
        <Stack gap="md">
          <Text>
            {cluster === '' ? 'The whole installation' : `The private server ${cluster}`} is rebuilt from one region, on
            a server of its own that listens to nobody, and compared. Tenants are not touched; this machine is busier
            for some minutes, and needs as much free disk as the databases are large.
          </Text>
          {privateServers.length > 0 && (
            <Select
              label="Server"
              data={[
                { value: '', label: 'The shared one, with everything on it' },
                ...privateServers.map(({ name }) => ({ value: name, label: `Private server ${name}` })),
              ]}
              value={cluster}
              onChange={(value) => setCluster(value ?? '')}
            />
          )}
          <Select
            label="Region"
            data={[
              { value: '', label: 'The one whose turn it is' },
              ...regions.map((each) => ({ value: each.region, label: `Region ${each.region}` })),
            ]}
            value={region}
            onChange={(value) => setRegion(value ?? '')}
          />
          <ProblemNotice error={begin.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={begin.isPending}>
              Run a drill
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
