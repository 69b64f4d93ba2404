/** The console's words for releases. */
import { formatCount, formatDuration, formatPlural, type Tone } from '../../design/index.ts';
import type { Counts, Release, ReleaseState, ReleaseTenantState, Ring } from './api.ts';

const releaseStateWords: Record<ReleaseState, { readonly label: string; readonly tone: Tone }> = {
  checking: { label: 'Rehearsing', tone: 'working' },
  running: { label: 'Under way', tone: 'working' },
  paused: { label: 'Paused', tone: 'late' },
  halted: { label: 'Halted', tone: 'urgent' },
  returning: { label: 'Going back', tone: 'late' },
  returned: { label: 'Taken back', tone: 'quiet' },
  done: { label: 'Done', tone: 'ok' },
};

/** Of a release as a whole; one that ended before anybody had it was not taken back. */
export function describeState(release: Release): { readonly label: string; readonly tone: Tone } {
  return release.state === 'returned' && sumsOfAll(release).total === 0
    ? { label: 'Stopped', tone: 'late' }
    : releaseStateWords[release.state];
}

/** `for 15 minutes` */
export function describeSoak({ settings: { isManual, soakSeconds } }: Release): string {
  if (isManual) return 'until somebody promotes it';
  if (soakSeconds === 0) return 'not at all';
  return soakSeconds % 60 === 0
    ? `for ${formatPlural(soakSeconds / 60, 'minute')}`
    : `for ${formatDuration(soakSeconds * 1_000)}`;
}

/** A reason as the server gives it, as a sentence of its own. */
export const asSentence = (reason: string) => reason.slice(0, 1).toUpperCase() + reason.slice(1);

export const releaseTenantWords: Record<ReleaseTenantState, { readonly label: string; readonly tone: Tone }> = {
  waiting: { label: 'Waiting', tone: 'quiet' },
  running: { label: 'Under way', tone: 'working' },
  done: { label: 'Has it', tone: 'ok' },
  failed: { label: 'Failed', tone: 'urgent' },
  skipped: { label: 'Left out', tone: 'late' },
  returning: { label: 'Going back', tone: 'working' },
  returned: { label: 'Went back', tone: 'quiet' },
};

export const ringLabels: Record<Ring, string> = { alpha: 'Alpha', beta: 'Beta', production: 'Production' };

export const ringMeanings: Record<Ring, string> = {
  alpha: 'gets every version first',
  beta: 'gets what has held in alpha',
  production: 'gets what has held in beta',
};

/** What is counted of a ring, in the order in which it is shown. */
export function sumsOf(counts: Counts) {
  const { waiting = 0, running = 0, done = 0, failed = 0, skipped = 0, returning = 0, returned = 0 } = counts;
  return {
    done,
    failed,
    skipped,
    returned,
    underWay: running + returning,
    waiting,
    total: waiting + running + done + failed + skipped + returning + returned,
  };
}

export function sumsOfAll({ counts }: Release) {
  const all = Object.values(counts).map(sumsOf);
  const sum = (key: keyof ReturnType<typeof sumsOf>) => all.reduce((total, each) => total + each[key], 0);
  return {
    done: sum('done'),
    failed: sum('failed'),
    skipped: sum('skipped'),
    returned: sum('returned'),
    underWay: sum('underWay'),
    waiting: sum('waiting'),
    total: sum('total'),
  };
}

/** `12 have it, 1 failed, 2 under way, 25 to go`; nothing of what is zero. */
export function describeSums({
  done,
  failed,
  skipped,
  returned,
  underWay,
  waiting,
}: ReturnType<typeof sumsOf>): string {
  const parts: [number, string][] = [
    [done, done === 1 ? 'has it' : 'have it'],
    [failed, 'failed'],
    [skipped, 'left out'],
    [returned, 'went back'],
    [underWay, 'under way'],
    [waiting, 'to go'],
  ];
  const shown = parts.filter(([count]) => count > 0).map(([count, word]) => `${formatCount(count)} ${word}`);
  return shown.join(', ');
}
