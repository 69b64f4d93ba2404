/** Files on items and on their comments. The content lies with the platform; here are the references. */
import type { AppContext, AppDb, AppFile, RouteDefinition, RouteResult, UploadedFile } from '../sdk/index.ts';
import type { Attachment, AttachmentList } from './api.ts';
import { attachmentNotFound, badQuery, commentNotFound, forbidden, itemNotFound, limitReached } from './errors.ts';
import { noteHistory } from './history.ts';
import { textOf } from './input.ts';
import { findItemPlace, touchItem } from './items.sql.ts';
import { getOpenPlace } from './items.ts';
import { isAdmin, rememberPeople, userRef } from './people.ts';
import { choice, idText, objectOf } from './schemas.ts';
import { cleanLine } from './text.ts';
import { removeUnusedFiles } from './unused-files.ts';

const maxBytes = 50 * 1024 * 1024;
const maxPerItem = 500;
/** Types that a browser shows without running anything of them. SVG, HTML and PDF are not among them. */
const inlineTypes = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

interface AttachmentRow {
  attachment_id: string;
  item_id: string;
  comment_id: string | null;
  file_id: string;
  name: string;
  media_type: string;
  size_bytes: string;
  created_at: Date;
  created_by: string;
  created_by_name: string | null;
}

const selectAttachment = `
  SELECT t.attachment_id, t.item_id, t.comment_id, t.file_id, t.name, t.media_type, t.size_bytes, t.created_at, t.created_by,
    c.name AS created_by_name
  FROM attachments t LEFT JOIN people c ON c.user_id = t.created_by`;

function toAttachment(context: AppContext, row: AttachmentRow): Attachment {
  return {
    id: row.attachment_id,
    itemId: row.item_id,
    commentId: row.comment_id,
    name: row.name,
    mediaType: row.media_type,
    sizeBytes: Number(row.size_bytes),
    createdAt: row.created_at.toISOString(),
    createdBy: userRef(row.created_by, row.created_by_name),
    canDelete: isAdmin(context.user) || row.created_by === context.user.id,
    url: `/api/attachments/${row.attachment_id}/content`,
  };
}

export async function listOfComments(
  context: AppContext,
  db: AppDb,
  commentIds: readonly string[],
): Promise<Map<string, Attachment[]>> {
  const rows = await db.query<AttachmentRow>(
    `${selectAttachment} WHERE t.comment_id = ANY ($1) ORDER BY t.created_at, t.attachment_id`,
    [commentIds],
  );
  return Map.groupBy(
    rows.map((row) => toAttachment(context, row)),
    (attachment) => attachment.commentId!,
  );
}

async function list(context: AppContext, item: string): Promise<AttachmentList> {
  return context.db.read(async (db) => {
    const place = await findItemPlace(db, item);
    if (!place) throw itemNotFound();
    const rows = await db.query<AttachmentRow>(
      `${selectAttachment} WHERE t.item_id = $1 ORDER BY t.created_at DESC, t.attachment_id LIMIT $2`,
      [place.item_id, maxPerItem],
    );
    return { attachments: rows.map((row) => toAttachment(context, row)) };
  });
}

/** Browsers send a bare name, others a path; neither is trusted. */
function parseFileName(name: string): string {
  const bare = cleanLine(name.split(/[/\\]/).at(-1) ?? '');
  return [...bare].slice(0, 200).join('') || 'unnamed';
}

function parseMediaType(mediaType: string): string {
  const essence = mediaType.split(';')[0]!.trim().toLowerCase();
  return /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$/.test(essence)
    ? essence
    : 'application/octet-stream';
}

async function create(
  context: AppContext,
  item: string,
  commentId: string | undefined,
  upload: UploadedFile,
): Promise<Attachment> {
  // Before the upload is read: nobody waits for fifty megabytes to hear that the item is not there.
  await context.db.read((db) => getOpenPlace(db, item));
  const name = parseFileName(upload.name);
  const file = await context.files.put(upload.content, { name, mediaType: parseMediaType(upload.mediaType), maxBytes });
  try {
    const attachment = await context.db.transact((db) => insert(context, db, item, commentId, name, file));
    const { id: attachmentId, itemId } = attachment;
    context.publish({ type: 'attachment.changed', data: { attachmentId, itemId, change: 'created' } });
    return attachment;
  } catch (error) {
    await context.files.remove(file.id);
    throw error;
  }
}

async function insert(
  context: AppContext,
  db: AppDb,
  item: string,
  commentId: string | undefined,
  name: string,
  file: AppFile,
): Promise<Attachment> {
  const at = context.now();
  const place = await getOpenPlace(db, item);
  await rememberPeople(db, [context.user]);
  // Holds the item's row, so that the count below cannot be overtaken.
  if (!(await touchItem(db, place.item_id, at, context.user.id))) throw itemNotFound();
  const [counted] = await db.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM attachments WHERE item_id = $1',
    [place.item_id],
  );
  if (counted!.count >= maxPerItem) throw limitReached(`An item has at most ${maxPerItem} attachments.`);
  if (commentId !== undefined) {
    const [comment] = await db.query<{ author_id: string }>(
      'SELECT author_id FROM comments WHERE comment_id = $1 AND item_id = $2 FOR SHARE',
      [commentId, place.item_id],
    );
    if (!comment) throw commentNotFound();
    if (comment.author_id !== context.user.id) throw forbidden('Only the author of a comment can attach files to it.');
  }
  const attachmentId = context.newId('att');
  await db.query(
    `INSERT INTO attachments (attachment_id, item_id, comment_id, file_id, name, media_type, size_bytes, created_at, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      attachmentId,
      place.item_id,
      commentId ?? null,
      file.id,
      name,
      file.mediaType,
      file.sizeBytes,
      at,
      context.user.id,
    ],
  );
  await noteHistory(
    db,
    place.item_id,
    'attachment_added',
    [{ field: 'attachment', from: null, to: name }],
    at,
    context.user.id,
  );
  const [row] = await db.query<AttachmentRow>(`${selectAttachment} WHERE t.attachment_id = $1`, [attachmentId]);
  return toAttachment(context, row!);
}

async function findAttachment(db: AppDb, attachmentId: string): Promise<AttachmentRow> {
  const [row] = await db.query<AttachmentRow>(`${selectAttachment} WHERE t.attachment_id = $1`, [attachmentId]);
  if (!row) throw attachmentNotFound();
  return row;
}

async function remove(context: AppContext, attachmentId: string): Promise<void> {
  const row = await context.db.transact(async (db) => {
    const found = await findAttachment(db, attachmentId);
    if (!isAdmin(context.user) && found.created_by !== context.user.id)
      throw forbidden('Only the person who attached a file, or an administrator, can delete it.');
    await getOpenPlace(db, found.item_id);
    const at = context.now();
    await rememberPeople(db, [context.user]);
    if (!(await touchItem(db, found.item_id, at, context.user.id))) throw attachmentNotFound();
    const gone = await db.query('DELETE FROM attachments WHERE attachment_id = $1 RETURNING attachment_id', [
      attachmentId,
    ]);
    if (gone.length === 0) throw attachmentNotFound();
    await db.query('INSERT INTO unused_files (file_id) VALUES ($1) ON CONFLICT DO NOTHING', [found.file_id]);
    await noteHistory(
      db,
      found.item_id,
      'attachment_deleted',
      [{ field: 'attachment', from: found.name, to: null }],
      at,
      context.user.id,
    );
    return found;
  });
  context.publish({ type: 'attachment.changed', data: { attachmentId, itemId: row.item_id, change: 'deleted' } });
  await removeUnusedFiles(context);
}

async function open(context: AppContext, attachmentId: string, inline: boolean): Promise<RouteResult> {
  const row = await context.db.read((db) => findAttachment(db, attachmentId));
  const opened = await context.files.open(row.file_id);
  if (!opened) throw attachmentNotFound();
  return { ...opened, disposition: inline && inlineTypes.has(row.media_type) ? 'inline' : 'attachment' };
}

const itemParams = objectOf({ item: idText }, ['item']);
const params = objectOf({ attachment: idText }, ['attachment']);

export const attachmentRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/items/:item/attachments',
    operation: 'desk.attachment.list',
    summary: 'Files of an item and its comments, newest first',
    params: itemParams,
    handler: async (context, { params }) => ({ body: await list(context, params.item!) }),
  },
  {
    method: 'POST',
    path: '/api/items/:item/attachments',
    operation: 'desk.attachment.create',
    summary: 'Attach a file to an item or to one of its comments',
    params: itemParams,
    query: objectOf({ comment: idText }),
    upload: { maxBytes },
    handler: async (context, { params, query, upload }) => {
      if (!upload) throw badQuery('file', 'is missing');
      return { status: 201, body: await create(context, params.item!, textOf(query, 'comment'), upload) };
    },
  },
  {
    method: 'GET',
    path: '/api/attachments/:attachment/content',
    operation: 'desk.attachment.open',
    summary: 'Download a file',
    params,
    query: objectOf({ inline: choice(['true', 'false']) }),
    handler: (context, { params, query }) => open(context, params.attachment!, textOf(query, 'inline') === 'true'),
  },
  {
    method: 'DELETE',
    path: '/api/attachments/:attachment',
    operation: 'desk.attachment.delete',
    summary: 'Delete a file',
    params,
    handler: async (context, { params }) => {
      await remove(context, params.attachment!);
      return { status: 204 };
    },
  },
];
