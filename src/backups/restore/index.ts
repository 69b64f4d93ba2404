/**
 * restore: one database, or a whole cluster, as it was at a planned moment, from one region. Invariants: the moment is explicit and was reached, or
 * it is an error that names what is missing; a scratch server, and what replay wrote on it, is gone afterwards whatever happens.
 * Callers: the process `backup` (restore, verification, drills).
 */
export { restoreErrors } from './errors.ts';
export type { RestoreOptions, RestoreProgress } from './recover.ts';
export { type RestoreClusterOptions, type RestoredCluster, restoreCluster } from './restore-cluster.ts';
export { type RestoreDatabaseOptions, type RestoredDatabase, restoreDatabase } from './restore-database.ts';
