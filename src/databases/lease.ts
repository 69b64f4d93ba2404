import { FreeholdError, type TenantId, waitFor } from '#src/kernel/index.ts';
import { CommitUncertainError, ConnectionLostError, commit, type Row, sqlState } from '#src/postgres/index.ts';
import { databaseErrors } from './errors.ts';
import type { LeasePool, Place, TenantRole } from './places.ts';
import type { StatementPlan } from './statements.ts';
import type { LeaseOptions, TenantDatabase, TenantDb } from './types.ts';

export interface LeaseDeps {
  readonly pool: LeasePool;
  readonly planStatement: (text: string) => StatementPlan;
}

const defaultTimeoutMs = 30_000;
/** Prepared statements per connection; further texts run without one. */
const statementNamesMax = 100;

export function createTenantDatabase(role: TenantRole, deps: LeaseDeps): TenantDatabase {
  return {
    read: (tenantId, fn, options) => runLease(deps, { tenantId, role, writes: false }, fn, options),
    transact: (tenantId, fn, options) => runLease(deps, { tenantId, role, writes: true }, fn, options),
  };
}

interface LeaseKind {
  readonly tenantId: TenantId;
  readonly role: TenantRole;
  readonly writes: boolean;
}

/**
 * Leases a connection for one callback. A read costs one round trip per statement and nothing else: no BEGIN, no reset. BEGIN of a
 * transaction travels together with its first statement; should BEGIN alone fail, that statement finds itself outside a transaction
 * and in a session that is read-only by default, so it can change nothing.
 *
 * Nothing is reset afterwards, because nothing can be left behind: statements about the session are refused, a text that might keep
 * something in the session costs its connection (statements.ts), and the transaction state and default_transaction_read_only, which
 * the server reports by itself, are looked at before a connection is given to anybody else.
 */
async function runLease<T>(
  { pool, planStatement }: LeaseDeps,
  { tenantId, role, writes }: LeaseKind,
  fn: (db: TenantDb) => Promise<T>,
  { signal, timeoutMs = defaultTimeoutMs }: LeaseOptions = {},
): Promise<T> {
  if (signal?.aborted) throw databaseErrors.FH_DB_CANCELLED({ cause: signal.reason });
  const place = await pool.acquire(tenantId, role, signal);
  const { connection } = place;
  const interrupted = Promise.withResolvers<never>();
  interrupted.promise.catch(() => {});
  const running = new Set<Promise<unknown>>();
  let phase: 'open' | 'committing' | 'ended' = 'open';
  let interruption: FreeholdError | undefined;
  let doubtful = false;
  let begun: Promise<unknown> | undefined;

  function interrupt(error: FreeholdError): void {
    // A COMMIT that is under way is not disturbed: its outcome must be known.
    if (phase !== 'open') return;
    phase = 'ended';
    interruption = error;
    interrupted.reject(error);
  }

  async function query<R = Row>(text: string, values?: readonly unknown[]): Promise<R[]> {
    if (interruption) throw interruption;
    if (phase !== 'open') throw databaseErrors.FH_DB_LEASE_ENDED();
    const plan = planStatement(text);
    if (plan.leavesTraces) doubtful = true;
    if (writes && !begun) {
      begun = connection.run('BEGIN READ WRITE');
      begun.catch(() => {
        doubtful = true;
      });
    }
    const name = usableName(place, plan);
    const statement = connection.run<R>(text, values, name);
    statement.catch(() => {});
    running.add(statement);
    try {
      await begun;
      return (await statement).rows;
    } catch (error) {
      const state = sqlState(error);
      // Not from the server: the value could not be sent, or the connection broke. 26000 and 0A000: a prepared statement is not what
      // it was, after DDL. 57P, 08: the server is ending the session. In each case driver and server may disagree about it.
      if (state === undefined || /^(26000|0A000|57P|08)/.test(state)) doubtful = true;
      if (state === '0A000' && name && !writes && !interruption) return (await connection.run<R>(text, values)).rows;
      throw interruption ?? describeError(error);
    } finally {
      running.delete(statement);
    }
  }

  const onAbort = () => interrupt(databaseErrors.FH_DB_CANCELLED({ cause: signal?.reason }));
  const timer = setTimeout(() => interrupt(databaseErrors.FH_DB_TIMEOUT()), timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  place.interrupt = interrupt;
  let committed = false;
  try {
    // It may have been aborted while it waited for its turn.
    if (signal?.aborted) onAbort();
    const work = async () => {
      const result = await fn({ tenantId, query });
      while (running.size > 0) await Promise.allSettled(running);
      return result;
    };
    const working = work();
    working.catch(() => {});
    const result = await Promise.race([working, interrupted.promise]);
    if (interruption) throw interruption;
    phase = 'committing';
    if (begun) {
      await commitLease(place);
      committed = true;
    }
    return result;
  } catch (error) {
    if (error instanceof CommitUncertainError) doubtful = true;
    throw describeError(error);
  } finally {
    phase = 'ended';
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    if (interruption && !(await cancelRunning(place, running))) doubtful = true;
    // Also after an interrupted read: it takes in a cancel request that the server received late.
    if ((begun && !committed) || interruption) {
      await connection.run('ROLLBACK').catch(() => {
        doubtful = true;
      });
    }
    pool.release(place, !doubtful && isClean(place));
  }
}

async function commitLease(place: Place): Promise<void> {
  try {
    await commit(place.connection);
  } catch (error) {
    if (sqlState(error) !== undefined || error instanceof CommitUncertainError) throw error;
    // The server turned COMMIT into ROLLBACK: the callback had swallowed a statement's error.
    throw databaseErrors.FH_DB_ROLLED_BACK({ cause: error });
  }
}

/** Cancels until nothing runs any more; false when the server does not react. */
async function cancelRunning({ connection }: Place, running: ReadonlySet<unknown>): Promise<boolean> {
  // Each request ends one statement, and several may have been sent; one that overtakes its statement ends none.
  for (let attempt = 0; running.size > 0 && attempt < 50; attempt++) {
    const before = running.size;
    await connection.cancel().catch(() => {});
    await waitFor('the cancelled statement to end', () => running.size < before, { deadlineMs: 100, everyMs: 2 }).catch(
      () => {},
    );
  }
  return running.size === 0;
}

function usableName(place: Place, { name }: StatementPlan): string | undefined {
  const names = place.statementNames;
  if (name === undefined || names.has(name)) return name;
  if (names.size >= statementNamesMax) return undefined;
  names.add(name);
  return name;
}

function isClean({ connection }: Place): boolean {
  return connection.transactionStatus() === 'I' && connection.reportedSetting('default_transaction_read_only') === 'on';
}

/** Conditions of the server and the connection get a code of ours; what the statement itself did wrong stays as the server said it. */
function describeError(error: unknown): unknown {
  if (error instanceof FreeholdError) return error;
  if (error instanceof CommitUncertainError) return databaseErrors.FH_DB_OUTCOME_UNKNOWN({ cause: error });
  const state = sqlState(error);
  if (state === '57014') return databaseErrors.FH_DB_TIMEOUT({ cause: error });
  if (state === '55P03') return databaseErrors.FH_DB_LOCK_TIMEOUT({ cause: error });
  if (state !== undefined) return /^(57P|08)/.test(state) ? databaseErrors.FH_DB_UNAVAILABLE({ cause: error }) : error;
  return error instanceof ConnectionLostError ? databaseErrors.FH_DB_UNAVAILABLE({ cause: error }) : error;
}
