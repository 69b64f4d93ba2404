import { retry } from '#src/kernel/index.ts';
import { type ConnectionTarget, isRetryable, openConnection, type Queryable } from '#src/postgres/index.ts';

const patience = { attempts: 8, firstDelayMs: 50, maxDelayMs: 2_000, isRetryable };

/**
 * One migration or copy of a database at a time, also when two control processes of the installation overlap.
 * @param control the control database, in which the lock is known
 */
export async function holdAlone<T>(control: ConnectionTarget, name: string, work: () => Promise<T>): Promise<T> {
  // Not of the pool: all of it could be waiting here, with nothing left for who goes ahead.
  const lock = await retry(patience, () => openConnection(control, { applicationName: 'freehold control' }));
  try {
    await lock.query('SELECT pg_advisory_lock(hashtext($1))', [`freehold database ${name}`]);
    return await work();
  } finally {
    await lock.close();
  }
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
