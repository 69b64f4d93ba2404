/** SQLSTATE of an error that the server sent; undefined for anything else. Decisions rest on this, never on a message. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  return typeof code === 'string' && typeof severity === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** States after which the same transaction may be tried again, and why. */
export const retryableStates: Readonly<Record<string, string>> = {
  '40001': 'serialization_failure: another transaction came first; nothing was done',
  '40P01': 'deadlock_detected: the server chose this transaction to give way; nothing was done',
  '55P03': 'lock_not_available: lock_timeout ran out before anything was changed',
  '57P01': 'admin_shutdown: the server or an operator ended the session before the commit',
  '57P02': 'crash_shutdown: another backend crashed; the server recovers by itself',
  '57P03': 'cannot_connect_now: the server is starting, recovering or shutting down',
  '53300': 'too_many_connections: a place becomes free when another session ends',
  '55006': 'object_in_use: somebody is connected to the database; it ends soon',
};

/** Operating system errors before a session exists: nothing was sent, so nothing was done. */
const retryableConnectErrors: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EAGAIN']);

/** True when the same transaction may be tried again: it certainly was not committed, and another try may succeed. */
export function isRetryable(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return state in retryableStates;
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown };
  return syscall === 'connect' && typeof code === 'string' && retryableConnectErrors.has(code);
}

/** The connection broke while COMMIT was under way: nobody knows whether it happened, so it is never retried blindly. */
export class CommitUncertainError extends Error {
  override readonly name = 'CommitUncertainError';
  constructor(cause: unknown) {
    super('the connection was lost during COMMIT; whether the transaction was committed is not known', { cause });
  }
}

/** The transaction is committed on the primary, and whoever it waits for (recovery point zero) has not confirmed it. */
export class CommitUnconfirmedError extends Error {
  override readonly name = 'CommitUnconfirmedError';
  constructor() {
    super('the transaction was committed by the primary alone');
  }
}

/** The session is gone: whether the statement that ran was carried out is not known. */
export class ConnectionLostError extends Error {
  override readonly name = 'ConnectionLostError';
  constructor(cause: unknown) {
    super('the connection to PostgreSQL was lost', { cause });
  }
}
