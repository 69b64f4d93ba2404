import { Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import {
  CopyableId,
  ErrorState,
  Fact,
  Facts,
  formatDuration,
  LoadingState,
  PageTitle,
  Panel,
  RelativeTime,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import { Actor } from '../Actor.tsx';
import { type Operation, tenantQuery } from '../api.ts';
import { kindWords, operationStateWords } from '../words.ts';
import { OperationProgress } from './OperationProgress.tsx';
import { useOperation } from './useOperation.ts';

/** One operation: its steps, live while it runs; the page can be left and come back to. */
export function OperationPage() {
  const { operationId } = useParams({ strict: false }) as { operationId: string };
  const query = useOperation(operationId);
  const operation = query.data;
  const back = { to: '/operations', label: 'Operations' };
  if (!operation)
    return (
      <>
        <PageTitle title="Operation" back={back} />
        {query.isError ? (
          <ErrorState error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <LoadingState rows={8} />
        )}
      </>
    );
  const { tone, label } = operationStateWords[operation.state];
  return (
    <>
      <PageTitle title={titleOf(operation)} back={back} badge={<StateBadge tone={tone}>{label}</StateBadge>} />
      <Stack gap="lg">
        <Panel title="Steps">
          <OperationProgress operation={operation} />
        </Panel>
        <Panel title="Facts">
          <Facts>
            <Fact label="Tenant">
              <TenantName tenantId={operation.tenantId} former={operation.tenantName} />
            </Fact>
            {operation.sourceTenantId && (
              <Fact label={operation.kind === 'restore' ? 'Restored from' : 'Copied from'}>
                <TenantName tenantId={operation.sourceTenantId} />
              </Fact>
            )}
            <Fact label="Asked for by">
              <Actor actor={operation.requestedBy} />
            </Fact>
            <Fact label="Started">
              <RelativeTime value={operation.startedAt} />
            </Fact>
            <Fact label="Finished">
              <RelativeTime value={operation.finishedAt} never="not yet" />
            </Fact>
            {operation.finishedAt && (
              <Fact label="Took">
                {formatDuration(new Date(operation.finishedAt).getTime() - new Date(operation.startedAt).getTime())}
              </Fact>
            )}
            <Fact label="Operation id">
              <CopyableId value={operation.operationId} what="operation id" />
            </Fact>
          </Facts>
        </Panel>
      </Stack>
    </>
  );
}

function titleOf({ kind, tenantName, result }: Operation): string {
  const { label } = kindWords[kind];
  if (kind !== 'restore') return `${label} ${tenantName}`;
  return typeof result.inPlaceOf === 'string' ? `${label} ${result.inPlaceOf} in place` : `${label} as ${tenantName}`;
}

/** What it is called today. */
function TenantName({ tenantId, former = tenantId }: { tenantId: string; former?: string }) {
  const tenant = useQuery(tenantQuery(tenantId)).data;
  return (
    <TextLink to="/tenants/$tenantId" params={{ tenantId }}>
      {tenant?.name ?? former}
    </TextLink>
  );
}
