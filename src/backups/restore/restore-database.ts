import { access } from 'node:fs/promises';
import path from 'node:path';
import { createScratchFolder, type RecoveredServer, type ScratchFolder } from '#src/clusters/index.ts';
import { type ConnectionTarget, openConnection } from '#src/postgres/index.ts';
import { restoreErrors } from './errors.ts';
import { type RestoreOptions, recoverPlan } from './recover.ts';

export interface RestoreDatabaseOptions extends RestoreOptions {
  /** Folder for the scratch server; what a killed process left in it is removed by `removeScratchFolders`. */
  readonly scratchParent: string;
  /** More databases of the backup whose files are needed, by oid: what the wanted one was cloned from after the backup. */
  readonly also?: readonly number[];
}

export interface RestoredDatabase {
  readonly oid: number;
  /** Its name at that moment. */
  readonly name: string;
  readonly server: RecoveredServer;
  /** The wanted database, as any role: all that existed at that moment are there, and no password is asked for. */
  connectionTarget(user: string): ConnectionTarget;
}

/**
 * One database as it was at the plan's target, for as long as `use` runs. Reads the shared files, those of databases without a tenant, and the
 * wanted ones, plus the WAL of all; folders of other databases are empty. The server is alone on a socket in a folder that only its user enters, and
 * everything it wrote, other tenants' rows that replay brought included, is removed before this resolves or rejects.
 * Errors: those of restoreFiles and startRecovery; FH_RESTORE_DATABASE_ABSENT, FH_RESTORE_DATABASE_INCOMPLETE; whatever `check` and `use` throw.
 */
export async function restoreDatabase<T>(
  options: RestoreDatabaseOptions,
  use: (restored: RestoredDatabase) => Promise<T>,
): Promise<T> {
  const { plan, also = [] } = options;
  const wanted = plan.database;
  if (!wanted) throw new TypeError('the plan is for a whole cluster');
  const folder = await createScratchFolder(options.scratchParent, options.osUser);
  try {
    const databases = [...new Set([...plan.databases.map(({ oid }) => oid), ...also])];
    const server = await recoverPlan(options, { folder, databases, durable: false });
    try {
      const found = await findDatabase(server, wanted);
      await requireFiles(folder, found.oid);
      const connectionTarget = (user: string) => server.connectionTarget(found.name, user);
      return await use({ ...found, server, connectionTarget });
    } finally {
      await server.stop();
    }
  } finally {
    await folder.remove();
  }
}

/** By its OID when that is known: it may have had another name then, and its name may have been another database's. */
async function findDatabase(server: RecoveredServer, wanted: { oid: number | undefined; name: string | undefined }) {
  const connection = await openConnection(server.connectionTarget('template1', 'postgres'), {
    applicationName: 'freehold restore',
  });
  try {
    const [found] = await connection.query<{ oid: number; name: string }>(
      'SELECT oid::int8::float8 AS oid, datname AS name FROM pg_database WHERE CASE WHEN $1::int8 IS NULL THEN datname = $2 ELSE oid::int8 = $1 END',
      [wanted.oid ?? null, wanted.name ?? null],
    );
    if (!found) throw restoreErrors.FH_RESTORE_DATABASE_ABSENT({ detail: wanted.name ?? `oid ${wanted.oid}` });
    // Prepared and half-made databases let nobody in; here nobody else can come.
    await connection.query(`UPDATE pg_database SET datallowconn = true WHERE oid::int8 = $1`, [found.oid]);
    return found;
  } finally {
    await connection.close();
  }
}

/** CREATE DATABASE … STRATEGY file_copy puts no file into the WAL, only "copy that folder", and the folder may have been left out (fault F32). */
async function requireFiles({ dataDir }: ScratchFolder, oid: number): Promise<void> {
  for (const name of ['PG_VERSION', 'pg_filenode.map']) {
    await access(path.join(dataDir, 'base', String(oid), name)).catch(() => {
      throw restoreErrors.FH_RESTORE_DATABASE_INCOMPLETE({ detail: `oid ${oid}` });
    });
  }
}
