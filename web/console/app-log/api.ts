import { queryOptions } from '@tanstack/react-query';
import { apiFetch, type Tone } from '../../design/index.ts';

type Maybe<T> = T | null | undefined;

export interface AppState {
  readonly app: string;
  /** False: the app runs inside Freehold, and has no log of its own. */
  readonly isProcess: boolean;
  readonly state: 'asleep' | 'waking' | 'awake' | 'stopping' | 'failed';
  readonly version?: Maybe<string>;
  readonly idleMs?: Maybe<number>;
  readonly upMs?: Maybe<number>;
  readonly failures: number;
  readonly memoryBytes?: Maybe<number>;
  readonly reason?: Maybe<string>;
}

export interface LogPage {
  readonly lines: readonly string[];
  readonly cursor: string;
  readonly hasGap: boolean;
}

export const appStateWords: Record<AppState['state'], { readonly label: string; readonly tone: Tone }> = {
  asleep: { label: 'Asleep', tone: 'quiet' },
  waking: { label: 'Waking', tone: 'working' },
  awake: { label: 'Awake', tone: 'ok' },
  stopping: { label: 'Stopping', tone: 'working' },
  failed: { label: 'Failed', tone: 'urgent' },
};

export const appStateQuery = (tenantId: string) =>
  queryOptions({
    queryKey: ['app-state', tenantId],
    queryFn: ({ signal }) => apiFetch<AppState>(`/api/tenants/${tenantId}/app`, { signal }),
  });

/** Reading leaves a mark in the audit log, so it is asked for by an act and never ahead of time. */
export function openLog(tenantId: string, lines: number): Promise<LogPage> {
  return apiFetch<LogPage>(`/api/tenants/${tenantId}/app-log/open`, { method: 'POST', body: { lines } });
}

export function readOn(tenantId: string, cursor: string, signal: AbortSignal): Promise<LogPage> {
  return apiFetch<LogPage>(`/api/tenants/${tenantId}/app-log?after=${cursor}`, { signal });
}
