import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { defineErrors, FreeholdError, silentLog, waitFor } from '#src/kernel/index.ts';
import { connectRpc, createRpcServer, type RpcClientOptions, type RpcServerOptions } from './index.ts';

interface TestProtocol {
  server: {
    add: { params: { a: number; b: number }; result: number };
    fail: { params: { with: 'known' | 'unknown' }; result: undefined };
    echo: { params: string; result: string };
    never: { params: null; result: null };
  };
  client: {
    greet: { params: { name: string }; result: string };
  };
}

const testErrors = defineErrors({
  FH_TEST_TEAPOT: { status: 418, title: 'I am a teapot', hint: 'Ask for tea.', retry: 'later' },
});

const handlers: RpcServerOptions<TestProtocol>['handlers'] = {
  add: ({ a, b }) => a + b,
  fail: async (params) => {
    if (params.with === 'known')
      throw testErrors.FH_TEST_TEAPOT({ detail: 'short and stout', fields: { a: 'b' }, cause: new Error('secret') });
    throw new Error('secret inside');
  },
  echo: (text) => text,
  never: () => new Promise<null>(() => {}),
};

async function start(t: TestContext, options: Partial<RpcServerOptions<TestProtocol>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'fh-rpc-'));
  const socketPath = join(folder, 'link.sock');
  const server = createRpcServer<TestProtocol>({ socketPath, mode: 0o660, handlers, log: silentLog, ...options });
  await server.start();
  t.after(async () => {
    await server.stop().catch(() => {});
    await rm(folder, { recursive: true });
  });
  const client = (more: Partial<RpcClientOptions<TestProtocol>> = {}) => {
    const made = connectRpc<TestProtocol>({
      socketPath,
      handlers: { greet: ({ name }) => `hello ${name}` },
      log: silentLog,
      ...more,
    });
    t.after(() => made.close());
    return made;
  };
  return { server, client, socketPath };
}

test('asks in both directions, many at once', async (t) => {
  const { server, client } = await start(t);
  const one = client();
  const sums = await Promise.all(Array.from({ length: 100 }, (_, n) => one.call('add', { a: n, b: 1 })));
  assert.deepEqual(sums[99], 100);
  const [peer] = server.peers;
  assert.equal(await peer!.call('greet', { name: 'gateway' }), 'hello gateway');
});

test('errors become FreeholdError again, without their cause', async (t) => {
  const { client } = await start(t);
  const one = client();
  const known = await one.call('fail', { with: 'known' }).catch((error: unknown) => error);
  assert.ok(known instanceof FreeholdError);
  const { code, status, title, detail, hint, retry, fields, cause } = known;
  assert.deepEqual(
    { code, status, title, detail, hint, retry, fields, cause },
    {
      code: 'FH_TEST_TEAPOT',
      status: 418,
      title: 'I am a teapot',
      detail: 'short and stout',
      hint: 'Ask for tea.',
      retry: 'later',
      fields: { a: 'b' },
      cause: undefined,
    },
  );
  const unknown = await one.call('fail', { with: 'unknown' }).catch((error: unknown) => error);
  assert.ok(unknown instanceof FreeholdError);
  assert.equal(unknown.code, 'FH_INTERNAL');
  assert.doesNotMatch(JSON.stringify(unknown) + unknown.message, /secret/);
  await assert.rejects(
    one.call('constructor' as 'echo', ''),
    (error: FreeholdError) => error.code === 'FH_RPC_UNKNOWN_METHOD',
  );
});

test('broadcast waits for all and drops who does not answer', async (t) => {
  const { server, client } = await start(t);
  let lost = 0;
  let connected = 0;
  client();
  client({
    handlers: { greet: () => new Promise<string>(() => {}) },
    onLost: () => lost++,
    onConnected: () => void connected++,
  });
  await waitFor('two peers', () => server.peers.size === 2);
  assert.deepEqual(await server.broadcast('greet', { name: 'all' }, { timeoutMs: 2_000 }), { answered: 1, dropped: 1 });
  await waitFor('the drop and the way back', () => lost === 1 && connected === 2 && server.peers.size === 2);
});

test('calls time out, and fail while the server is away; the client comes back by itself', async (t) => {
  const { server, client, socketPath } = await start(t);
  const events: string[] = [];
  const one = client({
    waitMs: 50,
    onConnected: () => void events.push('connected'),
    onLost: () => events.push('lost'),
  });
  await assert.rejects(one.call('never', null, { timeoutMs: 30 }), { code: 'FH_RPC_TIMEOUT' });
  const inFlight = one.call('never', null);
  const refused = assert.rejects(inFlight, { code: 'FH_CONTROL_UNAVAILABLE' });
  await server.stop();
  await refused;
  await assert.rejects(one.call('add', { a: 1, b: 1 }), { code: 'FH_CONTROL_UNAVAILABLE' });
  const again = createRpcServer<TestProtocol>({ socketPath, mode: 0o600, handlers, log: silentLog });
  await again.start();
  t.after(() => again.stop());
  await waitFor('the way back', () => one.connected);
  assert.equal(await one.call('add', { a: 2, b: 2 }), 4);
  assert.deepEqual(events, ['connected', 'lost', 'connected']);
});

test('a message over 1 MiB is refused by the sender, and a raw one drops the peer', async (t) => {
  const { server, client, socketPath } = await start(t);
  const one = client();
  assert.equal((await one.call('echo', 'x'.repeat(500_000))).length, 500_000);
  await assert.rejects(one.call('echo', 'x'.repeat(1_100_000)), { code: 'FH_RPC_TOO_LARGE' });
  assert.equal(await one.call('echo', 'still there'), 'still there');
  for (const bytes of [
    'x'.repeat(1_200_000),
    'not json\n',
    '[]\n',
    'null\n',
    '{}\n',
    '{"id":"1","method":"echo"}\n',
    '{"id":1,"error":{"code":1}}\n{"id":1.5}\n',
    '{"id":1,"method":7}\n',
  ]) {
    const raw = connect(socketPath);
    raw.on('error', () => {});
    raw.write(bytes);
    await waitFor(`the drop of ${bytes.slice(0, 20)}`, () => raw.destroyed || raw.readableEnded || ended(raw));
    raw.destroy();
  }
  await waitFor('only the good peer', () => server.peers.size === 1);
  assert.equal(await one.call('echo', 'still there'), 'still there');
});

test('the socket has its mode; a stale one is replaced, a living one and a plain file are not', async (t) => {
  const { socketPath } = await start(t);
  assert.equal((await stat(socketPath)).mode & 0o777, 0o660);
  const second = createRpcServer<TestProtocol>({ socketPath, mode: 0o600, handlers, log: silentLog });
  await assert.rejects(second.start(), { code: 'FH_SOCKET_IN_USE' });

  const stalePath = `${socketPath}.stale`;
  await leaveStaleSocket(stalePath);
  const third = createRpcServer<TestProtocol>({ socketPath: stalePath, mode: 0o600, handlers, log: silentLog });
  await third.start();
  await third.stop();

  const filePath = `${socketPath}.txt`;
  await writeFile(filePath, 'mine');
  const fourth = createRpcServer<TestProtocol>({ socketPath: filePath, mode: 0o600, handlers, log: silentLog });
  await assert.rejects(fourth.start(), { code: 'FH_SOCKET_IN_USE' });
  const long = createRpcServer<TestProtocol>({
    socketPath: `/${'a'.repeat(120)}`,
    mode: 0o600,
    handlers,
    log: silentLog,
  });
  await assert.rejects(long.start(), { code: 'FH_SOCKET_PATH_TOO_LONG' });
});

function ended(socket: import('node:net').Socket): boolean {
  socket.resume();
  return socket.closed;
}

/** A child process listens and is killed, so that the file stays. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { spawn } = await import('node:child_process');
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await new Promise((resolve) => spawn(process.execPath, ['-e', script], { stdio: 'ignore' }).once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve() : reject(error)));
    probe.listen(path, () => reject(new Error('the socket is not there')));
  });
}
