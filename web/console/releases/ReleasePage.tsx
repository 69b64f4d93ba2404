import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import {
  CopyableId,
  ErrorState,
  Fact,
  Facts,
  LoadingState,
  Notice,
  PageTitle,
  Panel,
  RelativeTime,
  StateBadge,
} from '../../design/index.ts';
import { Actor } from '../Actor.tsx';
import { appsQuery, historyQuery, type Release, releaseQuery, releasesQuery, type TenantFilter } from './api.ts';
import { HistoryPanel } from './HistoryPanel.tsx';
import { ReleaseActions } from './ReleaseActions.tsx';
import { RingList } from './RingList.tsx';
import { TenantPanel } from './TenantPanel.tsx';
import { asSentence, describeSoak, describeState, sumsOfAll } from './words.ts';

const back = { to: '/releases', label: 'Releases' };

/** One release: how far it is, live; who failed and why; what can be done about it. */
export function ReleasePage() {
  const { releaseId } = useParams({ strict: false }) as { releaseId: string };
  const { tenants: filter = 'trouble' } = useSearch({ strict: false }) as { tenants?: TenantFilter };
  const navigate = useNavigate();
  const query = useQuery(releaseQuery(releaseId, filter));
  const apps = useQuery(appsQuery).data;
  const all = useQuery(releasesQuery).data;
  if (!query.data)
    return (
      <>
        <PageTitle title="Release" back={back} />
        {query.isError ? (
          <ErrorState error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <LoadingState rows={8} />
        )}
      </>
    );
  const { release, tenants } = query.data;
  const { tone, label } = describeState(release);
  const app = apps?.find((each) => each.app === release.app);
  const notes = app?.versions.find(({ version }) => version === release.version)?.notes;
  const isNewest = all?.find((each) => each.app === release.app)?.releaseId === release.releaseId;
  return (
    <>
      <PageTitle
        title={`${release.app} ${release.version}`}
        back={back}
        badge={<StateBadge tone={tone}>{label}</StateBadge>}
        action={<ReleaseActions release={release} isNewest={isNewest} />}
      />
      <Stack gap="lg">
        <Situation release={release} />
        <Panel title="Rings">
          <RingList release={release} app={app} />
        </Panel>
        <TenantPanel
          release={release}
          tenants={tenants}
          filter={filter}
          onFilter={(value) =>
            void navigate({
              to: '/releases/$releaseId',
              params: { releaseId },
              search: { tenants: value === 'trouble' ? undefined : value },
              replace: true,
            })
          }
        />
        <ReleaseFacts release={release} notes={notes} />
        <HistoryPanel release={release} />
      </Stack>
    </>
  );
}

/** What a person must know before anything else. */
function Situation({ release }: { release: Release }) {
  const { state, reason, settings } = release;
  const reached = sumsOfAll(release).total;
  switch (state) {
    case 'checking':
      return (
        <Notice tone="working" role="status" title="It is tried on a copy of a tenant">
          <Text size="sm">
            Forward, then the version before on the schema that it leaves. Nobody has it yet. You can leave this page;
            it goes on.
          </Text>
        </Notice>
      );
    case 'paused':
      return (
        <Notice tone="late" role="status" title="Paused: no further tenant gets it">
          <Text size="sm">Those who have it keep it. Resume it, or take it back.</Text>
        </Notice>
      );
    case 'halted':
      return (
        <Notice tone="urgent" role="alert" title={`A gate halted it: ${reason}`}>
          <Text size="sm">
            Nobody else gets it; those who have it keep it until you decide. Look at who failed, then resume it or take
            it back.
          </Text>
        </Notice>
      );
    case 'returning':
      return (
        <Notice tone="late" role="status" title={`It is being taken back: ${reason}`}>
          <Text size="sm">Every tenant that it reached goes back to the version before.</Text>
        </Notice>
      );
    case 'returned':
      return (
        <Notice tone={reached === 0 ? 'late' : 'quiet'} title={reached === 0 ? 'Nobody got it' : 'It was taken back'}>
          {reason && (
            <Text size="sm" style={{ whiteSpace: 'pre-line', overflowWrap: 'anywhere' }}>
              {asSentence(reason)}
            </Text>
          )}
        </Notice>
      );
    case 'running':
      return settings.isManual && release.soaksSince && !release.isPromoted ? (
        <Notice tone="late" role="status" title={`It waits in ${release.ring} until somebody promotes it`} />
      ) : null;
    default:
      return null;
  }
}

function ReleaseFacts({ release, notes }: { release: Release; notes: string | undefined }) {
  const { settings } = release;
  return (
    <Panel title="Facts">
      <Facts>
        <Fact label="Rehearsal on a copy">
          <Rehearsal release={release} />
        </Fact>
        <Fact label="Each ring is watched">{describeSoak(release)}</Fact>
        <Fact label="Halts when">
          {`more than ${settings.maxFailedPercent} % of a ring have failed; then ${settings.onHalt === 'return' ? 'everybody goes back' : 'a person decides'}`}
        </Fact>
        {settings.mayContract && <Fact label="Removes">what the version before needs</Fact>}
        <Fact label="Asked for by">
          <Actor actor={release.requestedBy} />
        </Fact>
        <Fact label="Started">
          <RelativeTime value={release.startedAt} />
        </Fact>
        <Fact label="Ended">
          <RelativeTime value={release.finishedAt} never="not yet" />
        </Fact>
        <Fact label="Release id">
          <CopyableId value={release.releaseId} what="release id" />
        </Fact>
      </Facts>
      {notes !== undefined && (
        <>
          <Text size="sm" c="dimmed" mt="md">
            What tenants read
          </Text>
          <Text style={{ whiteSpace: 'pre-line', overflowWrap: 'anywhere' }}>
            {notes || 'Nothing: the version has no notes.'}
          </Text>
        </>
      )}
    </Panel>
  );
}

function Rehearsal({ release }: { release: Release }) {
  const { releaseId, state, ring, isPromoted } = release;
  const events = useQuery(historyQuery(releaseId, `${state} ${ring} ${isPromoted}`)).data;
  if (!release.settings.isRehearsed) return <StateBadge tone="late">Left out</StateBadge>;
  if (state === 'checking') return <StateBadge tone="working">Under way</StateBadge>;
  if (events?.some(({ name, details }) => name === 'release.halted' && details?.ring === 'none'))
    return <StateBadge tone="urgent">Not passed</StateBadge>;
  // Whoever took it back before anybody had it may have ended the rehearsal.
  if (sumsOfAll(release).total === 0 && state !== 'running' && state !== 'done') return <span>ended early</span>;
  return <StateBadge tone="ok">Passed</StateBadge>;
}
