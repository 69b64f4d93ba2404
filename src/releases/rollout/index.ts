/**
 * A version on its way through the rings. Invariants: a tenant's change is one operation with a snapshot; the ledger never says more than what an operation has
 * done; a gate that says no keeps the version from everybody who has not got it.
 */

export { createRollouts, type RolloutDeps, type Rollouts, standardSettings } from './rollouts.ts';
export { type Column, readColumns } from './schema.ts';
export { noteWritten } from './sql.ts';
export { createStandings, type Standings, type TenantStanding } from './standing.ts';
export type { RingVersion } from './standing-sql.ts';
export { complaintOf, createTrafficBook, type TrafficBook, type TrafficReport } from './traffic.ts';
export type * from './types.ts';
export { releaseStates, releaseTenantStates, rings } from './types.ts';
