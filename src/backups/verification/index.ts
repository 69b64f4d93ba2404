/**
 * verification: a base backup restored from one region with the keys of that region, and the whole installation rebuilt the same way; both compared with a
 * ledger that backups have no part in. Invariants: nothing is read but from the one region; what was restored is gone when it is over; whatever is wrong is a
 * finding that names the cause and the tenant, never only a log line. Callers: control (jobs, `backup verify`, `drill`).
 */

export type { TenantNames } from './cause.ts';
export { type DrillOptions, type DrillResult, runDrill } from './drill.ts';
export { verificationErrors } from './errors.ts';
export { type LedgerFolder, openLedgerFolder } from './ledger-folder.ts';
export { findPassedOver, unreadableBackup } from './passed-over.ts';
export { type Candidate, choosePortion, type PortionLimits } from './portion.ts';
export {
  type Drill,
  insertDrill,
  insertVerification,
  selectDrills,
  selectTenantsToVerify,
  selectVerifications,
  type Verification,
} from './records-sql.ts';
export { type RowLedgerOptions, takeRowLedger } from './row-ledger.ts';
export { upsertVerifiedTenants } from './sql.ts';
export type * from './types.ts';
export { type BackupVerdict, type VerifyBackupOptions, verifyBackup } from './verify-backup.ts';
