/**
 * retention: what may go from a region, and its removal. Invariants: one pure function decides, and says who needs the rest; every moment within retention that
 * could be restored still can; what is not understood stays. Caller: control, once a day and region.
 */
export { decideRetention } from './decide.ts';
export type * from './types.ts';
