import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { silentLog } from '#src/kernel/index.ts';
import type { RegionStore } from '#src/objects/index.ts';
import { openConnection } from '#src/postgres/index.ts';
import type { PlanRequest } from '../catalogue/plan-types.ts';
import { type RestoreDatabaseOptions, type RestoredDatabase, restoreDatabase } from './restore-database.ts';
import { type RestoreWorld, startRestoreWorld } from './restore-world.fixture.ts';

let world: RestoreWorld;
let scratchParent: string;
before(async () => {
  world = await startRestoreWorld();
  scratchParent = await world.newFolder();
  await world.takeBackup();
});
after(() => world?.remove());

async function restore<T>(
  target: PlanRequest['target'],
  oid: number,
  use: (restored: RestoredDatabase) => Promise<T>,
  change: Partial<RestoreDatabaseOptions> = {},
): Promise<T> {
  const region = change.region ?? world.south;
  const plan = await world.plan(region, target, { kind: 'database', oid });
  const { binaries } = world.own.cluster.options;
  const { osUser } = world.own;
  try {
    return await restoreDatabase(
      { plan, region, keys: world.keys, binaries, osUser, log: silentLog, scratchParent, ...change },
      use,
    );
  } finally {
    assert.deepEqual(await readdir(scratchParent), []);
  }
}

async function texts({ connectionTarget }: RestoredDatabase): Promise<string[]> {
  const connection = await openConnection(connectionTarget('freehold_control'), { applicationName: 'test' });
  try {
    const rows = await connection.query<{ text: string }>(
      'SELECT text FROM app.items WHERE item_id < 0 ORDER BY item_id DESC',
    );
    assert.equal((await connection.query('SELECT text FROM app.items WHERE item_id > 0')).length, 2000);
    return rows.map(({ text }) => text);
  } finally {
    await connection.close();
  }
}

const add = (database: string, id: number, text: string) =>
  world.sql(database, `INSERT INTO app.items VALUES (${-id}, '${text}')`);

test('one tenant to a moment, from one region: its own rows, its own objects, and nothing of it left', async () => {
  const { acme, globex } = world;
  await add(acme.database, 1, 'acme 1');
  await add(globex.database, 1, 'globex 1');
  const moment = await world.moment();
  await add(acme.database, 2, 'acme 2');
  await world.sql(globex.database, 'DELETE FROM app.items WHERE item_id % 2 = 0', 'VACUUM FULL app.items');

  const names: string[] = [];
  const region: RegionStore = {
    ...world.south,
    async get(name, options) {
      names.push(name);
      return world.south.get(name, options);
    },
  };
  const progress: string[] = [];
  let checked = false;
  const found = await restore(
    { kind: 'time', time: moment },
    acme.oid,
    async (restored) => {
      assert.equal(restored.name, acme.database);
      assert.ok(restored.server.lastCommitAt! <= moment);
      return texts(restored);
    },
    {
      region,
      onProgress: ({ phase }) => progress.push(phase),
      async check(server) {
        const connection = await openConnection(server.connectionTarget('freehold_control', 'freehold_control'), {
          applicationName: 'test',
        });
        assert.ok(await connection.query('SELECT n FROM canary'));
        await connection.close();
        checked = true;
      },
    },
  );
  assert.deepEqual(found, ['acme 1']);
  assert.ok(checked);
  assert.deepEqual([...new Set(progress)], ['files', 'wal', 'use']);
  assert.ok(names.some((name) => name.startsWith(`data/${acme.tenantId}/`)));
  assert.deepEqual(
    names.filter((name) => name.includes(globex.tenantId)),
    [],
  );
});

test('renamed, dropped, and made again under the same name: the one that was meant', async () => {
  const first = await world.createTenant();
  await world.takeBackup();
  await add(first.database, 1, 'first');
  const named = await world.moment();
  await world.control.query(`ALTER DATABASE ${first.database} RENAME TO t_renamed`);
  await add('t_renamed', 2, 'renamed');
  const renamed = await world.moment();
  await world.control.query('DROP DATABASE t_renamed');
  const dropped = await world.moment();
  // Another database has the name now.
  await world.control.query(`CREATE DATABASE ${first.database} TEMPLATE ${world.globex.database} STRATEGY wal_log`);
  const [again] = await world.control.query<{ oid: number }>('SELECT oid FROM pg_database WHERE datname = $1', [
    first.database,
  ]);
  await add(first.database, 5, 'again');
  const made = await world.moment();

  const at = (time: Date, oid: number) =>
    restore({ kind: 'time', time }, oid, async (restored) => [restored.name, await textsOf(restored)]);
  const textsOf = async (restored: RestoredDatabase) => {
    const connection = await openConnection(restored.connectionTarget('freehold_control'), { applicationName: 'test' });
    const rows = await connection.query<{ text: string }>(
      'SELECT text FROM app.items WHERE item_id < -1 OR text = $1 ORDER BY item_id DESC',
      ['first'],
    );
    await connection.close();
    return rows.map(({ text }) => text);
  };
  assert.deepEqual(await at(named, first.oid), [first.database, ['first']]);
  assert.deepEqual(await at(renamed, first.oid), ['t_renamed', ['first', 'renamed']]);
  await assert.rejects(at(dropped, first.oid), { code: 'FH_RESTORE_DATABASE_ABSENT' });
  assert.deepEqual(await at(made, again!.oid), [first.database, ['again']]);
});

test('a clone that was made by copying files needs its source; without it there is an error and no rubbish', async () => {
  const source = await world.createTenant();
  await world.takeBackup();
  await add(source.database, 1, 'of the source');
  await world.control.query(`CREATE DATABASE t_clone TEMPLATE ${source.database} STRATEGY file_copy`);
  const [clone] = await world.control.query<{ oid: number }>("SELECT oid FROM pg_database WHERE datname = 't_clone'");
  const target = { kind: 'time', time: await world.moment() } as const;
  await assert.rejects(restore(target, clone!.oid, texts), { code: 'FH_RESTORE_DATABASE_INCOMPLETE' });
  assert.deepEqual(await restore(target, clone!.oid, texts, { also: [source.oid] }), ['of the source']);
});

test('what the caller does may fail; an object that is damaged or gone is named', async () => {
  const target = { kind: 'time', time: await world.moment() } as const;
  const { oid, tenantId } = world.acme;
  const fail = async () => assert.fail('enough');
  await assert.rejects(restore(target, oid, fail), { message: 'enough' });
  await assert.rejects(restore(target, oid, texts, { check: fail }), { message: 'enough' });
  const without: RegionStore = {
    ...world.south,
    get: async (name, options) => (name.startsWith(`data/${tenantId}/`) ? undefined : world.south.get(name, options)),
  };
  await assert.rejects(restore(target, oid, texts, { region: without }), { code: 'FH_BACKUP_OBJECT_MISSING' });
  const flaky: RegionStore = {
    ...world.south,
    async get(name, options) {
      if (name.startsWith('wal/')) throw new Error('the network is away');
      return world.south.get(name, options);
    },
  };
  const plan = await world.plan(world.south, target, { kind: 'database', oid });
  await assert.rejects(
    restoreDatabase(
      {
        plan,
        region: flaky,
        keys: world.keys,
        binaries: world.own.cluster.options.binaries,
        osUser: world.own.osUser,
        log: silentLog,
        scratchParent,
      },
      texts,
    ),
    { code: 'FH_RECOVERY_WAL_UNAVAILABLE' },
  );
  assert.deepEqual(await readdir(scratchParent), []);
});
