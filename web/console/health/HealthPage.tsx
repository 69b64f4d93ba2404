import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import {
  CopyableLine,
  ErrorState,
  Fact,
  Facts,
  formatBytes,
  formatCount,
  formatPlural,
  LoadingState,
  Notice,
  PageTitle,
  Panel,
  RelativeTime,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import {
  type ClusterHealth,
  describeFailover,
  describeRegion,
  describeStandby,
  type Health,
  healthQuery,
  summarise,
  toneOfShare,
} from './health.ts';
import { JobsPanel } from './JobsPanel.tsx';
import { Meter } from './Meter.tsx';

/** Is everything well: the answer first, then what it was read from. Asked again every five seconds. */
export function HealthPage() {
  const query = useQuery({ ...healthQuery, refetchInterval: 5_000 });
  const health = query.data;
  const summary = health && summarise(health);
  return (
    <>
      <PageTitle
        title="Health"
        badge={summary && <StateBadge tone={summary.tone}>{summary.text}</StateBadge>}
        subtitle={
          health && (
            <>
              Freehold {health.version}, running since <RelativeTime value={health.startedAt} />. Looked at{' '}
              <RelativeTime value={new Date(query.dataUpdatedAt)} />.
            </>
          )
        }
      />
      <Stack gap="lg">
        {query.isPending && <LoadingState rows={8} />}
        {query.isError && <ErrorState error={query.error} onRetry={() => void query.refetch()} />}
        {health && <Findings health={health} />}
        {health?.clusters.map((cluster) => (
          <Cluster key={cluster.name} cluster={cluster} />
        ))}
        {health && <JobsPanel jobs={health.jobs} />}
        {health && <Installation health={health} />}
        <div>
          <Text size="sm" c="dimmed" mb={4}>
            For a full check, with the commands that mend what is wrong, type:
          </Text>
          <CopyableLine value="./freehold doctor" />
        </div>
      </Stack>
    </>
  );
}

function Findings({ health }: { health: Health }) {
  return (
    <>
      {health.warnings.map(({ severity, text, hint }) => (
        <Notice key={text} tone={severity === 'problem' ? 'urgent' : 'late'} title={text}>
          <Text size="sm">{hint}</Text>
        </Notice>
      ))}
      {health.operations.failed > 0 && (
        <div>
          <TextLink to="/operations" search={{ state: 'failed' }}>
            Show the failed operations
          </TextLink>
        </div>
      )}
    </>
  );
}

function Cluster({ cluster }: { cluster: ClusterHealth }) {
  const { connections, databases, dataChecksums, standby, shipping } = cluster;
  return (
    <Panel
      title={`Cluster ${cluster.name}`}
      action={
        cluster.state === 'up' ? <StateBadge tone="ok">Up</StateBadge> : <StateBadge tone="urgent">Down</StateBadge>
      }
    >
      <Facts>
        <Fact label="Server">
          PostgreSQL {cluster.version ?? 'of unknown version'}, {cluster.kind}
        </Fact>
        <Fact label="Started">
          <RelativeTime value={cluster.startedAt} never="unknown" />
        </Fact>
        <Fact label="Connections">
          {connections ? (
            <Meter
              value={connections.used}
              of={connections.max}
              tone={toneOfShare(connections.used / connections.max)}
              text={`${formatCount(connections.used)} of at most ${formatCount(connections.max)}`}
            />
          ) : (
            'unknown'
          )}
        </Fact>
        {standby && <Fact label="Standby">{describeStandby(standby)}</Fact>}
        {shipping?.regions.map((region) => (
          <Fact key={region.region} label={`Region ${region.region}`}>
            {describeRegion(region)}
          </Fact>
        ))}
        {standby?.lastFailover && (
          <Fact label="Last failover">
            <RelativeTime value={standby.lastFailover.finishedAt} />, {describeFailover(standby.lastFailover)}
          </Fact>
        )}
        <Fact label="Databases">{databases === undefined ? 'unknown' : formatCount(databases)}</Fact>
        <Fact label="Data checksums">
          {dataChecksums === undefined ? 'unknown' : dataChecksums ? 'on' : 'off: damage on disk goes unnoticed'}
        </Fact>
      </Facts>
      {shipping && (
        <Text size="sm" mt="sm">
          <TextLink to="/backups">Lag over time, and backups</TextLink>
        </Text>
      )}
    </Panel>
  );
}

function Installation({ health }: { health: Health }) {
  const { disk, gateways, preparedDatabases, operations } = health;
  const usedBytes = disk.totalBytes - disk.freeBytes;
  const tenantCount = Object.values(health.tenants).reduce((sum, count) => sum + count, 0);
  const states = Object.entries(health.tenants).filter(([state]) => state !== 'active');
  return (
    <Panel title="Installation">
      <Facts>
        <Fact label="Gateways">
          <Meter
            value={gateways.connected}
            of={gateways.expected}
            tone={gateways.connected < gateways.expected ? 'urgent' : 'ok'}
            text={`${formatCount(gateways.connected)} of ${formatCount(gateways.expected)} connected`}
          />
        </Fact>
        <Fact label="Disk">
          <Meter
            value={usedBytes}
            of={disk.totalBytes}
            tone={toneOfShare(usedBytes / disk.totalBytes)}
            text={`${formatBytes(disk.freeBytes)} free of ${formatBytes(disk.totalBytes)}`}
          />
        </Fact>
        <Fact label="Prepared databases">
          {formatCount(preparedDatabases.ready)} of {formatCount(preparedDatabases.target)} ready
        </Fact>
        <Fact label="Operations">
          {formatCount(operations.running)} running, {formatCount(operations.failed)} failed
        </Fact>
        <Fact label="Tenants">
          {formatPlural(tenantCount, 'tenant')}
          {states.length > 0 &&
            `, of them ${states.map(([state, count]) => `${formatCount(count)} ${state}`).join(', ')}`}
        </Fact>
        <Fact label="Data folder">{disk.path}</Fact>
      </Facts>
    </Panel>
  );
}
