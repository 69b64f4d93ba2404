import { setTimeout as delay } from 'node:timers/promises';
import { failpoint, type Log, retry } from '#src/kernel/index.ts';
import {
  type ConnectionTarget,
  quoteIdentifier as id,
  isRetryable,
  quoteLiteral as literal,
  newPassword,
  openConnection,
  type Pool,
  scramVerifier,
  sqlState,
} from '#src/postgres/index.ts';
import { createHoldAlone, readCatalogues } from './alone.ts';
import { databaseErrors } from './errors.ts';
import { type MigratePatience, type MigrateResult, migrate } from './migrate.ts';
import { digestMigrations, type MigrationFile, type MigrationFolders, readMigrations } from './migration-files.ts';
import { type DatabaseRoles, isTemplateName, newDatabaseName, rolesOf, templateNameOf } from './names.ts';
import { createReaders } from './readers.ts';
import { reownScript } from './reown.ts';
import {
  commitWaitsSql,
  createRolesSql,
  type DatabaseFacts,
  existingRoles,
  findDatabase,
  noteSql,
  openDoorSql,
  selectDatabases,
  selectGrantedElsewhere,
  selectRoles,
  selectSizeBytes,
  serverTime,
  takeGrantsAwaySql,
  terminateSessions,
} from './sql.ts';
import type { DatabaseAdmin, DatabaseKind, DatabaseMigration, Template } from './types.ts';

export interface DatabaseAdminOptions {
  /** Control's own pool; nothing here keeps a connection of it for long. */
  readonly pool: Pool;
  /** Control's role on the same server. */
  readonly target: ConnectionTarget;
  readonly log: Log;
}

/** Larger databases are copied file by file: their WAL would drown the server. Below, WAL_LOG saves the two checkpoints of FILE_COPY. */
const walLogLimitBytes = 64 * 1024 * 1024;
/** Of an app that is a process, unless it says otherwise. */
const defaultConnectionLimit = 10;
/** dependent_objects_still_exist; insufficient_privilege: the app took from itself what an owner needs. */
const notPortable = new Set(['2BP01', '42501']);
const unhurried = 'SET LOCAL synchronous_commit = off';
const patience = { attempts: 8, firstDelayMs: 50, maxDelayMs: 2_000, isRetryable };

export function createDatabaseAdmin({ pool, target, log }: DatabaseAdminOptions): DatabaseAdmin {
  const templates = new Map<string, Promise<Template>>();
  /** Steps from one version to another that change nothing in schema `freehold`: seen in one database, true of all, because a version names its files. */
  const platformKept = new Set<string>();
  const holdAlone = createHoldAlone(target);
  const targetOf = (database: string): ConnectionTarget => ({ ...target, database });

  /** @param lingering resolves before the session has ended, which takes the server as long as some of the statements do */
  async function runScript(database: string, script: string, { lingering = false } = {}): Promise<void> {
    await retry(patience, async () => {
      const connection = await openConnection(targetOf(database), { applicationName: 'freehold control' });
      try {
        await connection.script(script);
      } finally {
        const closed = connection.close();
        if (!lingering) await closed;
      }
    });
  }

  /** One transaction, one round trip. */
  async function runStatements(statements: readonly string[]): Promise<void> {
    await retry(patience, () => pool.script(statements.join(';\n')));
  }

  /** From nothing, or from whatever a killed attempt left, to a copy that is owned by its own roles. */
  async function copyDatabase(
    from: DatabaseRoles,
    to: DatabaseRoles,
    options: { version: string; kind: DatabaseKind; byFile: boolean; keepMembership: boolean },
  ): Promise<void> {
    const { version, kind, keepMembership } = options;
    let found = await findDatabase(pool, to.app);
    if (found && !found.valid) {
      await dropDatabase(to.app);
      found = undefined;
    }
    if (found?.note?.state === 'ready') return;
    const rolesMade = existingRoles(pool, [to.app, to.platform]).then((existing) =>
      runStatements(createRolesSql(to, existing, kind)),
    );
    const databaseMade = found ? undefined : createFrom(from.app, to.app, options.byFile);
    await settleAll([rolesMade, databaseMade]);
    await failpoint('databases.create.made');
    // What follows is committed in the same WAL, and takes it along to the disk.
    await runStatements([unhurried, ...openDoorSql(to, kind)]);
    await failpoint('databases.create.door');
    const note = { state: 'ready', version, kind } as const;
    const script = reownScript(from, to, { keepMembership, note });
    await runScript(to.app, script, { lingering: true }).catch((error) => {
      throw notPortable.has(sqlState(error) ?? '') ? databaseErrors.FH_DB_NOT_PORTABLE({ cause: error }) : error;
    });
    await failpoint('databases.create.ready');
  }

  /** ALLOW_CONNECTIONS false: a new database lets everybody in until PUBLIC is revoked, so nobody may connect before that. */
  async function createFrom(template: string, name: string, byFile: boolean): Promise<void> {
    await failpoint('databases.create.before');
    const statement = `CREATE DATABASE ${id(name)} TEMPLATE ${id(template)} ALLOW_CONNECTIONS false STRATEGY ${byFile ? 'file_copy' : 'wal_log'}`;
    await retry(patience, () => pool.query(statement)).catch((error) => {
      if (sqlState(error) !== '42P04') throw error;
    });
  }

  async function buildTemplate(
    version: string,
    platform: readonly MigrationFile[],
    app: readonly MigrationFile[] | undefined,
  ): Promise<void> {
    const kind = kindOf(app);
    const roles = rolesOf(templateNameOf(version, target.database));
    // One builder at a time, also when two control processes of the installation overlap.
    await pool.withConnection(async (lock) => {
      await lock.query('SELECT pg_advisory_lock(hashtext($1))', [`freehold template ${version}`]);
      if ((await findDatabase(lock, roles.app))?.note?.state === 'ready') return;
      log.info('building a template database', { template: roles.app });
      await dropDatabase(roles.app);
      await runStatements(createRolesSql(roles, new Set(), kind));
      await failpoint('databases.template.roles');
      // template0 is pristine on every server; template1 may hold whatever somebody put there.
      await pool.query(`CREATE DATABASE ${id(roles.app)} TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false`);
      await runStatements(openDoorSql(roles, kind));
      await failpoint('databases.template.made');
      await runScript(
        roles.app,
        `BEGIN;
         GRANT ${id(roles.app)}, ${id(roles.platform)} TO CURRENT_USER;
         DROP SCHEMA IF EXISTS public;
         CREATE SCHEMA ${kind === 'process' ? 'public' : 'app'} AUTHORIZATION ${id(roles.app)};
         CREATE SCHEMA freehold AUTHORIZATION ${id(roles.platform)};
         COMMIT;`,
      );
      await runMigrations(roles, platform, app);
      // Frozen and analysed once here, so that no copy needs it.
      await runScript(roles.app, 'VACUUM (FREEZE, ANALYZE)');
      await closeDatabase(roles.app);
      await pool.query(`ALTER DATABASE ${id(roles.app)} ALLOW_CONNECTIONS false`);
      await pool.query(noteSql(roles.app, { state: 'ready', version, kind }));
      await failpoint('databases.template.ready');
    });
  }

  /**
   * Logs in as a role made for this run, which can become the owner of one schema and nothing else. A migration of an app that says
   * RESET ROLE is still nobody; the tenant's own passwords are not needed, and a closed database stays closed.
   * @param step from which version to which
   */
  async function runMigrations(
    roles: DatabaseRoles,
    platform: readonly MigrationFile[],
    app: readonly MigrationFile[] | undefined,
    { patience = {}, step }: { readonly patience?: MigratePatience | undefined; readonly step?: string } = {},
  ): Promise<DatabaseMigration> {
    const password = newPassword();
    const login = { ...targetOf(roles.app), user: roles.migrator, password };
    const existing = await existingRoles(pool, [roles.migrator]);
    const create = existing.has(roles.migrator) ? 'ALTER' : 'CREATE';
    const isPlatformThere = step !== undefined && platformKept.has(step);
    const granted = isPlatformThere ? id(roles.app) : `${id(roles.app)}, ${id(roles.platform)}`;
    // None of this waits for the disk: what comes after takes it along, and after a crash all of it is made anew.
    await runStatements([
      unhurried,
      `${create} ROLE ${id(roles.migrator)} LOGIN PASSWORD ${literal(scramVerifier(password))}`,
      // CONNECT comes with the app role. The platform role is granted for its own files only, and first.
      `GRANT ${granted} TO ${id(roles.migrator)}`,
    ]);
    try {
      const at = platform.length;
      let platformResult: MigrateResult = { from: at, to: at, applied: [] };
      if (!isPlatformThere) {
        const schema = { schema: 'freehold', folder: platform, role: roles.platform };
        platformResult = await migrate(login, { ...patience, ...schema });
        if (step !== undefined && platformResult.applied.length === 0) platformKept.add(step);
        await runStatements([unhurried, `REVOKE ${id(roles.platform)} FROM ${id(roles.migrator)}`]);
      }
      const appResult = app
        ? await migrate(login, { ...patience, schema: 'app', folder: app, role: roles.app })
        : { from: 0, to: 0, applied: [] };
      return { platform: platformResult, app: appResult };
    } finally {
      await runStatements([unhurried, `DROP ROLE ${id(roles.migrator)}`]);
    }
  }

  async function closeDatabase(name: string): Promise<void> {
    const roles = rolesOf(name);
    const existing = await existingRoles(pool, [roles.app, roles.platform, roles.migrator, roles.reader]);
    if (existing.size > 0) await runStatements([...existing].map((role) => `ALTER ROLE ${id(role)} NOLOGIN`));
    await failpoint('databases.close.locked');
    await endSessions(name);
  }

  async function endSessions(name: string, openedBefore?: Date): Promise<void> {
    // A session that has just read the catalogues is not in pg_stat_activity yet; so nobody must be there twice in a row.
    for (let empty = 0, round = 0; empty < 2; round++) {
      empty = (await terminateSessions(pool, name, openedBefore)) === 0 ? empty + 1 : 0;
      if (round > 200) throw databaseErrors.FH_DB_IN_USE({ detail: name });
      if (empty < 2) await delay(25);
    }
  }

  async function dropDatabase(name: string): Promise<void> {
    const roles = rolesOf(name);
    if (await findDatabase(pool, name)) {
      await closeDatabase(name);
      await failpoint('databases.drop.closed');
      // 42501: FORCE met a worker of the server itself (autovacuum), which only a superuser may end; it is gone in a moment.
      const droppable = {
        ...patience,
        isRetryable: (error: unknown) => isRetryable(error) || sqlState(error) === '42501',
      };
      await retry(droppable, () => pool.query(`DROP DATABASE IF EXISTS ${id(name)} WITH (FORCE)`));
    }
    await failpoint('databases.drop.database');
    const inOrder = [roles.migrator, roles.reader, roles.platform, roles.app];
    const existing = await existingRoles(pool, inOrder);
    for (const role of inOrder) {
      if (!existing.has(role)) continue;
      await dropRole(role).catch((error) => {
        // A half-made copy still holds objects of its template's roles; they go as orphans once it is finished or dropped.
        if (!isTemplateName(name) || sqlState(error) !== '2BP01') throw error;
      });
    }
  }

  /** Every role can see the names of all, and an app may grant something of its own to any of them: that must not keep another tenant from being deleted. */
  async function dropRole(role: string): Promise<void> {
    const drop = () => runStatements([`DROP ROLE IF EXISTS ${id(role)}`]);
    await drop().catch(async (error) => {
      const others = sqlState(error) === '2BP01' ? await selectGrantedElsewhere(pool, role) : [];
      if (others.length === 0) throw error;
      for (const other of others) await runScript(other, takeGrantsAwaySql(role, rolesOf(other)));
      await drop();
    });
  }

  async function requireReady(name: string): Promise<DatabaseFacts & { version: string; kind: DatabaseKind }> {
    rolesOf(name);
    const found = await findDatabase(pool, name);
    if (!found?.valid || found.note?.state !== 'ready') throw databaseErrors.FH_DB_NOT_FOUND({ detail: name });
    return { ...found, version: found.note.version, kind: found.note.kind };
  }

  async function readFolders(folders: MigrationFolders) {
    const [platform, app] = await Promise.all([
      readMigrations(folders.platform),
      folders.app === undefined ? undefined : readMigrations(folders.app),
    ]);
    return { platform, app, version: digestMigrations({ freehold: platform, app }) };
  }

  return {
    newDatabaseName,
    ensureTemplate(key, folders) {
      const made = templates.get(key);
      if (made) return made;
      const making = (async () => {
        const { platform, app, version } = await readFolders(folders);
        await buildTemplate(version, platform, app);
        return { template: templateNameOf(version, target.database), version };
      })();
      templates.set(key, making);
      // A failure is not remembered: the next call tries again.
      making.catch(() => templates.delete(key));
      return making;
    },
    async createDatabase(name, { template }) {
      const { version, kind } = await requireReady(template);
      await copyDatabase(rolesOf(template), rolesOf(name), { version, kind, byFile: false, keepMembership: true });
    },
    async migrateDatabase(name, folders, migratePatience) {
      const { platform, app, version } = await readFolders(folders);
      const kind = kindOf(app);
      let from = '';
      const isThere = async () => {
        const found = await requireReady(name);
        from = found.version;
        if (from === version) return true;
        if (found.kind !== kind) throw databaseErrors.FH_DB_WRONG_KIND({ detail: `${name} is of kind ${found.kind}` });
        return false;
      };
      if (await isThere()) return undefined;
      return holdAlone(name, async () => {
        if (await isThere()) return undefined;
        const step = `${from} ${version}`;
        const result = await runMigrations(rolesOf(name), platform, app, { patience: migratePatience, step });
        await failpoint('databases.migrate.done');
        await runStatements([unhurried, noteSql(name, { state: 'ready', version, kind })]);
        return result;
      });
    },
    readCatalogues: (name, read) =>
      // Behind a migration of it, never between two files of one.
      holdAlone(name, () => readCatalogues(targetOf(rolesOf(name).app), read)),
    async openDatabase(name, { appPassword, platformPassword }, { connectionLimit = defaultConnectionLimit } = {}) {
      const roles = rolesOf(name);
      const found = await findDatabase(pool, name);
      const limit = found?.note?.kind === 'process' ? ` CONNECTION LIMIT ${Math.trunc(connectionLimit)}` : '';
      await runStatements([
        `ALTER ROLE ${id(roles.app)} LOGIN PASSWORD ${literal(scramVerifier(appPassword))}${limit}`,
        `ALTER ROLE ${id(roles.platform)} LOGIN PASSWORD ${literal(scramVerifier(platformPassword))}`,
      ]);
      await failpoint('databases.open.done');
    },
    closeDatabase,
    openReader: createReaders({ pool, runStatements }),
    async cloneDatabase(from, to) {
      await holdAlone(from, async () => {
        const { version, kind } = await requireReady(from);
        const byFile = ((await selectSizeBytes(pool, from)) ?? 0) > walLogLimitBytes;
        await copyDatabase(rolesOf(from), rolesOf(to), { version, kind, byFile, keepMembership: false });
      });
    },
    dropDatabase,
    async databaseSize(name) {
      rolesOf(name);
      const size = await selectSizeBytes(pool, name);
      if (size === undefined) throw databaseErrors.FH_DB_NOT_FOUND({ detail: name });
      return size;
    },
    async setCommitWaits(name, waits) {
      await requireReady(name);
      await runStatements([commitWaitsSql(name, waits)]);
      await failpoint('databases.commit_waits.set');
      return serverTime(pool);
    },
    async endSessions(name, openedBefore) {
      rolesOf(name);
      await endSessions(name, openedBefore);
    },
    async listDatabases() {
      return (await selectDatabases(pool)).map(({ name, note, valid }) => ({
        name,
        kind: isTemplateName(name) ? 'template' : 'tenant',
        state: valid && note ? note.state : 'making',
        version: note?.version,
      }));
    },
    async findOrphans(known) {
      const wanted = new Set(known);
      const [databases, roles] = [await selectDatabases(pool), await selectRoles(pool)];
      const kept = new Set(
        databases.map(({ name }) => name).filter((name) => wanted.has(name) || isTemplateName(name)),
      );
      return {
        databases: databases.map(({ name }) => name).filter((name) => !kept.has(name)),
        roles: roles.filter(
          (role) => !kept.has(role.replace(/_[pmr]$/, '')) && !wanted.has(role.replace(/_[pmr]$/, '')),
        ),
      };
    },
    server: { host: target.host, port: target.port, tls: target.tls ?? 'off', ca: target.ca },
  };
}

/** Apps that are processes have no migrations of ours. */
function kindOf(app: readonly MigrationFile[] | undefined): DatabaseKind {
  return app ? 'sdk' : 'process';
}

/** Waits for all, then throws the first failure: nothing may still be under way when the caller cleans up. */
async function settleAll(work: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
