import { type Clock, type Log, systemClock, type TenantId } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { TenantDirectory } from '#src/tenants/types.ts';
import { databaseErrors } from './errors.ts';
import { createTenantDatabase } from './lease.ts';
import { createLeasePool } from './lease-pool.ts';
import type { Place, TenantRole } from './places.ts';
import { describeSessionSql, type SessionFacts, waitingCommit } from './sql.ts';
import { createStatementTable } from './statements.ts';
import type { TenantDatabases } from './types.ts';

export interface TenantDatabasesOptions {
  readonly directory: Pick<TenantDirectory, 'getAccess' | 'onChanged' | 'onFlush'>;
  /** Connections of this process in all; never exceeded. */
  readonly budget: number;
  /** Connections of one tenant in this process, both roles together. */
  readonly perTenantMax: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  /** Longest wait for a connection; then FH_DB_BUSY. */
  readonly waitTimeoutMs: number;
  /** Idle connections are closed after this. Default 300,000. */
  readonly idleTimeoutMs?: number;
  /** How long a commit may wait until every region holds it (recovery point zero); then FH_DB_NOT_IN_REGIONS. Default 15,000. */
  readonly confirmWithinMs?: number;
  /** How long work that is under way may go on after a change of a tenant that stays open, on the connections that it has. Default 0: it is interrupted. */
  readonly settleMs?: number;
  /** Shown in pg_stat_activity. Default: `freehold gateway`. */
  readonly applicationName?: string;
  readonly log: Log;
  readonly clock?: Clock;
}

/** The gateway's door to tenants' data. Nothing of a tenant is kept but its open connections. */
export function createTenantDatabases(options: TenantDatabasesOptions): TenantDatabases {
  const { directory, log, clock = systemClock } = options;
  const pool = createLeasePool({
    budget: options.budget,
    perTenantMax: options.perTenantMax,
    waitTimeoutMs: options.waitTimeoutMs,
    idleTimeoutMs: options.idleTimeoutMs ?? 300_000,
    clock,
    log,
    open: (tenantId, role) => openTenantConnection(options, tenantId, role),
  });
  const { confirmWithinMs } = options;
  const deps = {
    pool,
    planStatement: createStatementTable(),
    ...(confirmWithinMs !== undefined && { confirmWithinMs }),
  };
  const { settleMs = 0 } = options;
  const isOpen = (tenantId: TenantId) =>
    directory.getAccess(tenantId).then(
      () => true,
      () => false,
    );
  directory.onChanged((tenantId) => pool.evict(tenantId, settleMs > 0 ? { isOpen, settleMs } : undefined));
  directory.onFlush(() => pool.retireAll());
  return {
    app: createTenantDatabase('app', deps),
    platform: createTenantDatabase('platform', deps),
    evict: pool.evict,
    stats: pool.stats,
    stop: pool.stop,
  };
}

async function openTenantConnection(
  options: TenantDatabasesOptions,
  tenantId: TenantId,
  role: TenantRole,
): Promise<Pick<Place, 'connection' | 'beforeCommit'>> {
  // Asked each time: the directory may cache, but a connection is never made from an access that we kept ourselves.
  const access = await options.directory.getAccess(tenantId);
  if (access.tenantId !== tenantId) throw databaseErrors.FH_DB_WRONG_DATABASE();
  const { host, port, tls, ca, name } = access.database;
  const { user, password } = access[role];
  const connection = await openConnection(
    { host, port, tls, ca, database: name, user, password },
    {
      applicationName: options.applicationName ?? 'freehold gateway',
      pipeline: true,
      connectTimeoutMs: options.waitTimeoutMs,
      // The roles have the first two as well; said again here, because a role may change its own defaults.
      options: {
        default_transaction_read_only: 'on',
        search_path: role === 'app' ? 'app' : 'freehold',
        statement_timeout: String(options.statementTimeoutMs),
        lock_timeout: String(options.lockTimeoutMs),
        // A lease that forgot its transaction; a killed gateway's sockets are closed by the system at once.
        idle_in_transaction_session_timeout: '60000',
      },
    },
  );
  const [row] = await connection.query<SessionFacts>(describeSessionSql).catch(async (error) => {
    await connection.close();
    throw error;
  });
  if (row?.database !== name || row.user !== user || row.readOnly !== 'on') {
    await connection.close();
    throw databaseErrors.FH_DB_WRONG_DATABASE();
  }
  return { connection, beforeCommit: row.waits ? waitingCommit : [] };
}
