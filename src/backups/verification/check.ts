import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { type Binaries, type RecoveredServer, startTool } from '#src/clusters/index.ts';
import { FreeholdError, type TenantId } from '#src/kernel/index.ts';
import { type Connection, type ConnectionTarget, openConnection, sqlState } from '#src/postgres/index.ts';
import { verificationErrors } from './errors.ts';
import { countCanaries, openDatabases, selectChangedCollations, selectDatabaseNames } from './sql.ts';
import type { Finding, LedgerTenant, RowLedger, RowReader, TableContent } from './types.ts';

const applicationName = 'freehold verification';
/** Lines of pg_amcheck that a finding quotes. */
const quotedLines = 3;

export interface CheckOptions {
  readonly server: Pick<RecoveredServer, 'connectionTarget'>;
  readonly control: { readonly database: string; readonly user: string };
  readonly binaries: Binaries;
  readonly rows: RowReader;
  readonly signal?: AbortSignal;
}

/** A role that may do everything; on a scratch server it asks for no password. */
const superuser = 'postgres';

export async function withDatabase<T>(
  target: ConnectionTarget,
  work: (connection: Connection) => Promise<T>,
  settings: Readonly<Record<string, string>> = {},
): Promise<T> {
  const connection = await openConnection(target, { applicationName, options: settings });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** Exactly the canaries of the moment are there. */
export async function checkCanaries(
  { server, control }: CheckOptions,
  ledger: RowLedger,
): Promise<{ findings: Finding[]; canaries: number }> {
  const found = await withDatabase(server.connectionTarget(control.database, superuser), (db) =>
    countCanaries(db, ledger.canaryId),
  );
  const isRight = found.upTo === ledger.canaries && found.later === 0;
  const detail = `${found.upTo} of ${ledger.canaries} are there, and ${found.later} of a later time`;
  return {
    findings: isRight ? [] : [toFinding(verificationErrors.FH_VERIFY_CANARY_MISSING({ detail }))],
    canaries: found.upTo,
  };
}

/**
 * The tenant's rows against the ledger, its collations, and its tables and indexes by pg_amcheck. Throws only when the signal is aborted.
 * @param written tables that must be there, with whatever rows
 */
export async function checkTenant(
  options: CheckOptions,
  tenant: LedgerTenant,
  written: readonly string[] = [],
): Promise<Finding[]> {
  const { server, rows } = options;
  const whose = { tenantId: tenant.tenantId, tenantName: tenant.name };
  const named = (finding: Finding): Finding => ({ ...finding, ...whose });
  try {
    const database = await withDatabase(server.connectionTarget('template1', superuser), async (db) => {
      const found = (await selectDatabaseNames(db)).find(({ oid }) => oid === tenant.oid);
      if (found) await openDatabases(db, [found.name]);
      return found?.name;
    });
    if (!database) {
      const detail = `its database ${tenant.database} is not there`;
      return [named(toFinding(verificationErrors.FH_VERIFY_TABLE_MISSING({ detail })))];
    }
    const target = server.connectionTarget(database, superuser);
    const findings = await withDatabase(
      target,
      async (db) => {
        await db.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
        const { tables } = await rows.contentOf(db);
        return [...compareTables(tenant.tables, tables, written), ...(await checkCollations(db))];
      },
      rows.settings,
    );
    return [...findings, ...(await checkStructure(options, target))].map(named);
  } catch (error) {
    options.signal?.throwIfAborted();
    return [named(toFinding(unreadable(error)))];
  }
}

/** The control database: collations, and tables and indexes. */
export async function checkControlDatabase(options: CheckOptions): Promise<Finding[]> {
  const target = options.server.connectionTarget(options.control.database, superuser);
  try {
    return [...(await withDatabase(target, checkCollations)), ...(await checkStructure(options, target))];
  } catch (error) {
    options.signal?.throwIfAborted();
    return [toFinding(unreadable(error, 'the control database'))];
  }
}

/** Tenants of the sample that the running installation cannot read itself. @param among only these; undefined: all */
export function unreadSources({ unread = [] }: RowLedger, among?: ReadonlySet<TenantId>): Finding[] {
  return unread
    .filter(({ tenantId }) => among?.has(tenantId) ?? true)
    .map(({ tenantId, name, text }) => {
      const finding = toFinding(verificationErrors.FH_VERIFY_SOURCE_UNREADABLE({ detail: text }));
      return { ...finding, tenantId, tenantName: name };
    });
}

/** What the running server was told that makes its WAL or its files worth less than they look (fault F31 of docs/backup-faults.md). */
export function unsafeSettings({ unsafeSettings: names = [] }: RowLedger): Finding[] {
  return names.map((name) => toFinding(verificationErrors.FH_VERIFY_UNSAFE_SETTING({ detail: `${name} = off` })));
}

function compareTables(
  wanted: readonly TableContent[],
  found: readonly TableContent[],
  written: readonly string[],
): Finding[] {
  const byName = new Map(found.map((table) => [table.name, table]));
  return wanted.flatMap(({ name, rows, sha256 }) => {
    const table = byName.get(name);
    if (!table) return [toFinding(verificationErrors.FH_VERIFY_TABLE_MISSING({ detail: name }))];
    if (written.includes(name)) return [];
    if (table.rows !== rows) {
      const detail = `${name} has ${table.rows} rows and had ${rows}`;
      return [toFinding(verificationErrors.FH_VERIFY_ROWS_DIFFER({ detail }))];
    }
    if (table.sha256 === sha256) return [];
    const detail = `${name} has ${rows} rows, as it should, and their content is another`;
    return [toFinding(verificationErrors.FH_VERIFY_ROWS_DIFFER({ detail }))];
  });
}

async function checkCollations(db: Connection): Promise<Finding[]> {
  return (await selectChangedCollations(db)).map(({ name, was, is }) => {
    const what = name === '*' ? 'the database' : `the collation ${name}`;
    return toFinding(
      verificationErrors.FH_VERIFY_COLLATION({ detail: `${what} was of version ${was}, here is ${is}` }),
    );
  });
}

/** pg_amcheck with every index compared with its table. The extension that it needs is made in the copy, never in a tenant's database. */
async function checkStructure({ binaries, signal }: CheckOptions, target: ConnectionTarget): Promise<Finding[]> {
  const lines: string[] = [];
  const args = ['--install-missing', '--heapallindexed', '--jobs=1', `--database=${target.database}`];
  const tool = await startTool(binaries, 'pg_amcheck', args, target, {
    ...(signal && { signal }),
    onMessage: (line) => void lines.push(line),
  });
  tool.stdin.end();
  let output = '';
  for await (const chunk of tool.stdout) output = (output + chunk).slice(0, 4_096);
  try {
    await tool.done;
    return [];
  } catch (error) {
    signal?.throwIfAborted();
    // Debian and others pack it apart from the server.
    if (
      !(await isThere(path.join(binaries.binDir, 'pg_amcheck'))) ||
      /extension "amcheck" is not available/.test(output + lines)
    )
      return [toFinding(verificationErrors.FH_VERIFY_TOOL_MISSING({ detail: `pg_amcheck in ${binaries.binDir}` }))];
    const told = [...output.split('\n'), ...lines].map((line) => line.trim()).filter((line) => line !== '');
    const detail = told.slice(0, quotedLines).join('; ') || (error as Error).message;
    return [toFinding(verificationErrors.FH_VERIFY_STRUCTURE_DAMAGED({ detail }))];
  }
}

async function isThere(program: string): Promise<boolean> {
  return access(program, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** An error of the server while it reads, for example SQLSTATE XX001: a page whose checksum is wrong. */
function unreadable(error: unknown, what = 'its database'): FreeholdError {
  if (error instanceof FreeholdError) return error;
  const state = sqlState(error);
  const detail = `${what}: ${(error as Error).message}${state ? ` (SQLSTATE ${state})` : ''}`;
  return verificationErrors.FH_VERIFY_UNREADABLE({ detail, cause: error });
}

export function toFinding(error: FreeholdError): Finding {
  return { code: error.code, text: error.message };
}
