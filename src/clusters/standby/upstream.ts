/** How a server of the pair reaches the primary. */
export interface Upstream {
  /** Folder with the stable link to the primary's socket. */
  readonly socketDir: string;
  readonly port: number;
  /** libpq password file, of the server's user, closed to others. */
  readonly passFile: string;
  /** Folder in which a failover leaves WAL that the old primary did not send any more. */
  readonly handoverDir: string;
}

export const standbySlot = 'freehold_standby';
/** Name under which the standby streams. */
export const standbyApplication = 'freehold_standby';

/** Settings of both servers; a primary ignores them. */
export function upstreamSettings(upstream: Upstream): [name: string, value: string | number, reason: string][] {
  const conninfo = Object.entries({
    host: upstream.socketDir,
    port: String(upstream.port),
    user: 'freehold_replication',
    passfile: upstream.passFile,
    application_name: standbyApplication,
  }).map(([name, value]) => `${name}='${value.replace(/[\\']/g, '\\$&')}'`);
  const handedOver = `${shellQuote(upstream.handoverDir.replaceAll('%', '%%'))}/%f`;
  return [
    ['primary_conninfo', conninfo.join(' '), 'for the server that follows; the password is in the file'],
    ['primary_slot_name', standbySlot, 'the primary keeps what we still need'],
    ['hot_standby', 'on', 'dumps are taken from the standby'],
    ['hot_standby_feedback', 'on', 'vacuum on the primary spares what a dump on the standby still sees'],
    ['wal_receiver_status_interval', '1s', 'the lag that people see is not older'],
    ['wal_retrieve_retry_interval', '500ms', 'follow again soon after the primary was away'],
    // Anything but "not there" would be a fault of ours; `test` keeps the log quiet while there is nothing.
    ['restore_command', `test -f ${handedOver} && cp ${handedOver} "%p"`, 'what a failover took from the old primary'],
  ];
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
