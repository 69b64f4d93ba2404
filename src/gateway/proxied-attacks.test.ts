import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { attacks } from './proxied-attacks.fixture.ts';
import { type ProxiedWorld, startProxiedWorld } from './proxied-world.fixture.ts';
import { rawMessages } from './raw-messages.fixture.ts';

/** An app of which every byte is written down, connection by connection, and every request that it makes of them. */
async function serveWatched(t: TestContext, world: ProxiedWorld) {
  let bytes: { text: string }[] = [];
  const requests: string[] = [];
  const app = createServer((request, response) => {
    requests.push(request.url!);
    request.resume().once('end', () => response.end('answered'));
    request.on('error', () => {});
  });
  const socketPath = join(world.folder, 'watched');
  await new Promise<void>((resolve) => app.listen(socketPath, resolve));
  t.after(() => app.closeAllConnections());
  t.after(() => new Promise((resolve) => app.close(resolve)));
  await world.serveRaw('acme', (socket) => {
    const received = { text: '' };
    socket.on('data', (chunk: Buffer) => {
      // A connection that was kept begins anew with each call of `take`.
      if (!bytes.includes(received)) bytes.push(received);
      received.text += chunk.toString('latin1');
    });
    const inner = connect(socketPath);
    inner.on('error', () => socket.destroy());
    inner.once('close', () => socket.destroy());
    socket.once('close', () => inner.destroy());
    socket.pipe(inner).pipe(socket);
  });
  return {
    requests,
    /** Everything since the last call. */
    take: () => {
      const text = bytes.map((received) => received.text).join('\n');
      for (const received of bytes) received.text = '';
      bytes = [];
      return { bytes: text, requests: requests.splice(0) };
    },
  };
}

/** Both at once on one message is what the front and the back read differently (RFC 9112, 6.1). */
function isAmbiguous(bytes: string): boolean {
  return bytes
    .split(/(?=(?:GET|POST|PUT|HEAD|OPTIONS) \/\S* HTTP\/1\.1\r\n)/)
    .map((message) => message.split('\r\n\r\n')[0]!)
    .some((head) => /\r\ntransfer-encoding:/i.test(head) && /\r\ncontent-length:/i.test(head));
}

test('no attack hides a request, forges who asks, or tells an app the session', async (t) => {
  const world = await startProxiedWorld(t);
  const app = await serveWatched(t, world);
  const host = `acme.localhost:${world.port}`;
  const last = `GET /last HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
  const table = attacks(host);
  assert.ok(table.length >= 40);
  const wrong: string[] = [];
  for (const [number, { what, bytes, must }] of table.entries()) {
    const text = await world.raw(bytes + last);
    const seen = app.take();
    const say = (trouble: string) => wrong.push(`${what}: ${trouble}: ${seen.bytes} → ${text.slice(0, 300)}`);
    if (seen.requests.includes('/smuggled')) say('a hidden request arrived');
    if (isAmbiguous(seen.bytes)) say('framed in two ways');
    if (/^5\d\d/.test(text.slice('HTTP/1.1 '.length))) say('our own mistake');
    const arrived = seen.requests.filter((url) => url.startsWith(`/seen-${number}`));
    if (must === 'refused') {
      if (arrived.length > 0) say('it arrived');
      if (!/^HTTP\/1\.1 4/.test(text)) say('it was not refused');
      continue;
    }
    const message = seen.bytes.replace(/GET \/last HTTP\/1\.1\r\n[\s\S]*?\r\n\r\n/, '');
    if (arrived.length !== 1 && !/^HTTP\/1\.1 400/.test(text)) say('it did not arrive once');
    if (must.without?.test(message)) say(`it holds ${must.without}`);
    if (must.with && !must.with.test(message)) say(`it does not hold ${must.with}`);
  }
  assert.deepEqual(wrong, []);
  t.diagnostic(`${table.length} attacks`);
});

test('what the parser refuses does not come near an app', async (t) => {
  const world = await startProxiedWorld(t);
  const app = await serveWatched(t, world);
  const host = `acme.localhost:${world.port}`;
  const messages = rawMessages({ host, other: `globex.localhost:${world.port}`, cookie: '__Host-freehold=token' });
  const waiting = messages.filter(({ must }) => must === 'refused');
  const count = waiting.length;
  assert.ok(count >= 100, `${count}`);
  const last = `GET /last HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
  const wrong: string[] = [];
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (let message = waiting.shift(); message; message = waiting.shift()) {
        const text = await world.raw(message.bytes + last).catch(() => '');
        const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/g)].map((match) => Number(match[1]));
        if (statuses.length > 1 || statuses.some((status) => status < 400 || status >= 500))
          wrong.push(`${message.what}: ${JSON.stringify(message.bytes.slice(0, 200))}: ${statuses}`);
      }
    }),
  );
  assert.deepEqual(wrong, []);
  const seen = app.take();
  // A whole request before what is broken may arrive; nothing in it or behind it does.
  assert.deepEqual(
    seen.requests.filter((url) => url !== '/api/items' && url !== '/api/whoami'),
    [],
  );
  assert.equal(isAmbiguous(seen.bytes), false);
  t.diagnostic(`${count} messages`);
});
