import { type Log, retry } from '#src/kernel/index.ts';
import { type ConnectionTarget, isRetryable, openConnection } from '#src/postgres/index.ts';
import type { Shutdown } from './shutdown.ts';

/** Key of the advisory lock in the control database: its holder is the installation's leader. */
const leaderLock = 0x46484c44;

/** About half a minute: a server that was killed together with us is still recovering when we are back. */
const patience = { attempts: 35, firstDelayMs: 50, maxDelayMs: 1_000, isRetryable };

/**
 * Waits until this process is the installation's one control, and holds that for its life. The lock belongs to a connection, so it falls
 * with the process or with the server; a leader that loses it ends itself at once, because another may lead now.
 */
export async function holdLeadership({
  target,
  shutdown,
  log,
}: {
  target: ConnectionTarget;
  shutdown: Shutdown;
  log: Log;
}): Promise<void> {
  const connection = await retry(patience, () =>
    openConnection(target, {
      applicationName: 'freehold control leader',
      options: { statement_timeout: '0', tcp_keepalives_idle: '10' },
    }),
  );
  let isOver = false;
  shutdown.add('leadership', 2_000, async () => {
    isOver = true;
    await connection.close();
  });
  const [row] = await connection.query<{ leads: boolean }>('SELECT pg_try_advisory_lock($1) AS leads', [leaderLock]);
  if (!row?.leads) {
    log.warn('another control leads; waiting for it to end');
    await connection.query('SELECT pg_advisory_lock($1)', [leaderLock]);
  }
  connection.onEnd(() => {
    if (isOver) return;
    log.error('leadership is lost with the connection to the control database');
    process.exit(75);
  });
}
