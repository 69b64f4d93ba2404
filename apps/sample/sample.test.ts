import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type HostedApp, startHostedApp } from '../../test/support/hosted-app.ts';
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
