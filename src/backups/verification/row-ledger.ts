import type { ClusterId } from '#src/kernel/index.ts';
import { FreeholdError, failpoint } from '#src/kernel/index.ts';
import { type Connection, type Queryable, sqlState } from '#src/postgres/index.ts';
import { holdWriters, type LockableTable, letWritersGo, markPlace, selectLockableTables, takeSnapshot } from './sql.ts';
import type { LedgerSource, LedgerTenant, OnCheckProgress, RowLedger, RowReader } from './types.ts';

export interface RowLedgerOptions {
  readonly clusterId: ClusterId;
  /** The running control database. */
  readonly control: Queryable;
  /** The sample; so many sessions are open at once. */
  readonly sources: readonly LedgerSource[];
  readonly rows: RowReader;
  /** Longest time that a tenant's writers are waited for, and others wait behind us. Default 200. */
  readonly waitMs?: number;
  readonly now: () => Date;
  readonly signal?: AbortSignal;
  onProgress?: OnCheckProgress;
}

interface Held {
  readonly source: LedgerSource;
  readonly connection: Connection;
  readonly tables: readonly LockableTable[];
}

/** lock_not_available, deadlock_detected, query_canceled; a database that is gone, closed or being changed. */
const busyStates = new Set(['55P03', '40P01', '57014', '3D000', '57P01', '57P03', '42501', '28000', '28P01', '42P01']);

/**
 * What the tenants hold at one place in the WAL. For as long as it takes to take a snapshot in each database, some milliseconds, their writers wait;
 * then rows are read in the snapshots while everybody goes on. So every row that is counted was committed before the place, and no other was:
 * a lock that writers hold until they are visible, and not the server's order of events, says so.
 */
export async function takeRowLedger(options: RowLedgerOptions): Promise<RowLedger> {
  const { clusterId, control, sources, rows, waitMs = 200, onProgress, signal } = options;
  const attempts = await Promise.allSettled(sources.map((source) => hold(source, waitMs)));
  const held = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' && attempt.value ? [attempt.value] : []));
  try {
    // Looked at only here, where the others' writers are let go whatever happens.
    const failed = attempts.find((attempt) => attempt.status === 'rejected');
    if (failed) throw failed.reason;
    const place = await markPlace(control);
    const takenAt = options.now().toISOString();
    await Promise.all(held.map(({ connection }) => letWritersGo(connection)));
    await failpoint('backups.verification.ledger_marked');
    const tenants: LedgerTenant[] = [];
    for (const [index, { source, connection, tables }] of held.entries()) {
      signal?.throwIfAborted();
      onProgress?.({ fraction: index / held.length, text: `counting the rows of ${source.name}` });
      const { tenantId, name, database, oid } = source;
      const left = new Set(tables.filter((table) => table.isUnlogged).map((table) => `${table.schema}.${table.table}`));
      const content = await rows.contentOf(connection);
      await connection.close();
      tenants.push({ tenantId, name, database, oid, tables: content.tables.filter((table) => !left.has(table.name)) });
    }
    const busy = sources.filter(({ tenantId }) => !tenants.some((tenant) => tenant.tenantId === tenantId));
    const { lsn, timeline, canaryId, canaries } = place;
    return {
      format: 1,
      clusterId,
      timeline,
      lsn,
      takenAt,
      canaryId,
      canaries,
      tenants,
      busy: busy.map(({ tenantId }) => tenantId),
    };
  } finally {
    await Promise.all(held.map(({ connection }) => connection.close()));
  }
}

/** undefined: busy, or no longer there. */
async function hold(source: LedgerSource, waitMs: number): Promise<Held | undefined> {
  let connection: Connection | undefined;
  try {
    connection = await source.open();
    const tables = await selectLockableTables(connection);
    await holdWriters(connection, tables, waitMs);
    await takeSnapshot(connection);
    const now = await selectLockableTables(connection);
    // Made between the first look and the lock: its writers were not held.
    if (JSON.stringify(now) === JSON.stringify(tables)) return { source, connection, tables };
  } catch (error) {
    if (!(error instanceof FreeholdError) && !busyStates.has(sqlState(error) ?? '')) {
      await connection?.close();
      throw error;
    }
  }
  await connection?.close();
  return undefined;
}
