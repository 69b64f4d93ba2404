import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { type ProxiedWorld, startProxiedWorld, until } from './proxied-world.fixture.ts';
import { startWorld, type World } from './test-world.ts';

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const key = 'dGhlIHNhbXBsZSBub25jZQ==';

/** An app that says who it is and gives back every byte. */
async function serveEcho(world: ProxiedWorld, name: string) {
  const asked: IncomingMessage[] = [];
  const sockets: Duplex[] = [];
  const server = await world.serve(name, (_request, response) => response.end('plain'));
  server.on('upgrade', (request, socket, head) => {
    asked.push(request);
    if (request.url === '/no') {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno');
      return;
    }
    sockets.push(socket);
    const accept = createHash('sha1')
      .update(request.headers['sec-websocket-key'] + guid)
      .digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Extensions: permessage-deflate\r\nServer: x\r\n\r\n${name}:`,
    );
    socket.write(head);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  return { asked, sockets };
}

interface Client {
  readonly socket: TLSSocket;
  text: string;
  until(pattern: RegExp): Promise<void>;
  readonly closed: Promise<void>;
}

function open(world: World, extra: string, { path = '/ws', tenant = 'acme', early = '' } = {}): Client {
  const host = `${tenant}.localhost`;
  const socket = connect({
    port: world.port,
    host: '127.0.0.1',
    servername: host,
    ca: world.ca,
    ALPNProtocols: ['http/1.1'],
  });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let look = () => {};
  const client: Client = {
    socket,
    text: '',
    closed,
    until: (pattern) =>
      new Promise((done, fail) => {
        const limit = setTimeout(() => fail(new Error(`${pattern} did not come: ${client.text}`)), 5_000);
        look = () => {
          if (!pattern.test(client.text)) return;
          clearTimeout(limit);
          done();
        };
        look();
      }),
  };
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    client.text += chunk;
    look();
  });
  socket.on('error', () => {});
  socket.once('close', () => resolve());
  socket.write(
    `GET ${path} HTTP/1.1\r\nhost: ${host}:${world.port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\nsec-websocket-extensions: permessage-deflate\r\n${extra}\r\n${early}`,
  );
  return client;
}

const originOf = (world: World) => `origin: https://acme.localhost:${world.port}\r\n`;
const cookie = 'cookie: __Host-freehold=token; a=b\r\n';

async function start(t: TestContext, kind: 'none' | 'headers') {
  const world = await startProxiedWorld(t, { process: { identity: { kind, publicPaths: ['/open'] } } });
  world.addSession('acme', 'token');
  return { world, app: await serveEcho(world, 'acme') };
}

test('a WebSocket is passed through byte by byte, with what was sent early, and ends on both sides', async (t) => {
  const { world, app } = await start(t, 'none');
  const client = open(world, cookie, { early: 'early ' });
  await client.until(/acme:early /);
  assert.match(client.text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(client.text, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i);
  assert.match(client.text, /sec-websocket-extensions: permessage-deflate/i);
  assert.doesNotMatch(client.text, /server: x/i);
  const { headers } = app.asked[0]!;
  assert.deepEqual(
    [headers.cookie, headers['sec-websocket-key'], headers['x-forwarded-proto'], headers.connection],
    ['a=b', key, 'https', 'Upgrade'],
  );
  const many = 'x'.repeat(300_000);
  client.socket.write(`${many}!`);
  await client.until(/!$/);
  assert.equal(client.text.endsWith(`early ${many}!`), true);
  assert.equal(world.visits.count, 1);
  client.socket.end();
  await client.closed;
  await until(() => world.visits.count === 0, 'the visit is over');

  const second = open(world, '');
  await second.until(/acme:/);
  app.sockets[1]!.destroy();
  await second.closed;
  const refused = open(world, '', { path: '/no' });
  await refused.closed;
  assert.match(refused.text, /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*no$/);
});

test('where the app asks who somebody is, a WebSocket needs a session and the own origin', async (t) => {
  const { world, app } = await start(t, 'headers');
  for (const [extra, status] of [
    [originOf(world), 401],
    [`${originOf(world)}cookie: __Host-freehold=other\r\n`, 401],
    [cookie, 403],
    [`${cookie}origin: https://globex.localhost:${world.port}\r\n`, 403],
    [`${cookie}origin: null\r\n`, 403],
  ] as const) {
    const client = open(world, extra);
    await client.closed;
    assert.match(client.text, new RegExp(`^HTTP/1\\.1 ${status} `), extra);
  }
  assert.equal(app.asked.length, 0);
  const good = open(world, cookie + originOf(world));
  await good.until(/acme:/);
  assert.match(String(app.asked[0]!.headers['freehold-identity']), /^ey/);
  const foreign = open(world, `${cookie}origin: https://elsewhere.example\r\n`, { path: '/open' });
  await foreign.until(/acme:/);
  assert.equal(app.asked[1]!.headers['freehold-identity'], undefined);
  for (const client of [good, foreign]) client.socket.destroy();
});

test('it ends with the session, with the tenant and at drain; others go on', async (t) => {
  const { world } = await start(t, 'headers');
  await serveEcho(world, 'globex');
  world.addSession('globex', 'token');
  const others = `${cookie}origin: https://globex.localhost:${world.port}\r\n`;
  const [first, other] = [open(world, cookie + originOf(world)), open(world, others, { tenant: 'globex' })];
  await Promise.all([first.until(/acme:/), other.until(/globex:/)]);
  world.signedOut.add('acme');
  first.socket.write('x');
  await first.closed;
  world.signedOut.delete('acme');
  const second = open(world, cookie + originOf(world));
  await second.until(/acme:/);
  const host = 'acme.localhost';
  const route = world.tenants.get(host)!;
  world.tenants.set(host, { ...route, process: { ...route.process!, version: '2' } });
  await world.recheck('acme');
  second.socket.write('of the same app');
  await second.until(/of the same app/);
  world.tenants.set(host, { ...route, state: 'suspended' });
  await world.recheck('acme');
  await second.closed;
  other.socket.write('still');
  await other.until(/still/);
  const drained = world.gateway.stop({ deadlineMs: 5_000, lingerMs: 0, settleMs: 0 });
  await other.closed;
  await drained;
});

test('nothing but a WebSocket is upgraded, and nothing at an app inside the gateway', async (t) => {
  const { world, app } = await start(t, 'none');
  const host = `host: acme.localhost:${world.port}\r\n`;
  for (const request of [
    `GET / HTTP/1.1\r\n${host}connection: upgrade, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}connection: upgrade, close\r\nupgrade: websocket, h2c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}connection: upgrade, close\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabc`,
    `POST / HTTP/1.1\r\n${host}connection: upgrade, close\r\nupgrade: websocket\r\ncontent-length: 0\r\n\r\n`,
  ]) {
    const text = await world.raw(request);
    assert.match(text, /^HTTP\/1\.1 200 [\s\S]*plain/, request);
  }
  assert.equal(app.asked.length, 0);
  const inside = await startWorld(t);
  inside.addSession('acme', 'token');
  const client = open(inside, cookie, { path: '/api/whoami' });
  await client.closed;
  assert.match(client.text, /^HTTP\/1\.1 200 [\s\S]*Ann of acme/);
});
