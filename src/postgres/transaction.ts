import { retry } from '#src/kernel/index.ts';
import { CommitUncertainError, CommitUnconfirmedError, isRetryable, sqlState } from './sqlstate.ts';
import type { Connection, Queryable } from './types.ts';

/**
 * Runs `fn` inside a transaction of an idle connection: committed when it returns, rolled back when it throws.
 * Throws when the server turned COMMIT into ROLLBACK, because `fn` swallowed the error of a statement.
 * A connection whose rollback fails is closed.
 */
export async function runTransaction<T>(connection: Connection, fn: (tx: Queryable) => Promise<T>): Promise<T> {
  await connection.run('BEGIN');
  let result: T;
  try {
    result = await fn({ query: connection.query });
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => connection.close());
    throw error;
  }
  if (!(await commit(connection))) await connection.close();
  return result;
}

export interface CommitOptions {
  /** How long a commit may wait for those that must confirm it (recovery point zero). Default 15,000. */
  readonly confirmWithinMs?: number;
  /** Statements that go ahead of COMMIT, in one turn with it; when one fails, nothing is committed, and its error is thrown. */
  readonly ahead?: readonly string[];
}

const defaultConfirmMs = 15_000;
const cancelEveryMs = 1_000;
/** SQLSTATE in_failed_sql_transaction. */
const inFailedTransaction = '25P02';

/**
 * COMMIT that tells success from the three ways in which it quietly is none. Throws CommitUnconfirmedError when the primary has committed and whoever
 * must confirm it has not in time: the change is there, and may be lost with the primary. No statement timeout of the server ends that wait.
 * @returns whether the connection may go on. false: a request to cancel was sent and may still hit whatever runs on it next.
 */
export async function commit(
  connection: Connection,
  { confirmWithinMs = defaultConfirmMs, ahead = [] }: CommitOptions = {},
): Promise<boolean> {
  const before = connection.unconfirmedCommits();
  let cancelling: NodeJS.Timeout | undefined;
  let hasCancelled = false;
  const cancel = () => {
    hasCancelled = true;
    connection.cancel().catch(() => {});
    // One that comes before the wait begins ends nothing.
    cancelling = setTimeout(cancel, cancelEveryMs);
  };
  cancelling = setTimeout(cancel, confirmWithinMs);
  const prepared = Promise.all(ahead.map((text) => connection.run(text))).then(
    () => undefined,
    (error: unknown) => error,
  );
  let command: string;
  try {
    ({ command } = await connection.run('COMMIT'));
    if (connection.unconfirmedCommits() > before) throw new CommitUnconfirmedError();
  } catch (error) {
    if (error instanceof CommitUnconfirmedError) throw error;
    // A refusal by the server (a deferred constraint) is certain: nothing was committed. A lost connection is not.
    if (sqlState(error) !== undefined && !/^57P/.test(sqlState(error)!)) throw error;
    throw new CommitUncertainError(error);
  } finally {
    clearTimeout(cancelling);
  }
  if (command === 'COMMIT') return !hasCancelled;
  const refusal = await prepared;
  if (refusal !== undefined && sqlState(refusal) !== inFailedTransaction) throw refusal;
  throw new Error('the transaction was rolled back because one of its statements had failed');
}

export interface TransactionRunner {
  transaction<T>(fn: (tx: Queryable) => Promise<T>): Promise<T>;
}

/** A transaction that is run again, with jitter, when the server's SQLSTATE says that another try may succeed. `fn` must have no effects outside it. */
export function retryTransaction<T>(
  pool: TransactionRunner,
  fn: (tx: Queryable) => Promise<T>,
  { attempts = 5, signal }: { attempts?: number; signal?: AbortSignal } = {},
): Promise<T> {
  return retry({ attempts, firstDelayMs: 20, maxDelayMs: 1_000, isRetryable, signal }, () => pool.transaction(fn));
}
