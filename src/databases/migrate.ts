import { failpoint, retry } from '#src/kernel/index.ts';
import {
  type Connection,
  type ConnectionTarget,
  commit,
  isRetryable,
  openConnection,
  quoteIdentifier,
  sqlState,
} from '#src/postgres/index.ts';
import { databaseErrors } from './errors.ts';
import { type MigrationFile, readMigrations } from './migration-files.ts';

/** How long a migration waits for locks, and how often it tries. */
export interface MigratePatience {
  /** Wait for a lock behind others' work before the file is rolled back and tried again. Default 3,000. */
  readonly lockTimeoutMs?: number;
  /** Tries per file. Default 8. */
  readonly attempts?: number;
}

export interface MigrateOptions extends MigratePatience {
  /** Must exist. Statements run with it as the search path, and the ledger `schema_migrations` lies in it. */
  readonly schema: string;
  /** Folder of `NNNN_title.sql`, or what readMigrations gave. */
  readonly folder: string | URL | readonly MigrationFile[];
  /** Role to become before the first statement; default: the one that logs in. */
  readonly role?: string;
}

export interface MigrateResult {
  /** Number of the last migration before and after; 0: none. */
  readonly from: number;
  readonly to: number;
  /** Names of those run now. */
  readonly applied: readonly string[];
}

/** Two runners on one schema wait for each other: the lock's second key is the schema, the first is ours. */
const advisoryLockClass = 0x46484d47;

/**
 * Brings one schema forward. Each file is one transaction together with its line in the ledger, so a kill at any moment leaves it
 * run or not run. A file that differs from what was run, or a ledger that knows more files than we do, stops everything.
 */
export async function migrate(target: ConnectionTarget, options: MigrateOptions): Promise<MigrateResult> {
  const { schema, folder, role, lockTimeoutMs = 3_000, attempts = 8 } = options;
  const files = Array.isArray(folder)
    ? (folder as readonly MigrationFile[])
    : await readMigrations(folder as string | URL);
  const patience = { attempts, firstDelayMs: 50, maxDelayMs: 5_000, isRetryable };
  const connection = await retry(patience, () =>
    openConnection(target, {
      applicationName: 'freehold migrate',
      options: {
        search_path: quoteIdentifier(schema),
        default_transaction_read_only: 'off',
        // A migration that is lost is made again: it waits for no region, also where the tenant's own commits do.
        synchronous_commit: 'local',
        lock_timeout: String(lockTimeoutMs),
        statement_timeout: '0',
        idle_in_transaction_session_timeout: '0',
        ...(role && { role }),
      },
    }),
  );
  try {
    await retry(patience, () =>
      connection.query('SELECT pg_advisory_lock($1, hashtext($2))', [advisoryLockClass, schema]),
    );
    const applied = await readLedger(connection, schema);
    const from = compare(files, applied);
    const pending = files.slice(from);
    for (const file of pending) {
      await retry(patience, () => applyFile(connection, file)).catch((error) => {
        throw describe(file, error);
      });
      await failpoint('databases.migrate.after_commit');
    }
    return { from, to: files.length, applied: pending.map((file) => file.name) };
  } finally {
    // Ends the advisory lock with it.
    await connection.close();
  }
}

interface LedgerRow {
  readonly position: number;
  readonly name: string;
  readonly checksum: string;
}

async function readLedger(connection: Connection, schema: string): Promise<LedgerRow[]> {
  const [ledger] = await connection.query('SELECT to_regclass($1) IS NOT NULL AS exists', [
    `${quoteIdentifier(schema)}.schema_migrations`,
  ]);
  if (!ledger!.exists) {
    await connection.query(`CREATE TABLE schema_migrations (
      position    integer PRIMARY KEY,
      name        text NOT NULL,
      checksum    text NOT NULL,
      applied_at  timestamptz NOT NULL DEFAULT clock_timestamp()
    )`);
    return [];
  }
  return connection.query<LedgerRow>('SELECT position, name, checksum FROM schema_migrations ORDER BY position');
}

/** @returns how many files are already there */
function compare(files: readonly MigrationFile[], applied: readonly LedgerRow[]): number {
  for (const [index, row] of applied.entries()) {
    const file = files[index];
    if (!file || row.position !== index + 1) throw databaseErrors.FH_DB_MIGRATION_UNKNOWN({ detail: row.name });
    if (row.checksum !== file.checksum || row.name !== file.name) {
      throw databaseErrors.FH_DB_MIGRATION_CHANGED({ detail: `${file.name}.sql (it was run as ${row.name})` });
    }
  }
  return applied.length;
}

async function applyFile(connection: Connection, file: MigrationFile): Promise<void> {
  await connection.run('BEGIN');
  try {
    await connection.script(file.sql);
    if (connection.transactionStatus() !== 'T') {
      throw databaseErrors.FH_DB_MIGRATION_INVALID({ detail: `${file.name}.sql: it ended its transaction` });
    }
    await connection.query('INSERT INTO schema_migrations (position, name, checksum) VALUES ($1, $2, $3)', [
      file.position,
      file.name,
      file.checksum,
    ]);
    await failpoint('databases.migrate.before_commit');
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => connection.close());
    throw error;
  }
  await commit(connection);
}

function describe(file: MigrationFile, error: unknown): unknown {
  const state = sqlState(error);
  if (state === undefined) return error;
  // Class 42 speaks of the statement; the messages of other classes may quote the tenant's rows and stay in the cause.
  const message = state.startsWith('42') ? ` ${(error as Error).message}` : '';
  return databaseErrors.FH_DB_MIGRATION_FAILED({ detail: `${file.name}.sql: ${state}${message}`, cause: error });
}
