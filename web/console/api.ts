/** What the console asks of its server: shapes and queries, one place. Dates are ISO 8601 strings; a missing value is undefined or null. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { apiFetch } from '../design/index.ts';

type Maybe<T> = T | null | undefined;

export const tenantStates = [
  'requested',
  'creating',
  'active',
  'migrating',
  'suspended',
  'restoring',
  'moving',
  'deleting',
  'deleted',
] as const;
export type TenantState = (typeof tenantStates)[number];

export type Edition = 'standard' | 'private-cloud';
export const editionLabels: Record<Edition, string> = { standard: 'Standard', 'private-cloud': 'Private Cloud' };

export interface Tenant {
  readonly tenantId: string;
  readonly name: string;
  readonly title: string;
  readonly state: TenantState;
  readonly edition: Edition;
  readonly app: string;
  readonly adminEmail: string;
  readonly databaseName?: Maybe<string>;
  readonly createdAt: string;
  readonly stateChangedAt: string;
  readonly lastUsedAt?: Maybe<string>;
  readonly sizeBytes?: Maybe<number>;
  readonly operationId?: Maybe<string>;
  readonly recoveryPoint: 'second' | 'zero';
  /** Places that its data may be in; none: anywhere. */
  readonly residency?: Maybe<{ readonly home: readonly string[]; readonly copies: readonly string[] }>;
  /** Deleted, and its key is destroyed then; until then it can be restored. */
  readonly keyDueAt?: Maybe<string>;
  /** Only of one that was asked for by itself: days between a deletion and the destruction of the key. */
  readonly deletionGraceDays?: Maybe<number>;
  /** Likewise; there until it is confirmed, or the database that it left is gone. */
  readonly lastMove?: Maybe<{ readonly from: Edition; readonly keptUntil: string }>;
  /** `https://NAME.DOMAIN[:PORT]` */
  readonly url?: Maybe<string>;
}

export const operationKinds = [
  'create',
  'suspend',
  'resume',
  'rename',
  'swap',
  'set',
  'update',
  'move',
  'clone',
  'export',
  'import',
  'restore',
  'delete',
  'destroy',
] as const;
export type OperationKind = (typeof operationKinds)[number];
export type OperationState = 'running' | 'succeeded' | 'failed' | 'undone';

export interface Operation {
  readonly operationId: string;
  readonly tenantId: string;
  readonly tenantName: string;
  readonly sourceTenantId?: Maybe<string>;
  readonly kind: OperationKind;
  readonly state: OperationState;
  readonly undoing?: Maybe<boolean>;
  readonly steps: readonly {
    readonly name: string;
    readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'undone';
    readonly startedAt?: Maybe<string>;
    readonly finishedAt?: Maybe<string>;
  }[];
  readonly progress?: Maybe<{ readonly fraction?: Maybe<number>; readonly text: string }>;
  readonly requestedBy: string;
  readonly startedAt: string;
  readonly finishedAt?: Maybe<string>;
  readonly error?: Maybe<{ readonly code: string; readonly text: string }>;
  /** A one-time link is waiting to be shown. */
  readonly hasSecretResult?: Maybe<boolean>;
  readonly result: Readonly<Record<string, string | number>>;
}

export interface AuditEvent {
  readonly eventId: string;
  readonly recordedAt: string;
  readonly name: string;
  readonly meaning: string;
  readonly actor: string;
  readonly subject: string;
  readonly tenantId?: Maybe<string>;
  readonly address?: Maybe<string>;
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

export interface Staff {
  readonly staffId: string;
  readonly email: string;
  readonly name: string;
}

export const pageSize = 50;

export interface TenantListQuery {
  readonly q?: string | undefined;
  readonly state?: string | undefined;
  /** Column, with `-` in front for descending. */
  readonly sort?: string | undefined;
  readonly page?: number | undefined;
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: ({ signal }) => apiFetch<{ staff: Staff; mustEnrol: boolean }>('/api/session', { signal }),
});

/** `confirmedUntil` null: dangerous acts ask who it is. `asksPassword`: a code alone is not enough, because the password was shown long ago. */
export const stepUpQuery = queryOptions({
  queryKey: ['step-up'],
  queryFn: ({ signal }) =>
    apiFetch<{ confirmedUntil: string | null; asksPassword: boolean }>('/api/session/step-up', { signal }),
  gcTime: 0,
  staleTime: 0,
});

/** `expiresAt` null: no sign-in waits for its code in this browser. */
export const awaitedSignInQuery = queryOptions({
  queryKey: ['awaited-sign-in'],
  queryFn: ({ signal }) => apiFetch<{ expiresAt: string | null }>('/api/session/second-factor', { signal }),
  gcTime: 0,
  staleTime: 0,
  refetchOnWindowFocus: false,
});

export const tenantsQuery = (list: TenantListQuery) =>
  queryOptions({
    queryKey: ['tenants', list],
    queryFn: ({ signal }) => {
      const query = new URLSearchParams({ limit: String(pageSize), offset: String(((list.page ?? 1) - 1) * pageSize) });
      if (list.q) query.set('search', list.q);
      if (list.state) query.set('state', list.state);
      if (list.sort) {
        query.set('sort', list.sort.replace(/^-/, ''));
        query.set('descending', String(list.sort.startsWith('-')));
      }
      return apiFetch<{ tenants: Tenant[]; total: number }>(`/api/tenants?${query}`, { signal });
    },
    placeholderData: keepPreviousData,
  });

export const tenantQuery = (tenantId: string) =>
  queryOptions({
    queryKey: ['tenant', tenantId],
    queryFn: ({ signal }) => apiFetch<Tenant>(`/api/tenants/${encodeURIComponent(tenantId)}`, { signal }),
  });

export const operationsQuery = (filter: {
  state?: string | undefined;
  tenantId?: string | undefined;
  offset?: number;
}) =>
  queryOptions({
    queryKey: ['operations', filter],
    queryFn: ({ signal }) => {
      const query = new URLSearchParams({ limit: String(pageSize), offset: String(filter.offset ?? 0) });
      if (filter.state) query.set('state', filter.state);
      if (filter.tenantId) query.set('tenantId', filter.tenantId);
      return apiFetch<{ operations: Operation[] }>(`/api/operations?${query}`, { signal });
    },
    placeholderData: keepPreviousData,
  });

export const operationQuery = (operationId: string) =>
  queryOptions({
    queryKey: ['operation', operationId],
    queryFn: ({ signal }) => apiFetch<Operation>(`/api/operations/${encodeURIComponent(operationId)}`, { signal }),
  });

/** What may be done with a tenant in each state; the server decides, this only says what to offer. */
export function mayStart(kind: OperationKind, state: TenantState): boolean {
  if (kind === 'suspend') return state === 'active';
  if (kind === 'resume') return state === 'suspended';
  return state === 'active' || state === 'suspended';
}

/** A deleted tenant can be restored while its key is kept. */
export function mayRestore({ state, keyDueAt }: Pick<Tenant, 'state' | 'keyDueAt'>): boolean {
  return mayStart('restore', state) || (state === 'deleted' && Boolean(keyDueAt));
}

export function startMove(tenantId: string, body: { readonly edition: Edition } | { readonly undo: true }) {
  return apiFetch<{ operation: Operation }>(`/api/tenants/${encodeURIComponent(tenantId)}/move`, {
    method: 'POST',
    body,
  });
}
export function confirmMove(tenantId: string): Promise<void> {
  return apiFetch(`/api/tenants/${encodeURIComponent(tenantId)}/move/confirm`, { method: 'POST', body: {} });
}
