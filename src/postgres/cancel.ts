import net from 'node:net';
import tls from 'node:tls';
import { serverTls } from './server-tls.ts';
import type { ConnectionTarget } from './types.ts';

const cancelRequestCode = 80877102;
const tlsRequestCode = 80877103;
const deadlineMs = 5_000;

/**
 * Sends a CancelRequest on a connection of its own (PostgreSQL manual, "Canceling Requests in Progress").
 * Resolves when the server has closed that connection, which it does after it has signalled the backend; so whoever waits for
 * this and for the statement knows that no late cancel can hit the next statement. The server never says whether it matched.
 */
export async function sendCancelRequest(target: ConnectionTarget, processId: number, secretKey: number): Promise<void> {
  const socket = target.host.startsWith('/')
    ? net.connect(`${target.host}/.s.PGSQL.${target.port}`)
    : net.connect(target.port, target.host);
  const timer = setTimeout(() => socket.destroy(new Error('the server did not take the cancel request')), deadlineMs);
  try {
    const secured = serverTls(target);
    const stream = secured ? await upgradeToTls(socket, secured) : socket;
    const request = Buffer.alloc(16);
    request.writeInt32BE(16, 0);
    request.writeInt32BE(cancelRequestCode, 4);
    request.writeInt32BE(processId, 8);
    request.writeInt32BE(secretKey, 12);
    await new Promise<void>((resolve, reject) => {
      stream.once('close', () => resolve());
      stream.once('error', reject);
      stream.resume();
      stream.write(request);
    });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function upgradeToTls(socket: net.Socket, options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const request = Buffer.alloc(8);
    request.writeInt32BE(8, 0);
    request.writeInt32BE(tlsRequestCode, 4);
    socket.once('error', reject);
    socket.once('data', (answer) => {
      // Exactly one byte: anything more would be bytes that nobody authenticated (CVE-2021-23222).
      if (answer.length !== 1 || answer[0] !== 0x53) return reject(new Error('the server refuses TLS'));
      const secure = tls.connect({ ...options, socket }, () => resolve(secure));
      secure.once('error', reject);
    });
    socket.write(request);
  });
}
