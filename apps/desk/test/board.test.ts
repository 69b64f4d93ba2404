import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Board, BulkResult, Item, ItemList, ItemState } from '../api.ts';
import { maxRankLength } from '../ranks.ts';
import { type Desk, startDesk, users } from './desk.contract.ts';

let desk: Desk;
before(async () => {
  desk = await startDesk();
});
after(() => desk.stop());

async function titlesIn(project: string, state: ItemState): Promise<string[]> {
  const board = await desk.as('member').get<Board>(`/api/projects/${project}/board?limit=100`);
  return board.columns.find((column) => column.state === state)!.items.map(({ title }) => title);
}

async function fill(project: string, titles: readonly string[], state: ItemState = 'todo'): Promise<Map<string, Item>> {
  await desk.as('admin').project(project);
  const items = new Map<string, Item>();
  // New ones go to the top, so the last is made first.
  for (const title of [...titles].reverse()) items.set(title, await desk.as('member').item(project, { title, state }));
  return items;
}

test('a card goes beside another one, to the top, and into another column', async () => {
  const cards = await fill('MOVE', ['a', 'b', 'c', 'd']);
  const id = (title: string) => cards.get(title)!.id;
  const move = (title: string, to: object) =>
    desk.as('member').post<Item>(`/api/items/${id(title)}/move`, { state: 'todo', ...to });
  assert.deepEqual(await titlesIn('MOVE', 'todo'), ['a', 'b', 'c', 'd']);
  const moved = await move('d', { beforeId: id('b') });
  assert.equal(moved.version, 1, 'a place is no change');
  assert.deepEqual(await titlesIn('MOVE', 'todo'), ['a', 'd', 'b', 'c']);
  await move('a', { afterId: id('c') });
  assert.deepEqual(await titlesIn('MOVE', 'todo'), ['d', 'b', 'c', 'a']);
  await move('c', {});
  assert.deepEqual(await titlesIn('MOVE', 'todo'), ['c', 'd', 'b', 'a']);
  await move('c', { afterId: id('d'), beforeId: id('b') });
  assert.deepEqual(await titlesIn('MOVE', 'todo'), ['d', 'c', 'b', 'a']);
  const done = await move('b', { state: 'done' });
  assert.equal(done.version, 2);
  await move('a', { state: 'done', afterId: id('b') });
  assert.deepEqual(await titlesIn('MOVE', 'done'), ['b', 'a']);
  await desk.as('member').refused(409, 'DESK_MOVE_TARGET_GONE', 'POST', `/api/items/${id('c')}/move`, {
    state: 'todo',
    afterId: id('b'),
  });
  await desk.as('member').refused(409, 'DESK_ITEM_CHANGED', 'POST', `/api/items/${id('b')}/move`, {
    state: 'todo',
    version: 1,
  });
  await desk.as('member').refused(400, 'DESK_INPUT_INVALID', 'POST', `/api/items/${id('c')}/move`, {
    state: 'todo',
    afterId: id('c'),
  });
  assert.ok(
    desk.events.some(
      ([, { type, data }]) => type === 'item.changed' && (data as { change: string }).change === 'moved',
    ),
  );
});

test('forty moves at once into the same gap keep a total order', async () => {
  const titles = Array.from({ length: 22 }, (_, index) => `card ${index}`);
  const cards = [...(await fill('CROWD', titles)).values()];
  const [top, target] = [cards.at(-1)!, cards.at(-2)!];
  await Promise.all(
    cards
      .slice(0, 20)
      .flatMap((card) => [
        desk.as('member').post(`/api/items/${card.id}/move`, { state: 'todo', afterId: top.id, beforeId: target.id }),
        desk.as('other').post(`/api/items/${card.id}/move`, { state: 'todo', beforeId: target.id }),
      ]),
  );
  const rows = await desk.sql<{ rank: string; state: string }>(
    'acme',
    `SELECT i.rank, i.state FROM items i JOIN projects p USING (project_id) WHERE p.key = 'CROWD' ORDER BY i.rank`,
  );
  assert.equal(rows.length, 22);
  assert.equal(new Set(rows.map(({ rank }) => rank)).size, 22);
  const order = await titlesIn('CROWD', 'todo');
  assert.deepEqual([order[0], order.at(-1)], [top.title, target.title]);
});

test('moves between columns at once neither lose nor block each other', async () => {
  const cards = [
    ...(
      await fill(
        'CROSS',
        Array.from({ length: 12 }, (_, index) => `${index}`),
      )
    ).values(),
  ];
  const states: readonly ItemState[] = ['todo', 'doing', 'review'];
  await Promise.all(
    cards.flatMap((card, index) =>
      states.map((_, turn) =>
        desk.as('member').post(`/api/items/${card.id}/move`, { state: states[(index + turn) % 3] }),
      ),
    ),
  );
  const board = await desk.as('member').get<Board>('/api/projects/CROSS/board');
  assert.equal(
    board.columns.reduce((sum, { total }) => sum + total, 0),
    12,
  );
});

test('a column that ran out of short places is numbered anew, in the same order', async () => {
  const cards = await fill('LONG', ['a', 'b', 'c', 'd']);
  const id = (title: string) => cards.get(title)!.id;
  const [a, b] = await Promise.all(
    ['a', 'b'].map(
      async (title) =>
        (await desk.sql<{ rank: string }>('acme', 'SELECT rank FROM items WHERE item_id = $1', [id(title)]))[0]!.rank,
    ),
  );
  assert.ok(a! < b!);
  // As after very many moves into the same gap.
  await desk.sql('acme', 'UPDATE items SET rank = $2 WHERE item_id = $1', [
    id('b'),
    `${a}${'0'.repeat(maxRankLength)}1`,
  ]);
  await desk.as('member').post(`/api/items/${id('d')}/move`, { state: 'todo', afterId: id('a'), beforeId: id('b') });
  assert.deepEqual(await titlesIn('LONG', 'todo'), ['a', 'd', 'b', 'c']);
  const [longest] = await desk.sql<{ length: number }>(
    'acme',
    `SELECT max(length(i.rank)) AS length FROM items i JOIN projects p USING (project_id) WHERE p.key = 'LONG'`,
  );
  assert.ok(longest!.length < maxRankLength);
  assert.equal((await desk.as('member').get<Item>('/api/items/LONG-1')).version, 1);
});

test('the board shows first cards, exact totals, and a cursor for the rest', async () => {
  await fill(
    'PAGE',
    Array.from({ length: 9 }, (_, index) => `card ${index}`),
  );
  await desk.as('member').item('PAGE', { title: 'other', priority: 'high', state: 'doing' });
  const board = await desk.as('member').get<Board>('/api/projects/page/board?limit=4');
  assert.deepEqual(
    board.columns.map(({ state, total }) => [state, total]),
    [
      ['backlog', 0],
      ['todo', 9],
      ['doing', 1],
      ['review', 0],
      ['done', 0],
      ['closed', 0],
    ],
  );
  const todo = board.columns[1]!;
  const seen = todo.items.map(({ title }) => title);
  let cursor = todo.nextCursor;
  while (cursor) {
    const more = await desk
      .as('member')
      .get<ItemList>(`/api/items?project=PAGE&state=todo&sort=rank&limit=4&cursor=${cursor}`);
    seen.push(...more.items.map(({ title }) => title));
    cursor = more.nextCursor;
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 9 }, (_, index) => `card ${index}`),
  );
  const filtered = await desk.as('member').get<Board>('/api/projects/PAGE/board?priority=high&q=other');
  assert.deepEqual(
    filtered.columns.map(({ total }) => total),
    [0, 0, 1, 0, 0, 0],
  );
});

test('many items change in one transaction, or none', async () => {
  const cards = [...(await fill('BULK', ['a', 'b', 'c'])).values()].reverse();
  const ids = cards.map(({ id }) => id);
  const member = desk.as('member');
  const result = await member.post<BulkResult>('/api/items/bulk', {
    itemIds: [...ids, 'itm_gone'],
    set: { state: 'review', assigneeId: users.other.userId, priority: 'high', addTags: ['Bulk'] },
  });
  assert.equal(result.changed.length, 3);
  assert.ok(result.changed.every(({ version }) => version === 2));
  assert.deepEqual(result.missing, ['itm_gone']);
  assert.deepEqual(await titlesIn('BULK', 'review'), ['a', 'b', 'c'], 'they keep their order');
  const again = await member.post<BulkResult>('/api/items/bulk', { itemIds: ids, set: { state: 'review' } });
  assert.deepEqual([again.changed.length, again.unchanged], [0, 3]);
  await member.refused(422, 'DESK_ASSIGNEE_UNKNOWN', 'POST', '/api/items/bulk', {
    itemIds: ids,
    set: { state: 'done', assigneeId: 'usr_nobody' },
  });
  await member.refused(400, 'DESK_INPUT_INVALID', 'POST', '/api/items/bulk', {
    itemIds: ids,
    set: { state: 'done', addTags: Array.from({ length: 20 }, (_, index) => `t${index}`) },
  });
  await member.refused(400, 'DESK_INPUT_INVALID', 'POST', '/api/items/bulk', { itemIds: ids, set: {} });
  assert.equal((await member.get<Item>(`/api/items/${ids[0]}`)).state, 'review');
  const cleared = await member.post<BulkResult>('/api/items/bulk', {
    itemIds: ids,
    set: { assigneeId: null, removeTags: ['bulk'] },
  });
  assert.equal(cleared.changed.length, 3);
  const item = await member.get<Item>(`/api/items/${ids[0]}`);
  assert.deepEqual([item.assignee, item.tags], [null, []]);
  // The same ids in another tenant are nobody.
  const theirs = await desk
    .as('owner', 'globex')
    .post<BulkResult>('/api/items/bulk', { itemIds: ids, set: { state: 'done' } });
  assert.deepEqual([theirs.changed, theirs.missing.length], [[], 3]);
});

test('bulk changes, moves and edits of the same items at once all come through', async () => {
  const cards = [
    ...(
      await fill(
        'MIX',
        Array.from({ length: 8 }, (_, index) => `${index}`),
      )
    ).values(),
  ];
  const ids = cards.map(({ id }) => id);
  const member = desk.as('member');
  const answers = await Promise.all([
    ...['doing', 'review', 'doing'].map((state) =>
      member.call('POST', '/api/items/bulk', {
        itemIds: state === 'review' ? [...ids].reverse() : ids,
        set: { state, addTags: [state] },
      }),
    ),
    ...ids.map((id) => member.call('POST', `/api/items/${id}/move`, { state: 'todo' })),
    ...ids.map((id) => member.call('POST', `/api/items/${id}/comments`, { body: 'x' })),
  ]);
  assert.deepEqual([...new Set(answers.map(({ status }) => status))].sort(), [200, 201]);
});
