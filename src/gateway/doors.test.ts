import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAnswer, startWorld } from './test-world.ts';

test('raw requests: what is not exactly one request for one host of ours is refused', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const host = `acme.localhost:${world.port}`;
  const cookie = 'cookie: __Host-freehold=token\r\n';
  const end = 'connection: close\r\n\r\n';
  const get = `GET /api/whoami HTTP/1.1\r\n`;
  const post = `POST /api/items HTTP/1.1\r\nhost: ${host}\r\n${cookie}content-type: application/json\r\n`;
  const cases: readonly (readonly [string, string, number])[] = [
    ['as it should be', `${get}host: ${host}\r\n${cookie}${end}`, 200],
    ['upper case', `${get}HOST: ACME.localhost:${world.port}\r\n${cookie}${end}`, 200],
    ['no Host', `${get}${cookie}${end}`, 400],
    ['an empty Host', `${get}host:\r\n${cookie}${end}`, 400],
    ['two Hosts', `${get}host: ${host}\r\nhost: globex.localhost:${world.port}\r\n${cookie}${end}`, 400],
    ['the same Host twice', `${get}host: ${host}\r\nHost: ${host}\r\n${cookie}${end}`, 400],
    ['two hosts in one', `${get}host: ${host}, globex.localhost:${world.port}\r\n${cookie}${end}`, 400],
    ['an absolute target', `GET https://${host}/api/whoami HTTP/1.1\r\nhost: ${host}\r\n${cookie}${end}`, 400],
    ['an absolute target elsewhere', `GET http://globex.localhost/ HTTP/1.1\r\nhost: ${host}\r\n${cookie}${end}`, 400],
    ['an asterisk', `OPTIONS * HTTP/1.1\r\nhost: ${host}\r\n${cookie}${end}`, 400],
    ['another port', `${get}host: acme.localhost:1\r\n${cookie}${end}`, 400],
    ['no port', `${get}host: acme.localhost\r\n${cookie}${end}`, 400],
    ['a trailing dot', `${get}host: acme.localhost.:${world.port}\r\n${cookie}${end}`, 400],
    ['user information', `${get}host: x@${host}\r\n${cookie}${end}`, 400],
    ['an underscore', `${get}host: ac_me.localhost:${world.port}\r\n${cookie}${end}`, 400],
    ['a space before the colon', `${get}host : ${host}\r\n${cookie}${end}`, 400],
    ['a folded line', `${get}host: acme\r\n .localhost:${world.port}\r\n${cookie}${end}`, 400],
    ['a space in the host', `${get}host: acme .localhost:${world.port}\r\n${cookie}${end}`, 400],
    ['a NUL in the host', `${get}host: acme\0.localhost:${world.port}\r\n${cookie}${end}`, 400],
    ['a lone LF', `GET /api/whoami HTTP/1.1\nhost: ${host}\n${cookie}\n`, 400],
    ['another tenant than the connection', `${get}host: globex.localhost:${world.port}\r\n${cookie}${end}`, 421],
    ['the base domain on a tenant’s connection', `${get}host: localhost:${world.port}\r\n${cookie}${end}`, 421],
    ['a stranger', `${get}host: example.com:${world.port}\r\n${cookie}${end}`, 421],
    ['length and chunks', `${post}content-length: 2\r\ntransfer-encoding: chunked\r\n${end}0\r\n\r\n`, 400],
    ['two lengths', `${post}content-length: 2\r\ncontent-length: 3\r\n${end}{}`, 400],
    ['a strange coding', `${post}transfer-encoding: xchunked\r\n${end}0\r\n\r\n`, 400],
    ['a bad chunk', `${post}transfer-encoding: chunked\r\n${end}zz\r\n{}\r\n0\r\n\r\n`, 400],
    ['a negative length', `${post}content-length: -1\r\n${end}{}`, 400],
    ['not HTTP', 'hello\r\n\r\n', 400],
    ['HTTP/2 without TLS’s word for it', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    [
      'forwarded hosts are not believed',
      `${get}host: ${host}\r\nx-forwarded-host: globex.localhost\r\nx-forwarded-for: 1.2.3.4\r\nforwarded: host=globex\r\n${cookie}${end}`,
      200,
    ],
    ['a forbidden header name', `${get}host: ${host}\r\n__proto__: x\r\nconstructor: y\r\n${cookie}${end}`, 200],
  ];
  for (const [what, bytes, status] of cases) {
    const answer = parseAnswer(await world.raw(bytes));
    assert.equal(answer.status, status, `${what}: ${answer.status} ${answer.body}`);
    // Also where the parser refused it and no app of ours saw it.
    assert.match(answer.headers['content-security-policy']!, /default-src 'none'/, what);
    assert.match(answer.headers['strict-transport-security']!, /^max-age=31536000/, what);
    assert.equal(answer.headers['x-content-type-options'], 'nosniff', what);
    assert.equal(answer.headers['referrer-policy'], 'no-referrer', what);
    if (status !== 200) assert.match(answer.headers['content-type']!, /problem\+json/, what);
    else if (what !== 'as it should be') assert.match(answer.body, /Ann of acme/, what);
  }
});

test('unknown hosts get a page or a problem of their own, and the base domain no tenant', async (t) => {
  const world = await startWorld(t);
  const unknown = await world.request({ tenant: 'nobody', path: '/' });
  assert.deepEqual([unknown.status, unknown.json().code], [404, 'FH_HOST_UNKNOWN']);
  const page = await world.request({ tenant: 'nobody', path: '/', headers: { accept: 'text/html' } });
  assert.match(page.headers['content-type']!, /^text\/html/);
  const base = await world.request({ tenant: '', path: '/' });
  assert.deepEqual([base.status, base.json().code], [404, 'FH_HOST_UNKNOWN']);
  assert.equal((await world.request({ tenant: '', path: '/-/api/session' })).status, 404);
  const deeper = await world.request({ tenant: 'x.acme', path: '/' });
  assert.deepEqual([deeper.status, deeper.json().code], [404, 'FH_HOST_UNKNOWN']);
  assert.ok(!world.asked.findRoute.includes('x.acme.localhost'), 'control is not asked for impossible names');
});

test('health is answered from this machine without a tenant', async (t) => {
  const world = await startWorld(t);
  const health = await world.request({ tenant: '', path: '/-/healthz' });
  assert.deepEqual([health.status, health.json()], [200, { status: 'ok' }]);
  const bare = await world.raw('GET /-/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', {
    servername: '',
    tls: { rejectUnauthorized: false },
  });
  assert.equal(parseAnswer(bare).status, 200);
});

test('no SNI, no tenant', async (t) => {
  const world = await startWorld(t);
  const bytes = `GET / HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\nconnection: close\r\n\r\n`;
  const answer = parseAnswer(await world.raw(bytes, { servername: '', tls: { rejectUnauthorized: false } }));
  assert.deepEqual([answer.status, answer.json().code], [421, 'FH_HOST_MISDIRECTED']);
});

test('TLS 1.2 and 1.3 only', async (t) => {
  const world = await startWorld(t);
  const bytes = `GET /-/healthz HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\nconnection: close\r\n\r\n`;
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const answer = await world.raw(bytes, { tls: { minVersion: version, maxVersion: version } });
    assert.equal(parseAnswer(answer).status, 200, version);
  }
  // SECLEVEL=0, so that it is the server that refuses and not the client's own library.
  for (const version of ['TLSv1', 'TLSv1.1'] as const)
    await assert.rejects(
      world.raw(bytes, { tls: { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' } }),
      /alert protocol version/,
      version,
    );
  await assert.rejects(
    world.raw(bytes, { tls: { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' } }),
    /handshake failure/,
    'no forward secrecy',
  );
});

test('plain HTTP on the same port is only ever sent to HTTPS, and only towards hosts of ours', async (t) => {
  const world = await startWorld(t);
  const ask = async (bytes: string) => parseAnswer(await world.raw(bytes, { plain: true }));
  const moved = await ask(`GET /projects?a=b HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\n\r\n`);
  assert.equal(moved.status, 308);
  assert.equal(moved.headers.location, `https://acme.localhost:${world.port}/projects?a=b`);
  assert.equal((await ask('GET / HTTP/1.1\r\nhost: acme.localhost\r\n\r\n')).status, 308);
  assert.equal(moved.headers['strict-transport-security'], undefined, 'RFC 6797, 7.2');
  assert.match(moved.headers['content-security-policy']!, /frame-ancestors 'none'/);
  // A program learns of its mistake, instead of sending its token unencrypted for ever.
  for (const [method, path, header] of [
    ['GET', '/api/items', ''],
    ['GET', '/-/api/session', ''],
    ['POST', '/projects', 'content-length: 0\r\n'],
    ['GET', '/projects', 'authorization: Bearer x\r\n'],
  ]) {
    const refused = await ask(`${method} ${path} HTTP/1.1\r\nhost: acme.localhost\r\n${header}\r\n`);
    assert.deepEqual([refused.status, refused.json().code], [403, 'FH_HTTPS_REQUIRED'], `${method} ${path}`);
    assert.equal(refused.headers.location, undefined);
    assert.equal(refused.headers['x-content-type-options'], 'nosniff');
  }
  for (const bytes of [
    'GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: acme.localhost\r\nhost: evil.example\r\n\r\n',
    'GET http://evil.example/ HTTP/1.1\r\nhost: acme.localhost\r\n\r\n',
    'GET / HTTP/1.1\r\nhost: acme.localhost@evil.example\r\n\r\n',
    '\u0000\u0001\u0002\r\n\r\n',
  ]) {
    const answer = await ask(bytes);
    assert.equal(answer.status, 400, JSON.stringify(bytes));
    assert.equal(answer.headers.location, undefined);
  }
});

test('a connection that says nothing, or stops in its headers, is ended', async (t) => {
  const world = await startWorld(t, { limits: { firstByteMs: 50, headersMs: 100 } });
  assert.equal(await world.raw('', { plain: true }), '');
  const slow = await world.raw(`GET / HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\n`);
  assert.deepEqual([parseAnswer(slow).status, parseAnswer(slow).json().code], [408, 'FH_REQUEST_TIMEOUT']);
  // A TLS record that never becomes a handshake.
  const impatient = await startWorld(t, { limits: { handshakeMs: 100 } });
  assert.equal(await impatient.raw('\u0016\u0003\u0001', { plain: true }), '');
});

test('a body that trickles is cut off', async (t) => {
  const world = await startWorld(t, { limits: { bodyMs: 100 } });
  world.addSession('acme', 'token');
  const answer = await world.raw(
    `POST /api/items HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\ncookie: __Host-freehold=token\r\n` +
      'content-type: application/json\r\ncontent-length: 100\r\n\r\n{"a":',
  );
  assert.ok(answer === '' || parseAnswer(answer).status === 408, answer);
});
