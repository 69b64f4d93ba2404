/**
 * retention: what may go from a region, and its removal. Invariants: one pure function decides, and says who needs the rest; every moment within retention that
 * could be restored still can; what is not understood stays; nothing goes whose name is not written down. Caller: control, once a day and region.
 */
export {
  type ApplyRetentionOptions,
  applyRetention,
  type RetentionFacts,
  type RetentionJournal,
  type RetentionResult,
} from './apply.ts';
export { decideRetention } from './decide.ts';
export { type HeldPrevious, holdBaseBackup } from './hold-backup.ts';
export { createRetentionHolds, type Held, type HoldsWatch, type RetentionHolds } from './holds.ts';
export type { OwedRange, OwedToRegions } from './owed.ts';
export {
  type RetentionReport,
  type RetentionShare,
  reportRetention,
} from './report.ts';
export { type RetentionProgress, type RetentionRunResult, type RunRetentionOptions, runRetention } from './run.ts';
export {
  createRetentionJournal,
  findLastHorizon,
  isCondemned,
  loadRetentionFacts,
  recordUnreferencedFiles,
} from './sql.ts';
export type * from './types.ts';
