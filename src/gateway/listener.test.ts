import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { silentLog, systemClock, waitFor } from '#src/kernel/index.ts';
import { createGatewayKey, createLocalAuthority } from '#src/keys/index.ts';
import { isPortFree } from '#src/main/port.ts';
import { createGateway, type GatewayOptions } from './gateway.ts';
import { createListener } from './listener.ts';
import { parseAnswer, startWorld } from './test-world.ts';
import { defaultLimits } from './types.ts';

const megabyte = 1024 * 1024;
const nothing: Pick<GatewayOptions, 'directory' | 'identity' | 'hosting' | 'accountPage' | 'log' | 'clock'> = {
  directory: { findRoute: async () => undefined, findCertificate: async () => undefined },
  identity: { authenticate: async () => undefined, routes: async () => {} },
  hosting: { plugin: () => async () => {} },
  accountPage: { assets: [], indexParts: [''] },
  log: silentLog,
  clock: systemClock,
};

async function makeCertificate(t: TestContext, domain: string, host: string) {
  const folder = await mkdtemp(join(tmpdir(), 'fh-tls-'));
  t.after(() => rm(folder, { recursive: true }));
  const authority = await createLocalAuthority(join(folder, 'ca'), { domain });
  const { privateKeyPem, publicKeyPem } = await createGatewayKey(join(folder, 'key'));
  const certificateFile = join(folder, 'chain.pem');
  const keyFile = join(folder, 'key.pem');
  const issue = async () => writeFile(certificateFile, await authority.issue(host, publicKeyPem));
  await issue();
  await writeFile(keyFile, privateKeyPem);
  return { certificateFile, keyFile, issue, ca: authority.certificatePem };
}

function serialOf(port: number, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('while control or its database is away, a first visitor waits for the certificate', async (t) => {
  const world = await startWorld(t);
  world.failCertificates(Object.assign(new Error('a failover'), { status: 503 }), 3);
  assert.equal((await world.request({ path: '/api/whoami' })).status, 401);
});

test('no certificate of another name is shown instead of one that cannot be had', async (t) => {
  const warnings: string[] = [];
  const world = await startWorld(t, { log: { ...silentLog, warn: (message) => warnings.push(message) } });
  world.failCertificates(new Error('it cannot be made'), 1);
  // A client that would take any certificate gets none.
  await assert.rejects(serialOf(world.port, 'acme.localhost'));
  assert.match(warnings.join(), /a certificate cannot be had/);
  assert.equal((await world.request({ path: '/api/whoami' })).status, 401);
});

test('certificates from files, read again when they change', async (t) => {
  const { certificateFile, keyFile, issue } = await makeCertificate(t, 'example.com', 'example.com');
  const gateway = createGateway({
    ...nothing,
    domain: 'example.com',
    host: '127.0.0.1',
    port: 0,
    tls: () => ({ privateKeyPem: undefined, certificates: [{ certificateFile, keyFile }] }),
  });
  t.after(() => gateway.stop({ deadlineMs: 0, lingerMs: 0 }));
  const { port } = await gateway.listen();
  await gateway.ready();
  const before = await serialOf(port, 'example.com');
  assert.equal(await serialOf(port, 'stranger.test'), before, 'strangers see the base domain');
  await issue();
  await utimes(certificateFile, new Date(), new Date());
  await waitFor('the new certificate', async () => (await serialOf(port, 'example.com')) !== before, {
    deadlineMs: 120_000,
  });
  await waitFor('the new certificate for strangers', async () => (await serialOf(port, 'stranger.test')) !== before);
});

test('without a certificate for the base domain the gateway does not open', async (t) => {
  const options = { ...nothing, domain: 'example.com', host: '127.0.0.1', port: 0 };
  const gateway = createGateway({ ...options, tls: () => ({ privateKeyPem: undefined, certificates: [] }) });
  t.after(() => gateway.stop({ deadlineMs: 0, lingerMs: 0 }));
  await gateway.listen();
  await assert.rejects(gateway.ready(), { code: 'FH_TLS_UNREADY' });
  const never = createGateway({ ...options, tls: () => ({ privateKeyPem: undefined, certificates: [] }) });
  await never.stop();
});

test('what comes before the gateway is ready waits and is answered', async (t) => {
  const { certificateFile, keyFile, ca } = await makeCertificate(t, 'example.com', 'example.com');
  const gateway = createGateway({
    ...nothing,
    domain: 'example.com',
    host: '127.0.0.1',
    port: 0,
    tls: () => ({ privateKeyPem: undefined, certificates: [{ certificateFile, keyFile }] }),
  });
  t.after(() => gateway.stop({ deadlineMs: 0, lingerMs: 0 }));
  const { port } = await gateway.listen();
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'example.com', ca });
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  socket.write(`GET /-/healthz HTTP/1.1\r\nhost: example.com:${port}\r\nconnection: close\r\n\r\n`);
  await waitFor('the connection', () => gateway.stats.connections === 1);
  await gateway.ready();
  await waitFor('the answer', () => text.includes('"ok"'));
});

test('several workers share a port; a stranger is noticed before', async (t) => {
  const one = await startWorld(t);
  assert.equal(await isPortFree('127.0.0.1', one.port), false);
  const two = await startWorld(t, { port: one.port });
  assert.equal(two.port, one.port);
});

test('a port of its own for plain HTTP redirects to the public one', async (t) => {
  const free = await startWorld(t);
  await free.gateway.stop({ deadlineMs: 0, lingerMs: 0 });
  const world = await startWorld(t, { httpPort: free.port, publicPort: 443 });
  const socket = connect(free.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  socket.write('GET /a HTTP/1.1\r\nhost: acme.localhost\r\n\r\n');
  await waitFor('the redirect', () => socket.closed);
  assert.equal(parseAnswer(text).headers.location, 'https://acme.localhost/a');
  assert.equal(world.gateway.urlOf('acme.localhost'), 'https://acme.localhost');
});

test('a body that nobody takes yet is not read into memory', async (t) => {
  const { certificateFile, keyFile, ca } = await makeCertificate(t, 'example.com', 'example.com');
  let most = 0;
  let taken = 0;
  const listener = createListener({
    host: '127.0.0.1',
    port: 0,
    httpPort: undefined,
    reusePort: false,
    domain: 'example.com',
    publicPort: () => 0,
    limits: defaultLimits,
    findContext: async () => undefined,
    log: silentLog,
    handleUpgrade: (_request, socket) => socket.destroy(),
    handle: async (request, response) => {
      const { socket } = request;
      const look = () => {
        most = Math.max(most, socket.bytesRead - taken);
      };
      // As while a session is looked up: what comes meanwhile waits with the client.
      for (let turn = 0; turn < 1_000; turn++) await new Promise((resolve) => setImmediate(resolve));
      look();
      for await (const chunk of request) {
        taken += chunk.length;
        look();
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
        if (taken > 4 * megabyte) break;
      }
      response.end();
      socket.destroy();
    },
  });
  t.after(() => listener.destroy());
  const { port } = await listener.listen();
  listener.setBaseCertificate({ cert: await readFile(certificateFile), key: await readFile(keyFile) });
  listener.open(undefined);
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'example.com', ca });
  socket.on('error', () => {});
  socket.write(`POST / HTTP/1.1\r\nhost: example.com\r\ncontent-length: ${64 * megabyte}\r\n\r\n`);
  const piece = Buffer.alloc(megabyte);
  const send = (left: number): void => {
    if (left > 0 && !socket.destroyed) socket.write(piece, () => send(left - 1));
  };
  send(64);
  await waitFor('the server to have had enough', () => socket.destroyed);
  assert.ok(taken > 4 * megabyte, `taken: ${taken}`);
  assert.ok(most < megabyte, `${most} bytes more were read than taken`);
});

test('a drain under load over HTTP/2 fails no request', async (t) => {
  const world = await startWorld(t);
  world.addSession('acme', 'token');
  const session = connectHttp2(`https://127.0.0.1:${world.port}`, { ca: world.ca, servername: 'acme.localhost' });
  t.after(() => session.destroy());
  session.on('error', () => {});
  const statuses: unknown[] = [];
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      const stream = session.request({
        ':path': '/api/whoami',
        ':authority': `acme.localhost:${world.port}`,
        cookie: '__Host-freehold=token',
      });
      let status: unknown;
      stream.on('response', (headers) => {
        status = headers[':status'];
      });
      // Never sent (RFC 9113, 8.7): the client's own library holds back what it had queued when the goodbye came.
      stream.on('error', () =>
        stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? resolve() : reject(stream.errored),
      );
      stream.on('close', () => {
        if (stream.rstCode === constants.NGHTTP2_NO_ERROR) statuses.push(status);
        resolve();
      });
      stream.resume();
    });
  const clients = Array.from({ length: 8 }, async () => {
    // Closed for new requests as soon as the server's goodbye is read; the event comes later.
    while (!session.closed && !session.destroyed) await ask();
  });
  await waitFor('load', () => statuses.length > 200);
  await world.gateway.stop({ deadlineMs: 60_000 });
  await Promise.all(clients);
  assert.deepEqual([...new Set(statuses)], [200]);
});
