/** The servers that the operator names (PostgreSQL, mail, S3): without a certificate that is good for the very name, nothing is said to them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { newId } from '#src/kernel/index.ts';
import { createGatewayKey, createLocalAuthority } from '#src/keys/index.ts';
import { createDelivery, parseSmtpServer } from '#src/mail/index.ts';
import { openRegion } from '#src/objects/index.ts';
import { openConnection } from '#src/postgres/index.ts';

/** A certificate for `localhost`, of an authority that nobody knows. */
async function makeCertificate(t: TestContext): Promise<{ key: string; cert: string; ca: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'fh-foreign-'));
  t.after(() => rm(folder, { recursive: true }));
  const authority = await createLocalAuthority(join(folder, 'ca'), { domain: 'localhost' });
  const { privateKeyPem, publicKeyPem } = await createGatewayKey(join(folder, 'tls'));
  const cert = await authority.issue('localhost', publicKeyPem);
  return { key: privateKeyPem, cert, ca: authority.certificatePem };
}

async function listen(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('PostgreSQL: no session begins, and no password is sent', async (t) => {
  const { key, cert } = await makeCertificate(t);
  let asked = 0;
  let heard = 0;
  const server = createServer((socket) => {
    socket.once('data', () => {
      asked++;
      socket.write('S');
      const secure = new TLSSocket(socket, { isServer: true, key, cert });
      secure.on('error', () => {});
      secure.on('data', () => heard++);
    });
  });
  const port = await listen(t, server);
  const target = { host: 'localhost', port, database: 'd', user: 'u', password: 'p', tls: 'verify-full' } as const;
  await assert.rejects(openConnection(target, { applicationName: 'test', connectTimeoutMs: 60_000 }), {
    code: /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|SELF_SIGNED_CERT_IN_CHAIN)$/,
  });
  assert.deepEqual({ asked, heard }, { asked: 1, heard: 0 });
});

test('mail: nothing is sent, also when the certificate is good for another name', async (t) => {
  const { key, cert, ca } = await makeCertificate(t);
  let heard = 0;
  const server = createServer((socket) => {
    const secure = new TLSSocket(socket, { isServer: true, key, cert });
    secure.on('error', () => {});
    secure.on('data', () => heard++);
    secure.write('220 localhost ESMTP\r\n');
  });
  const port = await listen(t, server);
  const letter = { fromName: 'Acme', to: 'mia@example.com', subject: 'Hello', text: 'Hello', html: '<p>Hello</p>' };
  const from = 'no-reply@operator.example';
  const stranger = parseSmtpServer(`smtps://u:p@localhost:${port}`, from);
  const { address } = server.address() as AddressInfo;
  const byAnotherName = { ...stranger, host: address, ca };
  for (const mailServer of [stranger, byAnotherName]) {
    const { outcome } = await createDelivery(mailServer)(newId('mai'), new Date(0), letter);
    assert.equal(outcome, 'later');
  }
  assert.equal(heard, 0);
});

test('S3: no request is made', async (t) => {
  const { key, cert } = await makeCertificate(t);
  let heard = 0;
  const server = createHttpsServer({ key, cert }, (_request, response) => {
    heard++;
    response.end();
  });
  const port = await listen(t, server as unknown as Server);
  const region = await openRegion(`s3://bucket?endpoint=https://localhost:${port}`, {
    region: 'here',
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
    initialise: true,
  });
  await assert.rejects(region.put('a/one', Buffer.from('one')), { code: /^FH_REGION_/ });
  assert.equal(heard, 0);
});
