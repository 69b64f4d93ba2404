/** Takes an import back: deletes what it made, unless somebody worked on it since. One transaction. */
import type { AppContext } from '../../sdk/index.ts';
import type { Import, ImportUndo } from '../api.ts';
import { importState } from '../errors.ts';
import { rememberPeople } from '../people.ts';
import { getImport, toPublic } from './imports.sql.ts';

export async function undoImport(context: AppContext, importId: string): Promise<Import> {
  const at = context.now();
  const undone = await context.db.transact(async (db) => {
    await db.query('SELECT import_id FROM imports WHERE import_id = $1 FOR UPDATE', [importId]);
    const stored = await getImport(db, importId);
    if (stored.state !== 'done')
      throw importState(`Only a finished import can be undone; this one is ${stored.state}.`);
    await rememberPeople(db, [context.user]);
    // First all locks, then the decision in a statement of its own: a comment that was being written is seen by it.
    await db.query('SELECT item_id FROM items WHERE import_id = $1 ORDER BY item_id FOR UPDATE', [importId]);
    const kept = await db.query<{ reason: 'changed' | 'commented' | 'attached'; count: number }>(
      `SELECT why.reason, count(*)::int AS count FROM items i CROSS JOIN LATERAL (${whyKept}) why
       WHERE i.import_id = $1 AND why.reason IS NOT NULL GROUP BY why.reason ORDER BY why.reason`,
      [importId],
    );
    const [gone] = await db.query<{ count: number }>(
      `WITH gone AS (DELETE FROM items i WHERE i.import_id = $1 AND (${whyKept}) IS NULL RETURNING 1) SELECT count(*)::int AS count FROM gone`,
      [importId],
    );
    const projects = await db.query<{ project_id: string }>(
      `DELETE FROM projects p WHERE p.import_id = $1 AND p.version = 1 AND NOT EXISTS (SELECT 1 FROM items i WHERE i.project_id = p.project_id)
       RETURNING p.project_id`,
      [importId],
    );
    const undo: ImportUndo = {
      deleted: gone!.count,
      kept: kept.reduce((sum, { count }) => sum + count, 0),
      reasons: kept,
      projectDeleted: projects.length > 0,
      at: at.toISOString(),
      by: { id: context.user.id, name: context.user.name },
    };
    await db.query(`UPDATE imports SET state = 'undone', undo = $2::jsonb WHERE import_id = $1`, [
      importId,
      JSON.stringify(undo),
    ]);
    return toPublic(await getImport(db, importId));
  });
  const projectId = undone.result!.projectId;
  context.publish({ type: 'items.changed', data: { projectIds: [projectId], count: undone.undo!.deleted } });
  if (undone.undo!.projectDeleted)
    context.publish({ type: 'project.changed', data: { projectId, version: 1, change: 'deleted' } });
  context.publish({ type: 'import.progress', data: { importId, state: 'undone', progress: undone.progress } });
  return undone;
}

/** Of item `i`: the first reason to keep it; null: nobody worked on it. */
const whyKept = `
  SELECT CASE
    WHEN i.version > 1 THEN 'changed'
    WHEN EXISTS (SELECT 1 FROM comments m WHERE m.item_id = i.item_id) THEN 'commented'
    WHEN EXISTS (SELECT 1 FROM attachments t WHERE t.item_id = i.item_id) THEN 'attached'
  END AS reason`;
