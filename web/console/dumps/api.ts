/** Dumps of tenants, as `src/console-api/dumps.ts` answers. Sizes in bytes, times in ISO 8601. */
import { keepPreviousData, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';
import { apiFetch, notifyProblem, type Tone } from '../../design/index.ts';
import { pageSize } from '../api.ts';

export const dumpStandings = ['unsound', 'failed', 'late', 'incomplete', 'none', 'unverified', 'sound'] as const;
export type DumpStanding = (typeof dumpStandings)[number];

interface Problem {
  readonly code: string;
  readonly text: string;
}

export interface Dump {
  readonly dumpId: string;
  readonly tenantId: string;
  readonly tenantName: string;
  readonly madeAt: string;
  readonly sizeBytes: number;
  readonly regions: readonly string[];
  readonly verification: {
    readonly finishedAt: string;
    readonly region: string;
    readonly passed: boolean;
    readonly findings: readonly Problem[];
  } | null;
}

export interface TenantDumps {
  readonly tenantId: string;
  readonly tenantName: string;
  readonly tenantState: 'active' | 'suspended';
  readonly standing: DumpStanding;
  readonly newest: Dump | null;
  readonly kept: number;
  /** In no dump and no backup. */
  readonly unloggedTables: readonly string[];
  readonly lastRun: {
    readonly endedAt: string;
    readonly outcome: 'stored' | 'unchanged' | 'failed';
    readonly error: Problem | null;
  } | null;
}

export interface DumpOverview {
  readonly tenants: readonly TenantDumps[];
  readonly total: number;
  readonly counts: Readonly<Record<DumpStanding, number>>;
  readonly regions: readonly string[];
}

export interface DumpedTenant {
  readonly tenantId: string;
  readonly tenantName: string;
  readonly outcome: 'stored' | 'unchanged' | 'failed';
  readonly dumpId?: string;
  readonly server?: 'standby' | 'primary';
  readonly sizeBytes?: number;
  readonly regions?: readonly string[];
  readonly verified?: { readonly region: string; readonly passed: boolean };
  readonly error?: Problem;
}

export interface DumpRun {
  readonly state: 'running' | 'succeeded' | 'failed';
  readonly phase: 'dumping' | 'verifying';
  readonly startedAt: string;
  readonly tenants: readonly DumpedTenant[];
  readonly doneTenants: number;
  readonly allTenants: number;
  readonly writtenBytes: number;
  readonly error?: Problem;
}

export const standingWords: Readonly<Record<DumpStanding, { readonly label: string; readonly tone: Tone }>> = {
  unsound: { label: 'Does not restore', tone: 'urgent' },
  failed: { label: 'Last attempt failed', tone: 'urgent' },
  late: { label: 'Late', tone: 'late' },
  incomplete: { label: 'Not in every region', tone: 'late' },
  none: { label: 'No dump yet', tone: 'quiet' },
  unverified: { label: 'Not verified yet', tone: 'quiet' },
  sound: { label: 'Sound', tone: 'ok' },
};

/** A person must look; the server counts the same as `trouble`. */
export const troubled: readonly DumpStanding[] = ['unsound', 'failed', 'late', 'incomplete'];

export type StandingFilter = DumpStanding | 'trouble';

export interface DumpListQuery {
  readonly q?: string | undefined;
  readonly standing?: StandingFilter | undefined;
  readonly page?: number | undefined;
}

const overviewKey = 'dump-overview';
const ofTenantKey = 'dumps';

export const dumpOverviewQuery = ({ q, standing, page }: DumpListQuery) =>
  queryOptions({
    queryKey: [overviewKey, { q, standing, page }],
    queryFn: ({ signal }) => {
      const query = new URLSearchParams({ limit: String(pageSize), offset: String(((page ?? 1) - 1) * pageSize) });
      if (q) query.set('search', q);
      if (standing) query.set('standing', standing);
      return apiFetch<DumpOverview>(`/api/dumps/tenants?${query}`, { signal });
    },
    placeholderData: keepPreviousData,
  });

export const dumpsOfQuery = (tenantId: string) =>
  queryOptions({
    queryKey: [ofTenantKey, tenantId],
    queryFn: async ({ signal }) =>
      (await apiFetch<{ dumps: Dump[] }>(`/api/dumps?tenant=${encodeURIComponent(tenantId)}`, { signal })).dumps,
  });

/** The run that goes on, or the last one; asked often while it goes on. */
export const dumpRunQuery = queryOptions({
  queryKey: ['dump-run'],
  queryFn: async ({ signal }) => (await apiFetch<{ run: DumpRun | null }>('/api/dumps/latest-run', { signal })).run,
  refetchInterval: ({ state }) => (state.data?.state === 'running' ? 1_000 : 15_000),
});

/** Begins to dump one tenant, or all. */
export function useDumpNow() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (tenant: string | undefined) =>
      apiFetch<{ run: DumpRun }>('/api/dumps', { method: 'POST', body: tenant ? { tenant } : {} }),
    onSuccess: ({ run }) => queryClient.setQueryData(dumpRunQuery.queryKey, run),
    onError: notifyProblem,
  });
}

/** What a run has changed is asked for again. */
export function useDumpsAnew() {
  const queryClient = useQueryClient();
  return () => {
    for (const key of [overviewKey, ofTenantKey]) void queryClient.invalidateQueries({ queryKey: [key] });
  };
}
