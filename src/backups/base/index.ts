/**
 * base backups: one pass over PostgreSQL's own base backup into every region, a sealed object per database, and the way back into a data
 * folder. Invariants: the manifest is the last object, without it there is no backup; nothing lands on local disk; every file has the SHA-256
 * that PostgreSQL gave it, here and after a restore. Callers: the process `backup` (schedule, command, restore, drill).
 */
export {
  type BaseBackupOptions,
  type BaseBackupResult,
  type DatabaseOwner,
  damagedOf,
  runBaseBackup,
} from './backup.ts';
export { type CopyResult, copyBackup } from './copy.ts';
export { baseBackupErrors } from './errors.ts';
export { createLiveRegions, type LiveRegions, type RegionResult } from './live-regions.ts';
export { findManifest, listBackups } from './manifest.ts';
export { manifestName } from './names.ts';
export { type RestoredFiles, type RestoreFilesOptions, restoreFiles } from './restore-files.ts';
export { type ClusterFacts, readClusterFacts, readDatabases } from './sql.ts';
