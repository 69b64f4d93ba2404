/**
 * folder: the writable folder of a tenant whose app runs as a process, as rows (freehold.app_folder) and contents in the tenant's vault. Called by control, which
 * gets the tar from a sandboxed process of the tenant and gives one to it (docs/decisions/0038).
 * Invariants: rows are what one whole tar held; a row's content is there; a tar says nothing that is believed.
 */
export { createTenantFolders, type TenantFoldersDeps } from './tenant-folders.ts';
export type * from './types.ts';
