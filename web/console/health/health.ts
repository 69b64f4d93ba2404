/** `GET /api/health`. Every list may be empty; what the server cannot tell is left out and shown as unknown. */
import { queryOptions } from '@tanstack/react-query';
import { apiFetch } from '../../design/index.ts';

type Maybe<T> = T | null | undefined;
export type Grade = 'ok' | 'late' | 'urgent';

export interface Health {
  readonly state: Grade;
  readonly checkedAt: string;
  /** What needs a look, the worst first. */
  readonly findings: readonly { readonly grade: Grade; readonly text: string; readonly hint?: Maybe<string> }[];
  readonly clusters: readonly ClusterHealth[];
  readonly gateways: readonly GatewayHealth[];
  readonly disks: readonly DiskHealth[];
}

export interface ClusterHealth {
  readonly name: string;
  /** `running`, `starting`, `recovering`, `stopping`, `stopped`, or another word of the server's. */
  readonly state: string;
  readonly grade: Grade;
  readonly kind?: Maybe<'embedded' | 'external'>;
  readonly version?: Maybe<string>;
  readonly startedAt?: Maybe<string>;
  readonly databases?: Maybe<number>;
  readonly sizeBytes?: Maybe<number>;
  readonly connections?: Maybe<{ readonly open: number; readonly budget: number }>;
  readonly lastCheckpointAt?: Maybe<string>;
}

export interface GatewayHealth {
  readonly name: string;
  readonly grade: Grade;
  readonly connectedAt?: Maybe<string>;
  readonly connections?: Maybe<{
    readonly open: number;
    readonly leased: number;
    readonly waiting: number;
    readonly budget: number;
  }>;
}

export interface DiskHealth {
  /** For example `Data`. */
  readonly name: string;
  readonly path: string;
  readonly grade: Grade;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export const healthQuery = queryOptions({
  queryKey: ['health'],
  queryFn: ({ signal }) => apiFetch<Partial<Health>>('/api/health', { signal }),
  refetchInterval: 5_000,
});
