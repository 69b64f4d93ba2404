import assert from 'node:assert/strict';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { createHttpApp, type EventStream, openEventStream } from './index.ts';

async function start(t: TestContext, signal?: AbortSignal) {
  const app = createHttpApp({ name: 'test', log: silentLog, clock: systemClock });
  const streams: EventStream[] = [];
  app.get('/api/events', (request, reply) => {
    streams.push(openEventStream(request, reply, { heartbeatMs: 20, maxUnsentBytes: 100_000, signal }));
    return reply;
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  socket.write('GET /api/events HTTP/1.1\r\nhost: x\r\n\r\n');
  const stream = await waitFor('the stream', () => streams[0]);
  return { socket, stream };
}

test('events, heartbeat and an orderly end', async (t) => {
  const drain = new AbortController();
  const { socket, stream } = await start(t, drain.signal);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  stream.send({ type: 'item.changed', data: { title: 'two\nlines' } });
  stream.send({ data: 'plain' });
  assert.throws(() => stream.send({ type: 'a\nb', data: 1 }), TypeError);
  await waitFor('events and a heartbeat', () => text.includes('data: "plain"\n\n') && text.includes('\n:\n\n'));
  assert.match(text, /content-type: text\/event-stream/i);
  assert.match(text, /nosniff/);
  assert.match(text, /event: item.changed\ndata: \{"title":"two\\nlines"\}\n\n/);
  drain.abort();
  await stream.closed;
  await waitFor('the last chunk', () => text.endsWith('0\r\n\r\n'));
});

test('a client that goes away, and one that does not read, end their stream', async (t) => {
  const gone = await start(t);
  gone.socket.destroy();
  await gone.stream.closed;

  const slow = await start(t);
  slow.socket.pause();
  let open = true;
  void slow.stream.closed.then(() => {
    open = false;
  });
  await waitFor('the drop', () => {
    if (open) slow.stream.send({ data: 'x'.repeat(50_000) });
    return !open;
  });
  slow.stream.send({ data: 'nobody listens' });
});
