import type { TenantId } from '#src/kernel/index.ts';
import type { Queryable } from '#src/postgres/types.ts';

/** Statements against one tenant's database, for the duration of one callback. Unusable afterwards (FH_DB_LEASE_ENDED). */
export interface TenantDb extends Queryable {
  readonly tenantId: TenantId;
}

export interface LeaseOptions {
  /** Client gone: the running statement is cancelled in the server, then the lease returned, in that order. */
  readonly signal?: AbortSignal;
  /** Time for the whole callback. Default 30,000. */
  readonly timeoutMs?: number;
}

/** One role's door to tenants' databases. The only way to a tenant's data. */
export interface TenantDatabase {
  /** Statements run one by one, each read-only (default_transaction_read_only=on). */
  read<T>(tenantId: TenantId, fn: (db: TenantDb) => Promise<T>, options?: LeaseOptions): Promise<T>;
  /** One read-write transaction: committed when `fn` returns, rolled back when it throws or the signal aborts. */
  transact<T>(tenantId: TenantId, fn: (db: TenantDb) => Promise<T>, options?: LeaseOptions): Promise<T>;
}

export interface TenantDatabases {
  /** As the tenant's app role: schema `app`; of schema `freehold` only the function `freehold.check_session`. */
  readonly app: TenantDatabase;
  /** As the tenant's platform role: schema `freehold`. */
  readonly platform: TenantDatabase;
  /** Ends the tenant's leases (cancelling what runs) and closes its connections. */
  evict(tenantId: TenantId): Promise<void>;
  stats(): { readonly open: number; readonly leased: number; readonly waiting: number; readonly budget: number };
  stop(): Promise<void>;
}
