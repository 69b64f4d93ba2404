import { quoteIdentifier as id, quoteLiteral as literal, type Queryable } from '#src/postgres/index.ts';
import type { DatabaseRoles } from './names.ts';
import type { DatabaseKind } from './types.ts';

/** What is said about a database in its comment, which lies in a catalogue of the whole server: readable without connecting to it. */
export interface DatabaseNote {
  readonly state: 'making' | 'ready';
  /** Digest of the migrations it is at. */
  readonly version: string;
  readonly kind: DatabaseKind;
}

export interface DatabaseFacts {
  readonly name: string;
  /** Undefined: made, but nothing else yet. */
  readonly note: DatabaseNote | undefined;
  /** False: an interrupted DROP DATABASE left it; nothing can be done with it but drop it again. */
  readonly valid: boolean;
}

const notePattern = /^freehold (making|ready) ([0-9a-z]{20})( process)?$/;

function parseNote(comment: string | null): DatabaseNote | undefined {
  const match = comment === null ? null : notePattern.exec(comment);
  return match
    ? { state: match[1] as DatabaseNote['state'], version: match[2]!, kind: match[3] ? 'process' : 'sdk' }
    : undefined;
}

/** Only the owner of a database, who is control, may comment on it. */
export function noteSql(name: string, { state, version, kind }: DatabaseNote): string {
  const text = `freehold ${state} ${version}${kind === 'process' ? ' process' : ''}`;
  return `COMMENT ON DATABASE ${id(name)} IS ${literal(text)}`;
}

interface FactsRow {
  readonly name: string;
  readonly comment: string | null;
  readonly valid: boolean;
}

/** -2: the mark of an interrupted DROP DATABASE (PostgreSQL manual, DROP DATABASE). */
const factsColumns = `d.datname AS name, shobj_description(d.oid, 'pg_database') AS comment, d.datconnlimit <> -2 AS valid`;

export async function findDatabase(db: Queryable, name: string): Promise<DatabaseFacts | undefined> {
  const [row] = await db.query<FactsRow>(`SELECT ${factsColumns} FROM pg_database d WHERE d.datname = $1`, [name]);
  return row && { name: row.name, valid: row.valid, note: parseNote(row.comment) };
}

/** Databases and roles that have names of ours and belong to us. */
export async function selectDatabases(db: Queryable): Promise<DatabaseFacts[]> {
  const rows = await db.query<FactsRow>(
    `SELECT ${factsColumns} FROM pg_database d
     WHERE d.datname ~ '^(t|tpl)_[0-9a-hjkmnp-tv-z]{20}(_c[0-9a-hjkmnp-tv-z]{8})?$' AND pg_get_userbyid(d.datdba) = current_user ORDER BY d.datname`,
  );
  return rows.map((row) => ({ name: row.name, valid: row.valid, note: parseNote(row.comment) }));
}

export async function selectRoles(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `SELECT rolname AS name FROM pg_roles WHERE rolname ~ '^(t|tpl)_[0-9a-hjkmnp-tv-z]{20}(_c[0-9a-hjkmnp-tv-z]{8})?(_p|_m|_r)?$' ORDER BY rolname`,
  );
  return rows.map((row) => row.name);
}

export async function existingRoles(db: Queryable, names: readonly string[]): Promise<Set<string>> {
  const rows = await db.query<{ name: string }>('SELECT rolname AS name FROM pg_roles WHERE rolname = ANY ($1)', [
    names,
  ]);
  return new Set(rows.map((row) => row.name));
}

export async function selectSizeBytes(db: Queryable, name: string): Promise<number | undefined> {
  const [row] = await db.query<{ size: string }>(
    'SELECT pg_database_size(oid)::text AS size FROM pg_database WHERE datname = $1',
    [name],
  );
  return row && Number(row.size);
}

/**
 * Statements that make a database's two roles, closed. `default_transaction_read_only` and the search path belong to the role, so
 * that they hold for whoever connects, not only for our gateway. A role may change its own defaults and its own password (PostgreSQL manual, ALTER ROLE), so nothing
 * that closes anybody in rests on them; LOGIN and CONNECTION LIMIT it may not. The app role of kind `process` has PostgreSQL's own defaults.
 */
export function createRolesSql(roles: DatabaseRoles, existing: ReadonlySet<string>, kind: DatabaseKind): string[] {
  const statements: string[] = [];
  if (!existing.has(roles.app)) statements.push(`CREATE ROLE ${id(roles.app)} NOLOGIN`);
  if (!existing.has(roles.platform))
    statements.push(`CREATE ROLE ${id(roles.platform)} NOLOGIN IN ROLE ${id(roles.app)}`);
  const defaults: [role: string, schema: string][] = [[roles.platform, 'freehold']];
  if (kind === 'sdk') defaults.push([roles.app, 'app']);
  for (const [role, schema] of defaults) {
    statements.push(`ALTER ROLE ${id(role)} SET search_path = ${id(schema)}`);
    statements.push(`ALTER ROLE ${id(role)} SET default_transaction_read_only = on`);
  }
  return statements;
}

/** Makes the login that reads a closed database, or gives the one that a kill left behind a new password. Its transactions are read-only, as the platform role's are. */
export function readerRoleSql({ reader, platform }: DatabaseRoles, login: string, exists: boolean): string[] {
  return [
    exists ? `ALTER ROLE ${id(reader)} ${login}` : `CREATE ROLE ${id(reader)} ${login} IN ROLE ${id(platform)}`,
    `ALTER ROLE ${id(reader)} SET search_path = freehold`,
    `ALTER ROLE ${id(reader)} SET default_transaction_read_only = on`,
  ];
}

/**
 * One transaction lets the tenant's roles in and everybody else out; until then nobody can connect at all. An app that is a process makes schemas and extensions
 * (trusted ones: PostgreSQL manual, CREATE EXTENSION) and temporary tables.
 */
export function openDoorSql(roles: DatabaseRoles, kind: DatabaseKind): string[] {
  const database = id(roles.app);
  return [
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${database} TO ${id(roles.app)}, ${id(roles.platform)}`,
    ...(kind === 'process' ? [`GRANT CREATE, TEMPORARY ON DATABASE ${database} TO ${id(roles.app)}`] : []),
    `ALTER DATABASE ${database} ALLOW_CONNECTIONS true`,
  ];
}

/**
 * The shipper confirms as flushed what the server need not keep, and as applied what every region holds; so it is `remote_apply` that waits for the regions.
 * All others commit as the server's configuration says: locally.
 */
export function commitWaitsSql(name: string, waits: boolean): string {
  const database = `ALTER DATABASE ${id(name)}`;
  return waits ? `${database} SET synchronous_commit = 'remote_apply'` : `${database} RESET synchronous_commit`;
}

/**
 * Goes ahead of every COMMIT in a database whose commits wait. The setting is anybody's to change (SET LOCAL, set_config, ALTER ROLE of the own role; in a
 * function, in a string), so it is not looked for in the text of statements: it is put right last. Whatever may run at the end of a transaction
 * runs before that: deferred triggers, and the query of a cursor WITH HOLD, which is closed.
 */
export const waitingCommit = [
  'SET CONSTRAINTS ALL IMMEDIATE',
  'CLOSE ALL',
  `SET LOCAL synchronous_commit = 'remote_apply'`,
] as const;

export interface SessionFacts {
  readonly database: string;
  readonly user: string;
  readonly readOnly: string;
  /** What is said of the database, whatever the role's own settings say. */
  readonly waits: boolean;
}

export const describeSessionSql = `SELECT current_database() AS database, session_user AS "user",
  current_setting('transaction_read_only') AS "readOnly",
  EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
          WHERE d.datname = current_database() AND s.setrole = 0 AND 'synchronous_commit=remote_apply' = ANY (s.setconfig)) AS waits`;

/** Databases of ours in which something was granted to this role, or names it in a policy, and in which it owns nothing. */
export async function selectGrantedElsewhere(db: Queryable, role: string): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `SELECT d.datname AS name FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
     WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)
       AND d.datname ~ '^t_[0-9a-hjkmnp-tv-z]{20}(_c[0-9a-hjkmnp-tv-z]{8})?$' AND pg_get_userbyid(d.datdba) = current_user AND d.datallowconn
     GROUP BY d.datname HAVING bool_and(s.deptype IN ('a', 'r')) ORDER BY 1`,
    [role],
  );
  return rows.map((row) => row.name);
}

/** Takes away what a tenant granted to somebody else's role, which may be done by who is a member of both. */
export function takeGrantsAwaySql(role: string, { app, platform }: DatabaseRoles): string {
  const members = [role, app, platform].map(id).join(', ');
  return `
BEGIN;
SET LOCAL search_path = pg_catalog;
GRANT ${members} TO CURRENT_USER;
DROP OWNED BY ${id(role)};
REVOKE ${members} FROM CURRENT_USER;
COMMIT;`;
}

export async function serverTime(db: Queryable): Promise<Date> {
  const [row] = await db.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return row!.now;
}

/** @returns how many there were */
export async function terminateSessions(db: Queryable, name: string, openedBefore?: Date): Promise<number> {
  const rows = await db.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type = $2 AND ($3::timestamptz IS NULL OR backend_start < $3)`,
    [name, 'client backend', openedBefore ?? null],
  );
  return rows.length;
}
