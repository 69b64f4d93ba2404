// biome-ignore-all lint/suspicious/noTemplateCurlyInString: texts of the product, as they stand there
import type { PlantedLeak } from './types.ts';

const pool = 'src/databases/lease-pool.ts';
const lease = 'src/databases/lease.ts';
const doors = 'src/databases/tenant-databases.ts';
const sql = 'src/databases/sql.ts';

export const databaseLeaks: readonly PlantedLeak[] = [
  {
    name: 'an idle connection of any tenant will do',
    threat: "a request runs in another tenant's database",
    edits: [
      {
        file: pool,
        find: 'const idle = takeIdle(tenants.get(tenantId), role);',
        replace:
          'const idle = [tenants.get(tenantId), ...tenants.values()].map((tenant) => takeIdle(tenant, role)).find(Boolean);',
      },
    ],
    groups: ['pool'],
  },
  {
    name: 'roles share connections',
    threat: "the app's statements run with the rights of the platform",
    edits: [
      {
        file: pool,
        find: '    const place = tenant?.idle[role].pop();\n',
        replace: '    const place = tenant?.idle[role].pop() ?? tenant?.idle.platform.pop();\n',
      },
    ],
    groups: ['pool'],
  },
  {
    name: 'the oldest idle connection is given away instead of closed',
    threat: "a request runs in another tenant's database when the budget is used up",
    edits: [
      {
        file: pool,
        find: '        if (oldest) close(oldest);\n',
        replace:
          "        if (oldest) {\n          removeIdle(oldest);\n          oldest.state = 'leased';\n          leased++;\n          remaining.pop();\n          waiter.resolve(oldest);\n        }\n",
      },
    ],
    groups: ['pool'],
  },
  {
    name: 'eviction closes nothing',
    threat: 'connections of a suspended tenant stay in use',
    edits: [
      {
        file: doors,
        find: 'directory.onChanged((tenantId) => pool.evict(tenantId, settleMs > 0 ? { isOpen, settleMs } : undefined));',
        replace: 'directory.onChanged(async () => {});',
      },
    ],
    groups: ['pool'],
  },
  {
    name: 'a new link to control closes nothing',
    threat: 'what was missed while the link was down is never made good',
    edits: [
      {
        file: doors,
        find: 'directory.onFlush(() => pool.retireAll());',
        replace: 'directory.onFlush(async () => {});',
      },
    ],
    groups: ['pool'],
  },
  {
    name: "the directory's answer is not compared with the tenant",
    threat: "one mistake in a memory of accesses opens another tenant's database",
    edits: [
      {
        file: doors,
        find: 'if (access.tenantId !== tenantId) throw databaseErrors.FH_DB_WRONG_DATABASE();',
        replace: '',
      },
    ],
    groups: ['pool'],
  },
  {
    name: 'a connection is not looked at before it is used again',
    threat: 'a request finds itself in the transaction or the settings of another one',
    edits: [
      { file: lease, find: 'return !this.#doubtful && isClean(this.#place);', replace: 'return !this.#doubtful;' },
    ],
    groups: ['pool'],
  },
  {
    name: 'a connection in doubt is used again',
    threat: 'a request meets what another one left in the session',
    edits: [
      { file: lease, find: 'return !this.#doubtful && isClean(this.#place);', replace: 'return isClean(this.#place);' },
    ],
    groups: ['pool'],
  },
  {
    name: 'statements that leave traces are not noticed',
    threat: 'settings and locks of one user are met by the next',
    edits: [
      {
        file: 'src/databases/statements.ts',
        find: 'leavesTraces: tracePattern.test(text)',
        replace: 'leavesTraces: tracePattern.test(text) && false',
      },
    ],
    groups: ['pool'],
  },
  {
    name: 'statements about the session are let through',
    threat: 'an app changes the session that others will have',
    edits: [
      { file: 'src/databases/statements.ts', find: 'if (refused) throw', replace: 'if (refused && limit === 0) throw' },
    ],
    groups: ['pool'],
  },
  {
    name: 'nothing is cancelled when the client is gone',
    threat: 'statements run on behind the next lease',
    edits: [
      {
        file: lease,
        find: 'if (this.#interruption && !(await cancelRunning(this.#place, () => this.#running))) this.#doubtful = true;',
        replace: 'void cancelRunning;',
      },
      {
        file: lease,
        find: 'if ((this.#begun && !this.#committed) || this.#interruption) {',
        replace: 'if (this.#begun && !this.#committed && !this.#interruption) {',
      },
    ],
    groups: ['pool'],
  },
  {
    name: 'a handle outlives its lease',
    threat: "code that kept a handle reads whatever tenant's connection that is by then",
    edits: [
      { file: lease, find: "if (this.#phase !== 'open') throw databaseErrors.FH_DB_LEASE_ENDED();", replace: '' },
    ],
    groups: ['pool'],
  },
  {
    name: "a role's own settings count",
    threat: 'an app turns off the time limits that protect its neighbours',
    edits: [{ file: doors, find: '        statement_timeout: String(options.statementTimeoutMs),\n', replace: '' }],
    groups: ['pool'],
  },
  {
    name: 'connections carry the id of their tenant',
    threat: 'every role of the server reads who is active',
    edits: [
      {
        file: doors,
        find: "applicationName: options.applicationName ?? 'freehold gateway',",
        replace: 'applicationName: `freehold $' + '{tenantId}`,',
      },
    ],
    groups: ['pool'],
  },
  {
    name: 'everybody may connect to a tenant',
    threat: 'one of the two barriers in the server is gone',
    edits: [{ file: sql, find: '    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,\n', replace: '' }],
    groups: ['database'],
  },
  {
    name: 'roles write unless told otherwise',
    threat: 'a forgotten transaction, or anybody with the password, changes data by accident',
    edits: [
      {
        file: sql,
        find: '    statements.push(`ALTER ROLE ${id(role)} SET default_transaction_read_only = on`);\n',
        replace: '',
      },
    ],
    groups: ['database'],
  },
  {
    name: 'a closed database lets its roles in',
    threat: 'a gateway that is stuck goes on with a suspended tenant',
    edits: [
      {
        file: 'src/databases/admin.ts',
        find: 'await runStatements([...existing].map((role) => `ALTER ROLE ${id(role)} NOLOGIN`));',
        replace: 'await runStatements([...existing].map((role) => `ALTER ROLE ${id(role)} INHERIT`));',
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'a closed database keeps its sessions',
    threat: 'connections from before the suspension go on',
    edits: [
      {
        file: sql,
        find: '`SELECT pg_terminate_backend(pid) FROM pg_stat_activity\n     WHERE datname',
        replace: '`SELECT pid FROM pg_stat_activity\n     WHERE false AND datname',
      },
    ],
    groups: ['lifecycle'],
  },
  {
    name: 'control stays a member of every role it copies',
    threat: "one login inherits every tenant's rights",
    edits: [{ file: 'src/databases/reown.ts', find: 'REVOKE ${newRoles} FROM CURRENT_USER;\n', replace: '' }],
    groups: ['database'],
  },
  {
    name: 'any tenant role may try any database',
    threat: 'the other of the two barriers in the server is gone',
    edits: [
      {
        file: 'src/clusters/settings.ts',
        find: "'local  samerole     all               scram-sha-256',",
        replace: "'local  all          all               scram-sha-256',",
      },
    ],
    groups: ['database'],
    needsOwnServer: true,
  },
  {
    name: 'the server logs statements with their values',
    threat: "tenants' data stands in a log that all tenants share",
    edits: [
      { file: 'src/clusters/settings.ts', find: "['log_statement', 'none',", replace: "['log_statement', 'all'," },
      {
        file: 'src/clusters/settings.ts',
        find: "['log_parameter_max_length', 0,",
        replace: "['log_parameter_max_length', -1,",
      },
      {
        file: 'src/clusters/settings.ts',
        find: "['log_error_verbosity', 'terse',",
        replace: "['log_error_verbosity', 'default',",
      },
    ],
    groups: ['errors'],
    needsOwnServer: true,
  },
];
