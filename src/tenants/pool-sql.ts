import type { Queryable } from '#src/postgres/index.ts';

export interface PreparedDatabase {
  readonly name: string;
  readonly app: string;
  readonly version: string;
}

export async function insertPrepared(db: Queryable, prepared: PreparedDatabase, now: Date): Promise<void> {
  await db.query(
    `INSERT INTO prepared_databases (database_name, app, template_version, state, made_at) VALUES ($1, $2, $3, 'making', $4)`,
    [prepared.name, prepared.app, prepared.version, now],
  );
}

export async function markPreparedReady(db: Queryable, name: string): Promise<void> {
  await db.query(`UPDATE prepared_databases SET state = 'ready' WHERE database_name = $1 AND state = 'making'`, [name]);
}

export async function deletePrepared(db: Queryable, name: string): Promise<void> {
  await db.query('DELETE FROM prepared_databases WHERE database_name = $1', [name]);
}

export async function selectPrepared(
  db: Queryable,
  states: readonly ('making' | 'ready' | 'dropping')[],
): Promise<PreparedDatabase[]> {
  return db.query<{ name: string; app: string; version: string }>(
    `SELECT database_name AS name, app, template_version AS version FROM prepared_databases
     WHERE state = ANY($1) ORDER BY made_at`,
    [states],
  );
}

/** The oldest ready one, taken by whoever deletes its row; those that another transaction is taking are passed over. */
export async function takePrepared(db: Queryable, app: string, version: string): Promise<string | undefined> {
  const rows = await db.query<{ database_name: string }>(
    `DELETE FROM prepared_databases WHERE database_name = (
       SELECT database_name FROM prepared_databases
       WHERE app = $1 AND template_version = $2 AND state = 'ready'
       ORDER BY made_at LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING database_name`,
    [app, version],
  );
  return rows[0]?.database_name;
}

/** Those made from an older template: nobody may take them any more, and they are to be dropped. */
export async function markOutdatedPrepared(db: Queryable, app: string, version: string): Promise<string[]> {
  const rows = await db.query<{ database_name: string }>(
    `UPDATE prepared_databases SET state = 'dropping' WHERE app = $1 AND template_version <> $2 AND state <> 'making'
     RETURNING database_name`,
    [app, version],
  );
  return rows.map((row) => row.database_name);
}
