import type { Queryable } from '#src/postgres/index.ts';

/** What a base backup must know of a server and cannot hear over the replication connection. */
export interface ClusterFacts {
  /** As text, since it is larger than a number holds. */
  readonly systemIdentifier: string;
  readonly serverVersion: string;
  readonly dataChecksums: boolean;
  readonly fullPageWrites: boolean;
}

/** As any role, on any database of the server. */
export async function readClusterFacts(db: Queryable): Promise<ClusterFacts> {
  const [row] = await db.query<ClusterFacts>(
    `SELECT system_identifier::text AS "systemIdentifier", current_setting('server_version') AS "serverVersion",
            current_setting('data_checksums') = 'on' AS "dataChecksums",
            current_setting('full_page_writes') = 'on' AS "fullPageWrites"
     FROM pg_control_system()`,
  );
  return row!;
}

/** Every database that is visible now. */
export async function readDatabases(db: Queryable): Promise<{ oid: number; name: string }[]> {
  return db.query('SELECT oid, datname AS name FROM pg_database ORDER BY oid');
}
