/** A rotation of the cluster's key that is killed is there, in the regions and in the audit log, once control runs again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { migrate } from '#src/databases/index.ts';
import { silentLog, systemClock } from '#src/kernel/index.ts';
import { openKeyStore } from '#src/keys/index.ts';
import { createPool, type Pool } from '#src/postgres/index.ts';
import { startTestCluster, type TestCluster } from '../../test/support/cluster.ts';
import { createBackupServices } from './backup-services.ts';
import type { Config } from './config.ts';
import type { Folders } from './folders.ts';
import { Shutdown } from './shutdown.ts';

let cluster: TestCluster;
let folder: string;
let pool: Pool;
before(async () => {
  cluster = await startTestCluster();
  folder = await mkdtemp(join(tmpdir(), 'freehold-rotations-'));
  for (const { location } of regions()) await mkdir(location);
  await migrate(cluster.control, { schema: 'public', folder: join(import.meta.dirname, '../../migrations/control') });
  pool = createPool(cluster.control, { max: 4, applicationName: 'test' });
});
after(async () => {
  await pool.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

const regions = () => ['a', 'b'].map((region) => ({ region, location: join(folder, region) }));

/** Rotates in a process of its own, which a failpoint kills. */
function dieAt(failpoints: string): void {
  const order = { control: cluster.control, folder, regions: regions(), failpoints };
  const code = `
    import { join } from 'node:path';
    import { armFailpoints, silentLog, systemClock } from '#src/kernel/index.ts';
    import { openKeyStore } from '#src/keys/index.ts';
    import { createPool } from '#src/postgres/index.ts';
    import { createBackupServices } from './src/main/backup-services.ts';
    import { Shutdown } from './src/main/shutdown.ts';
    const { control, folder, regions, failpoints } = JSON.parse(process.argv[1]);
    const services = await createBackupServices({
      config: { regions }, folders: { shipperSocket: join(folder, 'link.sock'), clusterIdFile: join(folder, 'cluster-id') }, regionKeys: new Map(),
      pool: createPool(control, { max: 4, applicationName: 'test' }), keys: await openKeyStore(join(folder, 'keys')),
      clock: systemClock, log: silentLog, shutdown: new Shutdown(silentLog),
    });
    armFailpoints(failpoints);
    await services.rotateClusterKey();`;
  const args = ['--input-type=module-typescript', '-e', code, JSON.stringify(order)];
  const top = join(import.meta.dirname, '../..');
  const ended = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: top });
  assert.equal(ended.signal, 'SIGKILL', `passed ${failpoints} alive: ${ended.stderr}`);
}

async function withControl<T>(
  work: (services: Awaited<ReturnType<typeof createBackupServices>>) => Promise<T>,
): Promise<T> {
  const shutdown = new Shutdown(silentLog);
  const services = await createBackupServices({
    config: { regions: regions() } as unknown as Config,
    folders: { shipperSocket: join(folder, 'link.sock'), clusterIdFile: join(folder, 'cluster-id') } as Folders,
    regionKeys: new Map(),
    pool,
    keys: await openKeyStore(join(folder, 'keys')),
    clock: systemClock,
    log: silentLog,
    shutdown,
  });
  try {
    return await work(services);
  } finally {
    await shutdown.run();
  }
}

const recorded = async () =>
  (
    await pool.query<{ version: string }>(
      `SELECT split_part(details->>'keyId', '.', 2) AS version FROM audit_events WHERE name = 'backup.key_rotated' ORDER BY position`,
    )
  ).map(({ version }) => Number(version));

test('killed while the key of the cluster is rotated: the new one is used, lies in the regions, and is in the audit log once', async () => {
  await withControl(({ currentKey, clusterId }) => currentKey(clusterId));
  assert.deepEqual(await recorded(), []);
  for (const [index, point] of ['backups.key.rotated', 'backups.key.published'].entries()) {
    dieAt(`${point}=kill`);
    await withControl(async ({ clusterId, currentKey, regions: stores }) => {
      const version = index + 2;
      assert.equal((await currentKey(clusterId)).keyId, `${clusterId}.${version}`, point);
      for (const store of stores) assert.ok(await store.stat(`keys/${clusterId}/${version}`), point);
    });
    assert.deepEqual(await recorded(), [2, 3].slice(0, index + 1), point);
  }
  await withControl(async ({ clusterId, rotateClusterKey }) => {
    const made = await Promise.all([rotateClusterKey(), rotateClusterKey()]);
    assert.deepEqual(made.sort(), [`${clusterId}.4`, `${clusterId}.5`]);
  });
  await withControl(async () => {});
  assert.deepEqual(await recorded(), [2, 3, 4, 5]);
});
