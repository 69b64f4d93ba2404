import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Agent, request } from 'undici';
import { waitFor } from '#src/kernel/index.ts';
import { startWorld, type World } from './test-world.ts';

function agentOf(world: World, connections = 8): Agent {
  return new Agent({
    connections,
    connect: {
      ca: world.ca,
      lookup: (_host, options, done) =>
        options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4),
    },
  });
}

test('a drain under load fails no request', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const agent = agentOf(world);
  t.after(() => agent.destroy());
  const url = `https://acme.localhost:${world.port}/api/whoami`;
  const answered: number[] = [];
  const failed: unknown[] = [];
  let isStopping = false;
  const client = async () => {
    for (;;) {
      try {
        const { statusCode, body } = await request(url, {
          dispatcher: agent,
          headers: { cookie: '__Host-freehold=token' },
        });
        await body.text();
        answered.push(statusCode);
      } catch (error) {
        // Nobody takes new connections any more: that is no failed request but the end of the test.
        if (isStopping && (error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return;
        failed.push(error);
        return;
      }
    }
  };
  const clients = Array.from({ length: 16 }, client);
  await waitFor('load', () => answered.length > 300);
  isStopping = true;
  await world.gateway.stop({ deadlineMs: 60_000 });
  await Promise.all(clients);
  assert.deepEqual(failed, []);
  assert.ok(answered.every((status) => status === 200));
});

test('nobody is told to leave until the other workers on the port had time to close their doors', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const agent = agentOf(world, 1);
  t.after(() => agent.destroy());
  const ask = async () => {
    const { statusCode, headers, body } = await request(`https://acme.localhost:${world.port}/api/whoami`, {
      dispatcher: agent,
      headers: { cookie: '__Host-freehold=token' },
    });
    await body.text();
    return [statusCode, headers.connection];
  };
  assert.deepEqual(await ask(), [200, 'keep-alive']);
  const stopped = world.gateway.stop({ deadlineMs: 600_000, settleMs: 600_000 });
  await waitFor('a refused connection', () => refusesConnections(world.port));
  for (let times = 0; times < 10; times++) assert.deepEqual(await ask(), [200, 'keep-alive']);
  await world.gateway.stop({ deadlineMs: 0 });
  await stopped;
});

test('connections that wait to be taken over are, when the stop begins', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const sockets = Array.from({ length: 32 }, () => connect(world.port, '127.0.0.1'));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  // The kernel connects them; this process has no turn to take them over before the stop begins.
  await new Promise(process.nextTick);
  const stopped = world.gateway.stop({ deadlineMs: 60_000 });
  const answers = sockets.map(async (socket) => {
    const secure = connectTls({ socket, servername: 'acme.localhost', ca: world.ca });
    secure.write(
      `GET /api/whoami HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\ncookie: __Host-freehold=token\r\n\r\n`,
    );
    const text = (await secure.setEncoding('utf8').toArray()).join('');
    return text.split('\r\n', 1)[0];
  });
  assert.deepEqual([...new Set(await Promise.all(answers))], ['HTTP/1.1 200 OK']);
  await stopped;
});

test('running requests finish, new ones are not taken, streams end, HTTP/2 is told', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const stream = connectTls({ port: world.port, host: '127.0.0.1', servername: 'acme.localhost', ca: world.ca });
  t.after(() => stream.destroy());
  let streamed = '';
  stream.setEncoding('utf8').on('data', (chunk) => {
    streamed += chunk;
  });
  const head = `host: acme.localhost:${world.port}\r\ncookie: __Host-freehold=token\r\n\r\n`;
  stream.write(`GET /api/events HTTP/1.1\r\n${head}`);
  await waitFor('the stream', () => streamed.includes('retry:'));
  const session = connectHttp2(`https://127.0.0.1:${world.port}`, { ca: world.ca, servername: 'acme.localhost' });
  t.after(() => session.destroy());
  session.on('error', () => {});
  let goodbyes = 0;
  session.on('goaway', () => goodbyes++);
  await waitFor('the HTTP/2 connection', () => !session.connecting);
  const slow = world.request({ path: '/api/slow', cookie: 'token' });
  await waitFor('the slow request', () => world.slowSignals.length === 1);

  const stopped = world.gateway.stop({ deadlineMs: 60_000, lingerMs: 50 });
  await waitFor('a refused connection', () => refusesConnections(world.port));
  await waitFor('the end of the stream', () => streamed.endsWith('0\r\n\r\n'));
  await waitFor('the goodbye', () => goodbyes > 0);
  world.releaseSlow();
  const answer = await slow;
  assert.deepEqual([answer.status, answer.headers.connection], [200, 'close']);
  await stopped;
  await waitFor('the end of the HTTP/2 connection', () => session.closed || session.destroyed);
});

test('what does not end in time is aborted, and a second stop does not wait', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const slow = world.request({ path: '/api/slow', cookie: 'token' });
  const signal = await waitFor('the request', () => world.slowSignals[0]);
  const stopped = world.gateway.stop({ deadlineMs: 60_000, lingerMs: 0 });
  assert.equal(signal.aborted, false);
  await world.gateway.stop({ deadlineMs: 0 });
  assert.equal(signal.aborted, true);
  await slow.catch(() => {});
  await stopped;

  const second = await startWorld(t);
  second.addSession('acme', 'token');
  const slower = second.request({ path: '/api/slow', cookie: 'token' });
  await waitFor('the request', () => second.slowSignals[0]);
  await second.gateway.stop({ deadlineMs: 100, lingerMs: 0 });
  assert.equal((await slower).status, 500);
});

function refusesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });
}
