import { type TenantId, waitFor } from '#src/kernel/index.ts';
import {
  CommitUncertainError,
  CommitUnconfirmedError,
  commit,
  type QueryResult,
  type Row,
  sqlState,
} from '#src/postgres/index.ts';
import { describeCondition } from './conditions.ts';
import { databaseErrors } from './errors.ts';
import type { LeasePool, Place, TenantRole } from './places.ts';
import type { StatementPlan } from './statements.ts';
import type { LeaseGuard, LeaseOptions, ReadOptions, TenantDatabase, TenantDb } from './types.ts';

export interface LeaseDeps {
  readonly pool: LeasePool;
  readonly planStatement: (text: string) => StatementPlan;
  /** As for `commit`. */
  readonly confirmWithinMs?: number;
}

const defaultTimeoutMs = 30_000;
/** Prepared statements per connection; further texts run without one. */
const statementNamesMax = 100;

export function createTenantDatabase(role: TenantRole, deps: LeaseDeps): TenantDatabase {
  return {
    read: (tenantId, fn, options) => runLease(deps, { tenantId, role, writes: false }, fn, options),
    transact: (tenantId, fn, options?: LeaseOptions) => runLease(deps, { tenantId, role, writes: true }, fn, options),
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
  { pool, planStatement, confirmWithinMs }: LeaseDeps,
  { tenantId, role, writes }: LeaseKind,
  fn: (db: TenantDb) => Promise<T>,
  { signal, timeoutMs = defaultTimeoutMs, guard }: ReadOptions = {},
): Promise<T> {
  if (signal?.aborted) throw databaseErrors.FH_DB_CANCELLED({ cause: signal.reason });
  const place = await pool.acquire(tenantId, role, signal);
  const lease = new Lease(tenantId, place, writes, planStatement, guard, confirmWithinMs);
  const onAbort = () => lease.interrupt(databaseErrors.FH_DB_CANCELLED({ cause: signal?.reason }));
  const timer = setTimeout(() => lease.interrupt(databaseErrors.FH_DB_TIMEOUT()), timeoutMs);
  signal?.addEventListener('abort', onAbort);
  place.interrupt = (error) => lease.interrupt(error);
  try {
    // It may have been aborted while it waited for its turn.
    if (signal?.aborted) onAbort();
    return await lease.run(fn);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    pool.release(place, await lease.end());
  }
}

/** What a callback holds of a place. */
class Lease implements TenantDb {
  readonly tenantId: TenantId;
  readonly #place: Place;
  readonly #writes: boolean;
  readonly #planStatement: LeaseDeps['planStatement'];
  #phase: 'open' | 'committing' | 'ended' = 'open';
  #interruption: Error | undefined;
  /** Rejects what `run` waits for. */
  #onInterrupt: ((error: Error) => void) | undefined;
  /** Driver and server may disagree about the session: nobody else gets it. */
  #doubtful = false;
  #begun: Promise<unknown> | undefined;
  #committed = false;
  readonly #guard: LeaseGuard | undefined;
  readonly #confirmWithinMs: number | undefined;
  /** Asked together with the first statement, or alone. Rejects when the guard does not accept. */
  #asked: Promise<unknown> | undefined;
  #accepted: boolean;
  #running = 0;
  #onIdle: (() => void) | undefined;

  constructor(
    tenantId: TenantId,
    place: Place,
    writes: boolean,
    planStatement: LeaseDeps['planStatement'],
    guard: LeaseGuard | undefined,
    confirmWithinMs: number | undefined,
  ) {
    this.#confirmWithinMs = confirmWithinMs;
    this.tenantId = tenantId;
    this.#place = place;
    this.#writes = writes;
    this.#planStatement = planStatement;
    this.#guard = guard;
    this.#accepted = guard === undefined;
  }

  async query<R = Row>(text: string, values?: readonly unknown[]): Promise<R[]> {
    if (this.#interruption) throw this.#interruption;
    if (this.#phase !== 'open') throw databaseErrors.FH_DB_LEASE_ENDED();
    const { connection } = this.#place;
    const plan = this.#planStatement(text);
    if (plan.mayCommit && !this.#writes)
      throw databaseErrors.FH_DB_STATEMENT_REFUSED({ detail: 'DO and CALL belong into transact' });
    if (plan.leavesTraces) this.#doubtful = true;
    if (this.#writes && !this.#begun) {
      this.#begun = connection.run('BEGIN READ WRITE');
      this.#begun.catch(() => {
        this.#doubtful = true;
      });
    }
    const name = usableName(this.#place, plan);
    const statement = this.#send<R>(text, values, name);
    this.#running++;
    try {
      if (this.#begun) {
        statement.catch(() => {});
        await this.#begun;
      }
      const { rows } = await statement;
      // Sent after the guard, so answered after it; but whatever the order, it decides.
      if (!this.#accepted) await this.#asked;
      if (this.#interruption) throw this.#interruption;
      return rows;
    } catch (error) {
      const state = sqlState(error);
      // Not from the server: the value could not be sent, or the connection broke. 26000 and 0A000: a prepared statement is not what
      // it was, after DDL. 57P, 08: the server is ending the session.
      if (error !== this.#interruption && (state === undefined || /^(26000|0A000|57P|08)/.test(state)))
        this.#doubtful = true;
      if (state === '0A000' && !this.#writes && !this.#interruption) {
        if (!this.#accepted) await this.#askAlone();
        if (name) return (await connection.run<R>(text, values)).rows;
      }
      // Made in the socket's callback, its trace says nothing; from here it names who asked.
      if (state !== undefined) Error.captureStackTrace(error as Error);
      throw this.#interruption ?? describeCondition(error);
    } finally {
      // A statement behind a BEGIN that failed may still be under way; the connection is given up in that case.
      if (--this.#running === 0) this.#onIdle?.();
    }
  }

  #send<R>(text: string, values: readonly unknown[] | undefined, name: string | undefined): Promise<QueryResult<R>> {
    const { connection } = this.#place;
    if (!this.#guard || this.#asked) return connection.run<R>(text, values, name);
    const { text: question, values: asked } = this.#guard;
    const guard = {
      text: question,
      values: asked,
      name: usableName(this.#place, this.#planStatement(question)),
      accept: (rows: readonly Row[]) => this.#accept(rows),
    };
    const statement = connection.runBehind<R>(guard, text, values, name);
    this.#asked = statement;
    return statement;
  }

  /** The guard without a statement behind it and without a prepared statement. */
  async #askAlone(): Promise<void> {
    const { text, values } = this.#guard!;
    this.#running++;
    try {
      const { rows } = await this.#place.connection.run(text, values);
      this.#accept(rows);
    } finally {
      if (--this.#running === 0) this.#onIdle?.();
    }
  }

  #accept(rows: readonly Row[]): void {
    try {
      this.#guard!.accept(rows);
      this.#accepted = true;
    } catch (error) {
      this.interrupt(error as Error);
      throw error;
    }
  }

  /** Runs the callback and, if it wrote, commits. Statements that nobody waited for belong to it all the same. */
  async run<T>(fn: (db: TenantDb) => Promise<T>): Promise<T> {
    try {
      const result = await new Promise<T>((resolve, reject) => {
        this.#onInterrupt = reject;
        if (this.#interruption) reject(this.#interruption);
        else this.#work(fn).then(resolve, reject);
      });
      if (this.#interruption) throw this.#interruption;
      this.#phase = 'committing';
      if (this.#begun) {
        // A request to cancel that came too late must not meet the next lease.
        if (!(await commitLease(this.#place, this.#confirmWithinMs))) this.#doubtful = true;
        this.#committed = true;
      }
      return result;
    } catch (error) {
      if (error instanceof CommitUncertainError) this.#doubtful = true;
      if (error instanceof CommitUnconfirmedError) {
        // A request to cancel may still be on its way to the session.
        this.#doubtful = true;
        throw databaseErrors.FH_DB_NOT_IN_REGIONS({ cause: error });
      }
      throw describeCondition(error);
    }
  }

  async #work<T>(fn: (db: TenantDb) => Promise<T>): Promise<T> {
    const working = fn(this);
    if (this.#accepted) {
      const result = await working;
      while (this.#running > 0) await this.#idle();
      return result;
    }
    // The guard does not wait for a first statement that does not come at once.
    this.#asked ??= this.#askAlone();
    this.#asked.catch(() => {});
    try {
      return await working;
    } finally {
      while (this.#running > 0) await this.#idle();
      // Nothing is heard of the callback before, not even that it threw.
      if (!this.#accepted) await this.#asked;
    }
  }

  #idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  interrupt(error: Error): void {
    // A COMMIT that is under way is not disturbed: its outcome must be known.
    if (this.#phase !== 'open') return;
    this.#phase = 'ended';
    this.#interruption = error;
    this.#onInterrupt?.(error);
  }

  /** Nothing of the lease runs in the server afterwards. @returns whether somebody else may have the connection */
  async end(): Promise<boolean> {
    this.#phase = 'ended';
    const { connection } = this.#place;
    if (this.#interruption && !(await cancelRunning(this.#place, () => this.#running))) this.#doubtful = true;
    // Also after an interrupted read: it takes in a cancel request that the server received late.
    if ((this.#begun && !this.#committed) || this.#interruption) {
      await connection.run('ROLLBACK').catch(() => {
        this.#doubtful = true;
      });
    }
    return !this.#doubtful && isClean(this.#place);
  }
}

/** @returns as `commit` */
async function commitLease(place: Place, confirmWithinMs: number | undefined): Promise<boolean> {
  try {
    return await commit(place.connection, {
      ahead: place.beforeCommit,
      ...(confirmWithinMs !== undefined && { confirmWithinMs }),
    });
  } catch (error) {
    const isKnown = error instanceof CommitUncertainError || error instanceof CommitUnconfirmedError;
    if (sqlState(error) !== undefined || isKnown) throw error;
    // The server turned COMMIT into ROLLBACK: the callback had swallowed a statement's error.
    throw databaseErrors.FH_DB_ROLLED_BACK({ cause: error });
  }
}

/** Cancels until nothing runs any more; false when the server does not react, or when a request may still be on its way. */
async function cancelRunning({ connection }: Place, running: () => number): Promise<boolean> {
  let isCertain = true;
  // Each request ends one statement, and several may have been sent; one that overtakes its statement ends none.
  for (let attempt = 0; running() > 0 && attempt < 50; attempt++) {
    const before = running();
    await connection.cancel().catch(() => {
      isCertain = false;
    });
    await waitFor('the cancelled statement to end', () => running() < before, { deadlineMs: 100, everyMs: 2 }).catch(
      () => {},
    );
  }
  return isCertain && running() === 0;
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
