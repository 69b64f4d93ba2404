/**
 * clusters: a PostgreSQL server of our own (initialise, start, bootstrap, stop), two of them as primary and standby (failover), or
 * somebody else's (check), and PostgreSQL's tools.
 * The only place that starts PostgreSQL's programs. Invariants: a data folder is whole or absent; the server listens on a unix socket
 * only; no password is ever in a process argument; no process is signalled that does not work in our data folder.
 * Callers: the supervisor (createCluster), control (checkExternalServer, startTool for export and import).
 */
export { type Binaries, findBinaries } from './binaries.ts';
export { clusterErrors } from './errors.ts';
export { checkExternalServer, type ServerFacts } from './external.ts';
export { findOsUser, type OsUser } from './os-user.ts';
export {
  createScratchFolder,
  type EmptyServer,
  type RecoveredServer,
  type RecoveryOptions,
  type RecoveryTarget,
  removeScratchFolders,
  type ScratchFolder,
  startEmptyServer,
  startRecovery,
  type WalSource,
} from './recovery/index.ts';
export {
  type Cluster,
  type ClusterExit,
  type ClusterOptions,
  type ClusterState,
  type ClusterStatus,
  createCluster,
  type StopDeadlines,
} from './server.ts';
export { longestShutdownMs } from './shutdown.ts';
export { planFailover } from './standby/offline.ts';
export {
  type ClusterPair,
  type ClusterPairOptions,
  createClusterPair,
  type MemberOptions,
  type PairStatus,
} from './standby/pair.ts';
export { measureStandbyLag, type StandbyLag } from './standby/position.ts';
export type { FailoverReport, MemberName, ShippedReport } from './standby/roles.ts';
export type { ShippedExtent, ShippedPlace, ShippedWal, WalPlace } from './standby/shipped-wal.ts';
export { type RunningTool, startTool, type ToolOptions } from './tools.ts';
