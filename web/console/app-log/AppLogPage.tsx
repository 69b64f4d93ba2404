import { Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import {
  EmptyState,
  ErrorState,
  Fact,
  Facts,
  formatDuration,
  LoadingState,
  Notice,
  PageTitle,
  Panel,
  SizeText,
  StateBadge,
} from '../../design/index.ts';
import { tenantQuery } from '../api.ts';
import { AppLog } from './AppLog.tsx';
import { type AppState, appStateQuery, appStateWords } from './api.ts';

/** The app of one tenant, as a process: how it is, and what it wrote. */
export function AppLogPage() {
  const { tenantId } = useParams({ strict: false }) as { tenantId: string };
  const tenant = useQuery(tenantQuery(tenantId));
  const state = useQuery({ ...appStateQuery(tenantId), refetchInterval: 3_000 });
  const app = state.data;
  const name = tenant.data?.name;
  const words = app?.isProcess ? appStateWords[app.state] : undefined;
  return (
    <>
      <PageTitle
        title={name ? `App of ${name}` : 'App'}
        back={{ to: `/tenants/${tenantId}`, label: name ?? 'Tenant' }}
        badge={words && <StateBadge tone={words.tone}>{words.label}</StateBadge>}
      />
      {state.isError && <ErrorState error={state.error} onRetry={() => void state.refetch()} />}
      {state.isPending && <LoadingState rows={8} />}
      {app && !app.isProcess && (
        <EmptyState title="This app is no process of its own">
          {app.app} runs inside Freehold, for all tenants together. What goes wrong in it is in the log of Freehold.
        </EmptyState>
      )}
      {app?.isProcess && (
        <Stack gap="lg">
          {app.state === 'failed' && (
            <Notice tone="urgent" title="The app does not run">
              {app.reason ?? 'Nobody knows why.'} It is started again by itself, and with the next request.
            </Notice>
          )}
          <StateFacts app={app} />
          <AppLog tenantId={tenantId} name={name ?? tenantId} />
        </Stack>
      )}
    </>
  );
}

function StateFacts({ app }: { app: AppState }) {
  return (
    <Panel title="Process">
      <Facts>
        <Fact label="App">{app.app}</Fact>
        <Fact label="Version">{app.version ?? 'unknown'}</Fact>
        <Fact label="Awake for">{app.upMs == null ? 'it sleeps' : formatDuration(app.upMs)}</Fact>
        <Fact label="Last request">
          {app.idleMs == null ? 'none since the start' : `${formatDuration(app.idleMs)} ago`}
        </Fact>
        {app.memoryBytes != null && (
          <Fact label="Memory limit">
            <SizeText bytes={app.memoryBytes} />
          </Fact>
        )}
        <Fact label="Failures in a row">{String(app.failures)}</Fact>
      </Facts>
    </Panel>
  );
}
