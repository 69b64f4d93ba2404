import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripClone } from '#src/identity/index.ts';
import { sqlState } from '#src/postgres/index.ts';
import { startTwoTenants } from '../../test/support/two-tenants.ts';
import { ensureSecrets } from './app-secrets.ts';

test('secrets are made once per tenant and name, are closed to the app, and a clone gets others', async () => {
  const { databases, acme, globex, stop } = await startTwoTenants();
  try {
    const ensure = (tenantId: typeof acme.tenantId, ...names: string[]) =>
      databases.platform.transact(tenantId, (db) => ensureSecrets(db, names));
    const [one, other] = await Promise.all([
      ensure(acme.tenantId, 'session', 'identity.key'),
      ensure(acme.tenantId, 'session'),
    ]);
    assert.match(one.session!, /^[A-Za-z0-9_-]{43}$/);
    assert.equal(one.session, other.session);
    assert.notEqual(one.session, one['identity.key']);
    assert.notEqual((await ensure(globex.tenantId, 'session')).session, one.session);
    assert.deepEqual(await ensure(acme.tenantId), {});
    for (const table of ['app_secrets', 'app_folder', 'contents']) {
      const read = databases.app.read(acme.tenantId, (db) => db.query(`SELECT FROM freehold.${table}`));
      assert.equal(await read.then(() => 'ok', sqlState), '42501', table);
    }
    await databases.platform.transact(acme.tenantId, stripClone);
    assert.notEqual((await ensure(acme.tenantId, 'session')).session, one.session);
  } finally {
    await stop();
  }
});
