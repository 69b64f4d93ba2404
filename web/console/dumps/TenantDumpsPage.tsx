import { Button, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import {
  type Column,
  CopyableId,
  DataTable,
  EmptyState,
  ErrorState,
  formatPlural,
  LoadingState,
  Notice,
  PageTitle,
  Panel,
  RelativeTime,
  SizeText,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import { type Tenant, tenantQuery } from '../api.ts';
import { isWithoutBackups } from '../backups/api.ts';
import { type Dump, dumpOverviewQuery, dumpRunQuery, dumpsOfQuery, standingWords, useDumpNow } from './api.ts';
import { Regions, Verified } from './cells.tsx';
import { DumpRunPanel } from './DumpRunPanel.tsx';
import { WithoutDumps } from './DumpsPage.tsx';

/** Every dump of one tenant that is kept, newest first. */
export function TenantDumpsPage() {
  const { tenantId } = useParams({ strict: false }) as { tenantId: string };
  const tenant = useQuery(tenantQuery(tenantId));
  const dumps = useQuery({
    ...dumpsOfQuery(tenantId),
    refetchInterval: 30_000,
    retry: (count, error) => !isWithoutBackups(error) && count < 2,
  });
  const overview = useQuery({ ...dumpOverviewQuery({ q: tenantId }), enabled: isDumped(tenant.data) }).data;
  const standing = overview?.tenants.find((each) => each.tenantId === tenant.data?.tenantId);
  const run = useQuery(dumpRunQuery);
  const begin = useDumpNow();
  if (isWithoutBackups(dumps.error)) return <WithoutDumps />;
  const back = { to: '/dumps', label: 'Dumps' };
  const isLive = isDumped(tenant.data);
  const isRunning = run.data?.state === 'running';
  if (tenant.isError)
    return (
      <>
        <PageTitle title="Dumps" back={back} />
        <ErrorState error={tenant.error} onRetry={() => void tenant.refetch()} />
      </>
    );
  const name = tenant.data?.name;
  // Of a tenant that is no more only the regions that hold something are known.
  const regions = overview?.regions ?? [...new Set(dumps.data?.flatMap((dump) => dump.regions))].sort();
  return (
    <>
      <PageTitle
        title={name ? `Dumps of ${name}` : 'Dumps'}
        back={back}
        badge={
          standing && (
            <StateBadge tone={standingWords[standing.standing].tone}>
              {standingWords[standing.standing].label}
            </StateBadge>
          )
        }
        subtitle={
          tenant.data && (
            <TextLink to="/tenants/$tenantId" params={{ tenantId: tenant.data.tenantId }} underline="always">
              The tenant’s page
            </TextLink>
          )
        }
        action={
          isLive && (
            <Button onClick={() => begin.mutate(tenantId)} loading={begin.isPending} disabled={isRunning}>
              Dump now
            </Button>
          )
        }
      />
      <Stack gap="lg">
        {run.data && <DumpRunPanel key={run.data.startedAt} run={run.data} />}
        {standing?.lastRun?.outcome === 'failed' && standing.lastRun.error && (
          <Notice tone="urgent" title={`The last attempt failed: ${standing.lastRun.error.text}`}>
            <RelativeTime value={standing.lastRun.endedAt} />. It is tried again within minutes. Code{' '}
            <CopyableId value={standing.lastRun.error.code} what="code" />
          </Notice>
        )}
        {standing && standing.unloggedTables.length > 0 && (
          <Notice
            tone="late"
            title={`In no dump and in no backup: the rows of ${formatPlural(standing.unloggedTables.length, 'table')}`}
          >
            The app made {standing.unloggedTables.join(', ')} UNLOGGED. PostgreSQL empties such tables after a crash, a
            failover and a restore. That is right for what can be made again; for anything else the app has to say{' '}
            <code>ALTER TABLE … SET LOGGED</code>. The owner is told as well.
          </Notice>
        )}
        {dumps.isPending && <LoadingState rows={5} />}
        {dumps.isError && <ErrorState error={dumps.error} onRetry={() => void dumps.refetch()} />}
        {dumps.data?.length === 0 && (
          <EmptyState title="There is no dump yet">
            {isLive
              ? 'The first is made within the hour of the tenant’s creation, then one every night. “Dump now” does not wait for that.'
              : 'A tenant that is being made, moved or deleted is not dumped.'}
          </EmptyState>
        )}
        {dumps.data && dumps.data.length > 0 && (
          <Panel
            title={formatPlural(dumps.data.length, 'dump')}
            description="A night in which nothing had changed makes none, for up to a week."
            flush
          >
            <DataTable
              label={`Dumps of ${name ?? 'the tenant'}`}
              columns={columnsOf(regions)}
              rows={dumps.data}
              rowKey={({ dumpId }) => dumpId}
            />
          </Panel>
        )}
      </Stack>
    </>
  );
}

const isDumped = (tenant: Tenant | undefined) => tenant?.state === 'active' || tenant?.state === 'suspended';

function columnsOf(regions: readonly string[]): Column<Dump>[] {
  return [
    { key: 'made', header: 'Made', cell: ({ madeAt }) => <RelativeTime value={madeAt} /> },
    {
      key: 'result',
      header: 'Result',
      narrow: 'corner',
      cell: ({ verification }) =>
        verification ? (
          <StateBadge tone={verification.passed ? 'ok' : 'urgent'}>
            {verification.passed ? 'Restores' : 'Does not restore'}
          </StateBadge>
        ) : (
          <StateBadge tone="quiet">Not verified yet</StateBadge>
        ),
    },
    { key: 'verified', header: 'Restored', cell: (dump) => <Verified {...dump} /> },
    { key: 'regions', header: 'Regions', cell: (dump) => <Regions held={dump.regions} regions={regions} /> },
    { key: 'size', header: 'Sealed', align: 'right', cell: ({ sizeBytes }) => <SizeText bytes={sizeBytes} /> },
    { key: 'id', header: 'Dump id', cell: ({ dumpId }) => <CopyableId value={dumpId} what="dump id" short /> },
  ];
}
