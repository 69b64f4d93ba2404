/**
 * files: what users upload. Content lies sealed under the tenant's files key, content-addressed, in an object store;
 * names, types and sizes lie in the tenant's own database (freehold.files; freehold.app_folder for the folder of an app that runs as a process). Called by hosting through a port, and by
 * control for export, import, clone and deletion.
 * Invariants: a row's object is there (published before the row is committed); an object opens only with the key of the
 * tenant it was sealed for; an object is removed only under a lock that proves no row refers to it, or with its tenant.
 */
export { filesErrors } from './errors.ts';
export {
  createTenantFolders,
  type FolderLimits,
  type KeptFolder,
  type TenantFolders,
  type TenantFoldersDeps,
} from './folder/index.ts';
export { createTenantFiles, type FilesDeps } from './tenant-files.ts';
export type { StoredFile, TenantFiles } from './types.ts';
export { createFileVault, type FileContent, type FileVault } from './vault.ts';
