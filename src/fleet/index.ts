/**
 * fleet: all tenants' databases together. Brings them to the newest version, a few at a time, and compares their schemas with what
 * their version says. Invariants: one database is worked on by one at a time; a database is at one version or at another, never
 * between; what is left over by a kill is taken up by the next start; drift stops nothing.
 */
export { compareCatalogues, type Difference, hashCatalogue, readCatalogue } from './catalogue.ts';
export { createFleetDrift, type FleetDrift } from './drift.ts';
export { fleetErrors } from './errors.ts';
export { createFleetRuns, type FleetRuns, type StartOptions } from './runs.ts';
export type * from './types.ts';
export { driftStates, others, subjectStates } from './types.ts';
