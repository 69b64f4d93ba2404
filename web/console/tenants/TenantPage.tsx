import { Anchor, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import {
  ButtonLink,
  CopyableId,
  EmptyState,
  ErrorState,
  Fact,
  Facts,
  formatExact,
  LoadingState,
  Notice,
  PageTitle,
  Panel,
  RelativeTime,
  SizeText,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import { editionLabels, operationsQuery, type Tenant, tenantQuery } from '../api.ts';
import { OperationProgress } from '../operations/OperationProgress.tsx';
import { OperationTable } from '../operations/OperationTable.tsx';
import { useOperation } from '../operations/useOperation.ts';
import { TenantRing } from '../releases/TenantRing.tsx';
import { kindWords, operationStateWords, tenantStateWords } from '../words.ts';
import { TenantActions } from './TenantActions.tsx';
import { TenantMove } from './TenantMove.tsx';

/** One tenant: what it is, what is being done to it, what was done. */
export function TenantPage() {
  const { tenantId } = useParams({ strict: false }) as { tenantId: string };
  const query = useQuery({ ...tenantQuery(tenantId), refetchInterval: 15_000 });
  const [started, setStarted] = useState<string>();
  const tenant = query.data;
  const navigate = useNavigate();
  const realId = tenant?.tenantId;
  // The address may name the tenant by its name, as people do; the id still leads here after a rename.
  useEffect(() => {
    if (realId !== undefined && realId !== tenantId)
      void navigate({ to: '/tenants/$tenantId', params: { tenantId: realId }, replace: true });
  }, [realId, tenantId, navigate]);
  const back = { to: '/tenants', label: 'Tenants' };
  if (!tenant)
    return (
      <>
        <PageTitle title="Tenant" back={back} />
        {query.isError ? (
          <ErrorState error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <LoadingState rows={8} />
        )}
      </>
    );
  const { label, tone, means } = tenantStateWords[tenant.state];
  const operationId = started ?? tenant.operationId ?? undefined;
  return (
    <>
      <PageTitle
        title={tenant.title}
        tabTitle={tenant.name}
        back={back}
        badge={<StateBadge tone={tone}>{label}</StateBadge>}
        subtitle={<Address tenant={tenant} />}
        action={<TenantActions tenant={tenant} onStarted={setStarted} />}
      />
      <Stack gap="lg">
        {tenant.state !== 'active' && <Notice tone={tone}>{means}</Notice>}
        {operationId && <CurrentOperation operationId={operationId} />}
        <TenantMove tenant={tenant} onStarted={setStarted} />
        <Panel title="Facts">
          <Facts>
            <Fact label="App">
              <TextLink to="/tenants/$tenantId/app" params={{ tenantId: tenant.tenantId }}>
                {tenant.app}
              </TextLink>
            </Fact>
            <Fact label="Edition">{editionLabels[tenant.edition]}</Fact>
            <Fact label="Recovery point">
              {tenant.recoveryPoint === 'zero' ? 'Zero: commits wait for every region' : 'One second'}
            </Fact>
            <Fact label="Data may be in">
              {tenant.residency
                ? `${tenant.residency.home.join(', ')}; copies in ${tenant.residency.copies.join(', ')}`
                : 'Any place'}
            </Fact>
            {tenant.state !== 'deleted' && (
              <Fact label="Size of the database">
                <SizeText bytes={tenant.sizeBytes} />
              </Fact>
            )}
            {tenant.state !== 'deleted' && (
              <Fact label="Dumps">
                <TextLink to="/dumps/$tenantId" params={{ tenantId: tenant.tenantId }}>
                  Made every night
                </TextLink>
              </Fact>
            )}
            <Fact label="Last use">
              <RelativeTime value={tenant.lastUsedAt} />
            </Fact>
            <Fact label="Created">
              <RelativeTime value={tenant.createdAt} />
            </Fact>
            <Fact label={`${label} since`}>
              <RelativeTime value={tenant.stateChangedAt} />
            </Fact>
            {tenant.state === 'deleted' && (
              <Fact label="Key">
                {tenant.keyDueAt ? `kept until ${formatExact(new Date(tenant.keyDueAt))}, then destroyed` : 'destroyed'}
              </Fact>
            )}
            {tenant.adminEmail && <Fact label="First administrator">{tenant.adminEmail}</Fact>}
            <Fact label="Tenant id">
              <CopyableId value={tenant.tenantId} what="tenant id" />
            </Fact>
            <Fact label="Database">
              {tenant.databaseName ? <CopyableId value={tenant.databaseName} what="database name" /> : 'none'}
            </Fact>
          </Facts>
        </Panel>
        <TenantRing tenant={tenant} />
        <History tenantId={tenant.tenantId} />
      </Stack>
    </>
  );
}

function Address({ tenant }: { tenant: Tenant }) {
  if (tenant.state === 'deleted' || !tenant.url) return <span>{tenant.name}</span>;
  return (
    <Anchor href={tenant.url} target="_blank" rel="noreferrer">
      {tenant.url.replace('https://', '')}
    </Anchor>
  );
}

/** The operation that runs or failed, in place; finished ones stay until the page is left, so that their outcome is seen. */
function CurrentOperation({ operationId }: { operationId: string }) {
  const { data: operation, error } = useOperation(operationId);
  if (error) return <ErrorState error={error} />;
  if (!operation) return null;
  const { label, tone } = operationStateWords[operation.state];
  return (
    <Panel
      title={operation.state === 'running' ? kindWords[operation.kind].running : kindWords[operation.kind].label}
      description={operation.state === 'running' ? 'You can leave this page; it goes on.' : undefined}
      action={<StateBadge tone={tone}>{label}</StateBadge>}
    >
      <OperationProgress operation={operation} />
      {operation.state === 'succeeded' && operation.kind === 'clone' && (
        <Text mt="md">
          <ButtonLink variant="default" to="/tenants/$tenantId" params={{ tenantId: operation.tenantId }}>
            Go to {operation.tenantName}
          </ButtonLink>
        </Text>
      )}
    </Panel>
  );
}

function History({ tenantId }: { tenantId: string }) {
  const list = useQuery(operationsQuery({ tenantId }));
  return (
    <Panel title="Operations" flush>
      {list.isPending && <LoadingState rows={3} />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {list.data?.operations.length === 0 && <EmptyState title="No operations recorded" />}
      {list.data && list.data.operations.length > 0 && (
        <OperationTable operations={list.data.operations} withTenant={false} />
      )}
    </Panel>
  );
}
