/** The same code on somebody else's PostgreSQL: a role without superuser rights, named by URL. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { TLSSocket } from 'node:tls';
import { createGatewayKey, createLocalAuthority } from '#src/keys/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import { Freehold, newFolder } from './acceptance/harness.ts';
import { startSharedTestCluster, startTestCluster, type TestCluster } from './support/cluster.ts';

/** TLS in front of a server that has none, as poolers do it. @returns the port; `secured` counts the sessions that came through it. */
async function startTlsFront(
  { host, port }: TestCluster['control'],
  folder: string,
): Promise<{ server: Server; sockets: Set<Socket>; port: number; caFile: string; secured: () => number }> {
  const authority = await createLocalAuthority(join(folder, 'ca'), { domain: 'localhost' });
  const { privateKeyPem, publicKeyPem } = await createGatewayKey(join(folder, 'tls'));
  const cert = await authority.issue('localhost', publicKeyPem);
  const caFile = join(folder, 'authority.pem');
  writeFileSync(caFile, authority.certificatePem, { mode: 0o644 });
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', (request: Buffer) => {
      if (request.readInt32BE(4) !== 80877103) return socket.destroy();
      socket.write('S');
      const secure = new TLSSocket(socket, { isServer: true, key: privateKeyPem, cert });
      secure.on('secure', () => count++);
      const upstream = connect(`${host}/.s.PGSQL.${port}`);
      const end = () => {
        secure.destroy();
        upstream.destroy();
      };
      for (const side of [secure, upstream]) side.on('error', end).on('close', end);
      secure.pipe(upstream).pipe(secure);
    });
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  return { server, sockets, port: (server.address() as AddressInfo).port, caFile, secured: () => count };
}

describe('an external server', () => {
  let server: Awaited<ReturnType<typeof startSharedTestCluster>>;
  let cluster: TestCluster;
  const password = 'a long sentence for the test of it';
  const urlOf = ({ user, password: secret, database, host, port }: TestCluster['control']) =>
    `postgres://${user}:${secret}@localhost:${port}/${database}?host=${encodeURIComponent(host)}`;

  before(async () => {
    server = await startSharedTestCluster();
    process.env.FREEHOLD_TEST_CLUSTER = server.announcement;
    cluster = await startTestCluster();
    // The parts run as OS users of their own, and the test's server keeps its socket to itself.
    chmodSync(cluster.socketDir, 0o711);
  });
  after(async () => {
    await cluster.stop();
    await server.stop();
  });

  it('behind a certificate of its own authority: hosts tenants, keeps them apart and lets them go', async () => {
    const folder = newFolder();
    const front = await startTlsFront(cluster.control, folder);
    const { user, password: secret, database } = cluster.control;
    const url = `postgres://${user}:${secret}@localhost:${front.port}/${database}?sslmode=verify-full&sslrootcert=${front.caFile}`;
    const freehold = await Freehold.start({
      env: { FREEHOLD_DATABASE_URL: url, FREEHOLD_PREPARED_DATABASES: '1' },
    });
    try {
      assert.ok(front.secured() > 0);
      assert.equal(existsSync(join(freehold.dataDir, 'pg/main/PG_VERSION')), false, 'no server of our own');
      const acme = await freehold.createTenant('acme', 'same@example.com');
      const globex = await freehold.createTenant('globex', 'same@example.com');
      const inAcme = await freehold.signUp(acme, password);
      const inGlobex = await freehold.signUp(globex, password);
      assert.equal((await inAcme.get('/api/me')).status, 200);
      const stolen = freehold.tenantClient('globex');
      for (const [name, value] of inAcme.cookies) stolen.cookies.set(name, value);
      assert.equal((await stolen.get('/api/me')).status, 401);
      assert.equal((await freehold.run('tenant', 'suspend', 'acme')).code, 0);
      assert.equal((await inAcme.get('/api/me')).status, 503);
      assert.equal((await inGlobex.get('/api/me')).status, 200);
      assert.equal((await freehold.run('tenant', 'delete', 'acme', '--confirm', 'acme')).code, 0);
      const status = JSON.parse((await freehold.run('status', '--json')).stdout);
      assert.equal(status.clusters[0].kind, 'external');
      // PostgreSQL's own programs check the same certificate.
      const exported = await freehold.run('tenant', 'export', 'globex', '--to', join(folder, 'export'));
      assert.equal(exported.code, 0, exported.stderr);
      await Promise.all([inAcme.close(), inGlobex.close(), stolen.close()]);
    } finally {
      await freehold.stop();
      for (const socket of front.sockets) socket.destroy();
      front.server.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('is refused in words when the role may not do what is needed', async () => {
    const superuser = await openConnection(cluster.superuser, { applicationName: 'test' });
    try {
      await superuser.query("CREATE ROLE weak LOGIN PASSWORD 'weak-password'");
      await superuser.query('CREATE DATABASE weak OWNER weak');
    } finally {
      await superuser.close();
    }
    const url = urlOf({ ...cluster.control, user: 'weak', password: 'weak-password', database: 'weak' });
    const dataDir = newFolder();
    await assert.rejects(Freehold.start({ env: { FREEHOLD_DATABASE_URL: url }, dataDir }), (error: Error) => {
      assert.match(error.message, /CREATEDB|permission|not allowed|cannot be used/i);
      assert.doesNotMatch(error.message, /weak-password/);
      return true;
    });
    rmSync(dataDir, { recursive: true });
  });
});
