import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { App, AppEvent } from '#sdk';
import type { TenantDatabases } from '#src/databases/types.ts';
import type { TenantFiles } from '#src/files/types.ts';
import type { Page } from '#src/http/index.ts';
import type { ApiTokenUse, Session, User } from '#src/identity/types.ts';
import type { CancelSignal, Clock, Log, TenantId } from '#src/kernel/index.ts';
import type { TenantRoute } from '#src/tenants/types.ts';

/** The question whose answer confirms a presumed session, and who hears it. */
export interface SessionCheck {
  /** To be asked as the app role in the tenant's database. */
  readonly text: string;
  readonly values: readonly unknown[];
  /** Throws a refusal. @returns the presumed session itself when it is confirmed, another one when something about it has changed */
  accept(rows: readonly object[]): Session;
}

/** What the gateway found out about a request before it reaches an app. */
export interface HostedRequest {
  readonly tenant: TenantRoute;
  /** Whose request it is, in a session or with an API token. Undefined: nobody's. */
  readonly session: Session | ApiTokenUse | undefined;
  /** `session` is presumed, until this was asked. Only on routes that say `mayPresume`. */
  readonly unconfirmed?: SessionCheck | undefined;
  readonly requestId: string;
  /** Aborts when the client is gone, the request takes too long, or the server drains. */
  readonly signal: CancelSignal;
  /**
   * Whether the session, or the token, is still good, asked of the tenant's database anew. An event stream outlives the check at its
   * start, so it asks again before it sends.
   */
  isStillSignedIn(): Promise<boolean>;
}

export interface HostingDeps {
  readonly apps: readonly App[];
  /** Built pages by name of the app, read before the process gave up the right to. Default: read when the app is first used. */
  readonly pages?: ReadonlyMap<string, Page>;
  readonly databases: Pick<TenantDatabases, 'app'>;
  readonly files: TenantFiles;
  readonly users: {
    /** Active users, ordered by name. */
    listUsers(tenantId: TenantId): Promise<readonly Pick<User, 'userId' | 'email' | 'name' | 'role'>[]>;
  };
  /** Reads what the gateway decorated the request with. */
  readonly identify: (request: FastifyRequest) => HostedRequest;
  /** Carries an event to the other workers, each of which calls `deliverEvent`. This worker's own listeners have it already. */
  readonly publishEvent: (tenantId: TenantId, event: AppEvent) => void;
  /** `https://NAME.DOMAIN[:PORT]`, no trailing slash. */
  readonly urlOf: (route: TenantRoute) => string;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Hosting {
  /** Routes, events, OpenAPI and page of one app, for a Fastify instance (or scope) of its own. Throws FH_APP_UNKNOWN. */
  plugin(appName: string): FastifyPluginAsync;
  /** An event from another worker, for this worker's listeners of that tenant. */
  deliverEvent(tenantId: TenantId, event: AppEvent): void;
  /** Fills the tenant with the app's demonstration data; the caller sees to it that it runs once. */
  seedDemo(
    tenant: TenantRoute,
    variant: number,
    firstUser: Pick<User, 'userId' | 'email' | 'name' | 'role'>,
  ): Promise<void>;
  /** The tenant is no longer open: ends its event streams, aborts its background work, resolves when both are over. */
  evict(tenantId: TenantId): Promise<void>;
  /** Ends event streams; gives background work this long to finish, then aborts it. */
  stop(deadlineMs: number): Promise<void>;
}
