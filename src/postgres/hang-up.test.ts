import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { isRetryable, openConnection } from './index.ts';

/** Opens a connection to a server that does this with whoever comes. @returns what it rejected with */
async function meet(act: (socket: Socket) => void, tls: 'off' | 'verify-full' = 'off'): Promise<unknown> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    act(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const target = { host: '127.0.0.1', port, database: 'd', user: 'u', password: 'p', tls } as const;
  try {
    return await openConnection(target, { applicationName: 'test', connectTimeoutMs: 500 }).then(
      () => assert.fail('it was opened'),
      (error) => error,
    );
  } finally {
    server.close();
  }
}

test('a server that hangs up, cuts the connection or is silent before the session may be asked again', async () => {
  const hungUp = await meet((socket) => socket.once('data', () => socket.end()));
  const cut = await meet((socket) => socket.once('data', () => socket.resetAndDestroy()));
  assert.equal(((cut as Error).cause as NodeJS.ErrnoException | undefined)?.syscall, 'read');
  const silent = await meet(() => {});
  for (const error of [hungUp, cut, silent]) {
    assert.equal((error as NodeJS.ErrnoException).syscall, 'connect');
    assert.equal(isRetryable(error), true);
  }
});

test('a server without TLS is a mistake in the settings: its words are kept, and nobody tries again', async () => {
  const error = await meet((socket) => socket.once('data', () => socket.write('N')), 'verify-full');
  assert.match((error as Error).message, /does not support SSL/);
  assert.equal(isRetryable(error), false);
});
