/** The same code on somebody else's PostgreSQL: a role without superuser rights, named by URL. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openConnection } from '#src/postgres/index.ts';
import { Freehold, newFolder } from './acceptance/harness.ts';
import { startSharedTestCluster, startTestCluster, type TestCluster } from './support/cluster.ts';

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

  it('hosts tenants, keeps them apart and lets them go', async () => {
    const freehold = await Freehold.start({
      env: { FREEHOLD_DATABASE_URL: urlOf(cluster.control), FREEHOLD_PREPARED_DATABASES: '1' },
    });
    try {
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
      await Promise.all([inAcme.close(), inGlobex.close(), stolen.close()]);
    } finally {
      await freehold.stop();
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
