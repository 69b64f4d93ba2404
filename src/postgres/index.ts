/**
 * postgres: one connection, a replication connection, a small pool, transactions, SQLSTATE and SCRAM verifiers. The only importer of the driver.
 * Knows no tenant. Callers: databases, clusters, and whoever keeps rows in control's own database.
 */
export { type OpenConnectionOptions, openConnection } from './connection.ts';
export { quoteIdentifier, quoteLiteral } from './identifiers.ts';
export { lazily } from './lazily.ts';
export { isOwnSchema } from './own-schemas.ts';
export { createPool, type Pool, type PoolOptions } from './pool.ts';
export {
  type OpenReplicationOptions,
  openReplication,
  type ReplicationConnection,
  type ServerIdentity,
  type SlotPosition,
  type StartReplicationOptions,
} from './replication.ts';
export type { TimelineEnd, WalStream } from './replication-stream.ts';
export { newPassword, scramVerifier } from './scram.ts';
export {
  CommitUncertainError,
  CommitUnconfirmedError,
  ConnectionLostError,
  isRetryable,
  retryableStates,
  sqlState,
} from './sqlstate.ts';
export { commit, retryTransaction, runTransaction, type TransactionRunner } from './transaction.ts';
export type * from './types.ts';
export type { ReceiverStatus, WalMessage } from './wal-messages.ts';
export { readFlushedPlace } from './wal-place.ts';
