import type { Readable } from 'node:stream';
import type { FileId, TenantId } from '#src/kernel/index.ts';

export interface StoredFile {
  readonly fileId: FileId;
  readonly name: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** SHA-256 of the content, hex. */
  readonly sha256: string;
  readonly createdAt: Date;
}

/** A tenant's files: content sealed under the tenant's files key, content-addressed; names and sizes in the tenant's database. */
export interface TenantFiles {
  put(
    tenantId: TenantId,
    content: AsyncIterable<Uint8Array>,
    info: { name: string; mediaType: string; maxBytes: number; createdBy: string },
  ): Promise<StoredFile>;
  find(tenantId: TenantId, fileId: FileId): Promise<StoredFile | undefined>;
  open(tenantId: TenantId, fileId: FileId): Promise<{ file: StoredFile; content: Readable } | undefined>;
  remove(tenantId: TenantId, fileId: FileId): Promise<void>;
}
