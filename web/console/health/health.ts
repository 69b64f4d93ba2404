/** `GET /api/health`: how the installation is. Sizes in bytes, times in ISO 8601. */
import { queryOptions } from '@tanstack/react-query';
import { apiFetch, type Tone } from '../../design/index.ts';

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
