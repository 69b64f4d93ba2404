import type { TenantDb } from '#src/databases/types.ts';
import type { FolderEntry } from './types.ts';

const rowsAtOnce = 5_000;

/** One who keeps at a time; who lays out goes on reading. */
export async function lockFolder(db: TenantDb): Promise<void> {
  await db.query('LOCK TABLE freehold.app_folder IN SHARE ROW EXCLUSIVE MODE');
}

interface FolderRow {
  readonly path: string;
  readonly kind: FolderEntry['kind'];
  readonly mode: number;
  readonly size_bytes: string | null;
  readonly sha256: string | null;
  readonly link_target: string | null;
  readonly mtime: Date;
}

/** In the order of the bytes of paths, so that a folder comes before what is in it. */
export async function selectFolder(db: TenantDb): Promise<FolderEntry[]> {
  const rows = await db.query<FolderRow>(
    `SELECT path, kind, mode, size_bytes, encode(sha256, 'hex') AS sha256, link_target, mtime FROM freehold.app_folder ORDER BY path`,
  );
  return rows.map(({ path, kind, mode, size_bytes, sha256, link_target, mtime }) => {
    const facts = { path, mode, mtime };
    if (kind === 'file') return { ...facts, kind, sizeBytes: Number(size_bytes), sha256: sha256! };
    return kind === 'link' ? { ...facts, kind, target: link_target! } : { ...facts, kind };
  });
}

export async function deletePaths(db: TenantDb, paths: readonly string[]): Promise<void> {
  for (let at = 0; at < paths.length; at += rowsAtOnce)
    await db.query('DELETE FROM freehold.app_folder WHERE path = ANY ($1::text[])', [paths.slice(at, at + rowsAtOnce)]);
}

export async function upsertEntries(db: TenantDb, entries: readonly FolderEntry[]): Promise<void> {
  for (let at = 0; at < entries.length; at += rowsAtOnce) {
    const some = entries.slice(at, at + rowsAtOnce);
    await db.query(
      `INSERT INTO freehold.app_folder (path, kind, mode, size_bytes, sha256, link_target, mtime)
       SELECT path, kind, mode, size_bytes, decode(sha256, 'hex'), link_target, mtime
       FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[])
         AS e (path, kind, mode, size_bytes, sha256, link_target, mtime)
       ON CONFLICT (path) DO UPDATE SET kind = excluded.kind, mode = excluded.mode, size_bytes = excluded.size_bytes, sha256 = excluded.sha256,
         link_target = excluded.link_target, mtime = excluded.mtime, kept_at = excluded.kept_at`,
      [
        some.map(({ path }) => path),
        some.map(({ kind }) => kind),
        some.map(({ mode }) => mode),
        some.map((each) => (each.kind === 'file' ? each.sizeBytes : null)),
        some.map((each) => (each.kind === 'file' ? each.sha256 : null)),
        some.map((each) => (each.kind === 'link' ? each.target : null)),
        some.map(({ mtime }) => mtime),
      ],
    );
  }
}
