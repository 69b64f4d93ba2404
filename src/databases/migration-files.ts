import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { databaseErrors } from './errors.ts';
import { nameOfDigest } from './names.ts';

export interface MigrationFile {
  /** From the file name, counted from 1. */
  readonly position: number;
  /** File name without `.sql`. */
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the text, hex. */
  readonly checksum: string;
}

/** A folder of `NNNN_title.sql`, or what readMigrations gave. */
export type MigrationSource = string | URL | readonly MigrationFile[];

/** Sources, one per schema of a tenant's database. */
export interface MigrationFolders {
  /** Schema `freehold`, run as the platform role, first. */
  readonly platform: MigrationSource;
  /** Schema `app`, run as the app role. undefined: the app runs as a process (kind `process`) and makes what it needs itself. */
  readonly app: MigrationSource | undefined;
}

/** Statements that PostgreSQL refuses in a transaction block (manual: CREATE INDEX, REINDEX, VACUUM). */
const outsideTransactions =
  /(?:^|;)\s*(?:(?:CREATE(?:\s+UNIQUE)?|DROP)\s+INDEX\s+CONCURRENTLY|REINDEX\b[^;]*\bCONCURRENTLY|VACUUM)\b/i;

/** Reads a folder in order; throws FH_DB_MIGRATION_INVALID on gaps, duplicates, foreign files and transaction control. */
export async function readMigrations(folder: MigrationSource): Promise<readonly MigrationFile[]> {
  if (Array.isArray(folder)) return folder as readonly MigrationFile[];
  if (typeof folder !== 'string' && !(folder instanceof URL)) throw new TypeError('not a folder');
  const root = typeof folder === 'string' ? folder : fileURLToPath(folder);
  const names = (await readdir(root)).filter((name) => name.endsWith('.sql')).sort();
  const files: MigrationFile[] = [];
  for (const [index, fileName] of names.entries()) {
    const match = /^(\d{4})_[a-z0-9_]+\.sql$/.exec(fileName);
    if (!match) throw databaseErrors.FH_DB_MIGRATION_INVALID({ detail: `${fileName}: the name does not fit` });
    if (Number(match[1]) !== index + 1) {
      throw databaseErrors.FH_DB_MIGRATION_INVALID({ detail: `${fileName}: number ${index + 1} was expected here` });
    }
    const sql = await readFile(path.join(root, fileName), 'utf8');
    // Also looked at after the run; this finds it before anything has happened.
    if (/^\s*(BEGIN|COMMIT|ROLLBACK|START\s+TRANSACTION)\b[^;\n]*;/im.test(sql)) {
      throw databaseErrors.FH_DB_MIGRATION_INVALID({ detail: `${fileName}: it begins or ends a transaction` });
    }
    const outside = outsideTransactions.exec(sql.replace(/--[^\n]*/g, ''));
    if (outside) {
      const statement = outside[0].trim().replace(/\s+/g, ' ');
      throw databaseErrors.FH_DB_MIGRATION_INVALID({
        detail: `${fileName}: ${statement} runs only outside a transaction, so a kill would leave it half done`,
        hint: 'Leave CONCURRENTLY out: a file waits for its locks in short tries and holds up one tenant at a time.',
      });
    }
    const checksum = createHash('sha256').update(sql).digest('hex');
    files.push({ position: index + 1, name: fileName.slice(0, -'.sql'.length), sql, checksum });
  }
  return files;
}

/** Names a set of migrations by its content: 20 characters, 100 bits. `app` undefined: a database of kind `process`. */
export function digestMigrations(schemas: Readonly<Record<string, readonly MigrationFile[] | undefined>>): string {
  const hash = createHash('sha256');
  for (const [schema, files] of Object.entries(schemas)) {
    if (!files) hash.update(`${schema} is made by a process\n`);
    for (const { name, checksum } of files ?? []) hash.update(`${schema} ${name} ${checksum}\n`);
  }
  return nameOfDigest(hash.digest());
}
