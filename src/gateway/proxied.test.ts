import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { test } from 'node:test';
import { echo, echoedOf, valuesOf } from './proxied-echo.fixture.ts';
import { startProxiedWorld } from './proxied-world.fixture.ts';
import { parseAnswer, type World } from './test-world.ts';

function optionsOf({ port, ca }: World) {
  return { host: '127.0.0.1', port, ca, servername: 'acme.localhost', headers: { host: `acme.localhost:${port}` } };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of answer.setEncoding('latin1')) text += chunk;
  return text;
}

test('path, method, headers and content reach the app as they were sent, and only the app of the tenant', async (t) => {
  const world = await startProxiedWorld(t);
  await world.serve('acme', echo);
  await world.serve('globex', (_request, response) => response.end('globex'));
  for (const path of [
    '/',
    '/a//b/../c?x=%zz&y=%2F#f',
    '/%2e%2e/%00',
    '/-',
    '/-x/',
    '/%2d/api/session',
    '//x',
    '/api/a;b=c',
  ])
    assert.equal(echoedOf(await world.request({ path })).url, path, path);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'REPORT', 'QUERY', 'PURGE']) {
    const echoed = echoedOf(await world.request({ path: '/x', method }));
    assert.equal(echoed.method, method);
    assert.equal(echoed.body, '');
    assert.deepEqual(valuesOf(echoed, 'transfer-encoding'), [], method);
  }
  assert.equal((await world.request({ path: '/x', method: 'TRACE' })).status, 405);
  assert.equal((await world.request({ path: '/-/x', method: 'PROPFIND' })).status, 405);
  const headers = { 'x-a': '1', 'accept-encoding': 'br' };
  const sent = echoedOf(await world.request({ path: '/', method: 'POST', body: '{"a":1}', headers }));
  assert.equal(sent.body, '{"a":1}');
  assert.deepEqual(valuesOf(sent, 'x-a'), ['1']);
  assert.deepEqual(valuesOf(sent, 'accept-encoding'), ['br']);
  assert.deepEqual(valuesOf(sent, 'content-length'), ['7']);
  assert.equal((await world.request({ tenant: 'globex', path: '/' })).body, 'globex');
  assert.equal((await world.request({ path: '/-/api/tenant' })).json().name, 'acme');
  assert.equal((await world.request({ path: '/-/nothing' })).status, 404);
});

test('the app learns from us who asks, and not from the client', async (t) => {
  const world = await startProxiedWorld(t);
  await world.serve('acme', echo);
  const spoofed = {
    'x-forwarded-for': '6.6.6.6',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-prefix': '/evil',
    forwarded: 'for=6.6.6.6',
    'x-real-ip': '6.6.6.6',
    'x-original-url': '/admin',
    'x-rewrite-url': '/admin',
    'freehold-identity': 'forged',
    'remote-user': 'root',
    proxy: 'http://evil.example',
    te: 'gzip',
    'proxy-authorization': 'Basic x',
    cookie: 'a=1; __Host-freehold=secret; b="2; 3"; __Host-freehold-device=secret',
  };
  const echoed = echoedOf(await world.request({ path: '/', headers: spoofed }));
  assert.doesNotMatch(JSON.stringify(echoed), /6\.6\.6\.6|evil|admin|forged|root|secret|Basic|gzip/);
  assert.deepEqual(valuesOf(echoed, 'cookie'), ['a=1; b="2; 3"']);
  assert.deepEqual(valuesOf(echoed, 'host'), [`acme.localhost:${world.port}`]);
  assert.deepEqual(valuesOf(echoed, 'x-forwarded-for'), ['127.0.0.1']);
  assert.deepEqual(valuesOf(echoed, 'x-forwarded-proto'), ['https']);
  assert.deepEqual(valuesOf(echoed, 'x-forwarded-host'), [`acme.localhost:${world.port}`]);
  assert.equal((await world.request({ path: '/', headers: { x_user: 'root' } })).status, 400);
});

test('an answer comes as the app gave it, but for what is ours', async (t) => {
  const world = await startProxiedWorld(t);
  await world.serve('acme', (_request, response) => {
    response.writeHead(203, 'Such', [
      ...[
        'Server',
        'x/1',
        'X-Powered-By',
        'y',
        'Content-Security-Policy',
        "default-src 'self'",
        'Link',
        '<a>',
        'Link',
        '<b>',
      ],
      ...['Set-Cookie', 'a=1; Path=/', 'Set-Cookie', 'b=2', 'Set-Cookie', '__Host-freehold=x; Path=/; Secure'],
      ...[
        'Set-Cookie',
        'c=3; Domain=localhost',
        'Set-Cookie',
        '=__Host-freehold=y',
        'Set-Cookie',
        'd=4; domain=.acme.localhost',
      ],
      ...[
        'Connection',
        'x-internal',
        'X-Internal',
        'z',
        'Clear-Site-Data',
        '"*"',
        'Freehold-Identity',
        'q',
        'Strict-Transport-Security',
        'max-age=0',
      ],
    ]);
    response.end('ok');
  });
  const text = await world.raw(`GET / HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\nconnection: close\r\n\r\n`);
  const [head = ''] = text.split('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 203 Such\r\n/);
  assert.deepEqual(
    [...head.matchAll(/^(link|set-cookie|clear-site-data|content-security-policy): (.*)$/gim)].map((match) =>
      match[2]!.trim(),
    ),
    ["default-src 'self'", '<a>', '<b>', 'a=1; Path=/', 'b=2', 'd=4; domain=.acme.localhost', '"cache", "storage"'],
  );
  assert.match(head, /Strict-Transport-Security: max-age=31536000; includeSubDomains/);
  assert.match(head, /X-Content-Type-Options: nosniff/);
  assert.doesNotMatch(head, /x-powered-by|^server|x-internal|freehold|max-age=0|x-frame-options|referrer-policy/im);
  assert.equal(parseAnswer(text).body.includes('ok'), true);
});

test('large content goes both ways over HTTP/1.1 and HTTP/2, unharmed and with its trailers', async (t) => {
  const world = await startProxiedWorld(t);
  await world.serve('acme', (request, response) => {
    response.writeHead(200, { trailer: 'x-sum' });
    request.pipe(response, { end: false });
    request.once('end', () => {
      response.addTrailers({ 'x-sum': String(request.trailers['x-sum']), 'set-cookie': 'a=b' });
      response.end();
    });
  });
  const content = Buffer.alloc(5_000_000, 'freehold ');
  const sum = createHash('sha256').update(content).digest('hex');

  const options = optionsOf(world);
  const request = requestHttps({ ...options, method: 'POST', headers: { ...options.headers, trailer: 'x-sum' } });
  request.write(content);
  request.addTrailers([['x-sum', sum]]);
  request.end();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const text = await textOf(answer);
  assert.equal(createHash('sha256').update(text, 'latin1').digest('hex'), sum);
  assert.deepEqual({ ...answer.trailers }, { 'x-sum': sum });

  const session = connectHttp2(`https://127.0.0.1:${world.port}`, { ca: world.ca, servername: 'acme.localhost' });
  t.after(() => session.destroy());
  const stream = session.request(
    { ':method': 'POST', ':path': '/', ':authority': `acme.localhost:${world.port}` },
    { waitForTrailers: true },
  );
  stream.once('wantTrailers', () => stream.sendTrailers({ 'x-sum': sum }));
  stream.end(content);
  const hash = createHash('sha256');
  stream.on('data', (chunk: Buffer) => hash.update(chunk));
  const [trailers] = (await once(stream, 'trailers')) as [Record<string, string>];
  await once(stream, 'close');
  assert.equal(hash.digest('hex'), sum);
  assert.equal(trailers['x-sum'], sum);
  assert.equal(trailers['set-cookie'], undefined);
});
