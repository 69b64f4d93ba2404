/** What an HTTP client sees: sessions, invitations, problem documents, OpenAPI, TLS, headers, and the doors for hosts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { after, before, describe, it } from 'node:test';
import { type Answer, type Client, Freehold } from './harness.ts';
import { exchange, openTcp, openTls } from './wire.ts';

const password = 'eleven quiet trams at midnight';
const adminEmail = 'ada@northwind.example';

describe('the HTTP contract', { timeout: 1_200_000 }, () => {
  let freehold: Freehold;
  let owner: Client;
  let invitationUrl: string;
  let acceptance: Answer;
  const host = () => `northwind.localhost:${freehold.port}`;

  before(async () => {
    freehold = await Freehold.start();
    ({ invitationUrl } = await freehold.createTenant('northwind', adminEmail));
    await freehold.createTenant('contoso', adminEmail);
    owner = freehold.tenantClient('northwind');
  });
  after(async () => {
    await owner?.close();
    await freehold?.stop();
  });

  const problem = (answer: Answer, status: number, code: string) => {
    assert.equal(answer.status, status, answer.text);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
    const { type, title, requestId } = answer.json;
    assert.equal(answer.json.status, status);
    assert.equal(answer.json.code, code);
    assert.match(type, /^[a-z]+:/, 'type is a URI (RFC 9457, 3.1.1)');
    assert.ok(title.length > 0);
    assert.equal(requestId, answer.headers['x-request-id']);
  };

  it('an invitation: read without signing in, accepted once, with the name of the person', async () => {
    const path = new URL(invitationUrl).pathname.replace('/-/', '/-/api/');
    const open = await owner.get(path);
    assert.equal(open.status, 200);
    assert.deepEqual([open.json.email, open.json.role], [adminEmail, 'owner']);
    for (const bad of ['x', 'passwordpassword', 'ada@northwind.example', 'northwindnorthwind', 'a'.repeat(1_000_000)])
      problem(await owner.send('POST', path, { password: bad }), 422, 'FH_PASSWORD_REFUSED');
    acceptance = await owner.send('POST', path, { name: 'Ada', password });
    assert.equal(acceptance.status, 201, acceptance.text);
    problem(await owner.send('POST', path, { name: 'Eve', password }), 404, 'FH_INVITATION_NOT_FOUND');
    problem(await owner.get(path), 404, 'FH_INVITATION_NOT_FOUND');
    const contoso = freehold.tenantClient('contoso');
    problem(await contoso.send('POST', path, { password }), 404, 'FH_INVITATION_NOT_FOUND');
    await contoso.close();
  });

  it('the cookie is __Host-freehold, for this host alone, out of reach of scripts', async () => {
    const cookies = [acceptance.headers['set-cookie'] ?? []].flat();
    const session = cookies.find((line) => line.startsWith('__Host-freehold='));
    assert.ok(session, 'there is one');
    for (const line of cookies) {
      assert.match(line, /; Path=\/(;|$)/);
      assert.match(line, /; Secure(;|$)/);
      assert.match(line, /; HttpOnly(;|$)/);
      assert.match(line, /; SameSite=(Lax|Strict)(;|$)/);
      assert.doesNotMatch(line, /Domain=/i);
    }
    assert.match(session, /^__Host-freehold=[\w.~-]{60,}/, 'sealed, not a bare id');
  });

  it('a session: 201, 200, 401, 204', async () => {
    const client = freehold.tenantClient('northwind');
    problem(await client.get('/-/api/session'), 401, 'FH_SESSION_REQUIRED');
    problem(
      await client.send('POST', '/-/api/session', { email: adminEmail, password: 'wrong, wrong, wrong' }),
      401,
      'FH_SIGN_IN_FAILED',
    );
    const unknown = await client.send('POST', '/-/api/session', { email: 'nobody@example.com', password });
    problem(unknown, 401, 'FH_SIGN_IN_FAILED');
    const created = await client.send('POST', '/-/api/session', { email: adminEmail.toUpperCase(), password });
    assert.equal(created.status, 201, 'addresses are compared without case');
    const { user } = (await client.get('/-/api/session')).json;
    assert.deepEqual([user.email, user.role], [adminEmail, 'owner']);
    assert.deepEqual(created.json.user, user);
    const ended = await client.send('DELETE', '/-/api/session');
    assert.deepEqual([ended.status, ended.text], [204, '']);
    assert.equal(client.cookies.has('__Host-freehold'), false, 'the cookie is taken back');
    assert.equal((await client.get('/-/api/session')).status, 401);
    await client.close();
  });

  it('a cookie of another tenant, of another day or with one character changed is no session', async () => {
    const cookie = owner.cookies.get('__Host-freehold')!;
    const ask = async (name: string, value: string) => {
      const client = freehold.tenantClient(name);
      const { status } = await client.get('/-/api/session', { cookie: `__Host-freehold=${value}` });
      await client.close();
      return status;
    };
    assert.equal(await ask('northwind', cookie), 200);
    assert.equal(await ask('contoso', cookie), 401);
    const middle = Math.floor(cookie.length / 2);
    for (const at of [0, middle, cookie.length - 2]) {
      const changed = cookie.slice(0, at) + (cookie[at] === 'A' ? 'B' : 'A') + cookie.slice(at + 1);
      assert.equal(await ask('northwind', changed), 401);
    }
    assert.equal(await ask('northwind', ''), 401);
    assert.equal(await ask('northwind', 'A'.repeat(cookie.length)), 401);
    const twice = await owner.get('/-/api/session', { cookie: `__Host-freehold=${cookie}; __Host-freehold=${cookie}` });
    problem(twice, 400, 'FH_COOKIE_REFUSED');
  });

  it('what another site makes a browser send is refused', async () => {
    const others: Record<string, string>[] = [
      { origin: `https://contoso.localhost:${freehold.port}` },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of others)
      problem(await owner.send('DELETE', '/-/api/session', undefined, headers), 403, 'FH_CROSS_SITE');
    problem(
      await owner.get('/-/api/session', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }),
      403,
      'FH_CROSS_SITE',
    );
    assert.equal((await owner.get('/-/api/session')).status, 200, 'the session is still there');
    const preflight = await owner.send('OPTIONS', '/-/api/session', undefined, {
      origin: 'https://evil.example',
      'access-control-request-method': 'DELETE',
    });
    assert.equal(preflight.headers['access-control-allow-origin'], undefined);
  });

  it('every refusal is a problem document with a stable code', async () => {
    problem(await owner.get('/-/api/nothing'), 404, 'FH_NOT_FOUND');
    problem(await owner.get('/api/nothing'), 404, 'FH_NOT_FOUND');
    problem(await owner.send('PUT', '/-/api/session', {}), 405, 'FH_METHOD_NOT_ALLOWED');
    problem(await owner.send('POST', '/-/api/session', { email: 1 }), 400, 'FH_INVALID_REQUEST');
    problem(await owner.get('/api/items/SUP-1'), 404, 'DESK_ITEM_NOT_FOUND');
    const stranger = freehold.tenantClient('northwind');
    problem(await stranger.get('/api/projects'), 401, 'FH_SESSION_REQUIRED');
    problem(await stranger.get('/-/api/users'), 401, 'FH_SESSION_REQUIRED');
    await stranger.close();
  });

  it('OpenAPI documents describe the platform and the app', async () => {
    for (const [path, expected] of [
      ['/-/api/openapi.json', ['/-/api/session', '/-/api/invitations/{token}', '/-/api/users']],
      ['/api/openapi.json', ['/api/projects', '/api/items', '/api/imports', '/api/events']],
    ] as const) {
      const { status, json: document } = await owner.get(path);
      assert.equal(status, 200, path);
      checkOpenApi(document);
      for (const route of expected) assert.ok(document.paths[route], `${path} describes ${route}`);
    }
  });

  it('plain HTTP on the same port is redirected, without looking at it', async () => {
    const ask = async (request: string) => exchange(await openTcp(freehold.port), request);
    const moved = await ask(`GET /p/SUP/board?q=a%20b HTTP/1.1\r\nHost: ${host()}\r\n\r\n`);
    assert.equal(moved.status, 308);
    assert.equal(moved.headers.get('location'), `https://${host()}/p/SUP/board?q=a%20b`);
    assert.equal(moved.body, '');
    const program = await ask(`GET /-/api/session HTTP/1.1\r\nHost: ${host()}\r\n\r\n`);
    assert.equal(program.status, 403, 'only people are led to HTTPS');
    assert.equal(program.headers.has('location'), false);
    const evil = await ask('GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n');
    assert.ok(!(evil.headers.get('location') ?? '').includes('evil.example'), 'it leads to nobody else');
    const split = await ask(`GET /a%0d%0aset-cookie:x=1 HTTP/1.1\r\nHost: ${host()}\r\n\r\n`);
    assert.equal(split.headers.has('set-cookie'), false);
  });

  it('answers carry the headers that keep pages safe', async () => {
    const page = await owner.get('/', { accept: 'text/html' });
    const api = await owner.get('/-/api/session');
    const refusal = await owner.get('/api/nothing');
    const console = freehold.client(`localhost:${freehold.consolePort}`);
    const consolePage = await console.get('/', { accept: 'text/html' });
    await console.close();
    assert.match(page.text, /^<!doctype html>/i);
    for (const { headers } of [page, api, refusal, consolePage]) {
      assert.match(String(headers['strict-transport-security']), /max-age=\d{7,}/);
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.match(policy, /base-uri 'none'/);
      assert.match(policy, /object-src 'none'/);
      assert.doesNotMatch(policy, /unsafe-(inline|eval)|\*/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
      assert.ok(headers['permissions-policy']);
      assert.ok(headers['x-request-id']);
      assert.equal(headers.server, undefined);
      assert.equal(headers['x-powered-by'], undefined);
    }
    assert.equal(api.headers['cache-control'], 'no-store');
  });

  it('TLS 1.2 and 1.3, nothing older, a certificate of the local authority for this very host', async () => {
    const ca = readFileSync(freehold.ready.ca, 'utf8');
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await openTls(freehold.port, 'northwind.localhost', {
        minVersion: version,
        maxVersion: version,
        ca,
        rejectUnauthorized: true,
      });
      assert.equal(socket.getProtocol(), version);
      assert.match(socket.getPeerCertificate().subjectaltname ?? '', /DNS:northwind\.localhost/);
      assert.match(socket.getCipher().standardName, /GCM|POLY1305/, 'authenticated encryption only');
      socket.destroy();
    }
    for (const version of ['TLSv1', 'TLSv1.1'] as const)
      await assert.rejects(
        openTls(freehold.port, 'northwind.localhost', {
          minVersion: version,
          maxVersion: version,
          ciphers: 'ALL:@SECLEVEL=0',
        }),
        /protocol version|alert|unsupported/i,
      );
    await assert.rejects(
      openTls(freehold.port, 'northwind.localhost', { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA:@SECLEVEL=0' }),
      /handshake/i,
    );
  });

  it('HTTP/2 for clients that have it, by ALPN', async () => {
    const session = connectHttp2(`https://${host()}`, {
      ca: readFileSync(freehold.ready.ca, 'utf8'),
      lookup: (_name, options, done) =>
        options.all
          ? done(null, [{ address: '127.0.0.1', family: 4 }])
          : (done as (error: null, address: string, family: number) => void)(null, '127.0.0.1', 4),
    });
    try {
      const status = await new Promise((resolve, reject) => {
        session.once('error', reject);
        const stream = session.request({ ':path': '/-/api/tenant', accept: 'application/json' });
        stream.once('response', (headers) => resolve(headers[':status']));
        stream.once('error', reject);
        stream.resume();
        stream.end();
      });
      assert.equal(session.alpnProtocol, 'h2');
      assert.equal(status, 200);
    } finally {
      session.destroy();
    }
    const old = await openTls(freehold.port, 'northwind.localhost');
    assert.equal(old.alpnProtocol, 'http/1.1');
    old.destroy();
  });

  it('a host that is unknown, doubled or malformed gets nowhere', async () => {
    const ask = async (request: string, servername = 'northwind.localhost') =>
      exchange(await openTls(freehold.port, servername), request);
    const get = (lines: string) => `GET /-/api/tenant HTTP/1.1\r\n${lines}connection: close\r\naccept: */*\r\n\r\n`;
    assert.equal((await ask(get(`Host: ${host()}\r\n`))).status, 200, 'the right one is let in');
    for (const [lines, status, code] of [
      ['', 400, undefined],
      [`Host: ${host()}\r\nHost: ${host()}\r\n`, 400, undefined],
      [`Host: ${host()}\r\nHost: contoso.localhost:${freehold.port}\r\n`, 400, undefined],
      [`Host: northwind.localhost.:${freehold.port}\r\n`, 400, 'FH_HOST_INVALID'],
      ['Host: northwind.localhost\r\n', 400, 'FH_HOST_INVALID'],
      ['Host: northwind.localhost:1\r\n', 400, 'FH_HOST_INVALID'],
      [`Host: user@${host()}\r\n`, 400, 'FH_HOST_INVALID'],
      [`Host: ${host()}, evil.example\r\n`, 400, 'FH_HOST_INVALID'],
      [`Host: north_wind.localhost:${freehold.port}\r\n`, 400, 'FH_HOST_INVALID'],
      [`Host: %6eorthwind.localhost:${freehold.port}\r\n`, 400, 'FH_HOST_INVALID'],
      ['Host: [::1]\r\n', 400, 'FH_HOST_INVALID'],
      [`Host: ${'a'.repeat(300)}.localhost:${freehold.port}\r\n`, 400, 'FH_HOST_INVALID'],
      [`Host: contoso.localhost:${freehold.port}\r\n`, 421, 'FH_HOST_MISDIRECTED'],
    ] as const) {
      const answer = await ask(get(lines));
      assert.equal(answer.status, status, lines);
      if (code) assert.match(answer.body, new RegExp(code), lines);
      assert.doesNotMatch(answer.text, /Northwind|set-cookie/i);
    }
    const absolute = await ask(
      `GET https://contoso.localhost/ HTTP/1.1\r\nHost: ${host()}\r\nconnection: close\r\n\r\n`,
    );
    assert.equal(absolute.status, 400);
    for (const name of ['nobody.localhost', 'a.northwind.localhost', 'northwind.example']) {
      const unknown = await ask(get(`Host: ${name}:${freehold.port}\r\n`), name);
      assert.equal(unknown.status, 404, name);
      assert.match(unknown.body, /FH_HOST_UNKNOWN/);
    }
    const forwarded = await ask(
      get(`Host: ${host()}\r\nX-Forwarded-Host: contoso.localhost\r\nForwarded: host=contoso.localhost\r\n`),
    );
    assert.equal(JSON.parse(forwarded.body).name, 'northwind', 'forwarding headers choose nothing');
  });

  it('the console answers to its own names only', async () => {
    const get = (name: string) => `GET /api/session HTTP/1.1\r\nHost: ${name}\r\nconnection: close\r\n\r\n`;
    const ask = async (name: string) => exchange(await openTls(freehold.consolePort, 'localhost'), get(name));
    assert.equal((await ask(`localhost:${freehold.consolePort}`)).status, 401);
    const broken = await exchange(
      await openTls(freehold.consolePort, 'localhost'),
      'GET / HTTP/1.1\r\nno header\r\n\r\n',
    );
    assert.equal(broken.status, 400);
    assert.match(broken.body, /FH_INVALID_REQUEST/, 'what is no HTTP is refused in our words');
    assert.match(String(broken.headers.get('content-security-policy')), /default-src 'none'/);
    assert.equal((await ask('evil.example')).status, 421, 'a name that somebody points here (DNS rebinding)');
  });
});

/** Shape of OpenAPI 3.1 as tools need it: every operation named once, every reference leading somewhere, every path parameter declared. */
// biome-ignore lint/suspicious/noExplicitAny: a document of another's making.
function checkOpenApi(document: any): void {
  assert.match(document.openapi, /^3\.1\./);
  assert.ok(document.info.title);
  assert.ok(document.info.version);
  const ids = new Set<string>();
  for (const [path, methods] of Object.entries<Record<string, unknown>>(document.paths)) {
    assert.match(path, /^\//);
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    for (const [method, operation] of Object.entries<any>(methods)) {
      assert.match(method, /^(get|post|put|patch|delete)$/, path);
      assert.ok(operation.operationId, `${method} ${path} has an operationId`);
      assert.ok(!ids.has(operation.operationId), `${operation.operationId} is there once`);
      ids.add(operation.operationId);
      assert.ok(Object.keys(operation.responses).length > 0);
      const declared = (operation.parameters ?? []).filter((each: { in: string }) => each.in === 'path');
      for (const [, name] of path.matchAll(/\{(\w+)\}/g))
        assert.ok(
          declared.some((each: { name: string; required: boolean }) => each.name === name && each.required),
          `${path}: ${name}`,
        );
    }
  }
  const lookUp = (pointer: string) =>
    pointer
      .split('/')
      .slice(1)
      .reduce((node, key) => node?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);
  for (const [, pointer] of JSON.stringify(document).matchAll(/"\$ref":"(#[^"]+)"/g))
    assert.ok(lookUp(pointer!), `${pointer} leads somewhere`);
}
