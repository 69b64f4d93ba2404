import type { TenantId } from '#src/kernel/index.ts';

/** What lies at one path of a tenant's writable folder. */
export type FolderEntry = {
  /** Relative, parts apart by `/`. */
  readonly path: string;
  /** Permissions alone. */
  readonly mode: number;
  /** Whole seconds. */
  readonly mtime: Date;
} & (
  | { readonly kind: 'folder' }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly sizeBytes: number; readonly sha256: string }
);

export interface FolderLimits {
  /** Of all files together. */
  readonly maxBytes: number;
  /** Default 100,000. */
  readonly maxEntries?: number;
}

export interface KeptFolder {
  readonly files: number;
  readonly bytes: number;
  /** False: it is what was kept last, and nothing was written. */
  readonly changed: boolean;
}

/** The writable folder of a tenant whose app runs as a process, kept as contents and rows, and laid out from them again. */
export interface TenantFolders {
  /**
   * Replaces what is kept by what the tar holds, in one transaction: whatever fails, what was kept last stays. The tar is somebody else's: FH_FOLDER_INVALID when it is
   * cut off, names anything outside of the folder, or holds what is no file, folder or symbolic link; FH_FOLDER_TOO_LARGE; FH_FOLDER_MOVED: try again.
   * Hard links become files, FIFOs are left out, set-uid and sticky bits and owners are dropped. Who gives the tar must throw when its making failed.
   */
  keepFolder(tenantId: TenantId, tar: AsyncIterable<Uint8Array>, limits: FolderLimits): Promise<KeptFolder>;
  /**
   * A tar of what is kept, folders ahead of what is in them, without owners. Throws FH_FILE_DAMAGED before the end when a content is missing or another: whoever unpacks it
   * has a folder that is whole only when this ends without an error.
   */
  layOutFolder(tenantId: TenantId): AsyncIterable<Uint8Array>;
}
