import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import type { Attachment, AttachmentList, Comment, CommentList, HistoryList, Item } from '../api.ts';
import { type Desk, startDesk } from './desk.contract.ts';

let desk: Desk;
let item: Item;
before(async () => {
  desk = await startDesk();
  await desk.as('admin').project('TALK');
  item = await desk.as('member').item('TALK');
});
after(() => desk.stop());

test('comments are written, edited and deleted by their authors and by administrators', async () => {
  const member = desk.as('member');
  const made = await member.post<Comment>(`/api/items/${item.key}/comments`, { body: 'First **word**' });
  assert.equal(made.canEdit, true);
  assert.equal(made.editedAt, null);
  const { comments } = await desk.as('other').get<CommentList>(`/api/items/${item.id}/comments`);
  assert.deepEqual(
    comments.map(({ body, canEdit }) => [body, canEdit]),
    [['First **word**', false]],
  );
  const path = `/api/comments/${made.id}`;
  await desk.as('other').refused(403, 'DESK_FORBIDDEN', 'PATCH', path, { version: 1, body: 'x' });
  await desk.as('other').refused(403, 'DESK_FORBIDDEN', 'DELETE', path);
  await desk.as('owner', 'globex').refused(404, 'DESK_COMMENT_NOT_FOUND', 'PATCH', path, { version: 1, body: 'x' });
  await desk.as('owner', 'globex').refused(404, 'DESK_COMMENT_NOT_FOUND', 'DELETE', path);
  await member.refused(400, 'DESK_INPUT_INVALID', 'PATCH', path, { version: 1, body: ' \n' });
  const edited = await member.patch<Comment>(path, { version: 1, body: 'Better' });
  assert.equal(edited.version, 2);
  assert.notEqual(edited.editedAt, null);
  await member.refused(409, 'DESK_COMMENT_CHANGED', 'PATCH', path, { version: 1, body: 'Late' });
  assert.equal((await desk.as('admin').call('DELETE', path)).status, 204);
  await member.refused(404, 'DESK_COMMENT_NOT_FOUND', 'DELETE', path);
  const { entries } = await member.get<HistoryList>(`/api/items/${item.id}/history`);
  assert.equal(entries[0]!.action, 'comment_deleted');
  const after = await member.get<Item>(`/api/items/${item.id}`);
  assert.equal(after.version, 1, 'talking about an item does not change it');
  assert.ok(after.updatedAt > item.updatedAt);
});

test('many comments are paged from the oldest', async () => {
  const { id } = await desk.as('member').item('TALK');
  for (let index = 0; index < 5; index++)
    await desk.as('member').post(`/api/items/${id}/comments`, { body: `${index}` });
  const seen: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page: CommentList = await desk
      .as('member')
      .get(`/api/items/${id}/comments?limit=2${cursor && `&cursor=${cursor}`}`);
    seen.push(...page.comments.map(({ body }) => body));
    cursor = page.nextCursor;
  }
  assert.deepEqual(seen, ['0', '1', '2', '3', '4']);
});

test('files are attached to items and comments, downloaded, and deleted with their content', async () => {
  const member = desk.as('member');
  const { id } = await member.item('TALK');
  const first = await member.upload<Attachment>(`/api/items/${id}/attachments`, 'hello', "an odd 'näme'.txt");
  assert.equal(first.status, 201);
  assert.equal(first.body.name, "an odd 'näme'.txt");
  assert.equal(first.body.sizeBytes, 5);
  const twin = await member.upload<Attachment>(`/api/items/${id}/attachments`, 'hello again', "an odd 'näme'.txt");
  assert.equal(twin.status, 201);
  const empty = await member.upload<Attachment>(`/api/items/${id}/attachments`, '', 'empty.bin', 'nonsense');
  assert.deepEqual([empty.status, empty.body.sizeBytes, empty.body.mediaType], [201, 0, 'application/octet-stream']);
  const path = await member.upload<Attachment>(`/api/items/${id}/attachments`, 'x', '../../etc/passwd');
  assert.equal(path.body.name, 'passwd');
  const comment = await member.post<Comment>(`/api/items/${id}/comments`, { body: 'See the file' });
  const onComment = await member.upload<Attachment>(
    `/api/items/${id}/attachments?comment=${comment.id}`,
    '<script>',
    'a.html',
    'text/html',
  );
  assert.equal(onComment.body.commentId, comment.id);
  const foreign = await desk
    .as('other')
    .upload<{ code: string }>(`/api/items/${id}/attachments?comment=${comment.id}`, 'x');
  assert.deepEqual([foreign.status, foreign.body.code], [403, 'DESK_FORBIDDEN']);

  const { attachments } = await member.get<AttachmentList>(`/api/items/${id}/attachments`);
  assert.equal(attachments.length, 5);
  const { comments } = await member.get<CommentList>(`/api/items/${id}/comments`);
  assert.equal(comments[0]!.attachments[0]!.id, onComment.body.id);
  assert.equal((await member.get<Item>(`/api/items/${id}`)).attachmentCount, 5);

  const download = await member.download(first.body.url);
  assert.deepEqual([download.status, download.text], [200, 'hello']);
  const page = await member.download(`${onComment.body.url}?inline=true`);
  assert.match(page.headers.get('content-disposition')!, /^attachment/);
  assert.equal((await desk.as('owner', 'globex').download(first.body.url)).status, 404);

  await desk.as('other').refused(403, 'DESK_FORBIDDEN', 'DELETE', `/api/attachments/${first.body.id}`);
  assert.equal((await member.call('DELETE', `/api/attachments/${first.body.id}`)).status, 204);
  assert.equal((await member.download(first.body.url)).status, 404);
  assert.equal((await member.call('DELETE', `/api/comments/${comment.id}`)).status, 204);
  assert.equal((await member.download(onComment.body.url)).status, 404);
  const { entries } = await member.get<HistoryList>(`/api/items/${id}/history`);
  assert.deepEqual(entries[1]!.changes, [{ field: 'attachment', from: "an odd 'näme'.txt", to: null }]);

  assert.equal((await desk.as('admin').call('DELETE', `/api/items/${id}`)).status, 204);
  await waitFor('content of deleted files to go', async () => {
    const left = await desk.sql('acme', 'SELECT file_id FROM unused_files UNION ALL SELECT file_id FROM attachments');
    return left.length === 0;
  });
  const kept = await desk.hosted.tenants.databases.platform.read(desk.hosted.tenants.acme.tenantId, (db) =>
    db.query('SELECT file_id FROM freehold.files'),
  );
  assert.deepEqual(kept, []);
});

test('a file for an item that is not there is refused, and not kept', async () => {
  const { status, body } = await desk.as('member').upload<{ code: string }>('/api/items/TALK-999/attachments', 'x');
  assert.deepEqual([status, body.code], [404, 'DESK_ITEM_NOT_FOUND']);
});
