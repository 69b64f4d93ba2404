/**
 * retention: what may go from a region, and its removal. Invariants: one pure function decides, and says who needs the rest; every moment within retention that
 * could be restored still can; what is not understood stays. Caller: control, once a day and region.
 */
export {
  type ApplyRetentionOptions,
  applyRetention,
  type RetentionFacts,
  type RetentionJournal,
  type RetentionResult,
} from './apply.ts';
export { decideRetention } from './decide.ts';
export { createRetentionJournal, findLastHorizon, listRetentionRuns, loadOrphans, type RetentionRun } from './sql.ts';
export type * from './types.ts';
