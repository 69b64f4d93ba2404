import { type Log, retry } from '#src/kernel/index.ts';
import { type Connection, type ConnectionTarget, isRetryable, openConnection } from '#src/postgres/index.ts';
import type { Shutdown } from './shutdown.ts';

/** Key of the advisory lock in the control database: its holder is the installation's leader. */
const leaderLock = 0x46484c44;

/** About half a minute: a server that was killed together with us is still recovering when we are back. */
const patience = { attempts: 35, firstDelayMs: 50, maxDelayMs: 1_000, isRetryable };

/**
 * Waits until this process is the installation's one control, and holds that for its life. The lock belongs to a connection, so it falls
 * with the process or with the server. On an external server another control may lead then, so a leader that loses it ends itself at once.
 * A cluster of our own has one control, its supervisor's: it takes the lock again when the server is back or another has taken over.
 */
export async function holdLeadership({
  target,
  shutdown,
  isOnlyControl,
  log,
}: {
  target: ConnectionTarget;
  shutdown: Shutdown;
  /** Nobody else can lead, because the data folder is locked by one supervisor. */
  isOnlyControl: boolean;
  log: Log;
}): Promise<void> {
  const connect = () =>
    openConnection(target, {
      applicationName: 'freehold control leader',
      options: { statement_timeout: '0', tcp_keepalives_idle: '10' },
    });
  let isOver = false;
  let connection = await retry(patience, connect);
  shutdown.add('leadership', 2_000, async () => {
    isOver = true;
    await connection.close();
  });
  const [row] = await connection.query<{ leads: boolean }>('SELECT pg_try_advisory_lock($1) AS leads', [leaderLock]);
  if (!row?.leads) {
    log.warn('another control leads; waiting for it to end');
    await connection.query('SELECT pg_advisory_lock($1)', [leaderLock]);
  }
  connection.onEnd(() => void onLost());

  async function onLost(): Promise<void> {
    if (isOver) return;
    log.error('leadership is lost with the connection to the control database');
    if (!isOnlyControl) process.exit(75);
    const again = await retry(
      { ...patience, attempts: Number.POSITIVE_INFINITY, isRetryable: () => !isOver },
      takeAgain,
    );
    if (isOver) return void (await again.close());
    connection = again;
    connection.onEnd(() => void onLost());
    log.info('leadership is back');
  }

  async function takeAgain(): Promise<Connection> {
    const next = await connect();
    try {
      const [held] = await next.query<{ leads: boolean }>('SELECT pg_try_advisory_lock($1) AS leads', [leaderLock]);
      // The server may still be ending our own old session.
      if (!held?.leads) throw new Error('the lock is still held');
      return next;
    } catch (error) {
      await next.close();
      throw error;
    }
  }
}
