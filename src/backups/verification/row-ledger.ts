import type { ClusterId } from '#src/kernel/index.ts';
import { FreeholdError, failpoint, type Log } from '#src/kernel/index.ts';
import { type Connection, type Queryable, sqlState } from '#src/postgres/index.ts';
import {
  holdWriters,
  type LockableTable,
  letWritersGo,
  markPlace,
  selectLockableTables,
  selectUnsafeSettings,
  takeSnapshot,
} from './sql.ts';
import type { LedgerSource, LedgerTenant, OnCheckProgress, RowLedger, RowReader, UnreadTenant } from './types.ts';

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
  readonly log: Log;
  readonly signal?: AbortSignal;
  onProgress?: OnCheckProgress;
}

interface Held {
  readonly source: LedgerSource;
  readonly connection: Connection;
  readonly tables: readonly LockableTable[];
}

/** lock_not_available, deadlock_detected, query_canceled, undefined_table: somebody else works on the tables. */
const heldByOthers = new Set(['55P03', '40P01', '57014', '42P01']);
/** A database that is gone, closed or being changed; a server that has no session left. */
const closedJustNow = new Set(['3D000', '57P01', '57P03', '42501', '28000', '28P01', '53300']);

/**
 * What the tenants hold at one place in the WAL. For as long as it takes to take a snapshot in each database, some milliseconds, their writers wait;
 * then rows are read in the snapshots while everybody goes on. So every row that is counted was committed before the place, and no other was:
 * a lock that writers hold until they are visible, and not the server's order of events, says so. A tenant that cannot be had is left out and told
 * of, whatever the cause, and keeps nobody else from being compared. Rejects when it was aborted or the control database fails.
 */
export async function takeRowLedger(options: RowLedgerOptions): Promise<RowLedger> {
  const { clusterId, control, sources, rows, waitMs = 200, onProgress, signal } = options;
  const leftOut = noteLeftOut(options.log, signal);
  const unsafeSettings = await selectUnsafeSettings(control);
  const attempts = await Promise.all(sources.map((source) => hold(source, waitMs, leftOut.note)));
  const held = attempts.filter((attempt) => attempt !== undefined);
  try {
    const place = await markPlace(control);
    const takenAt = options.now().toISOString();
    // Whose session was lost before, held nobody at the place.
    const still = await Promise.all(held.map((each) => letGo(each, leftOut.note)));
    await failpoint('backups.verification.ledger_marked');
    const readable = held.filter((_, index) => still[index]);
    const tenants: LedgerTenant[] = [];
    for (const [index, each] of readable.entries()) {
      signal?.throwIfAborted();
      onProgress?.({ fraction: index / readable.length, text: `counting the rows of ${each.source.name}` });
      const tenant = await read(each, rows, leftOut.note);
      if (tenant) tenants.push(tenant);
    }
    signal?.throwIfAborted();
    const { lsn, timeline, canaryId, canaries } = place;
    const { busy, unread } = leftOut;
    return { format: 1, clusterId, timeline, lsn, takenAt, canaryId, canaries, tenants, busy, unread, unsafeSettings };
  } finally {
    await Promise.all(held.map(({ connection }) => connection.close()));
  }
}

type Note = (source: LedgerSource, error?: unknown) => void;

/** Says in the log why a tenant is left out, and keeps apart who is busy and who cannot be read. */
function noteLeftOut(log: Log, signal: AbortSignal | undefined) {
  const busy: RowLedger['busy'][number][] = [];
  const unread: UnreadTenant[] = [];
  const note: Note = ({ tenantId, name }, error) => {
    // Then everything fails, and says nothing about anybody.
    if (signal?.aborted) return;
    const state = sqlState(error) ?? '';
    const fields = { tenantId, ...(error !== undefined && { error }) };
    if (error === undefined || heldByOthers.has(state)) {
      log.info('a tenant could not be held still for a moment, and is not compared', fields);
      busy.push(tenantId);
    } else if (closedJustNow.has(state)) {
      log.warn('a tenant could not be read just now, and is not compared', fields);
      busy.push(tenantId);
    } else {
      log.error('a tenant of the running installation cannot be read', fields);
      const { message } = error as Error;
      const text = error instanceof FreeholdError || !state ? message : `${message} (SQLSTATE ${state})`;
      unread.push({ tenantId, name, text });
    }
  };
  return { busy, unread, note };
}

async function hold(source: LedgerSource, waitMs: number, leaveOut: Note): Promise<Held | undefined> {
  let connection: Connection | undefined;
  let failure: unknown;
  try {
    connection = await source.open();
    const tables = await selectLockableTables(connection);
    await holdWriters(connection, tables, waitMs);
    await takeSnapshot(connection);
    // Made between the first look and the lock: its writers were not held.
    if (await areTheSame(connection, tables)) return { source, connection, tables };
  } catch (error) {
    failure = error;
  }
  leaveOut(source, failure);
  await connection?.close();
  return undefined;
}

async function letGo({ source, connection }: Held, leaveOut: Note): Promise<boolean> {
  try {
    await letWritersGo(connection);
    return true;
  } catch (error) {
    leaveOut(source, error);
    await connection.close();
    return false;
  }
}

async function read({ source, connection, tables }: Held, rows: RowReader, leaveOut: Note) {
  const { tenantId, name, database, oid } = source;
  const unlogged = new Set(tables.filter((table) => table.isUnlogged).map((table) => `${table.schema}.${table.table}`));
  let failure: unknown;
  try {
    const content = await rows.contentOf(connection);
    // What was emptied or written anew since is empty for an older snapshot too (PostgreSQL manual, "Caveats" of MVCC). Reading has locked each
    // table, so none of it came later than its rows were read.
    if (await areTheSame(connection, tables))
      return { tenantId, name, database, oid, tables: content.tables.filter((table) => !unlogged.has(table.name)) };
  } catch (error) {
    failure = error;
  } finally {
    await connection.close();
  }
  leaveOut(source, failure);
  return undefined;
}

async function areTheSame(db: Queryable, tables: readonly LockableTable[]): Promise<boolean> {
  return JSON.stringify(await selectLockableTables(db)) === JSON.stringify(tables);
}
