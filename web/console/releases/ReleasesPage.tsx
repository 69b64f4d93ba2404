import { Button, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import {
  type Column,
  DataTable,
  EmptyState,
  ErrorState,
  formatPlural,
  LoadingState,
  PageTitle,
  Panel,
  RelativeTime,
  StateBadge,
  TextLink,
} from '../../design/index.ts';
import { appsQuery, type ReleasableApp, type Release, releasesQuery, rings } from './api.ts';
import { StartRelease } from './StartRelease.tsx';
import { asSentence, describeState, describeSums, ringLabels, sumsOfAll } from './words.ts';

/** Versions of apps on their way to tenants: what moves now, what each ring runs, what was before. */
export function ReleasesPage() {
  const { start } = useSearch({ strict: false }) as { start?: true };
  const navigate = useNavigate();
  const list = useQuery(releasesQuery);
  const apps = useQuery(appsQuery);
  const releases = list.data;
  const hasApps = apps.data !== undefined && apps.data.length > 0;
  const open = () => void navigate({ to: '/releases', search: { start: true }, replace: true });
  const close = () => void navigate({ to: '/releases', search: {}, replace: true });
  return (
    <>
      <PageTitle
        title="Releases"
        subtitle="A version goes to alpha, then beta, then production; each tenant with a way back."
        action={hasApps && <Button onClick={open}>Start a release</Button>}
      />
      <Stack gap="lg">
        {list.isPending && <LoadingState rows={6} />}
        {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
        {releases?.length === 0 &&
          (apps.data?.length === 0 ? (
            <EmptyState title="No app to release yet">
              Releases are for apps that run as processes. Add one with <code>./freehold app add FOLDER</code>; apps
              that come with Freehold are updated together with it.
            </EmptyState>
          ) : (
            <EmptyState title="No release yet" action={hasApps && <Button onClick={open}>Start a release</Button>}>
              Add a version with <code>./freehold app add FOLDER</code>, then start a release: the tenants in alpha get
              it first, and when too many of them fail, all go back by themselves.
            </EmptyState>
          ))}
        {releases && releases.length > 0 && (
          <DataTable
            label="Releases"
            columns={columns}
            rows={releases}
            rowKey={({ releaseId }) => releaseId}
            onOpen={({ releaseId }) => void navigate({ to: '/releases/$releaseId', params: { releaseId } })}
          />
        )}
        {apps.isError && <ErrorState error={apps.error} onRetry={() => void apps.refetch()} />}
        {hasApps && <RingVersions apps={apps.data} />}
      </Stack>
      {hasApps && <StartRelease opened={start === true} onClose={close} apps={apps.data} releases={releases ?? []} />}
    </>
  );
}

const columns: Column<Release>[] = [
  {
    key: 'release',
    header: 'Release',
    cell: ({ releaseId, app, version }) => (
      <TextLink to="/releases/$releaseId" params={{ releaseId }} fw={500}>
        {app} {version}
      </TextLink>
    ),
  },
  {
    key: 'state',
    header: 'State',
    narrow: 'corner',
    cell: (release) => {
      const { tone, label } = describeState(release);
      return <StateBadge tone={tone}>{label}</StateBadge>;
    },
  },
  {
    key: 'ring',
    header: 'Ring',
    cell: (release) => {
      if (release.state === 'checking') return 'None yet';
      if (release.state === 'done') return 'All';
      return release.state === 'returned' && sumsOfAll(release).total === 0 ? 'None' : ringLabels[release.ring];
    },
  },
  {
    key: 'tenants',
    header: 'Tenants',
    cell: (release) => describeSums(sumsOfAll(release)) || 'None',
  },
  {
    key: 'reason',
    header: 'Remarks',
    cell: ({ reason, state }) =>
      reason && state !== 'running' && state !== 'done' ? (
        <span style={{ display: 'block', maxWidth: '28rem', overflowWrap: 'anywhere' }}>
          {asSentence(reason.split('\n', 1)[0]!)}
        </span>
      ) : (
        ''
      ),
  },
  { key: 'at', header: 'Started', align: 'right', cell: ({ startedAt }) => <RelativeTime value={startedAt} /> },
];

function RingVersions({ apps }: { apps: readonly ReleasableApp[] }) {
  return (
    <Panel title="What tenants run" flush>
      <DataTable
        label="What tenants run"
        columns={[
          { key: 'app', header: 'App', cell: ({ app }) => app },
          ...rings.map((ring) => ({
            key: ring,
            header: ringLabels[ring],
            cell: (app: ReleasableApp) => describeRing(app, ring),
          })),
        ]}
        rows={apps}
        rowKey={({ app }) => app}
      />
    </Panel>
  );
}

function describeRing({ rings: rows }: ReleasableApp, ring: (typeof rings)[number]) {
  const versions = rows.filter((row) => row.ring === ring);
  if (versions.length === 0) return 'No tenant';
  return versions.map(({ version, tenants, held }) => (
    <div key={version}>
      {version}: {formatPlural(tenants, 'tenant')}
      {held > 0 && `, ${held} held`}
    </div>
  ));
}
