import type { DatabaseKind } from '#src/databases/types.ts';
import { type Connection, isOwnSchema, type Queryable, quoteIdentifier } from '#src/postgres/index.ts';

/**
 * Tables whose rows never leave an installation: they are worth something only where they were made. Their structure is exported,
 * their rows are not.
 */
export const unexportedTables: readonly string[] = [
  'freehold.sessions',
  'freehold.api_tokens',
  'freehold.plugin_tokens',
  'freehold.scim_tokens',
  'freehold.session_notices',
  'freehold.invitations',
  'freehold.password_resets',
  'freehold.known_devices',
  'freehold.sign_in_failures',
  // Sealed under this tenant's key, which the archive does not bring.
  'freehold.totp_factors',
  'freehold.recovery_codes',
  'freehold.sign_in_challenges',
  // Made for the host of this tenant.
  'freehold.passkeys',
  'freehold.passkey_users',
  'freehold.passkey_challenges',
  // Secrets are sealed for this tenant, and what was agreed with a provider is about its host.
  'freehold.sign_on_connections',
  'freehold.sign_on_domains',
  'freehold.sign_on_identities',
  'freehold.sign_on_requests',
  'freehold.saml_messages',
  'freehold.sign_on_sessions',
  'freehold.sign_on_policy',
  'freehold.break_glass_owners',
  // Sealed for this tenant, and worth something with its sessions only.
  'freehold.provider_keys',
  'freehold.provider_codes',
  'freehold.provider_access_tokens',
];

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

export interface Table extends TableName {
  /** That COPY gives. */
  readonly columns: number;
  /** Its owner may have taken the right to read it from itself, or forced its policies upon itself. */
  readonly isReadable: boolean;
}

/** Settings that change how a value is printed: fixed, so that equal rows print equally everywhere. */
export const stableOutput: Readonly<Record<string, string>> = {
  search_path: 'pg_catalog',
  // Rows that a policy hides are an error, and no function of a policy is called (FORCE ROW LEVEL SECURITY).
  row_security: 'off',
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  client_encoding: 'UTF8',
};

/** Settings of a long job as a tenant's role, whose defaults are made for requests. */
export const longJob: Readonly<Record<string, string>> = {
  statement_timeout: '0',
  lock_timeout: '30000',
  idle_in_transaction_session_timeout: '0',
};

/** @param unlogged those as well whose rows a standby does not have and a crash empties */
export async function selectTables(db: Queryable, unlogged = true): Promise<Table[]> {
  const rows = await db.query<Table>(
    `SELECT n.nspname AS schema, c.relname AS table,
            (SELECT pg_catalog.count(*)::int FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
            pg_catalog.has_table_privilege(c.oid, 'SELECT') AND NOT pg_catalog.row_security_active(c.oid) AS "isReadable"
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND ${isOwnSchema} AND ($1 OR c.relpersistence <> 'u')
       -- What an extension brings comes with it, and is in no dump.
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
    [unlogged],
  );
  return rows;
}

export interface SequenceState {
  readonly name: string;
  readonly lastValue: string | null;
}

export async function selectSequences(db: Queryable, unlogged = true): Promise<SequenceState[]> {
  return db.query<{ name: string; lastValue: string | null }>(
    `SELECT s.schemaname || '.' || s.sequencename AS name, s.last_value AS "lastValue"
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_catalog.pg_sequences s ON s.schemaname = n.nspname AND s.sequencename = c.relname
     WHERE ${isOwnSchema} AND ($1 OR c.relpersistence <> 'u') ORDER BY 1`,
    [unlogged],
  );
}

export async function selectLargeObjects(db: Queryable): Promise<number[]> {
  const rows = await db.query<{ oid: number }>(
    'SELECT oid::pg_catalog.int8::pg_catalog.float8 AS oid FROM pg_catalog.pg_largeobject_metadata ORDER BY pg_largeobject_metadata.oid',
  );
  return rows.map((row) => row.oid);
}

/** Shorter than `length` at its end. */
export async function readLargeObject(db: Queryable, oid: number, offset: number, length: number): Promise<Buffer> {
  const [row] = await db.query<{ part: Buffer }>(
    'SELECT pg_catalog.lo_get($1::pg_catalog.oid, $2::pg_catalog.int8, $3::pg_catalog.int4) AS part',
    [oid, offset, length],
  );
  return row!.part;
}

/**
 * Gives out the rows of one table, not those of its children. COPY and no SELECT: the planner calls functions while it plans (PostgreSQL manual, "Function Volatility
 * Categories": immutable ones in the predicate of an index, for example), and a view may stand where the table was a moment ago; both would run the app's code with
 * the rights of who reads. COPY plans nothing and takes tables only. Generated columns are not in it.
 */
export function copyRows(db: Connection, { schema, table }: TableName, onRow: (row: Buffer) => void): Promise<void> {
  return db.copyOut(`COPY ${quoteIdentifier(schema)}.${quoteIdentifier(table)} TO STDOUT`, onRow);
}

/** Distinct contents that files and the app's folder refer to. */
export async function selectFileContents(db: Queryable): Promise<{ sha256: string; sizeBytes: number }[]> {
  const rows = await db.query<{ sha256: string; size_bytes: string }>(
    `SELECT encode(c.sha256, 'hex') AS sha256, max(c.size_bytes) AS size_bytes FROM freehold.contents c
     GROUP BY c.sha256 ORDER BY c.sha256`,
  );
  return rows.map((row) => ({ sha256: row.sha256, sizeBytes: Number(row.size_bytes) }));
}

/** The ledgers that the migration runner keeps in both schemas; of an app that runs as a process, the platform's: what is called so elsewhere may be anything. */
export async function selectMigrations(
  db: Queryable,
  app: string,
  kind: DatabaseKind,
): Promise<{ owner: string; name: string; sha256: string }[]> {
  if (kind === 'process')
    return db.query(
      `SELECT 'platform' AS owner, name, checksum AS sha256 FROM freehold.schema_migrations ORDER BY position`,
    );
  return db.query<{ owner: string; name: string; sha256: string }>(
    `SELECT owner, name, checksum AS sha256 FROM (
       SELECT 1 AS part, 'platform' AS owner, position, name, checksum FROM freehold.schema_migrations
       UNION ALL SELECT 2, $1::text, position, name, checksum FROM app.schema_migrations) AS ledger
     ORDER BY part, position`,
    [app],
  );
}

export async function exportSnapshot(db: Queryable): Promise<string> {
  const rows = await db.query<{ snapshot: string }>('SELECT pg_catalog.pg_export_snapshot() AS snapshot');
  return rows[0]!.snapshot;
}

/**
 * Makes the tables of a fresh database ready for rows: empty, without the app's triggers (they ran when the rows were first written),
 * and with foreign keys checked at the end instead of row by row, because an archive's order of tables knows nothing of them.
 */
export async function prepareTables(db: Queryable, tables: readonly TableName[]): Promise<void> {
  const names = tables.map(({ schema, table }) => `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`);
  for (const name of names) await db.query(`ALTER TABLE ${name} DISABLE TRIGGER USER`);
  if (names.length > 0) await db.query(`TRUNCATE ${names.join(', ')} RESTART IDENTITY`);
}

export async function enableTriggers(db: Queryable, tables: readonly TableName[]): Promise<void> {
  for (const { schema, table } of tables) {
    await db.query(`ALTER TABLE ${quoteIdentifier(schema)}.${quoteIdentifier(table)} ENABLE TRIGGER USER`);
  }
}

export interface ForeignKey extends TableName {
  readonly name: string;
}

/** Foreign keys that are checked at once. Those that an app made deferrable are left alone. */
export async function selectImmediateForeignKeys(db: Queryable): Promise<ForeignKey[]> {
  return db.query<{ schema: string; table: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS table, f.conname AS name
     FROM pg_catalog.pg_constraint f
     JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE f.contype = 'f' AND NOT f.condeferrable AND f.conparentid = 0 AND ${isOwnSchema}
     ORDER BY 1, 2, 3`,
  );
}

export async function setForeignKeys(
  db: Queryable,
  keys: readonly ForeignKey[],
  timing: 'DEFERRABLE INITIALLY DEFERRED' | 'NOT DEFERRABLE',
): Promise<void> {
  for (const { schema, table, name } of keys) {
    await db.query(
      `ALTER TABLE ${quoteIdentifier(schema)}.${quoteIdentifier(table)} ALTER CONSTRAINT ${quoteIdentifier(name)} ${timing}`,
    );
  }
}

/**
 * Everything in a tenant's database that is not rows, one line per object: what an archive that is more than data would change.
 * Also settings and memberships of the tenant's own roles, which a role may change for itself.
 * @param kind `process`: of schemas only `freehold`; the rest is the app's, and comes with the archive
 */
export async function selectSchemaLines(db: Queryable, kind: DatabaseKind): Promise<string[]> {
  const rows = await db.query<{ line: string }>(
    `
    WITH ours AS (SELECT oid, nspname FROM pg_catalog.pg_namespace
                  WHERE CASE WHEN $1 THEN nspname = 'freehold' ELSE nspname !~ '^pg_(toast|temp)' AND nspname NOT IN ('pg_catalog', 'information_schema') END),
    relation AS (SELECT c.oid, c.relkind, c.relacl, c.relowner, c.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relpersistence,
                        ours.nspname || '.' || c.relname AS name
                 FROM pg_catalog.pg_class c JOIN ours ON ours.oid = c.relnamespace)
    SELECT concat_ws(' ', 'schema', n.nspname, n.nspowner::regrole, n.nspacl::text) AS line
      FROM pg_catalog.pg_namespace n JOIN ours USING (oid)
    UNION ALL SELECT concat_ws(' ', 'relation', r.relkind, r.relpersistence, r.name, r.relowner::regrole, r.relacl::text, r.reloptions::text,
                               r.relrowsecurity, r.relforcerowsecurity,
                               CASE WHEN r.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(r.oid) END) FROM relation r
    UNION ALL SELECT concat_ws(' ', 'column', r.name, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
                               a.attidentity, a.attgenerated, a.attacl::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
      FROM relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    UNION ALL SELECT concat_ws(' ', 'constraint', k.conname, k.conrelid::regclass, k.condeferrable, k.condeferred, k.convalidated,
                               pg_catalog.pg_get_constraintdef(k.oid)) FROM pg_catalog.pg_constraint k JOIN ours ON ours.oid = k.connamespace
    UNION ALL SELECT concat_ws(' ', 'index', pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid)
      FROM pg_catalog.pg_index i JOIN relation r ON r.oid = i.indrelid
    UNION ALL SELECT concat_ws(' ', 'trigger', pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled)
      FROM pg_catalog.pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
    UNION ALL SELECT concat_ws(' ', 'rule', pg_catalog.pg_get_ruledef(u.oid), u.ev_enabled)
      FROM pg_catalog.pg_rewrite u JOIN relation r ON r.oid = u.ev_class
    UNION ALL SELECT concat_ws(' ', 'policy', p.polname, p.polrelid::regclass, p.polcmd, p.polpermissive, p.polroles::text,
                               pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
      FROM pg_catalog.pg_policy p JOIN relation r ON r.oid = p.polrelid
    UNION ALL SELECT concat_ws(' ', 'function', f.oid::regprocedure, f.proowner::regrole, f.proacl::text, f.prosecdef, f.provolatile,
                               f.proconfig::text, f.prosrc, f.probin, pg_catalog.pg_get_function_result(f.oid), f.prolang)
      FROM pg_catalog.pg_proc f JOIN ours ON ours.oid = f.pronamespace
    UNION ALL SELECT concat_ws(' ', 'type', t.oid::regtype, t.typtype, t.typowner::regrole, t.typacl::text,
                               (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
      FROM pg_catalog.pg_type t JOIN ours ON ours.oid = t.typnamespace
    UNION ALL SELECT concat_ws(' ', 'operator', o.oid::regoperator, o.oprcode) FROM pg_catalog.pg_operator o JOIN ours ON ours.oid = o.oprnamespace
    UNION ALL SELECT concat_ws(' ', 'cast', c.castsource::regtype, c.casttarget::regtype, c.castfunc::regproc) FROM pg_catalog.pg_cast c
      WHERE c.oid >= 16384 AND NOT $1
    UNION ALL SELECT concat_ws(' ', 'event trigger', e.evtname, e.evtevent) FROM pg_catalog.pg_event_trigger e
    UNION ALL SELECT concat_ws(' ', 'extension', e.extname, e.extversion) FROM pg_catalog.pg_extension e WHERE NOT $1
    UNION ALL SELECT concat_ws(' ', 'default privilege', d.defaclrole::regrole, d.defaclnamespace::regnamespace, d.defaclobjtype, d.defaclacl::text)
      FROM pg_catalog.pg_default_acl d WHERE NOT $1 OR d.defaclrole::regrole::text = pg_catalog.current_database() || '_p'
    UNION ALL SELECT concat_ws(' ', 'large object', count(*)) FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0 AND NOT $1
    UNION ALL SELECT concat_ws(' ', 'publication', p.pubname) FROM pg_catalog.pg_publication p WHERE NOT $1
    UNION ALL SELECT concat_ws(' ', 'setting', coalesce(r.rolname, '*'), s.setconfig::text)
      FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
      WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
        AND (s.setrole = 0 OR r.rolname IN (pg_catalog.current_database(), pg_catalog.current_database() || '_p'))
    UNION ALL SELECT concat_ws(' ', 'member', m.roleid::regrole, m.member::regrole, m.admin_option) FROM pg_catalog.pg_auth_members m
      WHERE m.roleid::regrole::text IN (pg_catalog.current_database(), pg_catalog.current_database() || '_p')
    UNION ALL SELECT concat_ws(' ', 'database', d.datacl::text) FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
    ORDER BY 1`,
    [kind === 'process'],
  );
  return rows.map((row) => row.line);
}
