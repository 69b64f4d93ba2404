/** Copies and backups, as `src/console-api` answers: lag, base backups, verifications. Sizes in bytes, times in ISO 8601. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { apiFetch, toProblem } from '../../design/index.ts';

export interface LagSeries {
  readonly kind: 'standby' | 'region';
  readonly name: string;
  /** The worst of each stretch, oldest first; null: not known. */
  readonly lagMs: readonly (number | null)[];
  readonly behindBytes: readonly (number | null)[];
}

export interface Lag {
  readonly from: string;
  readonly everyMs: number;
  readonly clusters: readonly { readonly name: string; readonly series: readonly LagSeries[] }[];
}

export interface Backup {
  readonly backupId: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly databases: number;
  readonly sizeBytes: number;
  readonly storedBytes: number;
  readonly timeline: number;
  readonly stopLsn: string;
  /** A page failed its checksum. */
  readonly suspect: boolean;
  readonly regions: readonly string[];
  /** Of a private server: its name. */
  readonly cluster?: string;
}

export interface BackupRun {
  readonly state: 'running' | 'succeeded' | 'failed';
  readonly startedAt: string;
  readonly readBytes: number;
  /** As large as the last one was. */
  readonly expectedBytes?: number;
  readonly backup?: Backup;
  readonly storedDatabases?: number;
  readonly unchangedDatabases?: number;
  readonly writtenBytes?: number;
  readonly error?: { readonly code: string; readonly text: string };
}

/** What a verification or a drill found wrong. */
export interface Finding {
  readonly code: string;
  readonly text: string;
  readonly tenantId?: string;
  readonly tenantName?: string;
}

/** What was compared; absent figures: it did not come so far. */
export interface Checked {
  readonly tenants?: number;
  readonly ofTenants?: number;
  readonly tables?: number;
  readonly rows?: number;
  readonly canaries?: number;
  readonly target?: string;
  readonly busyTenants?: number;
  /** Their keys are destroyed. */
  readonly destroyedTenants?: number;
  readonly backupId?: string;
}

export interface Verification {
  readonly verificationId: string;
  readonly kind: 'backup' | 'dump';
  /** Name of the server that a base backup is of; `main`: the shared one. */
  readonly cluster: string;
  readonly subject: string;
  readonly tenantId?: string;
  readonly region: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly passed: boolean;
  readonly findings: readonly Finding[];
  readonly checked: Checked;
}

export interface Drill {
  readonly drillId: string;
  /** Name of the private server that was rebuilt; `main`: the installation. */
  readonly cluster: string;
  readonly region: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly passed: boolean;
  /** Work that would have been lost; absent: it did not get so far. */
  readonly recoveryPointMs?: number;
  /** From the loss until everything answered. */
  readonly recoveryTimeMs?: number;
  readonly findings: readonly Finding[];
  readonly checked: Checked;
}

export interface CheckRun {
  readonly state: 'running' | 'passed' | 'failed';
  readonly startedAt: string;
  readonly region: string;
  /** 0 to 1. */
  readonly fraction: number;
  readonly text: string;
  readonly drill?: Drill;
  readonly verification?: Verification;
}

/** Minutes that the charts of lag can show. */
export const spans = [60, 360, 1440] as const;
export type Span = (typeof spans)[number];

export const lagQuery = (minutes: Span) =>
  queryOptions({
    queryKey: ['lag', minutes],
    queryFn: ({ signal }) => apiFetch<Lag>(`/api/lag?minutes=${minutes}`, { signal }),
    placeholderData: keepPreviousData,
  });

export const backupsQuery = queryOptions({
  queryKey: ['backups'],
  queryFn: ({ signal }) => apiFetch<{ backups: Backup[]; away: string[] }>('/api/backups', { signal }),
});

const quickly = 1_000;
const slowly = 15_000;

/** The run that goes on, or the last one; asked often while it goes on. */
export const backupRunQuery = queryOptions({
  queryKey: ['backup-run'],
  queryFn: async ({ signal }) => (await apiFetch<{ run: BackupRun | null }>('/api/backups/latest-run', { signal })).run,
  refetchInterval: ({ state }) => (state.data?.state === 'running' ? quickly : slowly),
});

export const verificationsQuery = queryOptions({
  queryKey: ['verifications'],
  queryFn: async ({ signal }) =>
    (await apiFetch<{ verifications: Verification[] }>('/api/verifications?limit=100', { signal })).verifications,
});

export const drillsQuery = queryOptions({
  queryKey: ['drills'],
  queryFn: async ({ signal }) => (await apiFetch<{ drills: Drill[] }>('/api/drills?limit=200', { signal })).drills,
});

export const checkRunQuery = (of: 'verifications' | 'drills') =>
  queryOptions({
    queryKey: ['check-run', of],
    queryFn: async ({ signal }) => (await apiFetch<{ run: CheckRun | null }>(`/api/${of}/latest-run`, { signal })).run,
    refetchInterval: ({ state }) => (state.data?.state === 'running' ? quickly : slowly),
  });

/** The installation makes no backups (an external database, or they are turned off): nobody answers at the address. */
export function isWithoutBackups(error: unknown): boolean {
  return error !== null && error !== undefined && toProblem(error).status === 404;
}
