import { openConnection } from './connection.ts';
import { runTransaction, type TransactionRunner } from './transaction.ts';
import type { Connection, ConnectionTarget, Queryable } from './types.ts';

export interface Pool extends Queryable, TransactionRunner {
  /** Statements without values in one message and one transaction; the text must not say BEGIN or COMMIT itself. */
  script(text: string): Promise<void>;
  /** A connection of one's own for the callback, for example for session-level advisory locks; it is closed afterwards, not reused. */
  withConnection<T>(fn: (connection: Connection) => Promise<T>): Promise<T>;
  stats(): { readonly open: number; readonly idle: number; readonly waiting: number; readonly max: number };
  /** Refuses new work, waits for what runs, closes everything. */
  stop(): Promise<void>;
}

export interface PoolOptions {
  readonly max: number;
  readonly applicationName: string;
  readonly options?: Readonly<Record<string, string>>;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

/** Connections of one role to one database, for control's own. Opened when needed, at most `max`, first come first served. */
export function createPool(target: ConnectionTarget, { max, applicationName, options }: PoolOptions): Pool {
  if (!Number.isInteger(max) || max < 1) throw new TypeError(`max must be a positive integer, not ${max}`);
  const idle: Connection[] = [];
  const waiters: Waiter[] = [];
  /** Places taken: connections that are opening, in use, idle or closing. Never more than `max`. */
  let open = 0;
  let inUse = 0;
  let stopping = false;
  let onDrained: (() => void) | undefined;

  function freePlace(): void {
    open--;
    wakeOne();
  }
  function wakeOne(): void {
    waiters.shift()?.resolve();
    if (stopping && inUse === 0) onDrained?.();
  }
  async function take(): Promise<Connection> {
    if (stopping) throw new Error('the pool is stopped');
    let woken = false;
    while ((waiters.length > 0 && !woken) || (idle.length === 0 && open >= max)) {
      await new Promise<void>((resolve, reject) => waiters[woken ? 'unshift' : 'push']({ resolve, reject }));
      woken = true;
    }
    const reused = idle.pop();
    if (reused) return reused;
    open++;
    let connection: Connection;
    try {
      connection = await openConnection(target, { applicationName, options });
    } catch (error) {
      freePlace();
      throw error;
    }
    connection.onEnd(() => {
      const index = idle.indexOf(connection);
      if (index >= 0) idle.splice(index, 1);
      freePlace();
    });
    return connection;
  }
  async function use<T>(fn: (connection: Connection) => Promise<T>, reuse: boolean): Promise<T> {
    inUse++;
    let connection: Connection | undefined;
    let ended = false;
    try {
      connection = await take();
      connection.onEnd(() => {
        ended = true;
      });
      return await fn(connection);
    } finally {
      inUse--;
      if (connection && !ended) {
        if (reuse && !stopping && connection.transactionStatus() === 'I') idle.push(connection);
        else await connection.close();
      }
      wakeOne();
    }
  }

  return {
    query: (text, values) => use((connection) => connection.query(text, values), true),
    transaction: (fn) => use((connection) => runTransaction(connection, fn), true),
    script: (text) => use((connection) => connection.script(text), true),
    withConnection: (fn) => use(fn, false),
    stats: () => ({ open, idle: idle.length, waiting: waiters.length, max }),
    async stop() {
      stopping = true;
      for (const waiter of waiters.splice(0)) waiter.reject(new Error('the pool is stopped'));
      if (inUse > 0) await new Promise<void>((resolve) => (onDrained = resolve));
      await Promise.all(idle.splice(0).map((connection) => connection.close()));
    },
  };
}
