import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { CommentList, HistoryList, ItemList, ProjectList, Summary } from '../api.ts';
import { type Desk, startDesk, users } from './desk.contract.ts';

let desk: Desk;
before(async () => {
  desk = await startDesk();
  const { acme, globex } = desk.hosted.tenants;
  await desk.hosted.hosting.seedDemo(acme, 0, users.owner);
  await desk.hosted.hosting.seedDemo(globex, 1, users.owner);
});
after(() => desk.stop());

test('two demonstrations are different, complete and look like weeks of work', async () => {
  const seen: string[][] = [];
  for (const tenant of ['acme', 'globex'] as const) {
    const member = desk.as('member', tenant);
    const { projects } = await member.get<ProjectList>('/api/projects');
    assert.equal(projects.length, 3);
    const { items, total } = await member.get<ItemList>('/api/items?limit=100&sort=-created');
    assert.ok(total.count >= 80 && total.count <= 120, `${total.count} items`);
    seen.push(items.map(({ title }) => title));
    for (const item of items) {
      assert.ok(item.createdAt <= item.updatedAt && Date.parse(item.updatedAt) <= Date.now(), `${item.key}: times`);
      assert.equal(item.finishedAt !== null, ['done', 'closed'].includes(item.state));
    }
    const summary = await member.get<Summary>('/api/summary');
    assert.ok(summary.byState.every(({ count }) => count > 2));
    assert.ok(summary.overdue > 0 && summary.openUnassigned > 0 && summary.mine.total > 0);
    const talked = items.find(({ commentCount, state }) => commentCount > 1 && state === 'done')!;
    const { comments } = await member.get<CommentList>(`/api/items/${talked.key}/comments`);
    assert.equal(comments.length, talked.commentCount);
    const { entries } = await member.get<HistoryList>(`/api/items/${talked.key}/history`);
    assert.deepEqual(
      entries.map(({ action }) => action),
      ['changed', 'changed', 'created'],
    );
  }
  assert.deepEqual(
    seen[0]!.filter((title) => seen[1]!.includes(title)),
    [],
  );
});

test('a tenant with projects is left alone', async () => {
  await assert.rejects(desk.hosted.hosting.seedDemo(desk.hosted.tenants.acme, 0, users.owner), /projects already/);
});
