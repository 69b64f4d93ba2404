import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { CancelSignal, Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';
import type { HostedRequest } from '../types.ts';
import type { TrafficSink } from './traffic.ts';

/** A request's stay at a tenant's process, which does not sleep meanwhile. */
export interface Visit {
  readonly instanceId: string;
  /** HTTP/1.1 here reaches the app. */
  readonly socketPath: string;
  /** It may last for hours: nobody waits for its end who starts the app anew. */
  becomeStream(): void;
  /** Once is enough, twice does no harm. */
  leave(): void;
}

/** What hosting needs of processes. */
export interface AppProcesses {
  /** False: the first `visit` would have to wake it. */
  isAwake(tenantId: TenantId): boolean;
  /** Wakes the tenant's app when it sleeps. Throws FH_APP_FAILED, FH_APP_BUSY, FH_TENANT_NOT_ACTIVE, and the signal's reason. */
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
  /** Reads what the gateway decorated the request with. */
  readonly identify: (request: FastifyRequest) => HostedRequest;
  /** 32 bytes, the tenant's: `TenantAccess.identityKey`. */
  readonly identityKeyOf: (tenantId: TenantId) => Promise<Uint8Array>;
  /** undefined: nobody watches. */
  readonly traffic?: TrafficSink;
  /** `https://NAME.DOMAIN[:PORT]`, no trailing slash. */
  readonly urlOf: (route: TenantRoute) => string;
  readonly findRoute: (host: string) => Promise<TenantRoute | undefined>;
  /** How often the session behind a stream is checked while something passes. Default 5,000. */
  readonly recheckMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Passes requests of tenants whose app is a process on to it. */
export interface Proxied {
  /** For an instance that takes these methods. */
  plugin(methods: readonly string[], renew: Renew): FastifyPluginAsync;
  /** Something about the tenant has changed: what is under way goes on only where its host still leads to the same app of the same open tenant. */
  recheck(tenantId: TenantId): Promise<void>;
  /** Ends event streams and WebSockets. */
  stop(): void;
}
