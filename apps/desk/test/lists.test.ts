import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ItemList, ItemSort, TagList } from '../api.ts';
import { type Desk, startDesk, users } from './desk.contract.ts';

let desk: Desk;
before(async () => {
  desk = await startDesk();
  await desk.as('admin').project('LIST');
  const member = desk.as('member');
  const priorities = ['urgent', 'high', 'normal', 'low'] as const;
  for (let index = 0; index < 23; index++) {
    await member.item('LIST', {
      // Equal values on purpose: paging must not depend on luck.
      title: `Number ${index % 5}`,
      priority: priorities[index % 4]!,
      state: index % 6 === 0 ? 'done' : 'todo',
      assigneeId: index % 3 === 0 ? users.member.userId : null,
      dueOn: index % 2 === 0 ? `2026-01-0${1 + (index % 4)}` : null,
      tags: index % 7 === 0 ? ['seven', 'All'] : ['all'],
    });
  }
  await member.item('LIST', {
    title: 'Printers jam after the update',
    description: `${'Nothing here. '.repeat(40)}\n\nThe driver of the *printer* was replaced. ${'Nothing there. '.repeat(40)}`,
    type: 'incident',
    tags: ['hardware', 'third floor'],
    requester: { name: 'Jane Hughes', email: 'jane.hughes@northwind.example' },
  });
  await member.item('LIST', { title: 'A driver for the delivery van', description: 'No machine involved.' });
});
after(() => desk.stop());

const list = (query: string) => desk.as('member').get<ItemList>(`/api/items?${query}`);
const titles = async (query: string) => (await list(query)).items.map(({ title }) => title);

test('every sort pages through everything once, in order', async () => {
  const sorts: readonly ItemSort[] = [
    '-relevance',
    '-updated',
    'updated',
    '-created',
    'created',
    'priority',
    '-priority',
    'due',
    'title',
    'key',
    '-key',
    'rank',
  ];
  const words = ['', '&q=number'];
  for (const q of words) {
    const expected = q ? 23 : 25;
    for (const sort of sorts) {
      const whole = await list(`project=LIST&limit=100&sort=${sort}${q}`);
      assert.deepEqual(whole.total, { count: expected, exact: true });
      const ids = whole.items.map(({ id }) => id);
      assert.equal(new Set(ids).size, expected);
      const paged: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const page: ItemList = await list(`project=LIST&limit=9&sort=${sort}${q}${cursor && `&cursor=${cursor}`}`);
        paged.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
      }
      assert.deepEqual(paged, ids, `${sort}${q}`);
    }
  }
  const byPriority = (await list('project=LIST&sort=-priority&limit=100')).items.map(({ priority }) => priority);
  assert.deepEqual([byPriority[0], byPriority.at(-1)], ['urgent', 'low']);
  const byDue = (await list('project=LIST&sort=due&limit=100')).items.map(({ dueOn }) => dueOn);
  assert.deepEqual([byDue[0], byDue.at(-1)], ['2026-01-01', null]);
});

test('filters narrow, alone and together', async () => {
  const count = async (query: string) => (await list(`project=LIST&limit=1&${query}`)).total.count;
  assert.equal(await count('state=done'), 4);
  assert.equal(await count('state=open'), 21);
  assert.equal(await count('state=done,todo'), 25);
  assert.equal(await count('type=incident,bug'), 1);
  assert.equal(await count('priority=urgent'), 6);
  assert.equal(await count('assignee=me'), 8);
  assert.equal(await count('assignee=none'), 17);
  assert.equal(await count(`assignee=none,${users.member.userId}`), 25);
  assert.equal(await count('tag=all'), 23);
  assert.equal(await count('tag=all,SEVEN'), 4);
  assert.equal(await count('tag=third%20floor'), 1);
  assert.equal(await count('due=set'), 12);
  assert.equal(await count('due=none'), 13);
  assert.equal(await count('createdTo=2020-01-01'), 0);
  assert.equal(await count('createdFrom=2020-01-01&updatedFrom=2020-01-01T00:00:00%2B02:00'), 25);
  assert.equal(await count('q=LIST-24'), 1);
  assert.equal(await count('state=done&assignee=me&priority=urgent'), 2);
  assert.equal((await list('project=NONE')).total.count, 0);
});

test('search finds words, their forms and beginnings, phrases, people and keys, and marks the hits', async () => {
  assert.deepEqual(await titles('q=printer'), ['Printers jam after the update']);
  assert.deepEqual(await titles('q=prin'), ['Printers jam after the update']);
  assert.deepEqual(await titles('q=driver%20pri'), ['Printers jam after the update']);
  assert.deepEqual(await titles('q=driver%20-printer'), ['A driver for the delivery van']);
  assert.deepEqual(await titles('q=%22delivery%20van%22'), ['A driver for the delivery van']);
  assert.deepEqual(await titles('q=van%20or%20hughes&sort=title'), [
    'A driver for the delivery van',
    'Printers jam after the update',
  ]);
  assert.deepEqual(await titles('q=jane.hughes@northwind.example'), ['Printers jam after the update']);
  assert.equal((await titles('q=the')).length, 2, 'stop words in titles');
  assert.deepEqual(await titles('q=list-25'), ['A driver for the delivery van']);
  assert.equal((await titles('q=driver'))[0], 'A driver for the delivery van', 'the title weighs more');
  for (const odd of [
    'the',
    '%26%20%7C%20!',
    "'%3B%20DROP%20TABLE%20items%3B--",
    '%00',
    '%22',
    '-',
    ':*',
    '%5C',
    '%F0%9F%92%A9',
  ])
    assert.equal((await list(`q=${odd}`)).items.length >= 0, true, odd);
  for (const name of ['project', 'assignee', 'tag'])
    assert.deepEqual((await list(`${name}=none%00`)).items, (await list(`${name}=none`)).items, name);
  const [item] = (await list('q=printer%20driver')).items;
  assert.deepEqual(item!.match!.title[0], { text: 'Printers', hit: true });
  const passage = item!.match!.description;
  assert.ok(passage.some(({ text, hit }) => hit && text === 'driver'));
  assert.ok(passage.map(({ text }) => text).join('').length < 400);
  assert.equal((await list('project=LIST')).items[0]!.match, undefined);
});

test('what cannot be read is refused, not guessed', async () => {
  const { nextCursor } = await list('project=LIST&limit=1&sort=title');
  const forged = (values: unknown) => Buffer.from(JSON.stringify(values)).toString('base64url');
  for (const query of [
    'limit=0',
    'limit=101',
    'limit=x',
    'sort=name',
    'state=opened',
    'type=x',
    'priority=x',
    'due=x',
    'createdFrom=yesterday',
    'createdTo=2026-02-30',
    'cursor=x',
    `cursor=${nextCursor}`,
    `sort=title&cursor=${forged(['title', 'a'])}`,
    `cursor=${forged(['-updated', 'now()', 'a'])}`,
    `sort=key&cursor=${forged(['key', 'AB', '1;', 'a'])}`,
    'unknown=1',
    `q=${'x'.repeat(201)}`,
    'state=todo&state=done',
  ]) {
    const { status, body } = await desk.as('member').call<{ code: string }>('GET', `/api/items?${query}`);
    assert.equal(status, 400, `${query} → ${status} ${body.code}`);
  }
});

test('tags in use are counted and keep their colour', async () => {
  const { tags } = await desk.as('member').get<TagList>('/api/tags?project=list');
  assert.deepEqual(
    tags.map(({ name, count }) => [name, count]),
    [
      ['all', 23],
      ['seven', 4],
      ['hardware', 1],
      ['third floor', 1],
    ],
  );
  assert.ok(tags.every(({ color }) => color >= 0 && color < 12));
  const { tags: found } = await desk.as('member').get<TagList>('/api/tags?q=Se');
  assert.deepEqual(found, [tags[1]]);
});

test('the export is what the filter finds, as CSV that no spreadsheet runs', async () => {
  await desk.as('admin', 'globex').project('OUT');
  const member = desk.as('member', 'globex');
  await member.item('OUT', { title: '=HYPERLINK("http://evil.example")', description: 'a "quoted"\nline, with comma' });
  await member.item('OUT', { title: ' @SUM(1)', state: 'done' });
  const { status, text, headers } = await member.download('/api/exports/items.csv?project=OUT&sort=key');
  assert.equal(status, 200);
  assert.match(headers.get('content-disposition')!, /^attachment; filename="globex-items-\d{4}-\d\d-\d\d\.csv"$/);
  const lines = text.split('\r\n');
  assert.ok(lines[0]!.startsWith('\ufeffKey,Project,Type,Title'));
  assert.ok(text.includes(`"'=HYPERLINK(""http://evil.example"")"`));
  assert.ok(text.includes(`'@SUM(1)`));
  assert.ok(text.includes('"a ""quoted""\nline, with comma"'));
  const open = await member.download('/api/exports/items.csv?project=OUT&state=open');
  assert.ok(!open.text.includes('@SUM'));
  assert.equal((await member.download('/api/exports/items.csv?state=x')).status, 400);
});
