import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import type { Import, ImportMapping, ItemList, Project } from '../api.ts';
import { type Desk, startDesk } from './desk.contract.ts';
import { countItems, put, run, until } from './imports.contract.ts';
import { generateTickets } from './tickets.contract.ts';

let desk: Desk;
before(async () => {
  desk = await startDesk();
});
after(() => desk.stop());

test('two imports at once into one project, while people go on making items, share no number', async () => {
  const admin = desk.as('admin');
  await admin.project('BOTH');
  const change: Partial<ImportMapping> = { project: { kind: 'existing', project: 'BOTH' } };
  const [one, two] = await Promise.all([
    admin.import(generateTickets(1_200)),
    admin.import(generateTickets(1_300, '\r\n')),
  ]);
  const [first, second, ...items] = await Promise.all([
    run(admin, one!, change),
    run(admin, two!, change),
    ...Array.from({ length: 5 }, () => admin.item('BOTH')),
  ]);
  assert.deepEqual([first.result!.created, second.result!.created], [1_200, 1_300]);
  const [row] = await desk.sql<{ count: number; last: number }>(
    'acme',
    `SELECT count(DISTINCT i.number)::int AS count, max(i.number) AS last FROM items i JOIN projects p USING (project_id) WHERE p.key = 'BOTH'`,
  );
  assert.deepEqual(row, { count: 2_500 + items.length, last: 2_500 + items.length });
  // The uploaded files are people's data and are not kept.
  const kept = await desk.sql(
    'acme',
    'SELECT import_id FROM imports WHERE file_id IS NOT NULL AND import_id = ANY ($1)',
    [[one!.id, two!.id]],
  );
  assert.deepEqual(kept, []);
});

test('an import that is cancelled while it runs makes nothing', async () => {
  const admin = desk.as('admin');
  const made = await admin.import(generateTickets(4_000));
  await put(admin, made);
  await admin.post(`/api/imports/${made.id}/start`);
  await until(admin, made.id, ['running']);
  const cancelled = await admin.post<Import>(`/api/imports/${made.id}/cancel`);
  assert.equal(cancelled.state, 'cancelled');
  await waitFor('the run to notice', async () => {
    const rows = await desk.sql('acme', 'SELECT row_number FROM import_rows WHERE import_id = $1 LIMIT 1', [made.id]);
    return rows.length === 0;
  });
  assert.equal(await countItems(desk, 'acme', made.id), 0);
  assert.equal((await admin.get<Import>(`/api/imports/${made.id}`)).state, 'cancelled');
});

test('a run whose process vanished counts as interrupted, has made nothing, and can be started again', async () => {
  const admin = desk.as('admin');
  const made = await admin.import(generateTickets(300));
  await put(admin, made);
  // As a killed process leaves it: running, rows waiting, no sign of life.
  await desk.sql(
    'acme',
    `UPDATE imports SET state = 'running', run = 1, phase = 'reading', started_at = now(), heartbeat_at = now() - interval '1 minute' WHERE import_id = $1`,
    [made.id],
  );
  await desk.sql(
    'acme',
    `INSERT INTO import_rows (import_id, run, row_number, type, title, description, state, priority, tags)
     SELECT $1, 1, n, 'task', 'left over', '', 'todo', 'normal', '{}' FROM generate_series(1, 50) n`,
    [made.id],
  );
  assert.equal((await admin.get<Import>(`/api/imports/${made.id}`)).state, 'interrupted');
  assert.equal(await countItems(desk, 'acme', made.id), 0);
  await admin.post(`/api/imports/${made.id}/start`);
  const done = await until(admin, made.id, ['done', 'failed']);
  assert.equal(done.result!.created, 300);
  const { total } = await admin.get<ItemList>(`/api/items?import=${made.id}&q=%22left%20over%22`);
  assert.equal(total.count, 0);
});

test('a fault in the middle of making items leaves none, and the import can be started again', async () => {
  const admin = desk.as('admin');
  const made = await admin.import(generateTickets(2_500));
  const { key } = made.mapping.project as { key: string };
  await put(admin, made);
  await desk.sql(
    'acme',
    `CREATE FUNCTION break_import() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$`,
  );
  await desk.sql(
    'acme',
    `CREATE TRIGGER break_import BEFORE INSERT ON items FOR EACH ROW WHEN (NEW.number = 2100) EXECUTE FUNCTION break_import()`,
  );
  await admin.post(`/api/imports/${made.id}/start`);
  const failed = await until(admin, made.id, ['failed', 'done']);
  assert.equal(failed.state, 'failed');
  assert.equal(failed.error!.code, 'DESK_IMPORT_FAILED');
  assert.equal(await countItems(desk, 'acme', made.id), 0);
  await admin.refused(404, 'DESK_PROJECT_NOT_FOUND', 'GET', `/api/projects/${key}`);
  await desk.sql('acme', 'DROP FUNCTION break_import CASCADE');
  await admin.post(`/api/imports/${made.id}/start`);
  assert.equal((await until(admin, made.id, ['failed', 'done'])).result!.created, 2_500);
  assert.equal((await admin.get<Project>(`/api/projects/${key}`)).itemCount, 2_500);
});

test('a key that was taken after the mapping fails the import with words for people', async () => {
  const admin = desk.as('admin');
  const made = await admin.import('Title\nOne\n');
  await put(admin, made, { project: { kind: 'new', key: 'LATE', name: 'Late' } });
  await admin.project('LATE');
  await admin.post(`/api/imports/${made.id}/start`);
  const failed = await until(admin, made.id, ['failed', 'done']);
  assert.deepEqual([failed.state, failed.error!.code], ['failed', 'DESK_PROJECT_KEY_TAKEN']);
});

test('a drain in the middle of a run leaves nothing half-made', async () => {
  const admin = desk.as('admin', 'globex');
  const made = await admin.import(generateTickets(5_000));
  await put(admin, made);
  await admin.post(`/api/imports/${made.id}/start`);
  await waitFor(
    'the first progress',
    async () => (await admin.get<Import>(`/api/imports/${made.id}`)).progress.done > 0,
  );
  await desk.hosted.hosting.evict(desk.hosted.tenants.globex.tenantId);
  assert.equal(await countItems(desk, 'globex', made.id), 0);
  // Nobody is left who could say so; the missing sign of life does.
  await desk.sql('globex', `UPDATE imports SET heartbeat_at = now() - interval '1 minute' WHERE import_id = $1`, [
    made.id,
  ]);
  assert.equal((await admin.get<Import>(`/api/imports/${made.id}`)).state, 'interrupted');
  await admin.post(`/api/imports/${made.id}/start`);
  assert.equal((await until(admin, made.id, ['failed', 'done'])).result!.created, 5_000);
});
