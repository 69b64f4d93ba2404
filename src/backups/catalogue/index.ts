/**
 * catalogue: what one region holds, and how to restore a moment from it. Invariants: a catalogue comes from one region alone; planning is pure; a plan
 * reaches its target over WAL without a hole, or there is none and the refusal names what is missing. Callers: restore, drills, retention, the console.
 */
export { type BuildOptions, buildCatalogue, type CatalogueReader } from './build.ts';
export type { UsedPiece } from './coverage.ts';
export { catalogueErrors } from './errors.ts';
export {
  findMomentBefore,
  findMomentBetween,
  findTenantAt,
  findTenantAtLsn,
  findTenantsByName,
  findTenantsMeant,
  type LedgerEntry,
  type MomentBefore,
  type TenantLedger,
} from './ledger.ts';
export { planRestore } from './plan.ts';
export type * from './plan-types.ts';
export { createCatalogueReader } from './reader.ts';
export { formatRange, toRefusal } from './refusals.ts';
export { findRestorable, type RestorableRequest, type RestorableStretch } from './restorable.ts';
export {
  type BackupRecord,
  loadBackups,
  loadDumps,
  loadTenantLedger,
  loadWalStretches,
  saveCatalogue,
  type WalStretch,
} from './sql.ts';
export type { Line, Stretch } from './timelines.ts';
export type * from './types.ts';
export { type WalFile, walFilesOf } from './wal-files.ts';
