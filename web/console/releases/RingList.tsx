import { Text } from '@mantine/core';
import { formatDuration, formatPlural, RelativeTime, StateBadge, type Tone } from '../../design/index.ts';
import { type ReleasableApp, type Release, type Ring, rings } from './api.ts';
import classes from './RingList.module.css';
import { describeSums, ringLabels, ringMeanings, sumsOf } from './words.ts';

/** How far a release is, ring by ring: figures in words, and a bar that repeats them for the eye. */
export function RingList({ release, app }: { release: Release; app: ReleasableApp | undefined }) {
  return (
    <ol className={classes.rings} aria-label="Rings">
      {rings.map((ring) => (
        <RingProgress key={ring} release={release} ring={ring} ahead={aheadOf(release, ring, app)} />
      ))}
    </ol>
  );
}

/** Tenants that the ring will bring, while nobody has counted them into the release yet. */
function aheadOf(release: Release, ring: Ring, app: ReleasableApp | undefined): number {
  return (app?.rings ?? [])
    .filter((row) => row.ring === ring && row.version !== release.version)
    .reduce((sum, row) => sum + row.tenants - row.held, 0);
}

function RingProgress({ release, ring, ahead }: { release: Release; ring: Ring; ahead: number }) {
  const sums = sumsOf(release.counts[ring]);
  const { tone, label } = stateOf(release, ring);
  const isAhead = label === 'To come';
  return (
    <li aria-label={ringLabels[ring]}>
      <div className={classes.head}>
        <Text fw={600} title={ringMeanings[ring]}>
          {ringLabels[ring]}
        </Text>
        <StateBadge tone={tone}>{label}</StateBadge>
      </div>
      <div className={classes.track} aria-hidden>
        {(
          [
            ['ok', sums.done],
            ['urgent', sums.failed],
            ['late', sums.skipped + sums.returned],
            ['working', sums.underWay],
          ] as const
        ).map(
          ([part, count]) =>
            count > 0 && <div key={part} className={classes.part} data-tone={part} style={{ flexGrow: count }} />,
        )}
        {sums.waiting > 0 && <div style={{ flexGrow: sums.waiting }} />}
      </div>
      <Text size="sm" c="dimmed" mt={4}>
        {sums.total > 0 ? (
          `${formatPlural(sums.total, 'tenant')}: ${describeSums(sums)}`
        ) : isAhead && ahead > 0 ? (
          <>{formatPlural(ahead, 'tenant')} to come</>
        ) : (
          'No tenant'
        )}
      </Text>
      <Watched release={release} ring={ring} />
    </li>
  );
}

/** Until when the ring is watched, or for whom it waits. */
function Watched({ release, ring }: { release: Release; ring: Ring }) {
  const { state, soaksSince, settings, isPromoted } = release;
  if (state !== 'running' || release.ring !== ring || !soaksSince || isPromoted) return null;
  const ends = new Date(new Date(soaksSince).getTime() + settings.soakSeconds * 1_000);
  return (
    <Text size="sm" mt={4}>
      All of them have had it since <RelativeTime value={soaksSince} />.{' '}
      {settings.isManual ? (
        'It goes on when somebody promotes it.'
      ) : (
        <>
          It goes on <RelativeTime value={ends} />, after {formatDuration(settings.soakSeconds * 1_000)}.
        </>
      )}
    </Text>
  );
}

function stateOf(release: Release, ring: Ring): { readonly tone: Tone; readonly label: string } {
  const { state, soaksSince, counts } = release;
  const isReached = sumsOf(counts[ring]).total > 0;
  if (state === 'returned' || state === 'returning')
    return isReached ? { tone: 'quiet', label: 'Taken back' } : { tone: 'quiet', label: 'Not reached' };
  if (state === 'checking') return { tone: 'quiet', label: 'To come' };
  const distance = rings.indexOf(ring) - rings.indexOf(release.ring);
  if (state === 'done' || distance < 0) return { tone: 'ok', label: 'Done' };
  if (distance > 0) return { tone: 'quiet', label: 'To come' };
  if (state === 'halted') return { tone: 'urgent', label: 'Halted here' };
  if (state === 'paused') return { tone: 'late', label: 'Paused here' };
  return soaksSince ? { tone: 'working', label: 'Watched' } : { tone: 'working', label: 'Under way' };
}
