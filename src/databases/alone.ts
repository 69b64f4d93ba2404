import { setTimeout as delay } from 'node:timers/promises';
import { retry } from '#src/kernel/index.ts';
import {
  type Connection,
  type ConnectionTarget,
  isRetryable,
  openConnection,
  type Queryable,
} from '#src/postgres/index.ts';

const patience = { attempts: 8, firstDelayMs: 50, maxDelayMs: 2_000, isRetryable };

export type HoldAlone = <T>(name: string, work: () => Promise<T>) => Promise<T>;

const lookEveryMs = 25;

/**
 * One migration, copy or look at a database at a time, also when two control processes of the installation overlap. One connection holds the
 * advisory locks of all, as long as there are any; when it is lost, migrations still wait for each other inside of the database.
 * @param control the control database, in which the locks are known
 */
export function createHoldAlone(control: ConnectionTarget): HoldAlone {
  /** Locks of one session do not see each other: who comes second in this process waits here. */
  const turns = new Map<string, Promise<unknown>>();
  let session: Promise<Connection> | undefined;
  let holders = 0;

  /** One statement at a time: a session runs no second one beside it. */
  let asked: Promise<unknown> = Promise.resolve();
  function ask<R>(connection: Connection, text: string, values: readonly unknown[] = []): Promise<R[]> {
    const answer = asked.then(() => connection.query<R>(text, values));
    asked = answer.catch(() => {});
    return answer;
  }

  // Not of the pool: all of it could be waiting here, with nothing left for who goes ahead.
  const connect = () => retry(patience, () => openConnection(control, { applicationName: 'freehold control locks' }));

  async function hold<T>(name: string, work: () => Promise<T>): Promise<T> {
    holders++;
    session ??= connect();
    const own = session;
    try {
      const lock = await own;
      const key = [`freehold database ${name}`];
      // Asked again and again: a session that waits could not let go of the others' locks.
      const take = () => ask<{ held: boolean }>(lock, 'SELECT pg_try_advisory_lock(hashtext($1)) AS held', key);
      while (!(await take())[0]!.held) await delay(lookEveryMs);
      try {
        return await work();
      } finally {
        await ask(lock, 'SELECT pg_advisory_unlock(hashtext($1))', key).catch(() => lock.close());
      }
    } catch (error) {
      // The next one gets another session.
      if (session === own && (await own.then(isGone, () => true))) session = undefined;
      throw error;
    } finally {
      holders--;
      if (holders === 0 && session === own) {
        session = undefined;
        await own.then((connection) => connection.close()).catch(() => {});
      }
    }
  }

  function isGone(connection: Connection): Promise<boolean> {
    return ask(connection, 'SELECT 1').then(
      () => false,
      () => true,
    );
  }

  return async (name, work) => {
    const before = turns.get(name);
    const turn = (async () => {
      await before?.catch(() => {});
      return hold(name, work);
    })();
    turns.set(name, turn);
    try {
      return await turn;
    } finally {
      if (turns.get(name) === turn) turns.delete(name);
    }
  };
}

/** Reads a tenant's database as control. What lies in the tenant's schemas is not found by its name, and nothing of it is run. */
export async function readCatalogues<T>(target: ConnectionTarget, read: (db: Queryable) => Promise<T>): Promise<T> {
  const connection = await retry(patience, () =>
    openConnection(target, {
      applicationName: 'freehold control',
      options: { search_path: 'pg_catalog', statement_timeout: '60000', lock_timeout: '1000' },
    }),
  );
  try {
    await connection.run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const result = await read(connection);
    await connection.run('COMMIT');
    return result;
  } finally {
    await connection.close();
  }
}
