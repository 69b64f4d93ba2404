/** Comments on items. Everybody writes; authors and administrators edit and delete. */
import type { AppContext, AppDb, RouteDefinition } from '../sdk/index.ts';
import type { Attachment, Comment, CommentList, CreateComment, UpdateComment } from './api.ts';
import { listOfComments } from './attachments.ts';
import { badInput, commentChanged, commentNotFound, forbidden, itemNotFound } from './errors.ts';
import type { Query } from './filter.ts';
import { noteHistory } from './history.ts';
import { cursorPatterns, formatCursor, limitOf, parseCursor, textOf } from './input.ts';
import { findItemPlace, touchItem } from './items.sql.ts';
import { getOpenPlace } from './items.ts';
import { isAdmin, rememberPeople, userRef } from './people.ts';
import { idText, markdownBodyLimitBytes, objectOf, pagingQuery, text, versionNumber } from './schemas.ts';
import { requireMarkdown } from './text.ts';
import { removeUnusedFiles } from './unused-files.ts';

const maxBodyCharacters = 50_000;

interface CommentRow {
  comment_id: string;
  item_id: string;
  body: string;
  author_id: string;
  author_name: string | null;
  created_at: Date;
  created_text: string;
  edited_at: Date | null;
  version: number;
}

const selectComment = `
  SELECT m.comment_id, m.item_id, m.body, m.author_id, a.name AS author_name, m.created_at, m.created_at::text AS created_text,
    m.edited_at, m.version
  FROM comments m LEFT JOIN people a ON a.user_id = m.author_id`;

function toComment(context: AppContext, row: CommentRow, attachments: Attachment[] = []): Comment {
  return {
    id: row.comment_id,
    itemId: row.item_id,
    body: row.body,
    author: userRef(row.author_id, row.author_name),
    createdAt: row.created_at.toISOString(),
    editedAt: row.edited_at?.toISOString() ?? null,
    version: row.version,
    attachments,
    canEdit: mayEdit(context, row),
  };
}

function mayEdit({ user }: AppContext, { author_id }: CommentRow): boolean {
  return isAdmin(user) || author_id === user.id;
}

function parseBody(body: string): string {
  const markdown = requireMarkdown('body', body, maxBodyCharacters);
  if (markdown.trim() === '') throw badInput('body', 'must not be empty');
  return markdown;
}

async function getComment(context: AppContext, db: AppDb, commentId: string): Promise<Comment> {
  const row = await getRow(db, commentId);
  const attachments = await listOfComments(context, db, [commentId]);
  return toComment(context, row, attachments.get(commentId));
}

async function getRow(db: AppDb, commentId: string): Promise<CommentRow> {
  const [row] = await db.query<CommentRow>(`${selectComment} WHERE m.comment_id = $1`, [commentId]);
  if (!row) throw commentNotFound();
  return row;
}

async function list(context: AppContext, item: string, query: Query): Promise<CommentList> {
  const limit = limitOf(query);
  const cursor = textOf(query, 'cursor');
  const [at = null, id = null] = cursor
    ? parseCursor(cursor, 'comments', [cursorPatterns.timestamp, cursorPatterns.id])
    : [];
  return context.db.read(async (db) => {
    const place = await findItemPlace(db, item);
    if (!place) throw itemNotFound();
    const rows = await db.query<CommentRow>(
      `${selectComment} WHERE m.item_id = $1 AND ($2::timestamptz IS NULL OR (m.created_at, m.comment_id) > ($2, $3::text))
       ORDER BY m.created_at, m.comment_id LIMIT $4`,
      [place.item_id, at, id, limit + 1],
    );
    const page = rows.slice(0, limit);
    const attachments = await listOfComments(
      context,
      db,
      page.map(({ comment_id }) => comment_id),
    );
    const last = page.at(-1);
    return {
      comments: page.map((row) => toComment(context, row, attachments.get(row.comment_id))),
      nextCursor: rows.length > limit && last ? formatCursor('comments', [last.created_text, last.comment_id]) : null,
    };
  });
}

export async function createComment(context: AppContext, item: string, input: CreateComment): Promise<Comment> {
  const body = parseBody(input.body);
  const comment = await context.db.transact(async (db) => {
    const { item_id } = await getOpenPlace(db, item);
    const at = context.now();
    await rememberPeople(db, [context.user]);
    if (!(await touchItem(db, item_id, at, context.user.id))) throw itemNotFound();
    const commentId = context.newId('cmt');
    await db.query(
      'INSERT INTO comments (comment_id, item_id, body, author_id, created_at) VALUES ($1, $2, $3, $4, $5)',
      [commentId, item_id, body, context.user.id, at],
    );
    return getComment(context, db, commentId);
  });
  publish(context, comment, 'created');
  return comment;
}

async function update(context: AppContext, commentId: string, input: UpdateComment): Promise<Comment> {
  const body = parseBody(input.body);
  const comment = await context.db.transact(async (db) => {
    const row = await getRow(db, commentId);
    if (!mayEdit(context, row)) throw forbidden('Only its author or an administrator can edit a comment.');
    await getOpenPlace(db, row.item_id);
    const changed = await db.query(
      `UPDATE comments SET body = $3, edited_at = $4, version = version + 1 WHERE comment_id = $1 AND version = $2 RETURNING comment_id`,
      [commentId, input.version, body, context.now()],
    );
    if (changed.length === 0) throw commentChanged();
    return getComment(context, db, commentId);
  });
  publish(context, comment, 'updated');
  return comment;
}

async function remove(context: AppContext, commentId: string): Promise<void> {
  const row = await context.db.transact(async (db) => {
    const found = await getRow(db, commentId);
    if (!mayEdit(context, found)) throw forbidden('Only its author or an administrator can delete a comment.');
    await getOpenPlace(db, found.item_id);
    const at = context.now();
    await rememberPeople(db, [context.user]);
    // Item before comment, the order in which a file is attached: afterwards no new attachment can appear.
    if (!(await touchItem(db, found.item_id, at, context.user.id))) throw commentNotFound();
    await db.query(
      'INSERT INTO unused_files (file_id) SELECT file_id FROM attachments WHERE comment_id = $1 ON CONFLICT DO NOTHING',
      [commentId],
    );
    const gone = await db.query('DELETE FROM comments WHERE comment_id = $1 RETURNING comment_id', [commentId]);
    if (gone.length === 0) throw commentNotFound();
    await noteHistory(db, found.item_id, 'comment_deleted', [], at, context.user.id);
    return found;
  });
  publish(context, { id: commentId, itemId: row.item_id }, 'deleted');
  await removeUnusedFiles(context);
}

function publish(
  context: AppContext,
  { id, itemId }: Pick<Comment, 'id' | 'itemId'>,
  change: 'created' | 'updated' | 'deleted',
): void {
  context.publish({ type: 'comment.changed', data: { commentId: id, itemId, change } });
}

const itemParams = objectOf({ item: idText }, ['item']);
const params = objectOf({ comment: idText }, ['comment']);
const bodyText = text(110_000, 1);

export const commentRoutes: readonly RouteDefinition[] = [
  {
    method: 'GET',
    path: '/api/items/:item/comments',
    operation: 'desk.comment.list',
    summary: 'Comments of an item, oldest first',
    params: itemParams,
    query: pagingQuery,
    handler: async (context, { params, query }) => ({ body: await list(context, params.item!, query) }),
  },
  {
    method: 'POST',
    path: '/api/items/:item/comments',
    operation: 'desk.comment.create',
    summary: 'Write a comment',
    params: itemParams,
    body: objectOf({ body: bodyText }, ['body']),
    bodyLimit: markdownBodyLimitBytes,
    handler: async (context, { params, body }) => ({
      status: 201,
      body: await createComment(context, params.item!, body as CreateComment),
    }),
  },
  {
    method: 'PATCH',
    path: '/api/comments/:comment',
    operation: 'desk.comment.update',
    summary: 'Edit a comment',
    params,
    body: objectOf({ version: versionNumber, body: bodyText }, ['version', 'body']),
    bodyLimit: markdownBodyLimitBytes,
    handler: async (context, { params, body }) => ({
      body: await update(context, params.comment!, body as UpdateComment),
    }),
  },
  {
    method: 'DELETE',
    path: '/api/comments/:comment',
    operation: 'desk.comment.delete',
    summary: 'Delete a comment with its files',
    params,
    handler: async (context, { params }) => {
      await remove(context, params.comment!);
      return { status: 204 };
    },
  },
];
