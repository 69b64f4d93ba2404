import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type HostedApp, startHostedApp, userId } from '../../test/support/hosted-app.ts';
import sample from './index.ts';

let app: HostedApp;
before(async () => {
  app = await startHostedApp(sample);
});
after(() => app.stop());

test('a note is seen by its tenant and by nobody else', async () => {
  const created = await app.fetch('/api/notes', {
    as: 'acme',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: 'Order paper' }),
  });
  assert.equal(created.status, 201);
  for (const [as, count] of [
    ['acme', 1],
    ['globex', 0],
  ] as const) {
    const response = await app.fetch('/api/notes', { as });
    const { notes } = (await response.json()) as { notes: { text: string }[] };
    assert.equal(notes.length, count);
  }
});

test('one note is read by its id, in its own tenant only', async () => {
  const created = await app.fetch('/api/notes', {
    as: 'acme',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: 'Water the plants' }),
  });
  const { id } = (await created.json()) as { id: string };
  const own = await app.fetch(`/api/notes/${id}`, { as: 'acme' });
  assert.equal(own.status, 200);
  const { createdAt, ...rest } = (await own.json()) as { createdAt: string };
  assert.deepEqual(rest, { id, text: 'Water the plants', hasFile: false, authorId: userId });
  assert.ok(Math.abs(Date.now() - Date.parse(createdAt)) < 60_000);
  assert.equal((await app.fetch(`/api/notes/${id}`, { as: 'globex' })).status, 404);
  assert.equal((await app.fetch('/api/notes/itm_x', { as: 'acme' })).status, 400);
});
