import { FreeholdError } from '#src/kernel/index.ts';
import { objectErrors } from '#src/objects/index.ts';
import { CommitUncertainError, ConnectionLostError, isRetryable, sqlState } from '#src/postgres/index.ts';
import { databaseErrors } from './errors.ts';

/** SQLSTATE disk_full. */
const diskFull = '53100';

/** Conditions of the server and the connection get a code of ours; what the statement itself did wrong stays as the server said it. */
export function describeCondition(error: unknown): unknown {
  if (error instanceof FreeholdError) return error;
  if (error instanceof CommitUncertainError) return databaseErrors.FH_DB_OUTCOME_UNKNOWN({ cause: error });
  const state = sqlState(error);
  if (state === '57014') return databaseErrors.FH_DB_TIMEOUT({ cause: error });
  if (state === diskFull) return objectErrors.FH_STORAGE_FULL({ cause: error });
  if (state === '55P03') return databaseErrors.FH_DB_LOCK_TIMEOUT({ cause: error });
  if (state !== undefined) return /^(57P|08)/.test(state) ? databaseErrors.FH_DB_UNAVAILABLE({ cause: error }) : error;
  const isLost = error instanceof ConnectionLostError || isConnectError(error);
  return isLost ? databaseErrors.FH_DB_UNAVAILABLE({ cause: error }) : error;
}

/** Of opening a connection: the server is full, or gone, or does not let the role in any more; a refusal of the directory goes on as it is. */
export function describeOpening(error: unknown): unknown {
  const state = sqlState(error);
  if (state === '53300') return databaseErrors.FH_DB_BUSY({ retryAfterSeconds: 1, cause: error });
  return state !== undefined || isConnectError(error) ? databaseErrors.FH_DB_UNAVAILABLE({ cause: error }) : error;
}

function isConnectError(error: unknown): boolean {
  return (error as { syscall?: unknown }).syscall !== undefined;
}

/** True when a migration met what passes by itself: another's lock, a session that was ended, a server that is starting. */
export function isPassing(error: unknown): boolean {
  if (isRetryable(error) || error instanceof ConnectionLostError) return true;
  return error instanceof FreeholdError && error.cause !== undefined && isPassing(error.cause);
}
