import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import {
  type ConnectionTarget,
  openConnection,
  openReplication,
  quoteIdentifier,
  quoteLiteral,
  scramVerifier,
} from '#src/postgres/index.ts';
import type { Binaries } from './binaries.ts';
import { clusterErrors } from './errors.ts';
import type { OsUser } from './os-user.ts';
import { runProgram } from './run.ts';

export interface BootstrapOptions {
  readonly binaries: Binaries;
  /** User that the server maps to its superuser. */
  readonly osUser?: OsUser;
  /** Control's role, database and password as they shall be. */
  readonly target: ConnectionTarget;
  /** Password of `freehold_replication`; undefined: the role is left as it is. */
  readonly replicationPassword?: string;
}

/** Standby, shipper and base backups connect as this role. */
export const replicationRole = 'freehold_replication';

/**
 * Makes control's role and database. Idempotent. As the superuser, which only the server's own operating system user can be: so
 * this runs `psql` as that user, with the statements on standard input (arguments are public on a machine).
 */
export async function bootstrapCluster(options: BootstrapOptions): Promise<void> {
  const { binaries, osUser, target, replicationPassword } = options;
  if ((await isBootstrapped(target)) && (await canReplicate(target, replicationPassword))) return;
  const program = await findPsql(binaries);
  const args = ['--no-psqlrc', '--quiet', '--no-password', '--set=ON_ERROR_STOP=1', '--host', target.host];
  args.push('--port', String(target.port), '--username=postgres', '--dbname=postgres');
  const result = await runProgram(program, args, {
    osUser,
    cwd: '/',
    input: bootstrapSql(target, replicationPassword),
  });
  if (result.exitCode !== 0) {
    // psql quotes the failing line, which may hold the verifier: only the server's own message goes on.
    const message = /ERROR: {2}(.*)/.exec(result.stderr)?.[1];
    throw clusterErrors.FH_CLUSTER_TOOL_FAILED({ detail: `psql: ${message ?? `exit code ${result.exitCode}`}` });
  }
}

/** Server packages of some vendors hold no client; any newer or older psql can run these statements. */
export async function findPsql({ binDir }: Binaries): Promise<string> {
  const own = path.join(binDir, 'psql');
  return access(own, constants.X_OK).then(
    () => own,
    () => '/usr/bin/psql',
  );
}

async function isBootstrapped(target: ConnectionTarget): Promise<boolean> {
  try {
    const connection = await openConnection(target, { applicationName: 'freehold bootstrap' });
    try {
      // The last statement of bootstrapSql; when it has been run, so have all before it.
      const [row] = await connection.query(
        "SELECT 1 FROM pg_database WHERE datname = current_database() AND shobj_description(oid, 'pg_database') = $1",
        [bootstrapVersion],
      );
      return row !== undefined;
    } finally {
      await connection.close();
    }
  } catch {
    // No role, no database, another password: all of it is mended below.
    return false;
  }
}

async function canReplicate(target: ConnectionTarget, password: string | undefined): Promise<boolean> {
  if (password === undefined) return true;
  try {
    const connection = await openReplication(
      { ...target, user: replicationRole, password },
      { applicationName: 'freehold bootstrap' },
    );
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

function replicationSql(password: string): string {
  return `
SELECT 'CREATE ROLE ${replicationRole}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${replicationRole}') \\gexec
ALTER ROLE ${replicationRole} LOGIN REPLICATION NOCREATEDB NOCREATEROLE NOSUPERUSER NOBYPASSRLS PASSWORD ${quoteLiteral(scramVerifier(password))};
`;
}

/** Raise it whenever bootstrapSql changes. */
const bootstrapVersion = 'freehold control 2';

function bootstrapSql(target: ConnectionTarget, replicationPassword: string | undefined): string {
  const role = quoteIdentifier(target.user);
  const database = quoteIdentifier(target.database);
  return `
SET client_min_messages = warning;
SELECT 'CREATE ROLE ${role}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${quoteLiteral(target.user)}) \\gexec
ALTER ROLE ${role} LOGIN CREATEDB CREATEROLE NOSUPERUSER NOREPLICATION NOBYPASSRLS PASSWORD ${quoteLiteral(scramVerifier(target.password))};
-- Ends sessions of tenants and sees whether they are gone.
GRANT pg_signal_backend, pg_monitor TO ${role};
SELECT 'CREATE DATABASE ${database} OWNER ${role} TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = ${quoteLiteral(target.database)}) \\gexec
-- PostgreSQL lets everybody connect to every database and make temporary tables there, unless told otherwise.
REVOKE ALL ON DATABASE postgres, template1, ${database} FROM PUBLIC;
${replicationPassword === undefined ? '' : replicationSql(replicationPassword)}
COMMENT ON DATABASE ${database} IS ${quoteLiteral(bootstrapVersion)};
`;
}
