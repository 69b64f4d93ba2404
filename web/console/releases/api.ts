/** Releases as the console sees them. */
import { queryOptions } from '@tanstack/react-query';
import { apiFetch } from '../../design/index.ts';
import type { AuditEvent } from '../api.ts';

type Maybe<T> = T | null | undefined;

/** In the order in which a release goes through them. */
export const rings = ['alpha', 'beta', 'production'] as const;
export type Ring = (typeof rings)[number];
export type ReleaseState = 'checking' | 'running' | 'paused' | 'halted' | 'returning' | 'returned' | 'done';

export const tenantStates = ['waiting', 'running', 'done', 'failed', 'skipped', 'returning', 'returned'] as const;
export type ReleaseTenantState = (typeof tenantStates)[number];
export type Counts = Readonly<Partial<Record<ReleaseTenantState, number>>>;

export interface ReleaseSettings {
  readonly soakSeconds: number;
  readonly maxFailedPercent: number;
  readonly minFailed: number;
  readonly isManual: boolean;
  readonly isRehearsed: boolean;
  readonly mayContract: boolean;
  readonly onHalt: 'return' | 'keep';
}

export interface Release {
  readonly releaseId: string;
  readonly app: string;
  readonly version: string;
  readonly state: ReleaseState;
  readonly ring: Ring;
  readonly soaksSince?: Maybe<string>;
  readonly isPromoted: boolean;
  readonly settings: ReleaseSettings;
  readonly reason?: Maybe<string>;
  readonly requestedBy: string;
  readonly startedAt: string;
  readonly finishedAt?: Maybe<string>;
  readonly counts: Readonly<Record<Ring, Counts>>;
}

export interface ReleaseTenant {
  readonly tenantId: string;
  readonly name: string;
  readonly ring: Ring;
  readonly state: ReleaseTenantState;
  readonly fromVersion: string;
  readonly operationId?: Maybe<string>;
  readonly isDataBack?: Maybe<boolean>;
  readonly error?: Maybe<{ readonly code?: Maybe<string>; readonly text: string }>;
}

export interface ReleaseView {
  readonly release: Release;
  readonly tenants: readonly ReleaseTenant[];
}

export interface ReleasableApp {
  readonly app: string;
  readonly versions: readonly {
    readonly version: string;
    readonly title: string;
    readonly notes: string;
    readonly state: 'building' | 'ready' | 'failed';
    readonly addedAt: string;
  }[];
  readonly rings: readonly {
    readonly ring: Ring;
    readonly version: string;
    readonly tenants: number;
    readonly held: number;
  }[];
}

/** What a tenant runs; null: its app does not run as a process. */
export interface Standing {
  readonly app: { readonly name: string; readonly title: string };
  readonly version: string;
  readonly since: string;
  readonly ring: Ring;
  readonly isHeld: boolean;
}

const quickly = 1_000;
const slowly = 15_000;

export const isMoving = ({ state }: Release) => state === 'checking' || state === 'running' || state === 'returning';
export const isOver = ({ state }: Release) => state === 'returned' || state === 'done';

export const releasesQuery = queryOptions({
  queryKey: ['releases'],
  queryFn: async ({ signal }) => (await apiFetch<{ releases: Release[] }>('/api/releases', { signal })).releases,
  refetchInterval: ({ state }) => (state.data?.some(isMoving) ? 3 * quickly : slowly),
});

/** Which tenants of a release are listed. */
export const tenantFilters = {
  trouble: ['failed', 'skipped'],
  'under-way': ['running', 'returning'],
  waiting: ['waiting'],
  done: ['done'],
  returned: ['returned'],
} as const satisfies Record<string, readonly ReleaseTenantState[]>;
export type TenantFilter = keyof typeof tenantFilters;

export const releaseQuery = (releaseId: string, filter: TenantFilter) =>
  queryOptions({
    queryKey: ['release', releaseId, filter],
    queryFn: ({ signal }) =>
      apiFetch<ReleaseView>(
        `/api/releases/${encodeURIComponent(releaseId)}?states=${tenantFilters[filter].join(',')}`,
        {
          signal,
        },
      ),
    placeholderData: (before) => (before?.release.releaseId === releaseId ? before : undefined),
    refetchInterval: ({ state }) => (state.data && isMoving(state.data.release) ? quickly : slowly),
  });

/** @param stage of the release: another one has more history */
export const historyQuery = (releaseId: string, stage: string) =>
  queryOptions({
    queryKey: ['release-history', releaseId, stage],
    queryFn: async ({ signal }) =>
      (await apiFetch<{ events: AuditEvent[] }>(`/api/releases/${encodeURIComponent(releaseId)}/history`, { signal }))
        .events,
    placeholderData: (before) => before,
  });

export const appsQuery = queryOptions({
  queryKey: ['releasable-apps'],
  queryFn: async ({ signal }) => (await apiFetch<{ apps: ReleasableApp[] }>('/api/releasable-apps', { signal })).apps,
});

export const standingQuery = (tenantId: string) =>
  queryOptions({
    queryKey: ['tenant-version', tenantId],
    queryFn: async ({ signal }) =>
      (
        await apiFetch<{ standing: Standing | null }>(`/api/tenants/${encodeURIComponent(tenantId)}/version`, {
          signal,
        })
      ).standing,
  });

export interface ReleaseOrder extends Partial<ReleaseSettings> {
  readonly app: string;
  readonly version: string;
  readonly notes: string;
}

export function startRelease(order: ReleaseOrder): Promise<ReleaseView> {
  return apiFetch<ReleaseView>('/api/releases', { method: 'POST', body: order });
}

export type Verb = 'promote' | 'pause' | 'resume' | 'return';

/** By id: a page that was left open never acts on a newer release than it shows. */
export function changeRelease(releaseId: string, verb: Verb): Promise<ReleaseView> {
  return apiFetch<ReleaseView>(`/api/releases/${encodeURIComponent(releaseId)}/${verb}`, { method: 'POST', body: {} });
}

export function chooseRing(tenantId: string, ring: Ring): Promise<void> {
  return apiFetch<void>(`/api/tenants/${encodeURIComponent(tenantId)}/ring`, { method: 'POST', body: { ring } });
}
