import type { FastifyRequest } from 'fastify';
import type { CancelSignal, Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';

/** A request's stay at a tenant's process, which does not sleep meanwhile. */
export interface Visit {
  readonly instanceId: string;
  /** HTTP/1.1 here reaches the app. */
  readonly socketPath: string;
  /** Once is enough, twice does no harm. */
  leave(): void;
}

/** What hosting needs of processes. */
export interface AppProcesses {
  /** False: the first `visit` would have to wake it. */
  isAwake(tenantId: TenantId): boolean;
  /** Wakes the tenant's app when it sleeps. Throws FH_APP_FAILED, FH_APP_BUSY, FH_TENANT_NOT_ACTIVE. */
  visit(tenantId: TenantId, signal: CancelSignal): Promise<Visit>;
  /** Nothing answers there: the next `visit` asks anew. */
  forget(tenantId: TenantId, instanceId: string): void;
}

/** `Set-Cookie` with the session's next key, when there is one and this answer can carry it. Never rejects. */
export type Renew = (
  request: FastifyRequest,
  answer: { readonly status: number; readonly cacheControl: string },
) => Promise<string | undefined> | undefined;

export interface ProxiedDeps {
  readonly processes: AppProcesses;
  /** `https://NAME.DOMAIN[:PORT]`, no trailing slash. */
  readonly urlOf: (route: TenantRoute) => string;
  readonly clock: Clock;
  readonly log: Log;
}
