import assert from 'node:assert/strict';
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type Log, silentLog, waitFor } from '#src/kernel/index.ts';
import { startWorld, tenantIdOf, type World } from './test-world.ts';

const accept = 'text/html,*/*;q=0.8';

/** Keeps the lines about requests. */
function recordingLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const info: Log['info'] = (message, fields) => {
    if (message === 'request') lines.push({ ...fields });
  };
  return { log: { ...silentLog, info }, lines };
}

test('a tenant is reached by its host alone, and another tenant’s cookie means nothing', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'same-token');
  const mine = await world.request({ path: '/api/whoami', cookie: 'same-token' });
  assert.equal(mine.status, 200);
  assert.deepEqual(
    [mine.json().tenant, (mine.json().user as { name: string }).name],
    [tenantIdOf(world, 'acme'), 'Ann of acme'],
  );
  const theirs = await world.request({ tenant: 'globex', path: '/api/whoami', cookie: 'same-token' });
  assert.equal(theirs.status, 401);
  assert.equal(theirs.json().code, 'FH_SESSION_REQUIRED');
  world.addSession('globex', 'same-token');
  const both = await world.request({ tenant: 'globex', path: '/api/whoami', cookie: 'same-token' });
  assert.equal((both.json().user as { name: string }).name, 'Ann of globex');
});

test('without a session: 401 for programs, the sign-in page for browsers, public files for all', async (t) => {
  const world = await startWorld(t);
  assert.equal((await world.request({ path: '/api/whoami', headers: { accept } })).status, 401);
  const browser = await world.request({ path: '/projects/7?tab=board', headers: { accept } });
  assert.equal(browser.status, 303);
  assert.equal(browser.headers.location, '/-/sign-in?next=%2Fprojects%2F7%3Ftab%3Dboard');
  const asked = world.asked.authenticate;
  assert.equal((await world.request({ path: '/assets/index-AbCd1234.js' })).status, 200);
  assert.equal((await world.request({ path: '/-/sign-in', headers: { accept } })).status, 200);
  assert.equal((await world.request({ path: '/-/api/nothing' })).status, 404);
  assert.equal((await world.request({ path: '/-/api/session', method: 'POST', body: '{}' })).status, 201);
  assert.equal(world.asked.authenticate, asked, 'public routes do not ask for a session');
  const document = (await world.request({ path: '/-/api/openapi.json' })).json();
  assert.deepEqual(Object.keys(document.paths as object), [
    '/-/api/session',
    '/-/api/users',
    '/-/api/tenant',
    '/-/api/openapi.json',
  ]);
});

test('roles of a route', async (t) => {
  const { log, lines } = recordingLog();
  const world = await startWorld(t, { log });
  world.addSession('acme', 'member');
  world.addSession('acme', 'owner', 'owner');
  const refused = await world.request({ path: '/-/api/users', cookie: 'member' });
  assert.deepEqual([refused.status, refused.json().code], [403, 'FH_ROLE_REQUIRED']);
  assert.equal((await world.request({ path: '/-/api/users', cookie: 'owner' })).status, 200);
  await waitFor('both log lines', () => lines.length === 2);
  const [ofRefusal, ofAnswer] = lines as [Record<string, unknown>, Record<string, unknown>];
  const { operation, status, code, tenantId, userId, address } = ofRefusal;
  assert.deepEqual(
    { operation, status, code, tenantId, address },
    {
      operation: 'desk GET /-/api/users',
      status: 403,
      code: 'FH_ROLE_REQUIRED',
      tenantId: tenantIdOf(world, 'acme'),
      address: '127.0.0.1',
    },
    'who was refused what, and where from',
  );
  assert.match(String(userId), /^usr_/);
  assert.match(String(ofAnswer.userId), /^usr_/);
  assert.equal(ofAnswer.address, undefined, 'of what was allowed the address is not kept');
});

test('each state of a tenant has its own answer', async (t) => {
  const world = await startWorld(t, { limits: { updateMs: 0 } });
  const cases = [
    ['suspended', 503, 'FH_TENANT_SUSPENDED', undefined],
    ['requested', 503, 'FH_TENANT_BEING_CREATED', '2'],
    ['creating', 503, 'FH_TENANT_BEING_CREATED', '2'],
    ['migrating', 503, 'FH_TENANT_BEING_UPDATED', '10'],
    ['moving', 503, 'FH_TENANT_BEING_MOVED', '30'],
    ['restoring', 503, 'FH_TENANT_BEING_RESTORED', '30'],
    ['deleting', 410, 'FH_TENANT_DELETED', undefined],
    ['deleted', 410, 'FH_TENANT_DELETED', undefined],
  ] as const;
  for (const [state, status, code, retryAfter] of cases) {
    world.setState('acme', state);
    const problem = await world.request({ path: '/api/whoami' });
    assert.deepEqual(
      [problem.status, problem.json().code, problem.headers['retry-after']],
      [status, code, retryAfter],
      state,
    );
    const page = await world.request({ path: '/', headers: { accept } });
    assert.equal(page.status, status);
    assert.match(page.headers['content-type']!, /^text\/html/);
    assert.match(page.body, new RegExp(code));
  }
  world.setState('acme', 'active');
  assert.equal((await world.request({ path: '/api/whoami' })).status, 401);
});

test('security headers on every kind of answer, and no banner', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const answers = await Promise.all([
    world.request({ path: '/api/whoami', cookie: 'token' }),
    world.request({ path: '/', cookie: 'token', headers: { accept } }),
    world.request({ path: '/assets/index-AbCd1234.js' }),
    world.request({ path: '/-/api/nothing' }),
    world.request({ tenant: 'nobody', path: '/' }),
    world.request({ path: '/', headers: { accept } }),
  ]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 404, 404, 303],
  );
  for (const [index, { headers }] of answers.entries()) {
    assert.match(headers['content-security-policy']!, /^default-src 'none'; script-src 'self'/);
    assert.match(headers['content-security-policy']!, /; object-src 'none'; base-uri 'none'; /);
    // Whatever is below the host of a tenant is the tenant's; what else is below `localhost` is not ours.
    const hsts = index === 4 ? 'max-age=31536000' : 'max-age=31536000; includeSubDomains';
    assert.equal(headers['strict-transport-security'], hsts);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    assert.match(headers['permissions-policy']!, /geolocation=\(\)/);
    assert.equal(headers.server, undefined);
    assert.match(headers['x-request-id']!, /^req_/);
  }
  assert.equal(answers[0]!.headers['cache-control'], 'no-store');
  assert.equal(answers[1]!.headers['cache-control'], 'no-store');
  const nonce = /nonce="([^"]+)"/.exec(answers[1]!.body)![1]!;
  assert.ok(answers[1]!.headers['content-security-policy']!.includes(`'nonce-${nonce}'`));
});

test('other sites, other tenants’ pages among them, cannot make requests', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const post = (headers: Record<string, string>) =>
    world.request({ path: '/api/items', method: 'POST', body: '{"a":1}', cookie: 'token', headers });
  const own = `https://acme.localhost:${world.port}`;
  assert.equal((await post({})).status, 200);
  assert.equal((await post({ origin: own, 'sec-fetch-site': 'same-origin' })).status, 200);
  const refused: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: `https://globex.localhost:${world.port}` },
    { origin: 'null' },
    { origin: 'https://acme.localhost' },
    { origin: `http://acme.localhost:${world.port}` },
    { origin: own, 'sec-fetch-site': 'cross-site' },
  ];
  for (const headers of refused) {
    const answer = await post(headers);
    assert.deepEqual([answer.status, answer.json().code], [403, 'FH_CROSS_SITE'], JSON.stringify(headers));
  }
  const get = (headers: Record<string, string>) => world.request({ path: '/api/whoami', cookie: 'token', headers });
  assert.equal((await get({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' })).status, 403);
  assert.equal(
    (await get({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' })).status,
    403,
  );
  assert.equal(
    (await get({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' })).status,
    200,
  );
});

test('an identity provider’s form is handed on by our page, without a look at cookies or the database; nothing else is', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const state = 'r'.repeat(43);
  const form = (fields: [string, string][]) => new URLSearchParams(fields).toString();
  const good: [string, string][] = [
    ['SAMLResponse', 'PHg+\r\nPC94Pg=='],
    ['RelayState', state],
  ];
  const from = { origin: 'https://idp.example', 'sec-fetch-site': 'cross-site' };
  const browser = { ...from, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  const post = (body: string, headers: Record<string, string> = { ...browser, ...type }, path = '/-/sign-on/saml') =>
    world.request({ path, method: 'POST', body, cookie: 'token', headers });
  const asked = world.asked.authenticate;
  const held = '<form hidden id="saml-answer">';
  for (const headers of [browser, { ...browser, origin: 'null' }, { ...browser, 'sec-fetch-site': 'same-site' }, {}]) {
    const answer = await post(form(good), { ...headers, ...type });
    assert.equal(answer.status, 200);
    assert.ok(answer.body.includes(`${held}<input type="hidden" name="samlResponse" value="PHg+PC94Pg==">`));
    assert.ok(answer.body.includes(`value="${state}"></form></body>`));
    assert.match(String(answer.headers['content-security-policy']), /; form-action 'self'; frame-ancestors 'none'/);
    assert.match(String(answer.headers['content-security-policy']), /default-src 'none'; script-src 'self' 'nonce-/);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(answer.headers['set-cookie'], undefined);
  }
  const broken: [string, string][][] = [
    [],
    good.slice(0, 1),
    good.slice(1),
    [...good, good[0]!],
    [...good, good[1]!],
    [['SAMLResponse', '"><script>alert(1)</script>'], good[1]!],
    [good[0]!, ['RelayState', '"><script>alert(1)</script>']],
    [good[0]!, ['RelayState', 'https://evil.example/']],
    [good[0]!, ['RelayState', `${state}\n`]],
  ];
  for (const fields of broken) {
    const answer = await post(form(fields));
    assert.equal(answer.status, 400, JSON.stringify(fields));
    assert.ok(!answer.body.includes(held) && !answer.body.includes('alert'));
  }
  // By GET there is only the page (108).
  const byGet = await world.request({ path: `/-/sign-on/saml?${form(good)}`, headers: { accept } });
  assert.deepEqual([byGet.status, byGet.body.includes('PHg+')], [200, false]);
  assert.equal(world.asked.authenticate, asked);
  const refused: [Awaited<ReturnType<typeof post>>, number][] = [
    [await post(form([['SAMLResponse', 'A'.repeat(262_144)], good[1]!])), 413],
    [await post('{}', { ...browser, 'content-type': 'application/json' }), 415],
    [await post('x', { ...browser, 'content-type': 'text/plain' }), 415],
    [await post('x', { ...browser, 'content-type': 'multipart/form-data; boundary=x' }), 415],
    // A frame, a script, and every address beside it.
    [await post(form(good), { ...browser, ...type, 'sec-fetch-dest': 'iframe' }), 403],
    [await post(form(good), { ...from, ...type, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'empty' }), 403],
    [await post(form(good), { ...browser, ...type }, '/-/api/session'), 403],
    [await post(form(good), { ...browser, ...type }, '/api/items'), 403],
    [await post(form(good), { ...browser, ...type }, '/-/sign-on/saml/'), 403],
    [await post(form(good), { ...browser, ...type }, '/-/sign-on/callback'), 403],
  ];
  for (const [index, [{ status }, expected]] of refused.entries()) assert.equal(status, expected, `refused ${index}`);
});

test('HTTP/2: the same doors, by :authority', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const authority = `acme.localhost:${world.port}`;
  const cookie = '__Host-freehold=token';
  const get = (headers: Record<string, string>) =>
    requestHttp2(t, world, { ':path': '/api/whoami', cookie, ...headers });
  const fine = await get({ ':authority': authority });
  assert.equal(fine.headers[':status'], 200);
  assert.equal(JSON.parse(fine.body).tenant, tenantIdOf(world, 'acme'));
  assert.match(fine.headers['content-security-policy'] as string, /^default-src 'none'/);
  assert.equal((await get({ ':authority': authority, host: authority })).headers[':status'], 200);
  const differing = await get({ ':authority': authority, host: `globex.localhost:${world.port}` });
  assert.equal(differing.headers[':status'], 400);
  assert.equal(JSON.parse(differing.body).code, 'FH_HOST_INVALID');
  const misdirected = await get({ ':authority': `globex.localhost:${world.port}` });
  assert.equal(misdirected.headers[':status'], 421);
  assert.equal((await get({ ':authority': authority, ':path': '*', ':method': 'OPTIONS' })).headers[':status'], 400);
  const tooLarge = await requestHttp2(
    t,
    world,
    { ':authority': authority, ':path': '/api/items', ':method': 'POST', cookie, 'content-type': 'application/json' },
    `"${'x'.repeat(400_000)}"`,
  );
  assert.equal(tooLarge.headers[':status'], 413);
});

test('event streams reach their own tenant only', async (t) => {
  const world = await startWorld(t);
  const streams = await Promise.all(
    (['acme', 'globex'] as const).map(async (name) => {
      world.addSession(name, 'same-token');
      const socket = connectTls({ port: world.port, host: '127.0.0.1', servername: `${name}.localhost`, ca: world.ca });
      t.after(() => socket.destroy());
      const received = { text: '' };
      socket.setEncoding('utf8').on('data', (chunk) => {
        received.text += chunk;
      });
      socket.write(
        `GET /api/events HTTP/1.1\r\nhost: ${name}.localhost:${world.port}\r\ncookie: __Host-freehold=same-token\r\n\r\n`,
      );
      await waitFor('the stream', () => received.text.includes('retry:'));
      return received;
    }),
  );
  const [acme, globex] = streams as [{ text: string }, { text: string }];
  world.liveEvents.publish(tenantIdOf(world, 'acme'), { type: 'item.changed', data: { for: 'acme' } });
  world.liveEvents.deliver(tenantIdOf(world, 'globex'), { type: 'item.changed', data: { for: 'globex' } });
  await waitFor('both events', () => acme.text.includes('"acme"') && globex.text.includes('"globex"'));
  assert.doesNotMatch(acme.text, /globex/);
  assert.doesNotMatch(globex.text, /acme/);
});

test('HTTP/2: event streams, their end, and the signal of a request whose client goes away', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const session = connectHttp2(`https://127.0.0.1:${world.port}`, { ca: world.ca, servername: 'acme.localhost' });
  t.after(() => session.destroy());
  session.on('error', () => {});
  const open = (path: string) =>
    session
      .request({ ':path': path, ':authority': `acme.localhost:${world.port}`, cookie: '__Host-freehold=token' })
      .on('error', () => {})
      .setEncoding('utf8');
  const stream = open('/api/events');
  let text = '';
  stream.on('data', (chunk) => {
    text += chunk;
  });
  await waitFor('the stream', () => text.includes('retry:'));
  world.liveEvents.publish(tenantIdOf(world, 'acme'), { type: 'item.changed', data: { n: 1 } });
  await waitFor('the event', () => text.includes('event: item.changed\ndata: {"n":1}\n\n'));
  stream.close();
  await waitFor('the end of the stream', () => world.gateway.stats.requests === 0);

  open('/api/slow');
  const signal = await waitFor('the request', () => world.slowSignals[0]);
  session.destroy();
  await waitFor('the abort', () => signal.aborted);
  await waitFor('the end of the request', () => world.gateway.stats.requests === 0);
});

test('the signal of a request ends when its client goes away', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const socket = connectTls({ port: world.port, host: '127.0.0.1', servername: 'acme.localhost', ca: world.ca });
  socket.write(`GET /api/slow HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\ncookie: __Host-freehold=token\r\n\r\n`);
  const signal = await waitFor('the request', () => world.slowSignals[0]);
  assert.equal(signal.aborted, false);
  socket.destroy();
  await waitFor('the abort', () => signal.aborted);
  await waitFor('the end of the request', () => world.gateway.stats.requests === 0);
});

test('an upload is streamed, and one that is too large is cut off with an answer', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const upload = (bytes: number) => {
    const head = '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n';
    const body = `${head}${'x'.repeat(bytes)}\r\n--b--\r\n`;
    return world.request({
      path: '/api/files',
      method: 'POST',
      cookie: 'token',
      body,
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
    });
  };
  assert.equal((await upload(500_000)).json().bytes, 500_000);
  const before = process.memoryUsage().rss;
  const refused = await upload(200_000_000);
  assert.deepEqual([refused.status, refused.json().code], [413, 'FH_BODY_TOO_LARGE']);
  assert.ok(world.uploads[1]!.bytes < 2_000_000);
  assert.ok(process.memoryUsage().rss - before < 900_000_000);
  assert.equal(
    (await world.request({ path: '/api/files', method: 'POST', cookie: 'token', body: '{}' })).status,
    406 + 9,
  );
});

async function requestHttp2(
  t: TestContext,
  world: World,
  headers: Record<string, string>,
  body = '',
): Promise<{ headers: IncomingHttpHeaders; body: string }> {
  const session = connectHttp2(`https://127.0.0.1:${world.port}`, { ca: world.ca, servername: 'acme.localhost' });
  t.after(() => session.destroy());
  session.on('error', () => {});
  const stream = session.request(headers);
  // A GET has ended already.
  if (body !== '') stream.end(body);
  return new Promise((resolve, reject) => {
    let answer: IncomingHttpHeaders | undefined;
    let text = '';
    stream.on('response', (received) => {
      answer = received;
    });
    stream.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    stream.on('error', (error) => (answer ? undefined : reject(error)));
    stream.on('close', () => {
      session.close();
      if (answer) resolve({ headers: answer, body: text });
      else reject(new Error('no answer'));
    });
  });
}
