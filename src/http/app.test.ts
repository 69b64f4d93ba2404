import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLog, defineErrors, silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { createHttpApp, createHttpMetrics, type HttpAppOptions } from './index.ts';

const testErrors = defineErrors({
  FH_TEST_HTTP: { status: 409, title: 'Taken', hint: 'Choose another.', retry: 'later' },
});

class AppError extends Error {
  override readonly name = 'AppError';
  readonly status: number;
  readonly code: string;
  readonly fields = { title: 'is empty' };
  constructor(status: number, code: string) {
    super('No such item');
    this.status = status;
    this.code = code;
  }
}

function makeApp(t: TestContext, options: Partial<HttpAppOptions> = {}) {
  const app = createHttpApp({ name: 'test', log: silentLog, clock: systemClock, ...options });
  app.get('/api/ok', { config: { operation: 'test.ok' } }, () => ({ ok: true }));
  app.get('/api/known', () => {
    throw testErrors.FH_TEST_HTTP({ detail: 'acme is taken', retryAfterSeconds: 3, cause: new Error('inner secret') });
  });
  app.get('/api/app-error', () => {
    throw new AppError(404, 'DESK_ITEM_NOT_FOUND');
  });
  app.get('/api/false-app-error', () => {
    throw new AppError(404, 'FH_TENANT_NOT_FOUND');
  });
  app.get('/api/bug', () => {
    throw new Error('inner secret');
  });
  app.get('/bug', () => {
    throw new Error('inner secret');
  });
  app.get('/api/items/:id', () => ({}));
  app.post(
    '/api/items',
    {
      schema: {
        body: {
          type: 'object',
          required: ['title'],
          additionalProperties: false,
          properties: { title: { type: 'string', minLength: 1 } },
        },
      },
    },
    (_request, reply) => reply.code(201).send({}),
  );
  t.after(() => app.close());
  return app;
}

test('every refusal is a problem document with a code and the request id', async (t) => {
  const app = makeApp(t);
  const known = await app.inject('/api/known');
  assert.equal(known.statusCode, 409);
  assert.match(known.headers['content-type'] as string, /^application\/problem\+json/);
  assert.equal(known.headers['retry-after'], '3');
  const { requestId, ...problem } = known.json();
  assert.match(requestId, /^req_[0-9a-z]{26}$/);
  assert.equal(known.headers['x-request-id'], requestId);
  assert.deepEqual(problem, {
    type: 'urn:freehold:error:FH_TEST_HTTP',
    title: 'Taken',
    status: 409,
    code: 'FH_TEST_HTTP',
    detail: 'acme is taken',
    hint: 'Choose another.',
    retryAfterSeconds: 3,
  });
  const appError = (await app.inject('/api/app-error')).json();
  assert.equal(appError.code, 'DESK_ITEM_NOT_FOUND');
  assert.equal(appError.title, 'No such item');
  assert.deepEqual(appError.fields, { title: 'is empty' });
  assert.equal((await app.inject('/api/false-app-error')).json().code, 'FH_INTERNAL');
  const bug = await app.inject('/api/bug');
  assert.equal(bug.statusCode, 500);
  assert.equal(bug.json().code, 'FH_INTERNAL');
  assert.doesNotMatch(bug.body, /secret/);
});

test('bad requests are refused with what is wrong, and nothing is answered by the framework itself', async (t) => {
  const app = makeApp(t);
  const post = (payload: string, contentType = 'application/json') =>
    app.inject({ method: 'POST', url: '/api/items', payload, headers: { 'content-type': contentType } });
  const cases: readonly [Awaited<ReturnType<typeof post>>, number, string][] = [
    [await post('{}'), 400, 'FH_INVALID_REQUEST'],
    [await post('{"title":"a","more":1}'), 400, 'FH_INVALID_REQUEST'],
    [await post('{"title":'), 400, 'FH_INVALID_REQUEST'],
    [await post(''), 400, 'FH_INVALID_REQUEST'],
    [await post('{"title":"a","__proto__":{"x":1}}'), 400, 'FH_INVALID_REQUEST'],
    [await post('{"title":"a","constructor":{"prototype":{"x":1}}}'), 400, 'FH_INVALID_REQUEST'],
    [await post(`{"title":"${'x'.repeat(270_000)}"}`), 413, 'FH_BODY_TOO_LARGE'],
    [await post('title=a', 'application/x-www-form-urlencoded'), 415, 'FH_MEDIA_TYPE'],
    [await post('{"title":"a"}', 'text/plain'), 415, 'FH_MEDIA_TYPE'],
    [await post('{"title":"a"}', 'application/jsonx'), 415, 'FH_MEDIA_TYPE'],
    [await app.inject('/nothing'), 404, 'FH_NOT_FOUND'],
    [await app.inject({ method: 'DELETE', url: '/api/items' }), 405, 'FH_METHOD_NOT_ALLOWED'],
    [await app.inject({ method: 'PUT', url: '/api/items/7?a=b' }), 405, 'FH_METHOD_NOT_ALLOWED'],
    [await app.inject('/api/items/%zz'), 400, 'FH_INVALID_REQUEST'],
    [await app.inject(`/api/items/${'a'.repeat(300)}`), 414, 'FH_URL_TOO_LONG'],
  ];
  for (const [response, status, code] of cases) {
    assert.equal(response.json().code, code, response.body);
    assert.equal(response.statusCode, status);
    assert.match(response.headers['content-type'] as string, /^application\/problem\+json/);
    assert.equal(response.headers['x-content-type-options'], 'nosniff');
    assert.equal(response.headers['cache-control'], 'no-store');
  }
  assert.deepEqual((await post('{}')).json().fields, { title: 'is missing' });
  assert.deepEqual((await post('{"title":"a","more":1}')).json().fields, { more: 'is not known' });
  assert.equal((await app.inject({ method: 'DELETE', url: '/api/items' })).headers.allow, 'POST');
  assert.equal((await post('{"title":"a"}', 'application/json; charset=utf-8')).statusCode, 201);
});

test('a browser gets a page, with a nonce of its own and every text escaped', async (t) => {
  const app = makeApp(t, { errorAction: () => ({ href: '/-/sign-in', text: 'Sign <in>' }) });
  const accept = 'text/html,application/xhtml+xml,*/*;q=0.8';
  const [one, two] = await Promise.all([
    app.inject({ url: '/bug', headers: { accept } }),
    app.inject({ url: '/bug', headers: { accept } }),
  ]);
  assert.match(one.headers['content-type'] as string, /^text\/html/);
  const nonce = /<style nonce="([^"]+)">/.exec(one.body)?.[1];
  assert.ok(nonce && (one.headers['content-security-policy'] as string).includes(`style-src 'self' 'nonce-${nonce}'`));
  assert.ok(!two.body.includes(nonce));
  assert.match(one.body, /Sign &#60;in&#62;/);
  assert.doesNotMatch(one.body, /secret|<script|https?:\/\//);
  // Programs below /api/ always get a problem document.
  assert.equal((await app.inject({ url: '/api/bug', headers: { accept } })).json().code, 'FH_INTERNAL');
});

test('security headers are on every answer, and nothing tells what we run', async (t) => {
  const app = makeApp(t);
  for (const url of ['/api/ok', '/nothing', '/api/bug', '/api/items/%zz']) {
    const { headers } = await app.inject(url);
    assert.match(
      headers['content-security-policy'] as string,
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    assert.match(
      headers['content-security-policy'] as string,
      /base-uri 'none'; form-action 'self'; frame-ancestors 'none'$/,
    );
    assert.equal(headers['strict-transport-security'], 'max-age=31536000');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    assert.match(headers['permissions-policy'] as string, /camera=\(\)/);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers.server, undefined);
    assert.equal(headers['x-powered-by'], undefined);
  }
});

test('one log line per request, an unexpected error logged once with its cause; metrics by operation', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fh-http-'));
  const path = join(folder, 'log');
  const fd = openSync(path, 'w');
  t.after(async () => {
    closeSync(fd);
    await rm(folder, { recursive: true });
  });
  const metrics = createHttpMetrics();
  const app = makeApp(t, { log: createLog({ level: 'info', fd }), metrics, describe: () => ({ tenantId: 'ten_x' }) });
  await app.inject('/api/ok?token=abc');
  await app.inject('/api/bug');
  const lines = readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const requests = lines.filter((line) => line.msg === 'request');
  assert.deepEqual(
    requests.map(({ operation, status, tenantId, code }) => ({ operation, status, tenantId, code })),
    [
      { operation: 'test.ok', status: 200, tenantId: 'ten_x', code: undefined },
      { operation: 'test GET /api/bug', status: 500, tenantId: 'ten_x', code: 'FH_INTERNAL' },
    ],
  );
  assert.ok(requests.every((line) => typeof line.durationMs === 'number' && line.requestId.startsWith('req_')));
  const errors = lines.filter((line) => line.level === 50);
  assert.equal(errors.length, 1);
  assert.equal(errors[0].error.message, 'inner secret');
  assert.doesNotMatch(readFileSync(path, 'utf8'), /token=abc/);
  const text = await metrics.text();
  assert.match(text, /freehold_http_requests_total\{app="test",operation="test.ok",status="2xx"\} 1/);
  assert.match(text, /freehold_http_requests_in_flight\{app="test"\} 0/);
});

test('an unwanted body: the client gets the whole answer although it is still sending, then the connection ends', async (t) => {
  const app = makeApp(t);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => socket.destroy());
  let received = '';
  socket.setEncoding('utf8').on('data', (text) => {
    received += text;
  });
  socket.on('error', () => {});
  socket.write(
    'POST /api/items HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2000000000\r\n\r\n{"title":"',
  );
  const chunk = Buffer.alloc(65_536, 'x');
  let sentBytes = 0;
  await waitFor('the end of the connection', () => {
    for (let n = 0; n < 16 && socket.writable && socket.writableLength < 1_000_000; n++) {
      sentBytes += chunk.length;
      socket.write(chunk);
    }
    return socket.closed;
  });
  assert.match(received, /^HTTP\/1.1 413 /);
  assert.match(received, /connection: close/i);
  assert.match(received, /"code":"FH_BODY_TOO_LARGE"/);
  assert.ok(sentBytes < 100_000_000, `the client could send ${sentBytes} bytes`);
});
