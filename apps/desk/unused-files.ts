/** Content of files whose last reference is gone. What an earlier crash left behind goes along with the next removal. */
import type { AppContext } from '../sdk/index.ts';

/** Long enough for a slow download of a spooled file. */
const spoolMinutes = 60;

/** Removes the content of all files that are noted and due. */
export async function removeUnusedFiles(context: AppContext): Promise<void> {
  const rows = await context.db.read((db) =>
    db.query<{ file_id: string }>(
      'SELECT file_id FROM unused_files WHERE due_at <= clock_timestamp() ORDER BY file_id LIMIT 100',
    ),
  );
  if (rows.length === 0) return;
  for (const { file_id } of rows) await context.files.remove(file_id);
  await context.db.transact((db) =>
    db.query('DELETE FROM unused_files WHERE file_id = ANY ($1)', [rows.map(({ file_id }) => file_id)]),
  );
}

/** Notes a file that nothing will ever refer to. */
export async function forgetFileLater(context: AppContext, fileId: string): Promise<void> {
  await context.db.transact((db) =>
    db.query(
      `INSERT INTO unused_files (file_id, due_at) VALUES ($1, clock_timestamp() + make_interval(mins => $2::integer))`,
      [fileId, spoolMinutes],
    ),
  );
}

/** Removes one noted file before it is due, and others that are. */
export async function removeFile(context: AppContext, fileId: string): Promise<void> {
  await context.files.remove(fileId);
  await context.db.transact((db) => db.query('DELETE FROM unused_files WHERE file_id = $1', [fileId]));
  await removeUnusedFiles(context);
}
