/**
 * The database server as a tenant's own roles see it, with the passwords that gateways hold: nothing of another tenant can be reached,
 * read, guessed or disturbed. PostgreSQL shows every role some catalogues; what stands in them must tell nothing.
 */
import { sqlState } from '#src/postgres/index.ts';
import type { Connection } from '#src/postgres/types.ts';
import type { DatabaseRole } from '../internals.ts';
import type { Side } from '../side.ts';
import type { World } from '../world.ts';
import { connectState } from './lifecycle.ts';

export async function probeDatabase(world: World): Promise<void> {
  await probeConnecting(world);
  await probeRights(world);
  await probeCatalogue(world);
  await probeSignals(world);
  await probeSessionObjects(world);
  await probeClonedRights(world);
}

const tenantRoles: readonly DatabaseRole[] = ['app', 'platform'];

async function withConnection<T>(
  { internals }: Pick<World, 'internals'>,
  side: Side,
  role: DatabaseRole,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await internals.connect(side.tenantId, role);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** SQLSTATE of a statement, tried in a read-write transaction that is rolled back; undefined: it was allowed. */
export async function stateOf(
  connection: Connection,
  text: string,
  values?: readonly unknown[],
): Promise<string | undefined> {
  await connection.run('BEGIN READ WRITE');
  try {
    await connection.run(text, values);
    return undefined;
  } catch (error) {
    return sqlState(error) ?? String(error);
  } finally {
    await connection.run('ROLLBACK').catch(() => {});
  }
}

/** 28000: pg_hba.conf lets the role into no other database, before any right is looked at. */
async function probeConnecting({ report, internals, product, a, b }: World): Promise<void> {
  const rows = await internals.control.query<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE datname LIKE 'tpl%'`,
  );
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const access = await internals.accessOf(from.tenantId);
    const other = await internals.accessOf(to.tenantId);
    const databases = [
      other.database.name,
      product.control.database,
      'postgres',
      'template1',
      ...rows.map(({ name }) => name),
    ];
    for (const role of tenantRoles) {
      for (const database of databases) {
        const state = await connectState(internals.targetOf(access, role, database));
        report.check(`${role} role into another database`, state === '28000', `${database}: ${state}`);
      }
      for (const user of [other[role].user, product.control.user, 'postgres']) {
        const state = await connectState({ ...internals.targetOf(access, role), user });
        // 28P01: the password of the one is not the other's. 28000: no such way in at all.
        report.check('the password opens no other role', state === '28P01' || state === '28000', `${user}: ${state}`);
      }
    }
  }
}

const refusedToBoth: Readonly<Record<string, string>> = {
  'SET ROLE freehold_control': '42501',
  'SET SESSION AUTHORIZATION freehold_control': '42501',
  'SET ROLE postgres': '42501|22023',
  'CREATE ROLE somebody': '42501',
  'CREATE DATABASE somewhere': '42501|25001',
  'ALTER ROLE freehold_control NOLOGIN': '42501',
  'ALTER SYSTEM SET work_mem = 1': '42501|25001',
  "SELECT pg_read_file('postgresql.conf')": '42501',
  "SELECT pg_ls_dir('.')": '42501',
  'SELECT pg_ls_waldir()': '42501',
  "SELECT pg_stat_file('base')": '42501',
  'SELECT pg_reload_conf()': '42501',
  'SELECT pg_rotate_logfile()': '42501',
  'SELECT pg_switch_wal()': '42501',
  "COPY (SELECT 1) TO PROGRAM 'cat'": '42501',
  "COPY (SELECT 1) TO '/tmp/out'": '42501',
  'CREATE EXTENSION dblink': '42501',
  'CREATE EXTENSION postgres_fdw': '42501',
  'CREATE EXTENSION file_fdw': '42501',
  'CREATE EXTENSION adminpack': '42501|0A000|58P01',
  // Trusted extensions need the right to create in the database.
  'CREATE EXTENSION pgcrypto': '42501|0A000|58P01',
  'CREATE EXTENSION hstore': '42501|0A000|58P01',
  'CREATE LANGUAGE plpython3u': '42501|42704|58P01|0A000',
  "CREATE FUNCTION system(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'": '42501',
  "SELECT lo_import('/etc/passwd')": '42501',
  "SELECT lo_export(1, '/tmp/out')": '42501',
  'SELECT rolpassword FROM pg_authid': '42501',
  'SELECT passwd FROM pg_shadow': '42501',
  'SELECT line_number FROM pg_hba_file_rules': '42501',
  'SELECT sourcefile FROM pg_file_settings': '42501',
  'SELECT umoptions FROM pg_user_mapping': '42501',
  'SELECT subconninfo FROM pg_subscription': '42501',
  "SELECT pg_create_physical_replication_slot('s')": '42501',
  "SELECT pg_create_logical_replication_slot('s', 'pgoutput')": '42501|55000',
  'CREATE TEMP TABLE t (x int)': '42501',
  'CREATE SCHEMA s': '42501',
  'CREATE PUBLICATION p': '42501',
  'CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION app.x()': '42501|42883|3F000',
  "LOAD 'auto_explain'": '42501',
  'SET session_replication_role = replica': '42501',
  'SET log_statement = none': '42501',
  "SET session_preload_libraries = 'x'": '42501',
  'SET temp_file_limit = -1': '42501',
  'SELECT pg_stat_reset()': '42501',
  'SELECT pg_log_backend_memory_contexts(1)': '42501',
  CHECKPOINT: '42501',
  'VACUUM pg_authid': '25001|42501',
};

async function probeRights(world: World): Promise<void> {
  const { report, internals, a, b } = world;
  const other = await internals.accessOf(a.tenantId);
  const own = await internals.accessOf(b.tenantId);
  for (const role of tenantRoles) {
    await withConnection(world, b, role, async (connection) => {
      const texts: Record<string, string> = {
        ...refusedToBoth,
        [`SET ROLE "${other.app.user}"`]: '42501',
        [`SET ROLE "${other.platform.user}"`]: '42501',
        [`ALTER ROLE "${other.app.user}" PASSWORD 'x'`]: '42501',
        [`ALTER ROLE "${other.app.user}" SET search_path = x`]: '42501',
        [`GRANT "${own.app.user}" TO "${other.app.user}"`]: '42501|0LP01',
        [`ALTER DATABASE "${own.database.name}" CONNECTION LIMIT 1`]: '42501',
        [`ALTER DATABASE "${own.database.name}" SET statement_timeout = 0`]: '42501',
        [`ALTER DATABASE "${own.database.name}" RENAME TO x`]: '42501',
        [`DROP DATABASE "${other.database.name}"`]: '42501|25001',
        [`SELECT pg_database_size('${other.database.name}')`]: '42501',
        [`COMMENT ON DATABASE "${own.database.name}" IS 'x'`]: '42501',
        [`SELECT * FROM "${other.database.name}".app.items`]: '0A000',
      };
      for (const [text, states] of Object.entries(texts)) {
        const state = await stateOf(connection, text);
        report.check(
          `${role} role: ${text.slice(0, 50)}`,
          states.split('|').includes(state ?? ''),
          `${text}: ${state}`,
        );
      }
      const [row] = await connection.query<{ readOnly: string; path: string; attributes: boolean }>(
        `SELECT current_setting('default_transaction_read_only') AS "readOnly", current_setting('search_path') AS path,
           (SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS attributes`,
      );
      report.check('a role reads only, by default', row?.readOnly === 'on', row?.readOnly);
      report.check('a role has one schema in its path', row?.path === (role === 'app' ? 'app' : 'freehold'), row?.path);
      report.check('a role has no attribute', row?.attributes === false);
    });
  }
}

/** Whatever any role can read of the whole server, searched for what is a tenant's. */
async function probeCatalogue(world: World): Promise<void> {
  const { report, internals, a, b } = world;
  const other = await internals.accessOf(a.tenantId);
  const words = [
    ...a.markers,
    a.people.owner.email,
    a.people.member.email,
    other.app.password,
    other.platform.password,
  ];
  const own = [...b.markers, b.people.owner.email];
  // A statement of the other tenant with its words in it runs, and stays visible as the last one afterwards.
  const running = await internals.connect(a.tenantId, 'platform');
  const marker = a.newMarker('Statement');
  await running.script(`SELECT '${marker}'`);
  try {
    for (const role of tenantRoles) {
      await withConnection(world, b, role, async (connection) => {
        for (const view of shared) {
          const rows = await connection
            .query<{ line: string }>(`SELECT v::text AS line FROM ${view} v`)
            .catch(() => []);
          const text = rows.map(({ line }) => line).join('\n');
          const found = [...words, marker].find((word) => text.includes(word));
          report.check(`${view} tells nothing of the other tenant`, found === undefined, `as ${role}: ${found}`);
          if (view !== 'pg_stat_activity' && view !== 'pg_locks') {
            const named = own.find((word) => text.includes(word));
            report.check(`${view} names no customer at all`, named === undefined, `as ${role}: ${named}`);
          }
        }
      });
    }
  } finally {
    await running.close();
  }
  const open = await internals.control.query<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE datname = ANY ($1)
     AND (has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMP'))`,
    [[other.database.name, (await internals.accessOf(b.tenantId)).database.name]],
  );
  report.check('PUBLIC may not connect', open.length === 0, open.map(({ name }) => name).join(', '));
}

/** Catalogues and views that show more than one database. */
const shared = [
  'pg_database',
  'pg_roles',
  'pg_auth_members',
  'pg_db_role_setting',
  'pg_shdescription',
  'pg_shseclabel',
  'pg_tablespace',
  'pg_stat_activity',
  'pg_stat_database',
  'pg_stat_database_conflicts',
  'pg_stat_ssl',
  'pg_stat_replication',
  'pg_stat_progress_vacuum',
  'pg_stat_progress_copy',
  'pg_stat_progress_analyze',
  'pg_prepared_xacts',
  'pg_prepared_statements',
  'pg_cursors',
  'pg_locks',
  'pg_settings',
  'pg_replication_slots',
  'pg_shdepend',
];

/** Another tenant's statement can be seen neither running nor ended, cancelled nor killed. */
async function probeSignals(world: World): Promise<void> {
  const { report, internals, a, b } = world;
  const victim = await internals.connect(a.tenantId, 'app');
  try {
    const [row] = await victim.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    for (const role of tenantRoles) {
      await withConnection(world, b, role, async (connection) => {
        for (const call of ['pg_cancel_backend', 'pg_terminate_backend']) {
          const state = await stateOf(connection, `SELECT ${call}($1)`, [row!.pid]);
          report.check(`${call} on the other tenant`, state === '42501', `${role}: ${state}`);
        }
        const seen = await connection.query<{ query: string }>('SELECT query FROM pg_stat_activity WHERE pid = $1', [
          row!.pid,
        ]);
        report.check(
          'its statement is not shown',
          seen.every(({ query }) => query === '<insufficient privilege>'),
          seen[0]?.query,
        );
      });
    }
    const alive = await victim.query('SELECT 1');
    report.check('it goes on', alive.length === 1);
  } finally {
    await victim.close();
  }
}

/** Things with names of their own: prepared statements, advisory locks, notifications, large objects, sequences. */
async function probeSessionObjects(world: World): Promise<void> {
  const { report, internals, a, b } = world;
  const other = await internals.connect(a.tenantId, 'app');
  const own = await internals.connect(b.tenantId, 'app');
  try {
    await other.script("PREPARE shared_name AS SELECT 'of the other'");
    const prepared = await own.query('EXECUTE shared_name').catch((error) => sqlState(error));
    report.check('a prepared statement is not shared', prepared === '26000', String(prepared));
    await other.query('SELECT pg_advisory_lock(42)');
    const [lock] = await own.query<{ locked: boolean }>('SELECT pg_try_advisory_lock(42) AS locked');
    report.check('an advisory lock is per database', lock?.locked === true);
    await own.query('LISTEN shared_channel');
    await other.query("SELECT pg_notify('shared_channel', 'of the other')");
    await own.query('SELECT 1');
    const [channel] = await other.query<{ channels: string[] }>(
      'SELECT array(SELECT pg_listening_channels()) AS channels',
    );
    report.check('nobody else listens', channel?.channels.length === 0, String(channel?.channels));
    await other.run('BEGIN READ WRITE');
    const [object] = (await other.run<{ oid: number }>('SELECT lo_create(0) AS oid')).rows;
    await other.run('COMMIT');
    const opened = await stateOf(own, 'SELECT lo_open($1, 262144)', [object!.oid]);
    report.check('a large object is per database', opened === '42704', opened);
    await other.run('BEGIN READ WRITE');
    await other.run('SELECT lo_unlink($1)', [object!.oid]);
    await other.run('COMMIT');
    for (const text of ['INSERT INTO app.people VALUES (1, 2, 3)', "SELECT setval('app.history_history_id_seq', 1)"]) {
      const state = await own.query(text).then(
        () => undefined,
        (error) => sqlState(error),
      );
      report.check('a connection reads only unless it says otherwise', state === '25006', `${text}: ${state}`);
    }
  } finally {
    await other.close();
    await own.close();
  }
}

/** A clone is its own: nothing in it belongs to the roles of the original, and nobody else is a member of its roles. */
async function probeClonedRights(world: World): Promise<void> {
  const { report, internals, a, b } = world;
  const [from, to] = [await internals.accessOf(a.tenantId), await internals.accessOf(b.tenantId)];
  report.check('two databases', from.database.name !== to.database.name);
  report.check(
    'two passwords each',
    new Set([from, to].flatMap(({ app, platform }) => [app.password, platform.password])).size === 4,
  );
  const dependencies = await internals.control.query<{ role: string }>(
    `SELECT refobjid::regrole::text AS role FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
     WHERE d.datname = $1 AND refclassid = 'pg_authid'::regclass AND refobjid::regrole::text = ANY ($2)`,
    [to.database.name, [from.app.user, from.platform.user]],
  );
  report.check("nothing of the clone depends on the original's roles", dependencies.length === 0);
  for (const { app, platform } of [from, to]) {
    const members = await internals.control.query<{ member: string }>(
      `SELECT member::regrole::text AS member FROM pg_auth_members WHERE roleid::regrole::text = ANY ($1)`,
      [[app.user, platform.user]],
    );
    const names = members.map(({ member }) => member);
    report.check(
      'the platform role is the only member',
      names.length === 1 && names[0] === platform.user,
      names.join(', '),
    );
  }
}
