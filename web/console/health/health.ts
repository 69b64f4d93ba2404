/** `GET /api/health`: how the installation is. Sizes in bytes, times in ISO 8601. */
import { queryOptions } from '@tanstack/react-query';
import { apiFetch, formatBytes, formatCount, formatDuration, type Tone } from '../../design/index.ts';

export interface Health {
  readonly version: string;
  readonly startedAt: string;
  /** Tenants live at `https://NAME.domain`. */
  readonly domain: string;
  /** Address of the gateways without a tenant's name: `https://localhost:8443`. */
  readonly gateway: string;
  readonly clusters: readonly ClusterHealth[];
  readonly gateways: { readonly connected: number; readonly expected: number };
  /** How many tenants are in each state. */
  readonly tenants: Readonly<Record<string, number>>;
  readonly preparedDatabases: { readonly ready: number; readonly target: number };
  readonly operations: { readonly running: number; readonly failed: number };
  readonly disk: { readonly path: string; readonly freeBytes: number; readonly totalBytes: number };
  /** Recurring work of control, by name. */
  readonly jobs: readonly Job[];
  /** What a person should look at, worst first. */
  readonly warnings: readonly { readonly severity: 'risk' | 'problem'; readonly text: string; readonly hint: string }[];
}

export interface ClusterHealth {
  readonly name: string;
  readonly kind: 'embedded' | 'external';
  readonly state: 'up' | 'down';
  readonly version?: string;
  readonly startedAt?: string;
  readonly connections?: { readonly used: number; readonly max: number };
  readonly databases?: number;
  readonly dataChecksums?: boolean;
  readonly standby?: StandbyHealth;
  /** undefined: nothing is shipped. */
  readonly shipping?: Shipping;
}

/** The log of a cluster on its way to the regions. */
export interface Shipping {
  readonly state: 'starting' | 'connecting' | 'shipping' | 'stopped';
  readonly reason?: string;
  readonly regions: readonly {
    readonly region: string;
    readonly state: 'shipping' | 'behind' | 'away';
    readonly behindBytes: number;
    readonly lagMs: number;
    readonly reason?: string;
  }[];
  readonly spoolBytes: number;
}

export interface Job {
  readonly name: string;
  /** How the newest run ended; `waiting`: there was none yet. */
  readonly state: 'waiting' | 'running' | 'succeeded' | 'failed';
  readonly startedAt?: string;
  readonly succeededAt?: string;
  readonly error?: { readonly code: string; readonly text: string; readonly at: string };
  readonly everyMs: number;
  /** It has not succeeded for longer than it may. */
  readonly isOverdue: boolean;
}

/** The second server of an embedded cluster. */
export interface StandbyHealth {
  /** `following`: streams, or catches up. `away`: runs and is not connected. `failed`: not copied or not started, tried again. */
  readonly state: 'off' | 'seeding' | 'starting' | 'following' | 'away' | 'failed';
  readonly since: string;
  /** Data folder that is the primary's now. */
  readonly primary: string;
  /** In words, when it failed. */
  readonly reason?: string;
  /** WAL that is on the primary's disk and not replayed. */
  readonly lagBytes?: number;
  /** Age of the oldest commit that was not replayed; 0: none. Of a standby that does not follow: how long it has not. */
  readonly lagMs?: number;
  readonly lastFailover?: {
    readonly from: string;
    readonly to: string;
    readonly planned: boolean;
    readonly finishedAt: string;
    readonly closedMs: number;
    /** undefined: unknown. */
    readonly lostBytes?: number;
    /** When the old primary could not be read: what regions and spool gave. `isComplete`: nothing that waited for every region is missing. */
    readonly shipped?: { readonly takenBytes: number; readonly isComplete: boolean };
  };
}

export const healthQuery = queryOptions({
  queryKey: ['health'],
  queryFn: ({ signal }) => apiFetch<Health>('/api/health', { signal }),
});

/** The answer first: well, at some risk, or in need of a person now. */
export function summarise({ warnings }: Health): { readonly tone: Tone; readonly text: string } {
  if (warnings.some(({ severity }) => severity === 'problem')) return { tone: 'urgent', text: 'Needs a person now' };
  if (warnings.length > 0) return { tone: 'late', text: 'Runs, with risks' };
  return { tone: 'ok', text: 'All well' };
}

/** Green below four fifths, amber above, red where it is nearly used up. */
export function toneOfShare(share: number): 'ok' | 'late' | 'urgent' {
  if (share >= 0.9) return 'urgent';
  return share >= 0.8 ? 'late' : 'ok';
}

/** One line: whether it follows, and how far behind it is. */
export function describeStandby({ state, lagBytes, lagMs, reason }: StandbyHealth): string {
  const lag =
    lagBytes === undefined || lagMs === undefined
      ? ''
      : lagBytes === 0
        ? ', nothing behind'
        : `, ${formatBytes(lagBytes)} and ${formatCount(lagMs)} ms behind`;
  return `${standbyWords[state]}${lag}${reason ? `: ${reason}` : ''}`;
}

const standbyWords: Readonly<Record<StandbyHealth['state'], string>> = {
  off: 'none',
  seeding: 'being copied',
  starting: 'starting',
  following: 'follows',
  away: 'does not follow',
  failed: 'not there, tried again',
};

/** One line: whether a region gets the log, and how far behind it is. */
export function describeRegion({ state, behindBytes, lagMs, reason }: Shipping['regions'][number]): string {
  const lag = behindBytes === 0 ? 'nothing behind' : `${formatBytes(behindBytes)} and ${formatDuration(lagMs)} behind`;
  if (state === 'shipping') return lag;
  return `${state === 'away' ? 'does not answer' : 'catches up'}, ${lag}${reason ? `: ${reason}` : ''}`;
}

/** What it cost. */
export function describeFailover({
  to,
  lostBytes,
  shipped,
  closedMs,
}: NonNullable<StandbyHealth['lastFailover']>): string {
  const unknown = shipped?.isComplete ? 'nothing lost that waited for regions' : 'loss unknown';
  const lost = lostBytes === undefined ? unknown : lostBytes === 0 ? 'nothing lost' : `${formatBytes(lostBytes)} lost`;
  return `to ${to}: ${lost}, closed for ${formatCount(closedMs)} ms`;
}
