import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { openConnection } from '#src/postgres/index.ts';
import { withTestCluster } from './cluster.ts';

test('a test cluster has a control database of its own and leaves nothing behind', async () => {
  const socketDir = await withTestCluster(async (cluster) => {
    const control = await openConnection(cluster.control, { applicationName: 'test' });
    const [row] = await control.query(
      'SELECT current_user AS "user", current_database() AS database, rolsuper FROM pg_roles WHERE rolname = current_user',
    );
    assert.deepEqual(row, { user: 'freehold_control', database: cluster.control.database, rolsuper: false });
    await control.close();
    return cluster.socketDir;
  });
  if (!process.env.FREEHOLD_TEST_CLUSTER) assert.equal(existsSync(socketDir), false);
});
