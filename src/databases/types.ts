import type { CancelSignal, TenantId } from '#src/kernel/index.ts';
import type { Queryable, Row, ServerAuthorities } from '#src/postgres/types.ts';
import type { MigratePatience, MigrateResult } from './migrate.ts';
import type { MigrationFolders } from './migration-files.ts';

/** Statements against one tenant's database, for the duration of one callback. Unusable afterwards (FH_DB_LEASE_ENDED). */
export interface TenantDb extends Queryable {
  readonly tenantId: TenantId;
}

/**
 * A read-only question that goes ahead of everything else in a lease, in one message with its first statement, and that is asked in any case.
 * No row of the lease is given out, and no result of its callback, before `accept` was content with the answer.
 */
export interface LeaseGuard {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Throws to refuse: the lease is over then, and everything in it rejects with that error. May be called twice. */
  accept(rows: readonly Row[]): void;
}

export interface LeaseOptions {
  /** Client gone: the running statement is cancelled in the server, then the lease returned, in that order. */
  readonly signal?: CancelSignal;
  /** Time for the whole callback. Default 30,000. */
  readonly timeoutMs?: number;
}

export interface ReadOptions extends LeaseOptions {
  readonly guard?: LeaseGuard | undefined;
}

/** One role's door to tenants' databases. The only way to a tenant's data. */
export interface TenantDatabase {
  /** Statements run one by one, each read-only (default_transaction_read_only=on). */
  read<T>(tenantId: TenantId, fn: (db: TenantDb) => Promise<T>, options?: ReadOptions): Promise<T>;
  /** One read-write transaction: committed when `fn` returns, rolled back when it throws or the signal aborts. */
  transact<T>(tenantId: TenantId, fn: (db: TenantDb) => Promise<T>, options?: LeaseOptions): Promise<T>;
}

export interface TenantDatabases {
  /** As the tenant's app role: schema `app`; of schema `freehold` only `freehold.check_session` and `freehold.is_session_live`. */
  readonly app: TenantDatabase;
  /** As the tenant's platform role: schema `freehold`. */
  readonly platform: TenantDatabase;
  /** Ends the tenant's leases (cancelling what runs) and closes its connections. */
  evict(tenantId: TenantId): Promise<void>;
  stats(): { readonly open: number; readonly leased: number; readonly waiting: number; readonly budget: number };
  stop(): Promise<void>;
}

/**
 * `sdk`: the platform migrates schema `app`, and the app comes to it through leases. `process`: the app connects itself and owns whatever it makes outside of
 * schema `freehold` (docs/decisions/0038).
 */
export type DatabaseKind = 'sdk' | 'process';

export interface OpenOptions {
  /** Sessions of the app role at one time, in a database of kind `process`. Default 10. */
  readonly connectionLimit?: number | undefined;
}

export interface RolePasswords {
  readonly appPassword: string;
  readonly platformPassword: string;
}

export interface Template {
  /** Name of the template database. */
  readonly template: string;
  /** Digest of the migrations in it. */
  readonly version: string;
}

export interface DatabaseMigration {
  readonly platform: MigrateResult;
  readonly app: MigrateResult;
}

export interface ListedDatabase {
  readonly name: string;
  readonly kind: 'tenant' | 'template';
  /** `making`: a crash left it half-made; create it again or drop it. */
  readonly state: 'making' | 'ready';
  readonly version: string | undefined;
}

/** A login that can read one database although it is closed. */
export interface DatabaseReader {
  readonly user: string;
  readonly password: string;
  /** When the last who shares it has closed it, the login is gone. */
  close(): Promise<void>;
}

/**
 * Tenants' databases on one server, as the role of control (CREATEDB, CREATEROLE, no superuser). Every method is idempotent: called
 * again after a kill anywhere, it finishes. Callers see to it that one database is worked on by one operation at a time.
 */
export interface DatabaseAdmin {
  /** @param cluster default: the main server */
  newDatabaseName(cluster?: string): string;
  /** A database with the migrations of both folders, to be copied; made when it is missing. `key` names the app in memory only. */
  ensureTemplate(key: string, folders: MigrationFolders): Promise<Template>;
  /** Makes the database and its two roles, closed (NOLOGIN). */
  createDatabase(name: string, options: { readonly template: string }): Promise<void>;
  /**
   * Brings both schemas forward, whether the database is open or closed. No connection is made when it is there already. Whoever comes second, also from
   * another process, waits and then finds it done.
   */
  migrateDatabase(
    name: string,
    folders: MigrationFolders,
    patience?: MigratePatience,
  ): Promise<DatabaseMigration | undefined>;
  /** Reads a database as control, open or closed: its catalogues, never its rows. One read-only transaction. */
  readCatalogues<T>(name: string, read: (db: Queryable) => Promise<T>): Promise<T>;
  /** Sets the passwords and lets both roles in. */
  openDatabase(name: string, passwords: RolePasswords, options?: OpenOptions): Promise<void>;
  /** Lets nobody in and ends every session; returns when none is left. */
  closeDatabase(name: string): Promise<void>;
  /**
   * Lets control read a database that stays closed to everybody else; sees what the platform role sees. Closing or dropping the database ends it. Throws
   * FH_DB_NOT_FOUND.
   */
  openReader(name: string): Promise<DatabaseReader>;
  /** Copies a closed database, with everything in it owned by the copy's own roles, which are closed. */
  cloneDatabase(from: string, to: string): Promise<void>;
  /** Removes the database and its roles; does nothing when they are gone. */
  dropDatabase(name: string): Promise<void>;
  databaseSize(name: string): Promise<number>;
  /**
   * Whether commits in it wait until every region holds them (recovery point zero), for sessions that are opened from now on; it stays with the
   * database at a new primary and in base backups. @returns the server's time
   */
  setCommitWaits(name: string, waits: boolean): Promise<Date>;
  /** Ends sessions that were opened before; returns when none is left. */
  endSessions(name: string, openedBefore: Date): Promise<void>;
  listDatabases(): Promise<ListedDatabase[]>;
  /** Databases and roles with names of ours that nobody knows: what a crash before the first record left, or a restored registry. */
  findOrphans(known: Iterable<string>): Promise<{ databases: string[]; roles: string[] }>;
  /** How tenants' connections reach the server. */
  readonly server: {
    readonly host: string;
    readonly port: number;
    readonly tls: 'off' | 'verify-full';
    readonly ca?: ServerAuthorities;
  };
}
