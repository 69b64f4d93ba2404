import type { TenantDb } from '#src/databases/types.ts';
import type { FileId } from '#src/kernel/index.ts';
import type { StoredFile } from './types.ts';

/** Conflicts with the lock of the sweep: whoever holds it may publish an object and then refer to it, in freehold.files or freehold.app_folder. */
export async function lockForPut(db: TenantDb): Promise<void> {
  await db.query('LOCK TABLE freehold.files IN ROW EXCLUSIVE MODE');
}

/** No row can come or go, while reading goes on. */
export async function lockForSweep(db: TenantDb): Promise<void> {
  await db.query('LOCK TABLE freehold.files IN SHARE MODE');
}

/** Commits of this tenant wait until every region has them (recovery point zero). */
export async function waitsForRegions(db: TenantDb): Promise<boolean> {
  const [row] = await db.query<{ waits: boolean }>(
    `SELECT current_setting('synchronous_commit') = 'remote_apply' AS waits`,
  );
  return row!.waits;
}

export async function insertFile(db: TenantDb, file: StoredFile, createdBy: string): Promise<void> {
  await db.query(
    `INSERT INTO freehold.files (file_id, name, media_type, size_bytes, sha256, created_at, created_by)
     VALUES ($1, $2, $3, $4, decode($5, 'hex'), $6, $7)`,
    [file.fileId, file.name, file.mediaType, file.sizeBytes, file.sha256, file.createdAt, createdBy],
  );
}

export async function selectFile(db: TenantDb, fileId: FileId): Promise<StoredFile | undefined> {
  const rows = await db.query<{
    name: string;
    media_type: string;
    size_bytes: string;
    sha256: string;
    created_at: Date;
  }>(
    `SELECT name, media_type, size_bytes, encode(sha256, 'hex') AS sha256, created_at
     FROM freehold.files WHERE file_id = $1`,
    [fileId],
  );
  const row = rows[0];
  return (
    row && {
      fileId,
      name: row.name,
      mediaType: row.media_type,
      sizeBytes: Number(row.size_bytes),
      sha256: row.sha256,
      createdAt: row.created_at,
    }
  );
}

export async function deleteFile(db: TenantDb, fileId: FileId): Promise<void> {
  await db.query('DELETE FROM freehold.files WHERE file_id = $1', [fileId]);
}

/** Up to `limit` distinct contents in use, in order, after the given one. */
export async function selectContents(db: TenantDb, afterSha256: string, limit: number): Promise<string[]> {
  const rows = await db.query<{ sha256: string }>(
    `SELECT encode(c.sha256, 'hex') AS sha256 FROM freehold.contents c WHERE c.sha256 > decode($1, 'hex')
     GROUP BY c.sha256 ORDER BY c.sha256 LIMIT $2`,
    [afterSha256, limit],
  );
  return rows.map((row) => row.sha256);
}
