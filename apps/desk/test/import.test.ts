import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Board, Comment, Import, ImportList, ImportMapping, Item, ItemList, RefusedList } from '../api.ts';
import { type Desk, startDesk } from './desk.contract.ts';
import { countItems, put, run, until } from './imports.contract.ts';
import { readTickets, ticketCount } from './tickets.contract.ts';

let desk: Desk;
before(async () => {
  desk = await startDesk();
});
after(() => desk.stop());

test('8,469 tickets come in with one go, and go again with one undo', async (t) => {
  const admin = desk.as('admin');
  const { csv, source } = readTickets();
  const made = await admin.import(csv, 'customer-support-tickets.csv');
  assert.equal(made.rowCount, ticketCount);
  assert.equal(made.delimiter, ',');
  assert.equal(made.state, 'uploaded');
  const fieldOf = (header: string) =>
    made.mapping.fields[made.columns.find((column) => column.header === header)!.index];
  assert.deepEqual(
    [
      'Ticket ID',
      'Ticket Subject',
      'Ticket Description',
      'Ticket Type',
      'Ticket Status',
      'Ticket Priority',
      'Customer Email',
      'Customer Name',
      'Ticket Channel',
      'Customer Age',
    ].map(fieldOf),
    [
      'reference',
      'title',
      'description',
      'type',
      'state',
      'priority',
      'requesterEmail',
      'requesterName',
      'tags',
      'fact',
    ],
  );
  assert.deepEqual(made.columns.find(({ header }) => header === 'Ticket Priority')!.values.length, 4);

  const preview = await put(admin, made);
  assert.equal(preview.status, 200, JSON.stringify(preview.body));
  assert.deepEqual([preview.body.accepted, preview.body.refused], [ticketCount, 0]);
  const started = await admin.post<Import>(`/api/imports/${made.id}/start`);
  assert.equal(started.state, 'running');
  await admin.refused(409, 'DESK_IMPORT_STATE', 'POST', `/api/imports/${made.id}/start`);
  const done = await until(admin, made.id, ['done', 'failed']);
  assert.equal(done.state, 'done', JSON.stringify(done.error));
  assert.equal(done.result!.created, ticketCount);
  t.diagnostic(`${source} file: ${ticketCount} items in ${done.result!.durationMs} ms`);
  assert.equal(await countItems(desk, 'acme', made.id), ticketCount);

  const { projectKey, firstKey, lastKey } = done.result!;
  assert.deepEqual([firstKey, lastKey], [`${projectKey}-1`, `${projectKey}-${ticketCount}`]);
  const [numbers] = await desk.sql<{ count: number; last: number; ranks: number }>(
    'acme',
    'SELECT count(DISTINCT number)::int AS count, max(number) AS last, count(DISTINCT (state, rank))::int AS ranks FROM items WHERE import_id = $1',
    [made.id],
  );
  assert.deepEqual(numbers, { count: ticketCount, last: ticketCount, ranks: ticketCount });
  const first = await admin.get<Item>(`/api/items/${projectKey}-1`);
  assert.equal(first.reference, '1');
  assert.match(first.description, /\n\n/, 'multi-line text stays multi-line');
  assert.match(first.description, /- \*\*Customer Age:\*\* \d+/);
  const board = await admin.get<Board>(`/api/projects/${projectKey}/board`);
  assert.equal(
    board.columns.reduce((sum, { total }) => sum + total, 0),
    ticketCount,
  );
  assert.equal(board.columns[1]!.items.length, 30);
  const found = await admin.get<ItemList>(`/api/items?project=${projectKey}&q=battery%20life&limit=100`);
  assert.ok(found.total.count > 0 && found.items[0]!.match!.title.some(({ hit }) => hit));
  const phases = desk.events.flatMap(([, { type, data }]) =>
    type === 'import.progress' ? [(data as { progress: { phase: string } }).progress.phase] : [],
  );
  assert.ok(phases.includes('reading') && phases.includes('creating') && phases.at(-1) === 'finished');
  const exported = await admin.download(`/api/exports/items.csv?import=${made.id}&sort=key`);
  assert.equal(exported.text.match(new RegExp(`^\\ufeff?${projectKey}-\\d+,`, 'gm'))!.length, ticketCount);

  // Three that somebody worked on stay.
  await admin.patch(`/api/items/${projectKey}-1`, { version: 1, title: 'Changed' });
  await admin.post<Comment>(`/api/items/${projectKey}-2/comments`, { body: 'Talked about' });
  await admin.upload(`/api/items/${projectKey}-3/attachments`, 'x');
  const undone = await admin.post<Import>(`/api/imports/${made.id}/undo`);
  assert.equal(undone.state, 'undone');
  assert.deepEqual([undone.undo!.deleted, undone.undo!.kept, undone.undo!.projectDeleted], [ticketCount - 3, 3, false]);
  assert.deepEqual(undone.undo!.reasons, [
    { reason: 'attached', count: 1 },
    { reason: 'changed', count: 1 },
    { reason: 'commented', count: 1 },
  ]);
  assert.equal(await countItems(desk, 'acme', made.id), 3);
  await admin.refused(409, 'DESK_IMPORT_STATE', 'POST', `/api/imports/${made.id}/undo`);
  assert.equal(await countItems(desk, 'globex', made.id), 0);
});

test('an import that made its project takes it along when undone', async () => {
  const admin = desk.as('admin', 'globex');
  const done = await run(admin, await admin.import('Title\nOne\nTwo\n'), {
    project: { kind: 'new', key: 'GONE', name: 'Gone' },
  });
  assert.equal(done.result!.created, 2);
  const undone = await admin.post<Import>(`/api/imports/${done.id}/undo`);
  assert.deepEqual([undone.undo!.deleted, undone.undo!.projectDeleted], [2, true]);
  await admin.refused(404, 'DESK_PROJECT_NOT_FOUND', 'GET', '/api/projects/GONE');
});

test('rows that cannot become items are reported with row, line and reason; the others come in', async () => {
  const admin = desk.as('admin');
  await admin.project('ROWS');
  const csv = [
    '\ufeffSubject;Details;Status;Due;Labels;Assigned to',
    'Good;"two\r\nlines";open;24.12.2026;"a,b";mia@example.com',
    '',
    ';no title;open;;;',
    'Bad status;;wontfix?;;;',
    'Bad date;;open;12/24/2026;;',
    `${'x'.repeat(301)};;open;;;`,
    'Short row;x',
    'Unknown person;;open;;;Nobody Known',
    '=1+1;"a ""quoted"" cell";open;;;',
  ].join('\r\n');
  const made = await admin.import(csv, 'umlaute äöü.csv');
  assert.equal(made.delimiter, ';');
  assert.deepEqual(made.mapping.fields, ['title', 'description', 'state', 'dueOn', 'tags', 'assignee']);
  assert.equal(made.mapping.dateFormat, 'dmy');
  const change: Partial<ImportMapping> = {
    project: { kind: 'existing', project: 'ROWS' },
    values: { ...made.mapping.values, state: [{ from: 'OPEN', to: 'todo' }] },
  };
  const preview = await put(admin, made, change);
  assert.deepEqual([preview.body.accepted, preview.body.refused], [3, 5]);
  const expected = [
    { row: 2, line: 5, reason: 'the title is empty' },
    { row: 3, line: 6, reason: '"wontfix?" is given no state' },
    { row: 4, line: 7, reason: '"12/24/2026" is no due date of the form day/month/year' },
    { row: 5, line: 8, reason: 'the title has 301 characters; 300 are possible' },
    { row: 6, line: 9, reason: 'has 2 cells; the header has 6' },
  ];
  assert.deepEqual(preview.body.refusedRows, expected);
  const done = await run(admin, made, change);
  assert.deepEqual([done.result!.created, done.result!.refused], [3, 5]);
  const refused = await admin.get<RefusedList>(`/api/imports/${made.id}/refused?limit=2`);
  const rest = await admin.get<RefusedList>(`/api/imports/${made.id}/refused?cursor=${refused.nextCursor}`);
  assert.deepEqual([...refused.rows, ...rest.rows], expected);
  const report = await admin.download(`/api/imports/${made.id}/refused.csv`);
  const lines = report.text.split('\r\n');
  assert.equal(
    lines[0],
    `\ufeff${made.columns.map(({ header }) => header).join(',')},Refused because,Refused row,Refused line`,
  );
  assert.equal(lines[2], `Bad status,,wontfix?,,,,"""wontfix?"" is given no state",3,6`);
  const again = await admin.import(report.text.replaceAll('wontfix?', 'open'), 'mended.csv');
  assert.deepEqual(again.mapping.fields.slice(-3), ['ignore', 'ignore', 'ignore']);
  const { items } = await admin.get<ItemList>('/api/items?project=ROWS&sort=key');
  assert.deepEqual(
    items.map(({ title, assignee, dueOn, tags }) => [title, assignee?.name, dueOn, tags.map(({ name }) => name)]),
    [
      ['Good', 'Mia Member of acme', '2026-12-24', ['a', 'b']],
      ['Unknown person', undefined, null, []],
      ['=1+1', undefined, null, []],
    ],
  );
  assert.equal((await admin.get<Item>('/api/items/ROWS-1')).description, 'two\nlines');
  assert.equal((await admin.get<Item>('/api/items/ROWS-2')).description, '- **Assigned to:** Nobody Known');
});

test('a file that is no CSV is refused with what is wrong where, and is not kept', async () => {
  const admin = desk.as('admin');
  const files: readonly [string | Uint8Array<ArrayBuffer>, RegExp][] = [
    ['', /empty/],
    ['\n\n\n', /empty/],
    ['Title,Text\n', /no rows/],
    ['Title,Text\na,"never closed\nb,c\n', /never closed.*line 2/],
    ['Title\nok\n"closed" early\n', /closing quotation mark.*line 3/],
    [new Uint8Array([0xff, 0xfe, 0x41, 0x00]), /UTF-16/],
    [new Uint8Array([...Buffer.from('Title\none\ntw'), 0xe4, ...Buffer.from('r\n')]), /line 3/],
    [new Uint8Array([...Buffer.from('Title\none\n'), 0xc3]), /ends inside a character/],
    ['Title\na\u0000b\n', /zero bytes/],
    ['PK\u0003\u0004whatever', /spreadsheet/],
    [`${Array.from({ length: 201 }, (_, index) => `c${index}`).join(',')}\nx\n`, /201 columns/],
  ];
  for (const [content, reason] of files) {
    const { status, body } = await admin.upload<{ code: string; title: string }>(
      '/api/imports',
      content,
      'x.csv',
      'text/csv',
    );
    assert.deepEqual(
      [status, body.code],
      [422, 'DESK_IMPORT_FILE'],
      `${content.slice(0, 20)}: ${JSON.stringify(body)}`,
    );
    assert.match(body.title, reason);
  }
  const kept = await desk.hosted.tenants.databases.platform.read(desk.hosted.tenants.acme.tenantId, (db) =>
    db.query(`SELECT file_id FROM freehold.files WHERE name = 'x.csv'`),
  );
  assert.deepEqual(kept, []);
});

test('a mapping that makes no sense is refused with everything that is wrong', async () => {
  const admin = desk.as('admin');
  await admin.project('TAKEN');
  const made = await admin.import('Title,State\na,open\n');
  const refusedFields = async (change: Partial<ImportMapping>) => {
    const { status, body } = await put(admin, made, change);
    const problem = body as unknown as { code: string; fields: Record<string, string> };
    assert.deepEqual([status, problem.code], [422, 'DESK_IMPORT_MAPPING']);
    return Object.keys(problem.fields).sort();
  };
  assert.deepEqual(
    await refusedFields({ fields: ['fact', 'state'], project: { kind: 'new', key: 'TAKEN', name: ' ' } }),
    ['fields', 'project.key', 'project.name'],
  );
  assert.deepEqual(await refusedFields({ fields: ['title', 'title'] }), ['fields']);
  assert.deepEqual(await refusedFields({ fields: ['title'] }), ['fields']);
  assert.deepEqual(await refusedFields({ project: { kind: 'existing', project: 'NONE' } }), ['project.project']);
  const twice: ImportMapping['values'] = {
    type: [],
    priority: [],
    state: [
      { from: 'a', to: 'todo' },
      { from: ' A', to: 'done' },
    ],
  };
  assert.deepEqual(await refusedFields({ values: twice }), ['values.state']);
  const { status } = await admin.call('PUT', `/api/imports/${made.id}/mapping`, {
    ...made.mapping,
    fields: ['title', 'nonsense'],
  });
  assert.equal(status, 400);
  await admin.refused(409, 'DESK_IMPORT_STATE', 'POST', `/api/imports/${made.id}/start`);
  await desk.as('owner', 'globex').refused(404, 'DESK_IMPORT_NOT_FOUND', 'GET', `/api/imports/${made.id}`);
  assert.deepEqual(
    (await desk.as('owner', 'globex').get<ImportList>('/api/imports')).imports.filter(({ id }) => id === made.id),
    [],
  );
  const cancelled = await admin.post<Import>(`/api/imports/${made.id}/cancel`);
  assert.equal(cancelled.state, 'cancelled');
  await admin.refused(409, 'DESK_IMPORT_STATE', 'POST', `/api/imports/${made.id}/cancel`);
});
