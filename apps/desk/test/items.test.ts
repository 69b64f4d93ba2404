import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HistoryList, Item, ItemList, Me, ProjectList, Summary, UserList } from '../api.ts';
import { type Desk, startDesk, users } from './desk.contract.ts';

let desk: Desk;
before(async () => {
  desk = await startDesk();
});
after(() => desk.stop());

test('who is signed in, and everybody an item can name', async () => {
  const me = await desk.as('member').get<Me>('/api/me');
  assert.equal(me.user.email, 'mia@example.com');
  assert.equal(me.tenant.name, 'acme');
  assert.deepEqual(me.can, { manageProjects: false, importItems: false, deleteItems: false, moderateComments: false });
  const { users: listed } = await desk.as('member').get<UserList>('/api/users');
  assert.equal(listed.length, 4);
  assert.ok(listed.every(({ active }) => active));
});

test('an item is made, read by id and key, changed with a version, and keeps its history', async () => {
  await desk.as('admin').project('ABC');
  const member = desk.as('member');
  const made = await member.post<Item>('/api/items', {
    project: 'ABC',
    title: '  Printer \n on fire ',
    description: 'It **burns**.\r\n',
    priority: 'urgent',
    assigneeId: users.other.userId,
    tags: ['Fire', '#Office  floor 2', 'fire'],
    dueOn: '2026-12-24',
    requester: { name: 'Pia', email: null },
  });
  assert.equal(made.key, 'ABC-1');
  assert.equal(made.title, 'Printer on fire');
  assert.equal(made.description, 'It **burns**.');
  assert.equal(made.state, 'todo');
  assert.equal(made.version, 1);
  assert.equal(made.dueOn, '2026-12-24');
  assert.deepEqual(made.assignee, { id: users.other.userId, name: 'Otto Other of acme' });
  assert.deepEqual(
    made.tags.map(({ name }) => name),
    ['fire', 'office floor 2'],
  );
  assert.deepEqual(await member.get<Item>('/api/items/abc-1'), made);
  assert.deepEqual(await member.get<Item>(`/api/items/${made.id}`), made);

  const changed = await member.patch<Item>(`/api/items/${made.id}`, {
    version: 1,
    state: 'done',
    assigneeId: null,
    tags: [],
    requester: null,
    title: 'Printer on fire',
  });
  assert.equal(changed.version, 2);
  assert.equal(changed.assignee, null);
  assert.equal(changed.requester, null);
  assert.notEqual(changed.finishedAt, null);
  const refusal = await member.refused(409, 'DESK_ITEM_CHANGED', 'PATCH', `/api/items/${made.id}`, {
    version: 1,
    title: 'Old',
  });
  assert.deepEqual(refusal.fields, { version: 'is 2 now' });
  const same = await member.patch<Item>(`/api/items/${made.id}`, { version: 2, state: 'done' });
  assert.equal(same.version, 2, 'nothing changed, nothing counted');
  const reopened = await member.patch<Item>(`/api/items/${made.id}`, { version: 2, state: 'doing', type: 'bug' });
  assert.equal(reopened.finishedAt, null);

  const { entries } = await member.get<HistoryList>(`/api/items/${made.id}/history`);
  assert.deepEqual(
    entries.map(({ action, changes }) => [action, changes.map(({ field }) => field)]),
    [
      ['changed', ['type', 'state']],
      ['changed', ['state', 'assignee', 'tags', 'requester']],
      ['created', []],
    ],
  );
  assert.deepEqual(entries[1]!.changes[1], {
    field: 'assignee',
    from: { id: users.other.userId, name: 'Otto Other of acme' },
    to: null,
  });
  const paged = await member.get<HistoryList>(`/api/items/${made.id}/history?limit=2`);
  const rest = await member.get<HistoryList>(`/api/items/${made.id}/history?limit=2&cursor=${paged.nextCursor}`);
  assert.deepEqual([...paged.entries, ...rest.entries], entries);
  await assert.rejects(desk.sql('acme', `UPDATE history SET by = 'x'`), /append-only/);
  await assert.rejects(desk.sql('acme', 'DELETE FROM history'), /append-only/);
});

test('the same ids and keys in another tenant are other items', async () => {
  await desk.as('admin', 'acme').project('TWIN');
  await desk.as('admin', 'globex').project('TWIN');
  const ours = await desk.as('member', 'acme').item('TWIN', { title: 'Ours' });
  const theirs = await desk.as('member', 'globex').item('TWIN', { title: 'Theirs' });
  assert.equal(ours.key, theirs.key);
  assert.equal((await desk.as('member', 'globex').get<Item>('/api/items/TWIN-1')).title, 'Theirs');
  await desk.as('owner', 'globex').refused(404, 'DESK_ITEM_NOT_FOUND', 'GET', `/api/items/${ours.id}`);
  await desk
    .as('owner', 'globex')
    .refused(404, 'DESK_ITEM_NOT_FOUND', 'PATCH', `/api/items/${ours.id}`, { version: 1 });
  await desk.as('owner', 'globex').refused(404, 'DESK_ITEM_NOT_FOUND', 'DELETE', `/api/items/${ours.id}`);
  const list = await desk.as('owner', 'globex').get<ItemList>('/api/items');
  assert.deepEqual(
    list.items.map(({ title }) => title),
    ['Theirs'],
  );
  assert.ok(desk.events.every(([tenant, { data }]) => tenant === 'acme' || !JSON.stringify(data).includes(ours.id)));
});

test('fifty items made at once have fifty numbers in a row and fifty places in the column', async () => {
  await desk.as('admin').project('PAR');
  const made = await Promise.all(
    Array.from({ length: 50 }, (_, index) => desk.as('member').item('PAR', { title: `${index}` })),
  );
  const numbers = made.map(({ number }) => number).sort((a, b) => a - b);
  assert.deepEqual(
    numbers,
    Array.from({ length: 50 }, (_, index) => index + 1),
  );
  const [places] = await desk.sql<{ count: number }>(
    'acme',
    `SELECT count(DISTINCT i.rank)::int AS count FROM items i JOIN projects p USING (project_id) WHERE p.key = 'PAR'`,
  );
  assert.equal(places!.count, 50);
});

test('a refused item takes no number', async () => {
  await desk.as('admin').project('GAP');
  await desk.as('member').item('GAP');
  await desk.as('member').refused(422, 'DESK_ASSIGNEE_UNKNOWN', 'POST', '/api/items', {
    project: 'GAP',
    title: 'x',
    assigneeId: 'usr_nobody',
  });
  assert.equal((await desk.as('member').item('GAP')).number, 2);
});

test('of ten changes of the same version one wins', async () => {
  await desk.as('admin').project('RACE');
  const { id } = await desk.as('member').item('RACE');
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      desk
        .as('member')
        .call<Item & { code: string }>('PATCH', `/api/items/${id}`, { version: 1, title: `Title ${index}` }),
    ),
  );
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  assert.ok(answers.every(({ status, body }) => status === 200 || body.code === 'DESK_ITEM_CHANGED'));
  assert.equal((await desk.as('member').get<Item>(`/api/items/${id}`)).version, 2);
});

test('an archived project is read, not changed', async () => {
  const admin = desk.as('admin');
  const project = await admin.project('OLD');
  const item = await admin.item('OLD');
  const archived = await admin.patch<typeof project>('/api/projects/OLD', { version: 1, archived: true });
  assert.equal(archived.version, 2);
  await admin.refused(409, 'DESK_PROJECT_CHANGED', 'PATCH', '/api/projects/OLD', { version: 1, name: 'New' });
  await admin.refused(409, 'DESK_PROJECT_ARCHIVED', 'POST', '/api/items', { project: 'OLD', title: 'x' });
  await admin.refused(409, 'DESK_PROJECT_ARCHIVED', 'PATCH', `/api/items/${item.id}`, { version: 1, title: 'x' });
  await admin.refused(409, 'DESK_PROJECT_ARCHIVED', 'POST', `/api/items/${item.id}/move`, { state: 'done' });
  await admin.refused(409, 'DESK_PROJECT_ARCHIVED', 'POST', `/api/items/${item.id}/comments`, { body: 'x' });
  await admin.refused(409, 'DESK_PROJECT_ARCHIVED', 'POST', '/api/items/bulk', {
    itemIds: [item.id],
    set: { state: 'done' },
  });
  assert.equal((await admin.get<Item>('/api/items/OLD-1')).id, item.id);
  const shown = await admin.get<ProjectList>('/api/projects');
  assert.ok(!shown.projects.some(({ key }) => key === 'OLD'));
  const all = await admin.get<ProjectList>('/api/projects?archived=all');
  assert.ok(all.projects.some(({ key }) => key === 'OLD'));
});

test('members work with items; projects, deletion and imports are for administrators', async () => {
  const member = desk.as('member');
  await desk.as('admin').project('ROLE');
  const item = await member.item('ROLE');
  await member.refused(403, 'FH_APP_ROLE_REQUIRED', 'POST', '/api/projects', { key: 'NO', name: 'No' });
  await member.refused(403, 'FH_APP_ROLE_REQUIRED', 'PATCH', '/api/projects/ROLE', { version: 1, name: 'No' });
  await member.refused(403, 'FH_APP_ROLE_REQUIRED', 'DELETE', `/api/items/${item.id}`);
  await member.refused(403, 'FH_APP_ROLE_REQUIRED', 'GET', '/api/imports');
  assert.equal((await member.upload('/api/imports', 'a\n1\n', 'a.csv')).status, 403);
  const gone = await desk.as('owner').call('DELETE', `/api/items/${item.id}`);
  assert.equal(gone.status, 204);
  await member.refused(404, 'DESK_ITEM_NOT_FOUND', 'GET', `/api/items/${item.id}`);
  assert.equal((await member.item('ROLE')).number, 2, 'the number of a deleted item is not given again');
});

test('bad input is refused with a reason and changes nothing', async () => {
  const member = desk.as('member');
  const admin = desk.as('admin');
  await admin.project('BAD');
  const item = await member.item('BAD');
  const create = (fields: object) =>
    member.call<{ code: string }>('POST', '/api/items', { project: 'BAD', title: 'x', ...fields });
  for (const fields of [
    { title: '' },
    { title: ' \n\t ' },
    { title: 'x'.repeat(301) },
    { description: 'x'.repeat(100_001) },
    { state: 'closing' },
    { type: 'epic' },
    { priority: 1 },
    { tags: 'a,b' },
    { tags: ['x'.repeat(41)] },
    { tags: [' , '] },
    { tags: Array.from({ length: 21 }, (_, index) => `t${index}`) },
    { dueOn: '2026-02-30' },
    { dueOn: '24.12.2026' },
    { version: 1 },
    { rank: 'a' },
    { requester: { name: 'x' } },
  ]) {
    const { status, body } = await create(fields);
    assert.equal(status, 400, `${JSON.stringify(fields).slice(0, 80)} → ${status} ${body.code}`);
  }
  const polluted = await desk.hosted.fetch('/api/items', {
    method: 'POST',
    body: '{"project":"BAD","title":"x","__proto__":{"state":"done"}}',
    headers: { 'content-type': 'application/json', 'x-user': 'member' },
  });
  assert.equal(polluted.status, 400);
  await member.refused(404, 'DESK_PROJECT_NOT_FOUND', 'POST', '/api/items', { project: 'NONE', title: 'x' });
  assert.equal((await member.call('PATCH', `/api/items/${item.id}`, { title: 'without version' })).status, 400);
  for (const key of ['A', 'ABCDEFG', 'abc', 'A1', 'ÄB'])
    assert.equal((await admin.call('POST', '/api/projects', { key, name: 'x' })).status, 400, key);
  await admin.refused(409, 'DESK_PROJECT_KEY_TAKEN', 'POST', '/api/projects', { key: 'BAD', name: 'again' });
  const list = await member.get<ItemList>('/api/items?project=BAD');
  assert.equal(list.items.length, 1);
  assert.equal(list.items[0]!.version, 1);
});

test('text that is hard to store is stored or cleaned', async () => {
  await desk.as('admin').project('HARD');
  const item = await desk.as('member').item('HARD', {
    title: 'A\u0000B \ud800 𝒳 e\u0301',
    description: 'x\u0000y\u0002z\ud83d\ttab',
    tags: ['\ud800tag'],
  });
  assert.equal(item.title, 'A B \ufffd 𝒳 é');
  assert.equal(item.description, 'xyz\ufffd\ttab');
  const changed = await desk.as('member').patch<Item>(`/api/items/${item.id}`, { version: 1, title: '𝒳'.repeat(300) });
  assert.equal([...changed.title].length, 300);
});

test('the home page counts what is there', async () => {
  const admin = desk.as('admin', 'globex');
  await admin.project('SUM');
  await admin.item('SUM', { assigneeId: users.admin.userId, dueOn: '2020-01-01', priority: 'urgent' });
  await admin.item('SUM', { state: 'done', assigneeId: users.admin.userId });
  await admin.item('SUM');
  const summary = await admin.get<Summary>('/api/summary');
  assert.equal(summary.mine.total, 1);
  assert.equal(summary.mine.overdue, 1);
  assert.equal(summary.openUrgent, 1);
  assert.equal(summary.projects.find(({ key }) => key === 'SUM')!.open, 2);
  assert.equal(summary.byState.find(({ state }) => state === 'done')!.count, 1);
  assert.equal(summary.recent[0]!.projectKey, 'SUM');
});
