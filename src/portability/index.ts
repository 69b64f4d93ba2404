/**
 * portability: a tenant's data as one archive that plain tools open (tar, pg_restore), and back. An archive is written from one
 * snapshot and is whole or not there; it is checked completely before anything is made of it, is loaded as the tenant's own role,
 * brings rows and never structure, and the result must have the content hash of the source. Called by the lifecycle (through its
 * port) and by console-api for download and upload.
 */
export { contentHash } from './content-hash.ts';
export { portabilityErrors } from './errors.ts';
export type { Manifest, ManifestMember, ManifestMigration } from './manifest.ts';
export {
  createPortability,
  type FileVaultPort,
  type Portability,
  type PortabilityOptions,
  type RestoredTenant,
} from './portability.ts';
export { longJob, stableOutput, unexportedTables } from './sql.ts';
