import { SimpleGrid, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import {
  CopyableLine,
  EmptyState,
  ErrorState,
  Fact,
  Facts,
  formatBytes,
  formatCount,
  LoadingState,
  Notice,
  PageTitle,
  Panel,
  RelativeTime,
  SizeText,
  StateBadge,
} from '../../design/index.ts';
import { type ClusterHealth, type DiskHealth, type GatewayHealth, type Grade, healthQuery } from './health.ts';
import { Meter } from './Meter.tsx';

const gradeWords: Record<Grade, string> = { ok: 'Well', late: 'Needs a look', urgent: 'Needs a person now' };

/** Is everything well: the answer first, then the servers, gateways and disks it was read from. */
export function HealthPage() {
  const query = useQuery(healthQuery);
  const health = query.data;
  return (
    <>
      <PageTitle
        title="Health"
        badge={health?.state && <StateBadge tone={health.state}>{gradeWords[health.state]}</StateBadge>}
        subtitle={
          health?.checkedAt && (
            <>
              Looked at <RelativeTime value={health.checkedAt} />
              {query.isError && '; asking again has failed since'}
            </>
          )
        }
      />
      {query.isPending && <LoadingState rows={8} />}
      {query.isError && !health && <ErrorState error={query.error} onRetry={() => void query.refetch()} />}
      {health && (
        <Stack gap="lg">
          {health.findings?.map((finding) => (
            <Notice key={finding.text} tone={finding.grade} title={finding.text}>
              {finding.hint && <Text size="sm">{finding.hint}</Text>}
            </Notice>
          ))}
          {health.clusters?.map((cluster) => (
            <Cluster key={cluster.name} cluster={cluster} />
          ))}
          {health.clusters?.length === 0 && <EmptyState title="No database server is known" />}
          <Gateways gateways={health.gateways ?? []} />
          <Disks disks={health.disks ?? []} />
          <div>
            <Text size="sm" c="dimmed" mb={4}>
              For a full check with the commands that mend what is wrong, type:
            </Text>
            <CopyableLine value="./freehold doctor" />
          </div>
        </Stack>
      )}
    </>
  );
}

function Cluster({ cluster }: { cluster: ClusterHealth }) {
  const { connections } = cluster;
  return (
    <Panel
      title={`Cluster ${cluster.name}`}
      action={<StateBadge tone={cluster.grade}>{capital(cluster.state)}</StateBadge>}
    >
      <Facts>
        <Fact label="Server">
          PostgreSQL {cluster.version ?? 'of unknown version'}
          {cluster.kind === 'external' ? ', external' : ''}
        </Fact>
        <Fact label="Started">
          <RelativeTime value={cluster.startedAt} never="unknown" />
        </Fact>
        <Fact label="Connections">
          {connections ? (
            <Meter
              value={connections.open}
              of={connections.budget}
              grade={gradeOfShare(connections.open / connections.budget)}
              text={`${formatCount(connections.open)} of ${formatCount(connections.budget)}`}
            />
          ) : (
            'unknown'
          )}
        </Fact>
        <Fact label="Databases">
          {typeof cluster.databases === 'number' ? formatCount(cluster.databases) : 'unknown'}
        </Fact>
        <Fact label="Size">
          <SizeText bytes={cluster.sizeBytes} />
        </Fact>
        <Fact label="Last checkpoint">
          <RelativeTime value={cluster.lastCheckpointAt} never="unknown" />
        </Fact>
      </Facts>
    </Panel>
  );
}

function Gateways({ gateways }: { gateways: readonly GatewayHealth[] }) {
  return (
    <Panel title="Gateways" description="They take every request of tenants; one for each core.">
      {gateways.length === 0 ? (
        <Notice tone="urgent" title="No gateway is connected">
          <Text size="sm">
            No tenant can be reached. The supervisor starts gateways again by itself; its log says why one ended.
          </Text>
        </Notice>
      ) : (
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="lg">
          {gateways.map(({ name, grade, connectedAt, connections }) => (
            <div key={name}>
              <StateBadge tone={grade}>{name}</StateBadge>
              <Text size="sm" c="dimmed" mt={4}>
                Connected <RelativeTime value={connectedAt} never="at an unknown time" />
              </Text>
              {connections && (
                <Text size="sm" component="div">
                  <Meter
                    value={connections.open}
                    of={connections.budget}
                    grade={connections.waiting > 0 ? 'late' : 'ok'}
                    text={`${formatCount(connections.open)} of ${formatCount(connections.budget)} database connections, ${formatCount(connections.leased)} in use, ${formatCount(connections.waiting)} requests waiting`}
                  />
                </Text>
              )}
            </div>
          ))}
        </SimpleGrid>
      )}
    </Panel>
  );
}

function Disks({ disks }: { disks: readonly DiskHealth[] }) {
  if (disks.length === 0) return null;
  return (
    <Panel title="Disks">
      <Facts>
        {disks.map(({ name, path, grade, totalBytes, freeBytes }) => (
          <Fact key={path} label={name}>
            <Meter
              value={totalBytes - freeBytes}
              of={totalBytes}
              grade={grade}
              text={`${formatBytes(freeBytes)} free of ${formatBytes(totalBytes)}`}
            />
            <Text size="sm" c="dimmed" mt={4} truncate title={path}>
              {path}
            </Text>
          </Fact>
        ))}
      </Facts>
    </Panel>
  );
}

function gradeOfShare(share: number): Grade {
  if (share >= 0.95) return 'urgent';
  return share >= 0.8 ? 'late' : 'ok';
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
