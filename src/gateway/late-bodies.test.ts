import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { waitFor } from '#src/kernel/index.ts';
import { startWorld } from './test-world.ts';

test('a session that ends while the body comes in changes nothing any more; a request without a body costs no second look', async (t) => {
  let isLive = true;
  let looks = 0;
  const world = await startWorld(t, {
    identity: {
      isStillSignedIn: async () => {
        looks++;
        return isLive;
      },
    },
  });
  world.addSession('acme', 'token');
  /** Half of the body, then `meanwhile` once its sender was let in, then the rest. @returns the status line */
  async function post(meanwhile: () => void): Promise<string> {
    const host = 'acme.localhost';
    const socket = connect({ host: '127.0.0.1', port: world.port, servername: host, rejectUnauthorized: false });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise((resolve) => socket.once('close', resolve));
    const before = world.asked.authenticate;
    const head =
      `POST /api/items HTTP/1.1\r\nhost: ${host}:${world.port}\r\nconnection: close\r\ncookie: __Host-freehold=token\r\n` +
      'content-type: application/json\r\ncontent-length: 7\r\n\r\n';
    socket.write(`${head}{"a":`);
    await waitFor('the request to be let in', () => world.asked.authenticate > before);
    meanwhile();
    socket.write('1}');
    await ended;
    return Buffer.concat(chunks).toString().slice(9, 12);
  }
  assert.equal((await world.request({ path: '/api/whoami', cookie: 'token' })).status, 200);
  assert.equal(looks, 0);
  assert.equal(await post(() => {}), '200');
  assert.equal(looks, 1);
  assert.equal(
    await post(() => {
      isLive = false;
    }),
    '401',
  );
});
