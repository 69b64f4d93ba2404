import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { waitFor } from '#src/kernel/index.ts';
import sample from '../../apps/sample/index.ts';
import { type HostedApp, startHostedApp } from '../../test/support/hosted-app.ts';

let app: HostedApp;
before(async () => {
  app = await startHostedApp(sample);
});
after(() => app.stop());

type Who = Parameters<HostedApp['fetch']>[1];
const post = (path: string, body: unknown, who: Who = {}) =>
  app.fetch(path, {
    ...who,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const create = async (text: string, who: Who = {}) =>
  (await (await post('/api/notes', { text }, who)).json()) as { id: string };
const list = async (who: Who = {}) =>
  ((await (await app.fetch('/api/notes', who)).json()) as { notes: { id: string; text: string; author: string }[] })
    .notes;
const form = (content: string | Uint8Array, name = 'a.txt', type = 'text/plain', field = 'file') => {
  const data = new FormData();
  data.set(field, new File([content as BlobPart], name, { type }));
  return data;
};
const put = (id: string, body: FormData, who: Who = {}) =>
  app.fetch(`/api/notes/${id}/file`, { ...who, method: 'PUT', body });
const problem = async (response: Response) => {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  return (await response.json()) as { status: number; code: string; fields?: Record<string, string> };
};

test('a note is kept in its own tenant and nowhere else', async () => {
  const response = await post('/api/notes', { text: 'only acme' });
  assert.equal(response.status, 201);
  const note = (await response.json()) as { id: string };
  assert.match(note.id, /^itm_[0-9a-z]{26}$/);
  assert.ok((await list()).some(({ id, author }) => id === note.id && author === 'Ada of Acme'));
  assert.deepEqual(
    (await list({ as: 'globex' })).filter(({ id }) => id === note.id),
    [],
  );
  const other = await app.fetch(`/api/notes/${note.id}`, { as: 'globex', role: 'owner', method: 'DELETE' });
  assert.deepEqual([other.status, (await problem(other)).code], [404, 'SAMPLE_NOTE_NOT_FOUND']);
  assert.ok((await list()).some(({ id }) => id === note.id));
});

test('nobody, and a role that is not named, are refused', async () => {
  const note = await create('guarded');
  for (const [method, path] of [
    ['GET', '/api/notes'],
    ['POST', '/api/notes'],
    ['GET', '/api/events'],
    ['GET', '/'],
  ] as const) {
    const response = await app.fetch(path, { method, role: null });
    assert.deepEqual([response.status, (await problem(response)).code], [401, 'FH_APP_SIGN_IN_REQUIRED'], path);
  }
  const response = await app.fetch(`/api/notes/${note.id}`, { method: 'DELETE', role: 'member' });
  assert.deepEqual([response.status, (await problem(response)).code], [403, 'FH_APP_ROLE_REQUIRED']);
  assert.equal((await app.fetch(`/api/notes/${note.id}`, { method: 'DELETE', role: 'admin' })).status, 204);
});

test('what does not match its schema is refused and named', async () => {
  const cases: [body: unknown, field: string][] = [
    [{}, 'text'],
    [{ text: 'a', admin: true }, 'admin'],
    [{ text: 7 }, 'text'],
    [{ text: '' }, 'text'],
    [{ text: 'x'.repeat(2_001) }, 'text'],
  ];
  const before = (await list()).length;
  for (const [body, field] of cases) {
    const refused = await problem(await post('/api/notes', body));
    assert.deepEqual([refused.status, refused.code], [400, 'FH_INVALID_REQUEST']);
    assert.ok(refused.fields?.[field], `${JSON.stringify(body)} → ${JSON.stringify(refused.fields)}`);
  }
  for (const query of ['limit=0', 'limit=x', 'limit=1&limit=2', 'limits=1']) {
    const response = await app.fetch(`/api/notes?${query}`);
    assert.equal(response.status, 400, query);
  }
  for (const id of ['itm_', '..%2f..', "itm_' OR 1=1 --"]) {
    const response = await app.fetch(`/api/notes/${encodeURIComponent(id)}/file`);
    assert.equal(response.status, 400, id);
  }
  const raw = await app.fetch('/api/notes', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"text":"a","__proto__":{"role":"owner"}}',
  });
  assert.equal(raw.status, 400);
  const asForm = await app.fetch('/api/notes', { method: 'POST', body: form('x') });
  assert.equal(asForm.status, 415);
  assert.equal((await list()).length, before);
});

test('a file comes back as it was, with headers that keep it harmless', async () => {
  const { id } = await create('with file');
  const content = Buffer.alloc(300_000, 'é');
  const stored = await put(id, form(content, 'Preis „neu“.txt'));
  assert.deepEqual([stored.status, await stored.json()], [200, { name: 'Preis „neu“.txt', sizeBytes: 300_000 }]);
  const response = await app.fetch(`/api/notes/${id}/file`);
  assert.equal(response.status, 200);
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), content);
  const headers = Object.fromEntries(response.headers);
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(headers['content-length'], '300000');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['cache-control'], 'no-store', 'no copy stays for whoever uses the browser next');
  assert.match(headers['content-security-policy']!, /default-src 'none'.*sandbox/);
  assert.equal(
    headers['content-disposition'],
    `inline; filename="Preis _neu_.txt"; filename*=UTF-8''Preis%20%E2%80%9Eneu%E2%80%9C.txt`,
  );
  assert.equal((await app.fetch(`/api/notes/${id}/file`, { as: 'globex' })).status, 404);
});

test('a page that somebody uploads is not shown in place', async () => {
  const { id } = await create('with page');
  for (const type of ['text/html', 'image/svg+xml', 'application/pdf', 'text/javascript']) {
    await put(id, form('<script>alert(1)</script>', 'a.html', type));
    const response = await app.fetch(`/api/notes/${id}/file`);
    assert.equal(response.headers.get('content-type'), 'application/octet-stream');
    assert.match(response.headers.get('content-disposition')!, /^attachment;/);
    await response.arrayBuffer();
  }
});

test('uploads that are none are refused and keep nothing', async () => {
  const { id } = await create('refused uploads');
  const two = form('one');
  two.append('file', new File(['two'], 'b.txt'));
  const withField = form('one');
  withField.set('comment', 'x');
  const cases: [string, BodyInit, Record<string, string>][] = [
    ['two files', two, {}],
    ['a field after the file', withField, {}],
    ['another field', form('x', 'a', 'text/plain', 'picture'), {}],
    ['nothing', new FormData(), {}],
    [
      'cut off',
      '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
      { 'content-type': 'multipart/form-data; boundary=b' },
    ],
    ['no boundary', 'abc', { 'content-type': 'multipart/form-data' }],
  ];
  for (const [what, body, headers] of cases) {
    const response = await app.fetch(`/api/notes/${id}/file`, { method: 'PUT', body, headers });
    assert.equal(response.status, 400, what);
    await response.arrayBuffer();
  }
  const json = await app.fetch(`/api/notes/${id}/file`, {
    method: 'PUT',
    body: '{}',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(json.status, 400);
  assert.equal((await app.fetch(`/api/notes/${id}/file`)).status, 404);
});

test('a file that is too large is 413, announced or not', async () => {
  const { id } = await create('large');
  const response = await put(id, form(Buffer.alloc(5 * 1024 * 1024 + 1)));
  assert.deepEqual([response.status, (await problem(response)).code], [413, 'FH_FILE_TOO_LARGE']);
  assert.equal((await put(id, form(Buffer.alloc(5 * 1024 * 1024)))).status, 200);
  // 2 GB are announced: refused without reading them.
  const status = await new Promise<number>((resolve, reject) => {
    const upload = httpRequest(`${app.url}/api/notes/${id}/file`, {
      method: 'PUT',
      headers: {
        'x-tenant': 'acme',
        'x-role': 'member',
        'content-type': 'multipart/form-data; boundary=b',
        'content-length': 2_000_000_000,
      },
    });
    upload.once('response', (answer) => {
      resolve(answer.statusCode!);
      upload.destroy();
    });
    upload.once('error', reject);
    upload.write('--b\r\n');
  });
  assert.equal(status, 413);
});

/** Events as they come; ends with the connection. */
async function listen(who: Who = {}) {
  const stop = new AbortController();
  const response = await app.fetch('/api/events', { ...who, signal: stop.signal });
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const received: { text: string; isOver: boolean } = { text: '', isOver: false };
  const reading = (async () => {
    for await (const chunk of response.body!) received.text += Buffer.from(chunk).toString();
  })()
    .catch(() => undefined)
    .finally(() => {
      received.isOver = true;
    });
  const end = () => {
    stop.abort();
    return reading;
  };
  return { received, stop: end };
}

test('events reach the pages of their own tenant only', async () => {
  const [mine, theirs] = [await listen(), await listen({ as: 'globex' })];
  const { id } = await create('announced');
  await waitFor('the event', () => mine.received.text.includes(`event: note.created\ndata: {"id":"${id}"}\n\n`));
  assert.ok(
    app.published.some(
      ([tenantId, event]) => tenantId === app.tenants.acme.tenantId && (event.data as { id: string }).id === id,
    ),
  );
  app.hosting.deliverEvent(app.tenants.globex.tenantId, { type: 'from.elsewhere', data: null });
  await waitFor('the event', () => theirs.received.text.includes('event: from.elsewhere'));
  assert.ok(!theirs.received.text.includes(id) && !mine.received.text.includes('from.elsewhere'));
  await Promise.all([mine.stop(), theirs.stop()]);
});

test('who signs out hears no more', async () => {
  const stream = await listen();
  app.signedOut.add(app.tenants.acme.tenantId);
  // The check is at most a second old, so the first events may still pass.
  await waitFor('the end of the stream', async () => {
    app.hosting.deliverEvent(app.tenants.acme.tenantId, { type: 'tick', data: null });
    return stream.received.isOver;
  });
  app.signedOut.clear();
  await stream.stop();
});

test('a tenant that is closed loses its streams, others keep theirs', async () => {
  const [mine, theirs] = [await listen(), await listen({ as: 'globex' })];
  await app.hosting.evict(app.tenants.acme.tenantId);
  await waitFor('the end of the stream', () => mine.received.isOver);
  assert.equal(theirs.received.isOver, false);
  await theirs.stop();
});

/** As a browser opens an address; fetch may not say so. */
async function navigate(path: string): Promise<{ status: number; body: string }> {
  const headers = { accept: 'text/html', 'x-role': 'member' };
  const [answer] = (await once(httpRequest(app.url + path, { headers }).end(), 'response')) as [IncomingMessage];
  return { status: answer.statusCode!, body: await text(answer) };
}

test('the page answers where no route does', async () => {
  const page = await navigate('/some/address');
  assert.equal(page.status, 200);
  assert.match(page.body, /<title>Notes<\/title>/);
  const script = await app.fetch('/assets/notes.js', { role: null });
  assert.equal(script.headers.get('content-type'), 'text/javascript; charset=utf-8');
  for (const path of ['/api/none', '/api/', '/-/none', '/assets/none.js'])
    assert.equal((await navigate(path)).status, 404, path);
  const wrongMethod = await app.fetch('/api/notes', { method: 'PATCH' });
  assert.deepEqual([wrongMethod.status, wrongMethod.headers.get('allow')], [405, 'GET, POST']);
});

test('OpenAPI describes every route', async () => {
  const response = await app.fetch('/api/openapi.json', { role: null });
  const document = (await response.json()) as {
    openapi: string;
    paths: Record<
      string,
      Record<string, { operationId: string; responses: object; parameters: { name: string; in: string }[] }>
    >;
  };
  assert.equal(document.openapi, '3.1.0');
  const operations = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map(({ operationId }) => operationId),
  );
  assert.deepEqual(operations.sort(), [...sample.routes.map(({ operation }) => operation), 'sample.events'].sort());
  const remove = document.paths['/api/notes/{note}']!.delete!;
  assert.deepEqual(Object.keys(remove.responses), ['400', '401', '403', '404', '500', '2XX']);
  assert.deepEqual(
    remove.parameters.map((parameter) => [parameter.name, parameter.in]),
    [['note', 'path']],
  );
});

test('the demonstration fills one tenant', async () => {
  const { globex } = app.tenants;
  const ada = { userId: 'usr_x' as never, email: 'a@b.c', name: 'Ada', role: 'owner' } as const;
  await app.hosting.seedDemo(globex, 2, ada);
  assert.ok((await list({ as: 'globex' })).some((note) => note.text === 'Welcome, guest 2'));
  assert.ok(!(await list()).some((note) => note.text === 'Welcome, guest 2'));
});
