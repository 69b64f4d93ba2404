/** Content of files whose last reference is gone. */
import type { AppContext } from '../sdk/index.ts';

/** Removes the content of files that lost their last reference; what an earlier crash left behind goes along. */
export async function removeUnusedFiles(context: AppContext): Promise<void> {
  const rows = await context.db.read((db) =>
    db.query<{ file_id: string }>('SELECT file_id FROM unused_files ORDER BY file_id LIMIT 100'),
  );
  if (rows.length === 0) return;
  for (const { file_id } of rows) await context.files.remove(file_id);
  await context.db.transact((db) =>
    db.query('DELETE FROM unused_files WHERE file_id = ANY ($1)', [rows.map(({ file_id }) => file_id)]),
  );
}
