import os from 'node:os';
import { type Upstream, upstreamSettings } from './standby/upstream.ts';

export interface SettingsOptions {
  readonly socketDir: string;
  readonly port: number;
  readonly maxConnections: number;
  readonly major: number;
  /** The file system of the data folder can share blocks between files (reflink). */
  readonly canCloneFiles: boolean;
  /** Where the primary is found while this server follows it. */
  readonly upstream?: Upstream;
  /** Memory of the machine in bytes. Default: what the operating system says. */
  readonly memoryBytes?: number | undefined;
}

const mebibyte = 1024 * 1024;

/** `freehold.conf`, included at the end of postgresql.conf and written anew at each start. Every line says why it is there. */
export function serverSettings(options: SettingsOptions): string {
  const { major } = options;
  const memoryMiB = (options.memoryBytes ?? os.totalmem()) / mebibyte;
  const linux = process.platform === 'linux';
  const lines: [name: string, value: string | number, reason: string][] = [
    ['listen_addresses', '', 'no TCP: whoever cannot enter the socket folder cannot even try a password'],
    ['unix_socket_directories', quoteDirectory(options.socketDir), ''],
    ['unix_socket_permissions', '0777', 'the folder (0710) decides who comes near'],
    ['port', options.port, 'only part of the socket file name'],
    ['max_connections', options.maxConnections, 'gateways and apps share budgets below this, so it is never reached'],
    ['password_encryption', 'scram-sha-256', 'also for roles that somebody makes by hand'],
    ['client_encoding', 'UTF8', ''],
    ['timezone', 'UTC', 'a time means the same on every machine'],
    ['lc_messages', 'C', 'log in one language'],

    [
      'shared_buffers',
      `${clamp(memoryMiB / 8, 128, 4096)}MB`,
      'the machine also runs gateways and apps; the rest is page cache',
    ],
    ['effective_cache_size', `${clamp(memoryMiB / 2, 256, 65536)}MB`, ''],
    ['work_mem', '8MB', 'times many backends'],
    ['maintenance_work_mem', '64MB', 'tenants are small; several vacuums run at once'],
    ['temp_file_limit', '4GB', "one tenant's runaway sort must not fill the disk of all"],
    ['max_parallel_workers_per_gather', 0, "one tenant's large scan must not take the other tenants' cores"],
    ['jit', 'off', 'compiling costs more than the short statements of web pages take'],
    ['max_locks_per_transaction', 256, 'a dump locks every table of a database at once'],

    [
      'autovacuum_naptime',
      '60s',
      'per database; with thousands the launcher is limited to ten databases a second anyway',
    ],
    ['autovacuum_max_workers', 4, 'many small databases in turn'],
    ['autovacuum_vacuum_cost_delay', '1ms', 'each database has little to do; be done with it'],

    ['wal_level', 'replica', 'standby and shipping of WAL'],
    ['max_wal_senders', 10, ''],
    ['max_replication_slots', 10, ''],
    ['max_slot_wal_keep_size', '32GB', 'a shipper that is away must not fill the disk; it says so long before'],
    ['wal_keep_size', '512MB', 'a promoted standby still has what the shipper has not seen yet'],
    [
      'synchronous_standby_names',
      'freehold_shipper',
      'commits that ask for it (below) wait until every region has them',
    ],
    [
      'synchronous_commit',
      'local',
      'whoever waits for the regions asks for it: ALTER DATABASE … SET synchronous_commit = remote_apply',
    ],
    ['wal_compression', 'on', 'full-page images are most of the WAL of many small databases'],
    ['max_wal_size', '4GB', 'each new database writes its template into WAL (4 to 8 MB); do not checkpoint for that'],
    ['min_wal_size', '256MB', ''],
    [
      'checkpoint_timeout',
      '15min',
      'a checkpoint after touching thousands of databases writes tens of thousands of files',
    ],
    ['checkpoint_completion_target', 0.9, ''],

    ['idle_in_transaction_session_timeout', '5min', 'an open transaction holds back vacuum in every database'],
    ['update_process_title', 'off', 'nothing about statements in the process list'],
    ['cluster_name', 'freehold', ''],

    ['logging_collector', 'off', 'standard error goes to the log file that the supervisor opened'],
    ['log_destination', 'stderr', ''],
    ['log_line_prefix', '%m [%p] %q%d ', 'the database name is opaque'],
    ['log_timezone', 'UTC', ''],
    ['log_statement', 'none', "statements hold tenants' data"],
    ['log_min_duration_statement', -1, 'for the same reason'],
    ['log_min_error_statement', 'panic', 'for the same reason'],
    ['log_error_verbosity', 'terse', 'the DETAIL of an error holds row values'],
    ['log_parameter_max_length', 0, 'never values'],
    ['log_parameter_max_length_on_error', 0, 'never values'],
    ['log_checkpoints', 'on', ''],
    ['log_lock_waits', 'on', ''],
    ['log_autovacuum_min_duration', '10s', ''],
    ['log_temp_files', -1, ''],
  ];
  if (options.upstream) lines.push(...upstreamSettings(options.upstream));
  if (linux) {
    lines.push(
      [
        'recovery_init_sync_method',
        'syncfs',
        'one system call per file system, not one open per file: 2 s rather than 137 s at 2,000 tenants',
      ],
      [
        'client_connection_check_interval',
        '5s',
        'a statement whose gateway was killed ends although nobody cancels it',
      ],
    );
  }
  if (major >= 18 && options.canCloneFiles) {
    lines.push(['file_copy_method', 'clone', 'copies of databases share their blocks']);
  }
  return lines.map(([name, value, reason]) => `${reason ? `# ${reason}\n` : ''}${name} = ${quote(value)}\n`).join('');
}

/** Who may connect, first match wins. `samerole`: the role must be the database's own app role or a member of it. */
export function hbaRules(): string {
  return [
    "# The superuser: only PostgreSQL's own operating system user.",
    'local  all          postgres          peer map=freehold',
    'local  replication  postgres          peer map=freehold',
    '# Standby, shipper and base backups: WAL and files, no statement.',
    'local  replication  freehold_replication  scram-sha-256',
    '# Control owns the databases.',
    'local  all          freehold_control  scram-sha-256',
    '# A tenant role reaches the database that has the name of its app role, and no other.',
    'local  samerole     all               scram-sha-256',
    '# Said aloud, although no match means the same.',
    'local  all          all               reject',
    'local  replication  all               reject',
    'host   all          all          all  reject',
    '',
  ].join('\n');
}

/** Operating system user → superuser. */
export function identMap(ownerUserName: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$/.test(ownerUserName)) throw new TypeError(`not a user name: ${ownerUserName}`);
  return `freehold "${ownerUserName}" postgres\n`;
}

function clamp(value: number, low: number, high: number): number {
  return Math.round(Math.min(high, Math.max(low, value)));
}

function quote(value: string | number): string {
  return `'${String(value).replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
}

/** The setting is a list of folders; double quotes keep a comma or space inside one. */
function quoteDirectory(folder: string): string {
  return `"${folder.replaceAll('"', '""')}"`;
}
