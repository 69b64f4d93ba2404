import type { Clock, Log, TenantId } from '#src/kernel/index.ts';
import { type Loop, startLoop } from './loop.ts';
import type { ControlDatabase, DatabasesPort } from './ports.ts';
import { findTenantToMeasure, updateLastUsed, updateSize } from './sql.ts';

export interface TenantUsage {
  /** Gateways report which tenants were used since their last report; kept to the minute. */
  recordUse(tenantIds: readonly TenantId[]): Promise<void>;
  /** Measures sizes in the background. */
  start(): void;
  stop(): Promise<void>;
}

export interface TenantUsageDeps {
  readonly db: ControlDatabase;
  readonly databases: Pick<DatabasesPort, 'databaseSize'>;
  readonly clock: Clock;
  readonly log: Log;
  /** A tenant is measured at most this often, and only when it was used since. Default 300,000. */
  readonly measureEveryMs?: number;
}

/** Between two measurements: pg_database_size asks the file system for every file of a database. */
const betweenMs = 1_000;
const idleMs = 15_000;
const errorPauseMs = 30_000;

export function createTenantUsage(deps: TenantUsageDeps): TenantUsage {
  const { db, databases, clock, log, measureEveryMs = 300_000 } = deps;
  let loop: Loop | undefined;

  async function measureOne(): Promise<number> {
    const now = new Date(clock.now());
    const found = await findTenantToMeasure(db, new Date(clock.now() - measureEveryMs));
    if (!found) return idleMs;
    try {
      await updateSize(db, found.tenantId, await databases.databaseSize(found.databaseName), now);
    } catch (error) {
      // Marked as measured, so that one tenant that cannot be measured (it may just be going away) does not keep the others waiting.
      await updateSize(db, found.tenantId, null, now);
      throw error;
    }
    return betweenMs;
  }

  return {
    async recordUse(tenantIds) {
      if (tenantIds.length > 0) await updateLastUsed(db, tenantIds, new Date(clock.now()));
    },
    start() {
      loop ??= startLoop('measuring tenants', log, errorPauseMs, measureOne);
    },
    stop: async () => loop?.stop(),
  };
}
