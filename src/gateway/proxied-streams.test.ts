import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { type TestContext, test } from 'node:test';
import { type ProxiedWorld, startProxiedWorld, until } from './proxied-world.fixture.ts';
import { parseAnswer } from './test-world.ts';

function send(world: ProxiedWorld, options: object = {}, headers: Record<string, string> = {}) {
  const { port, ca } = world;
  return requestHttps({
    host: '127.0.0.1',
    port,
    ca,
    servername: 'acme.localhost',
    agent: false,
    ...options,
    headers: { host: `acme.localhost:${port}`, ...headers },
  });
}

function openSession(t: TestContext, { port, ca }: ProxiedWorld): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca, servername: 'acme.localhost' });
  t.after(() => session.destroy());
  return session;
}

function ask(
  session: ClientHttp2Session,
  { port }: ProxiedWorld,
  headers: Record<string, string> = {},
): ClientHttp2Stream {
  return session.request({ ':path': '/', ':authority': `acme.localhost:${port}`, ...headers });
}

test('content beyond the limit is refused, announced or not, over both protocols', async (t) => {
  const world = await startProxiedWorld(t, { process: { bodyBytes: 100_000 } });
  const received: number[] = [];
  await world.serve('acme', async (request, response) => {
    let bytes = 0;
    try {
      for await (const chunk of request) bytes += chunk.length;
      response.end();
    } catch {
      // Cut off.
    }
    received.push(bytes);
  });
  const host = `host: acme.localhost:${world.port}\r\nconnection: close\r\n`;
  const announced = await world.raw(`POST / HTTP/1.1\r\n${host}content-length: 100001\r\n\r\n${'x'.repeat(50_000)}`);
  assert.equal(parseAnswer(announced).status, 413);
  assert.equal(world.wakes.size, 0);
  const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
  const chunked = await world.raw(
    `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n${chunk.repeat(10)}0\r\n\r\n`,
  );
  assert.equal(parseAnswer(chunked).status, 413);
  assert.equal(parseAnswer(chunked).json().code, 'FH_BODY_TOO_LARGE');
  const stream = ask(openSession(t, world), world, { ':method': 'POST' });
  stream.on('error', () => {});
  stream.end(Buffer.alloc(150_000));
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  assert.equal(headers[':status'], 413);
  await until(() => received.length === 2, 'the app saw two uploads');
  assert.ok(received.every((bytes) => bytes <= 100_000));
  await until(() => world.visits.count === 0, 'nobody is there');
});

test('what breaks off at the app breaks off at the client', async (t) => {
  const world = await startProxiedWorld(t);
  const heads = ['content-length: 1000', 'transfer-encoding: chunked'];
  for (const head of heads) {
    await world.serveRaw('acme', (socket) => {
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n3\r\nabc\r\n`);
        setImmediate(() => socket.end());
      });
    });
    const [answer] = (await once(send(world).end(), 'response')) as [IncomingMessage];
    await assert.rejects(async () => {
      for await (const _chunk of answer);
    }, head);
    const stream = ask(openSession(t, world), world);
    stream.resume();
    await once(stream, 'error');
    assert.notEqual(stream.rstCode, 0, head);
  }
});

test('what no server should answer is answered with 502, and nothing of it', async (t) => {
  const world = await startProxiedWorld(t);
  for (const bytes of [
    'nonsense\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc',
    'HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(80_000)}\r\n\r\n`,
    'HTTP/1.1 099 Odd\r\n\r\n',
    '',
  ]) {
    await world.serveRaw('acme', (socket) => socket.once('data', () => socket.end(bytes)));
    const answer = await world.request({ path: '/' });
    assert.deepEqual([answer.status, answer.json().code], [502, 'FH_APP_UNREACHABLE'], bytes.slice(0, 80));
  }
});

test('what an app sends behind an answer is never the answer to another request', async (t) => {
  const world = await startProxiedWorld(t);
  for (const [method, bytes] of [
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad'],
    ['GET', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad'],
  ] as const) {
    let connections = 0;
    await world.serveRaw('acme', (socket) => {
      connections++;
      socket.once('data', () =>
        socket.write(connections === 1 ? bytes : 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'),
      );
    });
    const first = await world.request({ path: '/', method });
    assert.doesNotMatch(first.body, /bad/);
    assert.equal((await world.request({ path: '/' })).body, 'good', bytes);
  }
});

test('a client that is gone takes its request to the app with it', async (t) => {
  const world = await startProxiedWorld(t);
  let [begun, ended] = [0, 0];
  await world.serve('acme', (request, response) => {
    begun++;
    response.once('close', () => ended++);
    if (request.url === '/slow') response.write('x');
  });
  for (const path of ['/silent', '/slow']) {
    const request = send(world, { path });
    request.on('error', () => {}).end();
    const before = begun;
    await until(() => begun > before, 'the app was asked');
    request.destroy();
    await until(() => ended === begun, `the app knows that nobody waits: ${path}`);
  }
  const stream = ask(openSession(t, world), world);
  await until(() => begun === 3, 'the app was asked');
  stream.close(8);
  await until(() => ended === 3, 'the app knows');
  await until(() => world.visits.count === 0, 'nobody is there');
});

/** Waits until a number is above 0 and has not grown for a while. */
async function stillness(read: () => number): Promise<void> {
  let [before, turns] = [0, 0];
  await until(() => {
    turns = read() === before && before > 0 ? turns + 1 : 0;
    before = read();
    return turns === 500;
  }, 'it stands still');
}

test('a client that does not read holds the app back, an app that does not read holds the client back', async (t) => {
  const world = await startProxiedWorld(t, { process: { bodyBytes: 1e9 } });
  let [written, isDone] = [0, false];
  const block = Buffer.alloc(65_536);
  await world.serve('acme', (request, response) => {
    if (request.method === 'POST') return;
    const write = () => {
      do written += block.length;
      while (!isDone && response.write(block));
    };
    response.on('drain', write);
    response.on('error', () => {});
    write();
  });
  const download = send(world);
  download.on('error', () => {}).end();
  const [answer] = (await once(download, 'response')) as [IncomingMessage];
  answer.on('error', () => {});
  await stillness(() => written);
  const upload = send(world, { method: 'POST' });
  upload.on('error', () => {});
  let sent = 0;
  const fill = () => {
    while (!isDone && sent < 1e8) {
      sent += block.length;
      if (!upload.write(block)) return;
    }
  };
  upload.on('drain', fill);
  fill();
  await stillness(() => sent);
  assert.ok(written < 30_000_000, `${written}`);
  assert.ok(sent < 30_000_000, `${sent}`);
  isDone = true;
  download.destroy();
  upload.destroy();
});

test('events come one by one, count as a stream, and end with the session and at drain', async (t) => {
  const world = await startProxiedWorld(t, {
    process: { identity: { kind: 'headers', publicPaths: [] } },
    limits: { concurrentPerTenant: 1 },
  });
  world.addSession('acme', 'token');
  const responses: ServerResponse[] = [];
  await world.serve('acme', (_request, response) => {
    responses.push(response);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 0\n\n');
  });
  const listen = async () => {
    const request = send(world, {}, { cookie: '__Host-freehold=token' });
    const [answer] = (await once(request.end(), 'response')) as [IncomingMessage];
    const read = { text: '', isOver: false };
    answer.setEncoding('utf8').on('data', (chunk) => {
      read.text += chunk;
    });
    answer.on('error', () => {});
    answer.once('close', () => {
      read.isOver = true;
    });
    await until(() => read.text !== '', 'the first event');
    return read;
  };
  const [first, second] = [await listen(), await listen()];
  for (let count = 1; count < 5; count++) {
    responses[0]!.write(`data: ${count}\n\n`);
    await until(() => first.text.endsWith(`data: ${count}\n\n`), `event ${count}`);
  }
  world.signedOut.add('acme');
  responses[0]!.write('data: 5\n\n');
  await until(() => first.isOver, 'it ended with the session');
  world.signedOut.delete('acme');
  const third = await listen();
  const stopped = world.gateway.stop({ deadlineMs: 5_000, lingerMs: 0, settleMs: 0 });
  await until(() => third.isOver && second.isOver, 'it ended at drain');
  await stopped;
});

test('100 comes from the app, or its refusal does; early hints pass', async (t) => {
  const world = await startProxiedWorld(t);
  const server = await world.serve('acme', (_request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload', 'set-cookie': 'a=b' });
    response.end('hinted');
  });
  let isWanted = true;
  server.on('checkContinue', (request, response) => {
    if (!isWanted) {
      response.writeHead(417).end();
      return;
    }
    response.writeContinue();
    request.pipe(response);
  });
  const hints: unknown[] = [];
  const hinted = send(world);
  hinted.on('information', (info) => hints.push([info.statusCode, { ...info.headers }]));
  await once(hinted.end(), 'response');
  assert.deepEqual(hints, [[103, { link: '</a.css>; rel=preload' }]]);

  const headers = { expect: '100-continue', 'content-length': '2' };
  const upload = send(world, { method: 'POST' }, headers);
  await once(upload, 'continue');
  upload.end('hi');
  const [answer] = (await once(upload, 'response')) as [IncomingMessage];
  assert.equal(answer.statusCode, 200);
  isWanted = false;
  const refused = send(world, { method: 'POST' }, headers);
  refused.flushHeaders();
  let isAsked = false;
  refused.once('continue', () => {
    isAsked = true;
  });
  const [no] = (await once(refused, 'response')) as [IncomingMessage];
  assert.deepEqual([no.statusCode, isAsked, no.headers.connection], [417, false, 'close']);
  refused.destroy();
});

test('HEAD, ranges, 204, 304, codings and bytes above ASCII arrive as the app gave them', async (t) => {
  const world = await startProxiedWorld(t);
  await world.serve('acme', (request, response) => {
    if (request.url === '/204') response.writeHead(204).end();
    else if (request.url === '/304') response.writeHead(304, { etag: '"x"' }).end();
    else if (request.headers.range) {
      response.writeHead(206, { 'content-range': 'bytes 0-1/5', 'content-length': 2 }).end('he');
    } else {
      const name = Buffer.from('attachment; filename="ä.txt"').toString('latin1');
      response.writeHead(200, ['Content-Encoding', 'br', 'Content-Disposition', name, 'Content-Length', '5']);
      response.end(request.method === 'HEAD' ? undefined : Buffer.from([1, 2, 255, 0, 5]));
    }
  });
  const head = await world.request({ path: '/', method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '5', '']);
  const whole = await world.request({ path: '/' });
  assert.deepEqual([whole.headers['content-encoding'], whole.body], ['br', '\x01\x02\xff\x00\x05']);
  assert.equal(Buffer.from(whole.headers['content-disposition']!, 'latin1').toString(), 'attachment; filename="ä.txt"');
  const part = await world.request({ path: '/', headers: { range: 'bytes=0-1' } });
  assert.deepEqual([part.status, part.headers['content-range'], part.body], [206, 'bytes 0-1/5', 'he']);
  assert.equal((await world.request({ path: '/204' })).status, 204);
  assert.deepEqual((await world.request({ path: '/304' })).headers.etag, '"x"');
  const session = openSession(t, world);
  for (const [path, method, status] of [
    ['/', 'HEAD', 200],
    ['/204', 'GET', 204],
    ['/304', 'GET', 304],
    ['/', 'GET', 200],
  ] as const) {
    const stream = ask(session, world, { ':path': path, ':method': method });
    const [headers] = (await once(stream, 'response')) as [Record<string, string>];
    assert.equal(headers[':status'], status);
    stream.resume();
    await once(stream, 'close');
    assert.equal(stream.rstCode, 0);
  }
});

test('an app that refuses an upload before its end is heard', async (t) => {
  const world = await startProxiedWorld(t);
  await world.serve('acme', (_request, response) => {
    response.writeHead(403).end('not that');
  });
  const body = 'x'.repeat(1_000_000);
  const text = await world.raw(
    `POST / HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  assert.equal(parseAnswer(text).status, 403);
  assert.match(text, /not that/);
  const stream = ask(openSession(t, world), world, { ':method': 'POST' });
  stream.on('error', () => {});
  stream.write(body);
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  assert.equal(headers[':status'], 403);
  stream.destroy();
});
