import { type RecoveryTarget, targetSettings } from './target.ts';

export interface RecoverySettings {
  readonly socketDir: string;
  readonly port: number;
  readonly hbaFile: string;
  readonly identFile: string;
  readonly restoreCommand: string;
  readonly target: RecoveryTarget;
  readonly timeline: number;
  /** The result is kept: everything is on disk before the server says so. */
  readonly durable: boolean;
  readonly sharedBuffersMiB: number;
  readonly maxPreparedTransactions: number;
}

/** The whole configuration of a server that recovers and is thrown away, or is stopped and started again by its own settings. */
export function recoverySettings(options: RecoverySettings): string {
  const durable = options.durable ? 'on' : 'off';
  const lines: [name: string, value: string | number, reason: string][] = [
    ['listen_addresses', '', 'nobody but who started it: no network'],
    ['unix_socket_directories', `"${options.socketDir.replaceAll('"', '""')}"`, ''],
    ['unix_socket_permissions', '0700', ''],
    ['port', options.port, ''],
    ['hba_file', options.hbaFile, ''],
    ['ident_file', options.identFile, ''],
    ['max_connections', 10, ''],
    ['superuser_reserved_connections', 2, ''],

    ['restore_command', options.restoreCommand, ''],
    ...Object.entries(targetSettings(options.target)).map(([name, value]): [string, string, string] => [
      name,
      value,
      '',
    ]),
    [
      'recovery_target_timeline',
      options.timeline,
      'the plan says which; the newest may be a branch that was abandoned',
    ],
    ['recovery_target_action', 'promote', ''],
    ['hot_standby', 'off', 'nobody looks before the end; with it, limits would have to be as large as on the source'],
    ['restart_after_crash', 'off', 'a crash is an answer'],

    ['archive_mode', 'off', 'the new timeline of a copy must never get among the real WAL (facts F24)'],
    ['wal_level', options.durable ? 'replica' : 'minimal', ''],
    ['max_wal_senders', 0, 'nobody replicates from it'],
    ['primary_conninfo', '', ''],
    ['synchronous_standby_names', '', 'or the first commit would wait for ever'],
    ['shared_preload_libraries', '', 'no code but PostgreSQL'],
    ['session_preload_libraries', '', ''],
    ['max_logical_replication_workers', 0, 'subscriptions of the source stay quiet'],
    [
      'max_prepared_transactions',
      Math.max(options.maxPreparedTransactions, 4),
      'or prepared transactions stop recovery',
    ],
    ['autovacuum', 'off', 'databases that are not restored cannot be entered'],

    ['shared_buffers', `${options.sharedBuffersMiB}MB`, ''],
    ['work_mem', '8MB', ''],
    ['maintenance_work_mem', '64MB', ''],
    ['max_parallel_workers', 0, ''],
    ['jit', 'off', ''],
    ['max_locks_per_transaction', 256, 'a dump locks every table at once'],
    ['checkpoint_timeout', '15min', ''],
    ['max_wal_size', '512MB', 'replayed segments go at restart points'],
    ['min_wal_size', '80MB', ''],
    ['wal_keep_size', options.durable ? '512MB' : '0', 'nobody has yet shipped what is written on the new timeline'],
    ['fsync', durable, ''],
    ['full_page_writes', durable, ''],
    ['synchronous_commit', durable, ''],

    ['timezone', 'UTC', ''],
    ['lc_messages', 'C', ''],
    ['log_destination', 'stderr', ''],
    ['logging_collector', 'off', ''],
    ['log_line_prefix', '%b %e ', ''],
    ['log_timezone', 'UTC', ''],
    ['log_statement', 'none', "statements hold tenants' data"],
    ['log_min_duration_statement', -1, ''],
    ['log_min_error_statement', 'panic', ''],
    ['log_error_verbosity', 'terse', 'the DETAIL of an error holds row values'],
    ['log_checkpoints', 'off', ''],
    ['cluster_name', 'freehold restore', ''],
  ];
  return lines.map(([name, value, reason]) => `${reason ? `# ${reason}\n` : ''}${name} = ${quote(value)}\n`).join('');
}

function quote(value: string | number): string {
  return `'${String(value).replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
}
