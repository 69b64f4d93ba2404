/** What the gateway answers an app behind its sandbox's door: its own tenant's provider, and nothing else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { FastifyPluginAsync } from 'fastify';
import { newId, type TenantId } from '#src/kernel/index.ts';
import { parseAnswer, startWorld, tenantIdOf, type World } from './test-world.ts';

const discovery = '/-/oidc/.well-known/openid-configuration';

async function start(t: TestContext, limits = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'fh-back-'));
  t.after(() => rm(folder, { recursive: true }));
  // Of a worker that was killed, and of one that goes on: process ids end at 4,194,304.
  await writeFile(join(folder, '4999999.sock'), '');
  await writeFile(join(folder, `${process.ppid}.sock`), '');
  const slow = { asked: Promise.withResolvers<void>(), answer: Promise.withResolvers<object>() };
  const backChannel: FastifyPluginAsync = async (app) => {
    const config = { withoutSession: 'allow' } as const;
    app.get('/.well-known/openid-configuration', { config }, (request) => ({ host: request.tenant.host }));
    app.get('/slow', { config }, () => {
      slow.asked.resolve();
      return slow.answer.promise;
    });
    app.get('/jwks', { config }, (request) => ({ host: request.tenant.host, title: request.tenant.title }));
  };
  const world = await startWorld(t, {
    backChannelFolder: folder,
    limits,
    identity: { provider: { all: backChannel, backChannel } },
  });
  return { world, folder, slow, path: join(folder, `${process.pid}.sock`) };
}

/** Everything that came until the end of the connection; undefined: not even TLS. */
function ask(
  { world, path }: { readonly world: World; readonly path: string },
  preamble: string,
  { target = discovery, host = 'acme.localhost', servername = 'acme.localhost' } = {},
): Promise<ReturnType<typeof parseAnswer> | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write(preamble));
    socket.on('error', () => resolve(undefined));
    const tls = connectTls({ socket, servername, ca: world.ca, checkServerIdentity: () => undefined }, () =>
      tls.write(`GET ${target} HTTP/1.1\r\nhost: ${host}:${world.port}\r\nconnection: close\r\n\r\n`),
    );
    let text = '';
    tls.on('data', (chunk) => (text += chunk));
    tls.on('error', () => resolve(undefined));
    tls.on('close', () => resolve(text === '' ? undefined : parseAnswer(text)));
  });
}

const lineOf = (tenantId: TenantId, host: string) => `${JSON.stringify({ tenantId, host })}\n`;

test('answers each app about its own tenant, with the certificate of its host', async (t) => {
  const of = await start(t);
  for (const name of ['acme', 'globex']) {
    const host = `${name}.localhost`;
    const line = lineOf(tenantIdOf(of.world, name), host);
    for (const target of [discovery, '/-/oidc/jwks']) {
      const answer = await ask(of, line, { host, servername: host, target });
      assert.equal(answer?.status, 200, String(answer?.body));
      assert.equal(answer?.json().host, host);
    }
    // Whatever name TLS was asked for: whose connection it is was said before.
    assert.equal((await ask(of, line, { host, servername: 'localhost' }))?.status, 200);
  }
});

test('refuses another host, another tenant’s id, and whatever is not the provider’s', async (t) => {
  const of = await start(t);
  const acme = lineOf(tenantIdOf(of.world, 'acme'), 'acme.localhost');
  for (const host of ['globex.localhost', 'localhost', 'evil.example', 'acme.localhost.evil.example'])
    assert.equal((await ask(of, acme, { host }))?.status, 421, host);
  for (const target of ['/', '/-/api/session', '/-/api/tenant', '/-/healthz', '/-/', '/-/oidc/authorize', '/-/oidc'])
    assert.equal((await ask(of, acme, { target }))?.status, 404, target);
  // A host that has become another tenant's since.
  const stranger = lineOf(newId('ten'), 'acme.localhost');
  assert.equal((await ask(of, stranger, { target: '/-/oidc/jwks' }))?.status, 404);
});

test('says nothing without a line that says who asks', async (t) => {
  const of = await start(t);
  for (const line of [
    '',
    '\n',
    '{}\n',
    'null\n',
    '{"tenantId":"ten_x","host":"acme.localhost"}\n',
    `${'x'.repeat(500)}\n`,
  ])
    assert.equal(await ask(of, line), undefined, line);
});

test('waits for nobody who says nothing: not before TLS, not in it, not between two requests', async (t) => {
  const { world, path } = await start(t, { handshakeMs: 100, bodyMs: 100, keepAliveMs: 100 });
  const line = lineOf(tenantIdOf(world, 'acme'), 'acme.localhost');
  for (const said of ['', line.slice(0, 9), line]) {
    const socket = connect(path, () => socket.write(said));
    await once(socket.resume(), 'close');
  }
  const request = `GET ${discovery} HTTP/1.1\r\nhost: acme.localhost:${world.port}\r\n`;
  for (const said of ['', request, `${request}\r\n`]) {
    const socket = connect(path, () => socket.write(line));
    const tls = connectTls({ socket, servername: 'acme.localhost', ca: world.ca }, () => tls.write(said));
    tls.on('error', () => undefined);
    await once(tls.resume(), 'close');
  }
});

test('describes itself while its tenant is closed, and gives nothing then', async (t) => {
  const of = await start(t);
  const line = lineOf(tenantIdOf(of.world, 'acme'), 'acme.localhost');
  for (const state of ['creating', 'migrating', 'suspended'] as const) {
    of.world.setState('acme', state);
    assert.equal((await ask(of, line))?.status, 200, state);
    assert.equal((await ask(of, line, { target: '/-/oidc/jwks' }))?.status, 503, state);
  }
});

test('removes sockets of workers that are gone, and its own when it stops', async (t) => {
  const { world, folder } = await start(t);
  assert.deepEqual((await readdir(folder)).sort(), [`${process.pid}.sock`, `${process.ppid}.sock`].sort());
  await world.gateway.stop({ deadlineMs: 100, lingerMs: 0 });
  assert.deepEqual(await readdir(folder), [`${process.ppid}.sock`]);
});

test('answers whom it has heard before it stops, and nobody after', async (t) => {
  const of = await start(t);
  const line = lineOf(tenantIdOf(of.world, 'acme'), 'acme.localhost');
  const asked = ask(of, line, { target: '/-/oidc/slow' });
  await of.slow.asked.promise;
  const stopped = of.world.gateway.stop({ deadlineMs: 100, lingerMs: 0 });
  while ((await readdir(of.folder)).includes(`${process.pid}.sock`)) await new Promise(setImmediate);
  of.slow.answer.resolve({ late: true });
  assert.equal((await asked)?.status, 200);
  await stopped;
  assert.equal(await ask(of, line), undefined);
});
