import { type ConnectionTarget, openConnection, quoteIdentifier, sqlState } from '#src/postgres/index.ts';
import { clusterErrors } from './errors.ts';

export interface ServerFacts {
  /** For example `15.13`. */
  readonly version: string;
  readonly major: number;
  readonly maxConnections: number;
  /** What works with less comfort or less safety than on a server of ours, in words for `doctor`. */
  readonly warnings: readonly string[];
}

/**
 * Checks that a server which is not ours can be used with this role, which need not be a superuser.
 * Throws FH_CLUSTER_UNREACHABLE, or FH_CLUSTER_SERVER_UNFIT with everything that is missing and the statements that mend it.
 */
export async function checkExternalServer(target: ConnectionTarget): Promise<ServerFacts> {
  const connection = await openConnection(target, { applicationName: 'freehold check' }).catch((error) => {
    throw clusterErrors.FH_CLUSTER_UNREACHABLE({
      detail: `${target.host}, port ${target.port}: ${sqlState(error) ?? (error as NodeJS.ErrnoException).code ?? 'no answer'}`,
      cause: error,
    });
  });
  try {
    const [facts] = await connection.query<Facts>(factsSql);
    return judge(target, facts!);
  } finally {
    await connection.close();
  }
}

interface Facts {
  readonly versionNumber: number;
  readonly version: string;
  readonly maxConnections: number;
  readonly encoding: string;
  readonly createsDatabases: boolean;
  readonly createsRoles: boolean;
  readonly superuser: boolean;
  readonly signals: boolean;
  readonly ownsDatabase: boolean;
  readonly publicConnects: string[];
  readonly logsStatements: string;
  readonly inRecovery: boolean;
}

const factsSql = `
SELECT current_setting('server_version_num')::int AS "versionNumber",
       current_setting('server_version') AS version,
       current_setting('max_connections')::int AS "maxConnections",
       pg_encoding_to_char(d.encoding) AS encoding,
       r.rolcreatedb OR r.rolsuper AS "createsDatabases",
       r.rolcreaterole OR r.rolsuper AS "createsRoles",
       r.rolsuper AS superuser,
       pg_has_role(r.oid, 'pg_signal_backend', 'USAGE') AS signals,
       pg_has_role(r.oid, d.datdba, 'USAGE') AS "ownsDatabase",
       ARRAY(SELECT o.datname::text FROM pg_database o
             WHERE o.datallowconn AND has_database_privilege('public', o.oid, 'CONNECT') ORDER BY 1) AS "publicConnects",
       current_setting('log_statement') AS "logsStatements",
       pg_is_in_recovery() AS "inRecovery"
FROM pg_roles r, pg_database d
WHERE r.rolname = current_user AND d.datname = current_database()`;

function judge(target: ConnectionTarget, facts: Facts): ServerFacts {
  const major = Math.floor(facts.versionNumber / 10_000);
  const role = quoteIdentifier(target.user);
  const missing: string[] = [];
  const mend: string[] = [];
  if (major < 15) missing.push(`version 15 or newer (it is ${facts.version})`);
  if (facts.inRecovery) missing.push('a primary (this server is a standby)');
  if (facts.encoding !== 'UTF8') missing.push(`a database in UTF8 (it is ${facts.encoding})`);
  if (!facts.createsDatabases || !facts.createsRoles) {
    const attributes = [!facts.createsDatabases && 'CREATEDB', !facts.createsRoles && 'CREATEROLE']
      .filter(Boolean)
      .join(' ');
    missing.push(`${attributes} for the role`);
    mend.push(`ALTER ROLE ${role} ${attributes};`);
  }
  if (!facts.signals) {
    missing.push('membership in pg_signal_backend, to end the sessions of a suspended tenant');
    mend.push(`GRANT pg_signal_backend TO ${role};`);
  }
  if (!facts.ownsDatabase) {
    missing.push('ownership of the control database');
    mend.push(`ALTER DATABASE ${quoteIdentifier(target.database)} OWNER TO ${role};`);
  }
  if (missing.length > 0) {
    throw clusterErrors.FH_CLUSTER_SERVER_UNFIT({
      detail: `missing: ${missing.join('; ')}`,
      hint: mend.length > 0 ? `Run on the server: ${mend.join(' ')}` : undefined,
    });
  }
  const warnings: string[] = [];
  if (facts.superuser) warnings.push('the role is a superuser; Freehold needs no more than CREATEDB and CREATEROLE');
  if (facts.publicConnects.length > 0) {
    warnings.push(
      `every role may connect to ${facts.publicConnects.join(', ')}; run REVOKE ALL ON DATABASE … FROM PUBLIC`,
    );
  }
  if (facts.logsStatements !== 'none') warnings.push("log_statement is on, so tenants' data reaches the server's log");
  if (target.tls !== 'verify-full' && !target.host.startsWith('/')) warnings.push('the connection is not encrypted');
  return { version: facts.version.split(' ')[0]!, major, maxConnections: facts.maxConnections, warnings };
}
