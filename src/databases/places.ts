import type { CancelSignal, Clock, FreeholdError, Log, TenantId } from '#src/kernel/index.ts';
import type { Connection } from '#src/postgres/index.ts';

export type TenantRole = 'app' | 'platform';

/** One place in the budget: a connection from before it is opened until it is really closed. */
export interface Place {
  readonly tenantId: TenantId;
  readonly role: TenantRole;
  /** There from the moment the place is leased for the first time. */
  readonly connection: Connection;
  /** What goes ahead of every COMMIT on it. */
  readonly beforeCommit: readonly string[];
  /** Names of prepared statements on it. */
  readonly statementNames: Set<string>;
  /** Ends the lease from outside; set by the lease while it lasts. */
  interrupt: ((error: FreeholdError) => void) | undefined;
}

export interface OwnPlace extends Place {
  connection: Connection;
  beforeCommit: readonly string[];
  readonly tenant: Tenant;
  state: 'opening' | 'leased' | 'idle' | 'closing';
  /** Evicted: closed as soon as nobody uses it. */
  doomed: boolean;
  idleSinceMs: number;
  readonly gone: PromiseWithResolvers<void>;
}

export interface Tenant {
  readonly tenantId: TenantId;
  readonly places: Set<OwnPlace>;
  readonly idle: Record<TenantRole, OwnPlace[]>;
}

export interface Waiter {
  readonly tenantId: TenantId;
  readonly role: TenantRole;
  /** The waiters are served in this order: the first of every tenant, then the second of every tenant, and so on. */
  readonly turn: number;
  /** False once it was answered, whatever the answer. */
  waiting: boolean;
  resolve(place: OwnPlace): void;
  reject(error: unknown): void;
}

export interface LeasePoolOptions {
  /** Places in all: connections that are opening, leased, idle or closing. Never exceeded. */
  readonly budget: number;
  /** Places of one tenant, both roles together. */
  readonly perTenantMax: number;
  /** Longest wait for a connection; then FH_DB_BUSY. */
  readonly waitTimeoutMs: number;
  /** Idle connections are closed after this. */
  readonly idleTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
  open(tenantId: TenantId, role: TenantRole): Promise<Pick<Place, 'connection' | 'beforeCommit'>>;
}

/** For a tenant that stays open, what is under way may come to its end. */
export interface EvictPatience {
  isOpen(tenantId: TenantId): Promise<boolean>;
  /** At most. */
  readonly settleMs: number;
}

export interface LeasePool {
  acquire(tenantId: TenantId, role: TenantRole, signal: CancelSignal | undefined): Promise<Place>;
  /** `reusable` false: the connection is in doubt and is closed. */
  release(place: Place, reusable: boolean): void;
  /** Closes the tenant's connections. What is under way on them is interrupted: at once, or after as long as `patience` says. Resolves when they are gone. */
  evict(tenantId: TenantId, patience?: EvictPatience): Promise<void>;
  /**
   * No connection that is open now is used for another lease; leases that run may end. For the moment when control is back: requests need
   * not fail for that, because had a tenant been closed meanwhile, PostgreSQL itself would have ended its sessions.
   */
  retireAll(): Promise<void>;
  stats(): { readonly open: number; readonly leased: number; readonly waiting: number; readonly budget: number };
  stop(): Promise<void>;
}
