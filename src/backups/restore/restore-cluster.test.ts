import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { serialize } from 'node:v8';
import { createCluster, removeScratchFolders } from '#src/clusters/index.ts';
import { silentLog } from '#src/kernel/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { PlanRequest } from '../catalogue/plan-types.ts';
import { type RestoreClusterOptions, restoreCluster } from './restore-cluster.ts';
import { type RestoreWorld, startRestoreWorld } from './restore-world.fixture.ts';

let world: RestoreWorld;
const add = (database: string, id: number, text: string) =>
  world.sql(database, `INSERT INTO app.items VALUES (${-id}, '${text}')`);
let target: PlanRequest['target'];

before(async () => {
  world = await startRestoreWorld();
  await world.takeBackup();
  await add(world.acme.database, 1, 'acme 1');
  await add(world.globex.database, 1, 'globex 1');
  target = { kind: 'time', time: await world.moment() };
  await add(world.acme.database, 2, 'acme 2');
  await world.control.query(`DROP DATABASE ${world.globex.database}`);
});
after(() => world?.remove());

async function optionsFor(into: string): Promise<RestoreClusterOptions> {
  const region = world.north;
  const plan = await world.plan(region, target, { kind: 'cluster' });
  const { binaries } = world.own.cluster.options;
  return { plan, region, keys: world.keys, binaries, osUser: world.own.osUser, log: silentLog, into };
}

/** What the restored cluster holds, through a server as the installation starts it. */
async function readRestored(dataDir: string): Promise<string[]> {
  const home = path.dirname(dataDir);
  for (const name of ['run', 'logs']) {
    await mkdir(path.join(home, name));
    if (world.own.osUser) await chown(path.join(home, name), world.own.osUser.uid, world.own.osUser.gid);
  }
  const cluster = createCluster({
    ...world.own.cluster.options,
    dataDir,
    socketDir: path.join(home, 'run'),
    logFile: path.join(home, 'logs', 'postgres.log'),
  });
  await cluster.start();
  try {
    const found: string[] = [];
    for (const { database } of [world.acme, world.globex]) {
      const where = { ...world.own.control, host: cluster.options.socketDir, database };
      const connection = await openConnection(where, { applicationName: 'test' });
      const rows = await connection.query<{ text: string }>('SELECT text FROM app.items WHERE item_id < 0');
      assert.equal((await connection.query('SELECT text FROM app.items WHERE item_id > 0')).length, 2000);
      await connection.query("INSERT INTO app.items VALUES (-100, 'goes on')");
      found.push(...rows.map(({ text }) => text));
      await connection.close();
    }
    return found;
  } finally {
    await cluster.stop({ smartMs: 0 });
  }
}

test('a whole cluster to a moment: a data folder that the installation starts and goes on with', async () => {
  const into = path.join(await world.newFolder(), 'main');
  const restored = await restoreCluster(await optionsFor(into));
  assert.equal(restored.newTimeline, 2);
  assert.deepEqual(await readdir(path.dirname(into)), ['main']);
  assert.deepEqual(await readRestored(into), ['acme 1', 'globex 1']);
});

test('a folder that holds something is left alone', async () => {
  const into = path.join(await world.newFolder(), 'main');
  await mkdir(into);
  await writeFile(path.join(into, 'precious.txt'), 'mine');
  await assert.rejects(restoreCluster(await optionsFor(into)), { code: 'FH_RESTORE_FOLDER_IN_USE' });
  assert.deepEqual(await readdir(into), ['precious.txt']);
});

const program = `
  const { deserialize } = await import('node:v8');
  const { text } = await import('node:stream/consumers');
  const { armFailpoints, silentLog } = await import('#src/kernel/index.ts');
  const { createDiskRegion } = await import('#src/objects/index.ts');
  const { createTestKeys } = await import('#src/backups/base/world.fixture.ts');
  const { restoreCluster } = await import('#src/backups/restore/index.ts');
  const { failpoint, root, seed, ...options } = deserialize(Buffer.from(await text(process.stdin), 'base64'));
  armFailpoints(failpoint + '=kill');
  const region = createDiskRegion({ region: 'north', root });
  await restoreCluster({ ...options, region, keys: createTestKeys(seed), log: silentLog });
`;

test('killed at every step: the folder is whole or not there, and the next attempt completes it', async () => {
  for (const step of ['files', 'recovered', 'stopped', 'renamed']) {
    const into = path.join(await world.newFolder(), 'main');
    const { region: _, keys: __, log: ___, ...options } = await optionsFor(into);
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['pipe', 'inherit', 'inherit'],
      cwd: path.join(import.meta.dirname, '../../..'),
    });
    const failpoint = `backups.restore.${step}`;
    const root = world.folderOf(world.north);
    child.stdin.end(serialize({ ...options, failpoint, root, seed: world.seed }).toString('base64'));
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL');
    const isThere = (await readdir(path.dirname(into))).includes('main');
    assert.equal(isThere, step === 'renamed');
    if (!isThere) await restoreCluster(await optionsFor(into));
    else await removeScratchFolders(path.dirname(into), silentLog);
    assert.deepEqual(await readRestored(into), ['acme 1', 'globex 1']);
    if (!isThere) assert.deepEqual((await readdir(path.dirname(into))).sort(), ['logs', 'main', 'run']);
  }
});
